"""A piece of an answer, as the reader of the API hands it on."""

from collections.abc import Mapping
from typing import NamedTuple

from .call_deltas import CallDelta


class ChoiceDelta(NamedTuple):
    """What a chunk says of one choice: a piece of it, or all."""

    index: int  # type: ignore[assignment]  # it is never searched for a value
    text: str = ""
    thought: str = ""
    finish: str | None = None
    logprobs: object = None
    """As they came."""
    all: bool = False
    """It may be all that has been said so far, and not what comes next."""
    calls: tuple[CallDelta, ...] = ()
    returned: Mapping[str, object] | None = None
    """The fields with thoughts, as they came: some servers want them back."""
