"""In which order targets are built."""

from build.reader import read


def plan(text):
    """Return targets and needs, those first that others need."""
    needs = read(text)
    order, seen = [], set()

    def visit(name):
        if name in seen:
            return
        seen.add(name)
        for need in needs.get(name, ()):
            visit(need)
        order.append(name)

    for name in needs:
        visit(name)
    return order, needs
