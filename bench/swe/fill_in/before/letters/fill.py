"""Templates with names in braces."""

from letters.names import names


def fill(template, **values):
    """Return a template with values for names."""
    text = template
    for name in names(template):
        if name in values:
            text = text.replace("{" + name + "}", str(values[name]))
    return text
