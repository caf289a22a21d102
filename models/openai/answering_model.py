"""Which model has answered: servers pass a request on to another model than it names, and say so in one field of the answer alone.

LM Studio answers with whichever model is loaded, gateways fall back to another one when theirs is busy.  Names differ for
harmless reasons, too (a date, a path, an alias), so that this is told and not refused.
"""

import re

_SEPARATORS = re.compile(r"[-_:@. ]+")
_VERSION = re.compile(r"\d+|v\d+|latest|preview|exp|free|gguf|i?q\d\w*|b?fp?\d+|[klmsx]+")
"""What may follow a model's name without making it another model: a date, a number, a quantisation."""


def another(asked: str, signed: str) -> bool:
    """Whether an answer is signed with a name that is not the asked one, with or without a path, a file type or a version."""
    if not signed:
        return False
    ours, theirs = sorted((_words(asked), _words(signed)), key=len)
    return theirs[: len(ours)] != ours or not all(map(_VERSION.fullmatch, theirs[len(ours) :]))


def _words(name: str) -> list[str]:
    last = re.split(r"[/\\]", name.strip().lower().rstrip("/\\"))[-1]
    return [word for word in _SEPARATORS.split(last) if word]
