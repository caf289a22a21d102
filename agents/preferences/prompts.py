"""What a model is asked about a user, and how its answers are read: each question ends with the very line that is read.

All that is shown, posts, replies and descriptions, is cleaned and fenced: it may be anybody's text.  The same values make the same prompt.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from surefoot.agents.hygiene import NOTICE, fence_by_digest
from surefoot.errors import BadInput
from surefoot.models.base import Message
from surefoot.tools.answers.last_lines import in_form, last_lines, line, missing
from surefoot.voting.flags import NotAnAnswer

from .preference import LONGEST, description_of
from .signal import ChoiceSignal

MOST_SIGNALS = 8
"""Signals in a prompt for a description."""
NOT_PROVIDED = "Not provided"
"""In the place of a description that there is not; the paper's words."""

FORM = '{"preference": "Prefers short answers in plain words, with one example."}'
DESCRIBE = f"""\
You describe what a user likes in the replies that they get. You are shown the description so far, and what the user did since: to each post
there were two replies, of which they chose one.

Write the description anew. Keep what still holds, leave out what the new choices contradict, add what they show. Say how replies should be, so that it
helps with other posts: name no post and no reply. {NOTICE}

You may think first, but briefly. End with one line of JSON in the form below, of at most {LONGEST} characters:
{FORM}"""
CHOICE = "choice = A"
JUDGE = f"""\
You predict which of two replies a user chooses, given what is known of them. Where the description says nothing about it, say which one most
people would choose. {NOTICE}

You may think first, but briefly. End with one line in this form, A or B:
{CHOICE}"""

_OBJECT = re.compile(r"[\s`]*+(\{.*\})[\s`]*+")
_CHOICE = line("[Cc]hoice", "[AB]")


class _Described(NamedTuple):
    preference: str


_DESCRIBED: TypeAdapter[_Described] = TypeAdapter(_Described)


def describe(description: str, signals: Sequence[ChoiceSignal]) -> tuple[Message, ...]:
    """Ask for a new description, given the old one, empty if there is none, and the new signals, of which the newest count.

    Raises `BadInput` without signals.
    """
    if not signals:
        raise BadInput("there are no new signals to describe a user by")
    shown = (_shown(number, each) for number, each in enumerate(signals[-MOST_SIGNALS:], 1))
    return Message("system", DESCRIBE), Message("user", "\n\n".join([_so_far(description), *shown]))


def read_description(text: str) -> str:
    """Read the line that an answer to `describe` ends with.

    Raises `NotAnAnswer` if there is none, or if it may not go into a prompt.  Takes time linear in the text.
    """
    found = _OBJECT.fullmatch(next(last_lines(text), ""))
    if found is None:
        raise missing(FORM)
    try:
        return description_of(_DESCRIBED.validate_json(found[1]).preference)
    except ValidationError:
        raise missing(FORM) from None
    except BadInput as error:
        raise NotAnAnswer(str(error)) from None


def judge(description: str, signal: ChoiceSignal, view: int) -> tuple[Message, ...]:
    """Ask which of a signal's replies its user chose; the next view shows them the other way round.

    Which comes first in view 0 is decided by the texts, so that who always says A is right as often as wrong.
    """
    first, second = _order(signal, view)
    parts = (("the post", signal.post), ("reply A", first), ("reply B", second))
    shown = "\n".join(fence_by_digest(text, "user", what) for what, text in parts)
    return Message("system", JUDGE), Message("user", f"{_so_far(description)}\n\n{shown}")


def read_judgement(text: str, signal: ChoiceSignal, view: int) -> bool:
    """Read the last line of an answer to `judge`, and return whether it names the reply that was chosen; raises `NotAnAnswer`."""
    named = in_form(_CHOICE, CHOICE, last_lines(text))
    return _order(signal, view)[named == "B"] == signal.chosen


def _order(signal: ChoiceSignal, view: int) -> tuple[str, str]:
    pair = signal.chosen, signal.rejected
    return pair[::-1] if (signal.digest[1] + view) % 2 else pair


def _so_far(description: str) -> str:
    return fence_by_digest(description or NOT_PROVIDED, "user", "the description so far")


def _shown(number: int, signal: ChoiceSignal) -> str:
    parts = (("post", signal.post), ("chosen reply", signal.chosen), ("rejected reply", signal.rejected))
    return "\n".join(fence_by_digest(text, "user", f"signal {number}, {what}") for what, text in parts)
