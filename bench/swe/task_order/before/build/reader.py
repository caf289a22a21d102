"""Build files: `name: what it needs`."""


def read(text):
    """Return what each target needs."""
    needs = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name.strip():
            key = name.strip().lower()
            needs[key] = [each.lower() for each in rest.split()]
    return needs
