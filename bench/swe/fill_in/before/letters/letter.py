"""A greeting and a text."""

from letters.fill import fill


def letter(person, text, **values):
    """Return a letter."""
    return fill("Dear {person},\n" + text, person=person, **values)
