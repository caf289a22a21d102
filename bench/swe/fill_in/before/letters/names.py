"""The names of a template."""

import re

NAME = re.compile(r"\{([a-z_]+)\}")


def names(template):
    """Return its names in order, each once."""
    return list(dict.fromkeys(NAME.findall(template)))
