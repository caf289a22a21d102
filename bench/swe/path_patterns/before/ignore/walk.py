"""What is left of a list of paths."""

from ignore.rules import ignored


def kept(paths, patterns):
    """Return the paths that are not ignored."""
    return [path for path in paths if not ignored(path, patterns)]
