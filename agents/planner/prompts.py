"""What a planner's model is asked, and how its answers are read: each question ends with the very lines that are read."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from surefoot.models.base import Message
from surefoot.printable import encodable
from surefoot.tools.answers.combining import Combine, read_formula
from surefoot.tools.answers.last_lines import in_form, last_lines, line, missing
from surefoot.tools.answers.normal_forms import Kind, normal, unquoted
from surefoot.tools.answers.prose import answer_span
from surefoot.voting.flags import NotAnAnswer

from .state import Chosen, Proposal, Solved

MOST_PARTS = 8
LONGEST = 100_000
"""Characters of a problem.  A proposal tells it once more, so that the tokens of a sample may allow less."""

PROPOSE = """\
You make a problem smaller.  Somebody else will solve the parts, each without seeing the others.

If one short step answers the problem, do not split it.  Else split it into two parts, or a few, of about the same size.
- Each part is a whole problem: everything that is needed to solve it is in its text.
- No part needs the answer of another.
- "combine" says how the answers of the parts, in their order, become the answer of the problem:
  "formula"      arithmetic over the numbers {1}, {2}, ...: + - * / // % ** and parentheses
  "concatenate"  lists, or lines, one after the other
  "merge"        lists of numbers, each from the smallest to the largest, become one such list
  "ask"          somebody is shown the answers and asked again; where nothing else fits

You may think first, but briefly.  End with one line of JSON in one of these forms:
"""
FORMS = (
    '{"parts": ["What is 34 * 5?", "What is 34 * 6?"], "combine": "formula", "formula": "{1} * 10 + {2}"}',
    '{"parts": ["Sort these numbers, smallest first: [4, 1]", "Sort these numbers, smallest first: [3, 2]"], "combine": "merge"}',
    '{"parts": ["Translate into French: One.", "Translate into French: Two."], "combine": "concatenate"}',
    '{"parts": ["Who wrote it?", "When was it written?"], "combine": "ask"}',
    '{"parts": []}',
)
CHOOSE = """\
A problem is to be made smaller.  Below are some ways to do it.  In which of them do right answers to the parts, combined as it says, make
the right answer to the problem, with every part told whole?  You may think first, but briefly.  End with one line that names all of them,
such as one of these; 0 says that none of them does:
choice = 2
choice = 1, 3
choice = 0"""
SOLVE = """\
Solve the problem.  You may think first, but briefly.  End with one line in this form, lists as JSON:
answer = ..."""
COMPOSE = """\
Solve the problem.  Its parts have been solved already: take their answers for right.  You may think first, but briefly.  End with one line in
this form, lists as JSON:
answer = ..."""

NO_PART = "a part is empty, or is a problem that it is a part of"

_CHOICE = line("[Cc]hoice", r"\d{1,2}+(?:\s*+,\s*+\d{1,2}+)*+")
_OBJECT = re.compile(r"[\s`]*+(\{.*\})[\s`]*+")


@dataclass(frozen=True)
class _Line:
    """What a proposal's line holds."""

    parts: tuple[str, ...]
    combine: Combine = "ask"
    formula: str = ""


_LINES: TypeAdapter[_Line] = TypeAdapter(_Line)


def propose(problem: str, hint: str = "") -> tuple[Message, ...]:
    """Ask how to make a problem smaller."""
    return Message("system", PROPOSE + "\n".join(FORMS)), Message("user", _told(problem, hint))


def choose(problem: str, proposals: Sequence[Proposal], hint: str = "") -> tuple[Message, ...]:
    """Ask which proposals are right."""
    ways = "\n".join(f"{number}. {shown(each)}" for number, each in enumerate(proposals, 1))
    return Message("system", CHOOSE), Message("user", f"{_told(problem, hint)}\n\nWays:\n{ways}")


def solve(problem: str, hint: str = "") -> tuple[Message, ...]:
    """Ask for an answer."""
    return Message("system", SOLVE), Message("user", _told(problem, hint))


def _told(problem: str, hint: str) -> str:
    return f"Problem:\n{problem}" + (f"\n\nKnown of it:\n{hint}" if hint else "")


def compose(problem: str, parts: Sequence[str], answers: Sequence[str]) -> tuple[Message, ...]:
    """Ask for the answer that those of the parts make."""
    solved = "\n".join(
        f"{number}. {part}\nanswer = {answer}"
        for number, (part, answer) in enumerate(zip(parts, answers, strict=True), 1)
    )
    return Message("system", COMPOSE), Message("user", f"Problem:\n{problem}\n\nParts:\n{solved}")


def shown(proposal: Proposal) -> str:
    """Write a proposal in the form in which it is read."""
    if not proposal.parts:
        return '{"parts": []}'
    fields: dict[str, object] = {"parts": proposal.parts, "combine": proposal.combine}
    if proposal.combine == "formula":
        fields["formula"] = proposal.formula
    return to_json(fields).decode()


def read_proposal(text: str, problems: Sequence[str]) -> Proposal:
    """Read the last line of an answer to `propose`; `problems` are the problem and those that it is a part of."""
    found = _OBJECT.fullmatch(next(last_lines(text), ""))
    if found is None or not encodable(found[1]):
        raise NotAnAnswer("the text does not end with a line of JSON")
    try:
        proposal = _LINES.validate_json(found[1])
    except ValidationError as error:
        raise NotAnAnswer(f"no proposal: {error.errors(include_url=False)[0]['msg']}") from None
    return sound(proposal.parts, proposal.combine, proposal.formula, problems)


def is_part(part: str, problems: Collection[str]) -> bool:
    """Whether a text may be a part of the last of these problems, and so of all of them."""
    return bool(part) and encodable(part) and part not in problems


def sound(parts: Iterable[str], combine: Combine, formula: str, problems: Collection[str]) -> Proposal:
    """Return a way to make a problem smaller, in its one form; `NotAnAnswer` for one that cannot be taken.

    `problems` are the problem and those that it is a part of.
    """
    parts = tuple(part.strip() for part in parts)
    if not parts:
        return Proposal()
    if not 2 <= len(parts) <= MOST_PARTS:
        raise NotAnAnswer(f"a problem is split into 2 to {MOST_PARTS} parts, not {len(parts)}")
    if not all(is_part(part, problems) for part in parts):
        raise NotAnAnswer(NO_PART)
    if sum(map(len, parts)) > LONGEST:
        raise NotAnAnswer(f"parts of more than {LONGEST:,} characters")
    if combine != "formula":
        return Proposal(parts, combine)
    return Proposal(parts, "formula", read_formula(formula, len(parts)))


def read_choice(text: str, of: int) -> Chosen:
    """Read the last line of an answer to `choose`."""
    numbers = {int(number) for number in in_form(_CHOICE, "choice = ...", last_lines(text)).split(",")}
    if numbers == {0}:
        return Chosen(())
    if not numbers <= set(range(1, of + 1)):
        raise NotAnAnswer(f"there are {of} ways, and not {', '.join(map(str, sorted(numbers)))}")
    return Chosen(tuple(sorted(numbers)))


def read_answer(text: str, kind: Kind) -> Solved:
    """Read the last line of an answer to `solve` and `compose`."""
    span = answer_span(text)
    if span is None:
        raise missing("answer = ...")
    said = text[slice(*span)]
    found = normal(said, kind)
    if not (encodable(said) and encodable(found)):
        raise NotAnAnswer("half a character")
    # What may be words, or a version's number, stays as it was said, and a quantity in its unit; what is of another kind is shown in its form.
    as_said = kind in ("any", "text", "quantity") and said[0] not in "[{"
    return Solved(found, unquoted(" ".join(said.split())) if as_said else found)
