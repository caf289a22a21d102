"""One line."""


def split(line, comma):
    """Return the fields of a line; a comma between quotes is none."""
    found, field, quoted = [], "", False
    for letter in line:
        if letter == '"':
            quoted = not quoted
        elif letter == comma and not quoted:
            found.append(field)
            field = ""
        else:
            field += letter
    return [*found, field]
