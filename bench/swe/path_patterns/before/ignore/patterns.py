"""Patterns of paths."""

import re


def compiled(pattern):
    """Return the regular expression of a pattern."""
    return re.compile(pattern.replace("?", ".").replace("*", ".*"))


def matches(pattern, path):
    """Say whether a path is of a pattern."""
    return compiled(pattern).fullmatch(path) is not None
