"""A plan as text."""


def depth(name, needs):
    """Return how many levels of needs are below a target."""
    return 1 + max((depth(each, needs) for each in needs.get(name, ())), default=0)


def render(planned):
    """Return a line a target, indented by its depth."""
    order, needs = planned
    return "\n".join("  " * (depth(name, needs) - 1) + name for name in order)
