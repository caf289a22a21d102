"""What a chain's model is asked, and how its answers are read: each question ends with the very lines that are read."""

import re
from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import Any

from pydantic_core import to_json

from surefoot.models.base import Message
from surefoot.printable import encodable
from surefoot.tools.answers.last_lines import in_form, last_lines, line
from surefoot.tools.answers.normal_forms import Kind, as_json, json_of, normal
from surefoot.voting.flags import NotAnAnswer

from .state import ActionStep, ChainState, Preferred, Reflection

LONGEST = 100_000
"""Characters of a problem."""
LONGEST_STEP = 2_000
"""Characters of a step's text, and of its result."""
LONGEST_WHY = 300
"""Characters of a reason; the rest of a longer one is left out."""
NO_REASON = "no reason was given"
AS_SAID: Collection[Kind] = ("any", "text", "quantity")
"""Kinds of which an answer stays as it was said; others are told in their normal form."""

NEXT = """\
You solve a problem one step at a time.  The steps so far are below; take the next one, and no more than that.
- A step does one thing.  Its result is as short as can be: a number, a word, a list.
- Once the steps have led to the answer, say it.

You may think first, but briefly.  End with one line of JSON in one of these forms:
"""
LAST = """\
You solve a problem.  The steps so far are below, and there is no time for more.

You may think first, but briefly.  End with one line of JSON in this form:
"""
NEXT_FORMS = (
    '{"action": "continue", "step": "21 + 8", "result": "29"}',
    '{"action": "answer", "answer": "29"}',
)
REFLECT = """\
You verify how a problem is being solved.  Go through the steps one after the other, and work each out anew from those before it.  Steps that are
still to come are no fault.

You may think first, but briefly.  End with one line of JSON in one of these forms, the first if all steps are right:
"""
REFLECT_FORMS = (
    '{"ok": true}',
    '{"ok": false, "first_bad_step": 2, "why": "the problem says to add 8, not 9"}',
)
COMPARE = """\
A problem is solved one step at a time.  Below are the steps so far, and two that may come next.  Work out which of the two is right.  You may
think first, but briefly.  End with one line in one of these forms:
choice = 1
choice = 2"""

_OBJECT = re.compile(r"[\s`]*+(\{.*\})[\s`]*+")
_CHOICE = line("[Cc]hoice", "[12]")


def next_step(problem: str, state: ChainState, last: bool) -> tuple[Message, ...]:
    """Ask for the next step, or with `last` for the answer; where steps were taken back, say which and why."""
    wanted = LAST + NEXT_FORMS[1] if last else NEXT + "\n".join(NEXT_FORMS)
    told = _told(problem, state.steps)
    if state.undone:
        told += f"\n\nTaken back:\n{shown(state.undone[0])}\nwhy: {_quoted(state.why)}"
    return Message("system", wanted), Message("user", told)


def reflect(problem: str, steps: Sequence[ActionStep], doubt: str) -> tuple[Message, ...]:
    """Ask for the first bad step; `doubt` is what a check has said of the last one."""
    told = _told(problem, steps) + (f"\n\nA check says of the last step: {_quoted(doubt)}" if doubt else "")
    return Message("system", REFLECT + "\n".join(REFLECT_FORMS)), Message("user", told)


def compare(problem: str, steps: Sequence[ActionStep], ways: Sequence[ActionStep]) -> tuple[Message, ...]:
    """Ask which of two next steps is right; nothing tells which of them came first."""
    told = f"{_told(problem, steps)}\n\nNext:\n{_listed(ways)}"
    return Message("system", COMPARE), Message("user", told)


def shown(step: ActionStep) -> str:
    """Write a step in the form in which it is read: as JSON, whatever it says stays on its line."""
    fields = {"action": "answer", "answer": step.said}
    if not step.final:
        fields = {"action": "continue", "step": step.text, "result": step.said}
    return _quoted(fields)


def read_next(text: str, kind: Kind, last: bool) -> ActionStep:
    """Read the last line of an answer to `next_step`; `kind` is that of the answer."""
    match _object(text):
        case {"action": "answer", "answer": answer, **rest} if not rest:
            said = _said(answer)
            found = _normal(said, kind)
            return ActionStep(found, said if kind in AS_SAID else found, final=True)
        case {"action": "continue", "step": str(step), "result": result, **rest} if not rest and not last:
            said = _said(result)
            return ActionStep(_normal(said, "any"), said, _clean(step, LONGEST_STEP))
    raise NotAnAnswer("the line is no answer" if last else "the line is neither a step nor an answer")


def read_finding(text: str, steps: int) -> Reflection:
    """Read the last line of an answer to `reflect`, of so many steps."""
    match _object(text):
        case {"ok": True, **rest} if {*rest} <= {"first_bad_step", "why"} and not rest.get("first_bad_step"):
            return Reflection(None)
        case {"ok": False, "first_bad_step": Fraction() as bad, "why": str(why), **rest} if not rest:
            if bad.denominator != 1 or not 1 <= bad <= steps:
                raise NotAnAnswer(f"there are {steps} steps, and {str(bad)[:20]} is none of them")
            return Reflection(int(bad), _clean(" ".join(why.split())[:LONGEST_WHY] or NO_REASON, LONGEST_WHY))
    raise NotAnAnswer("the line says neither that all is right nor what is wrong")


def read_preferred(text: str, swapped: bool) -> Preferred:
    """Read the last line of an answer to `compare`; `swapped` says that the new step was shown first."""
    second = in_form(_CHOICE, "choice = ...", last_lines(text)) == "2"
    return Preferred(second != swapped)


def _told(problem: str, steps: Sequence[ActionStep]) -> str:
    return f"Problem:\n{problem}\n\nSteps:\n{_listed(steps) or 'none yet'}"


def _listed(steps: Sequence[ActionStep]) -> str:
    return "\n".join(f"{number}. {shown(step)}" for number, step in enumerate(steps, 1))


def _quoted(value: Any) -> str:
    return to_json(value).decode()


def _object(text: str) -> Any:
    found = _OBJECT.fullmatch(next(last_lines(text), ""))
    if found is None:
        raise NotAnAnswer("the text does not end with a line of JSON")
    return as_json(found[1])


def _said(result: Any) -> str:
    """Return a result as a text: models write numbers and lists with and without quotes.  Null is none."""
    if result is None:
        raise NotAnAnswer("null is no result")
    return _clean(result if isinstance(result, str) else json_of(result), LONGEST_STEP)


def _normal(said: str, kind: Kind) -> str:
    found = normal(said, kind)
    if len(found) > LONGEST_STEP:
        raise NotAnAnswer(f"a result of more than {LONGEST_STEP:,} characters")
    if not encodable(found):  # a list or an object may have spelt it out
        raise NotAnAnswer("a result that has half of a character")
    return found


def _clean(text: str, most: int) -> str:
    words = " ".join(text.split())
    if not words or len(words) > most or not encodable(words):
        raise NotAnAnswer(f"a text that is empty, or of more than {most:,} characters, or has half of one")
    return words
