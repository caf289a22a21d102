"""Numbers and signs of a formula."""

import re

TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|([-+*/()]))")


def tokens(text):
    """Return numbers as floats and signs as they are."""
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise SyntaxError(f"cannot read {text[at:]!r}")
        found.append(float(match[1]) if match[1] else match[2])
        at = match.end()
    return found
