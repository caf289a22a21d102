"""Several patterns; a later one with `!` takes paths back."""

from ignore.patterns import matches


def ignored(path, patterns):
    """Say whether a path is ignored."""
    found = False
    for pattern in patterns:
        if matches(pattern.removeprefix("!"), path):
            found = not pattern.startswith("!")
    return found
