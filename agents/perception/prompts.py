"""What a planner is asked about pictures that it cannot see, and how its answers are read."""

import re
from collections.abc import Collection, Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from surefoot.agents.planner.prompts import read_answer
from surefoot.agents.tasks.last_lines import last_lines
from surefoot.models.base import Message
from surefoot.printable import encodable
from surefoot.tools.answers.normal_forms import Kind, normal
from surefoot.voting.flags import NotAnAnswer

from .looking_state import Answered, Described, Observation, Queries, Query, Region

LONGEST_QUESTION = 300
LONGEST_DESCRIPTION = 20_000
MOST_IN_A_ROUND = 3
"""Questions that a planner may ask at once, as in "Decoupling Reasoning and Perception" (arXiv 2509.23322)."""

PLAN = """\
Answer a question about pictures that you cannot see.  Somebody looks for you.  They are shown one picture, or a part of it, and one of your
questions.  They know neither the question that you are to answer nor what was seen before, and only say what they see.
- Ask for what can be seen at a glance: one number, one colour, one word.  Reason and calculate yourself.
- Do not tell them what you expect.
- A region is [left, top, right, bottom] in pixels.
"""
MAY_ASK = """
You may think first, but briefly.  End with one line in one of these forms, the first to ask up to {most} questions, the second once you know:
"""
MUST_ANSWER = """
There are no questions left.  You may think first, but briefly.  End with one line in this form:
"""
FORMS = (
    '{"ask": [{"picture": 1, "question": "What number is written here?", "region": [0, 0, 120, 80]},'
    ' {"picture": 2, "question": "Which colour is the largest shape?"}]}',
    "answer = ...",
)

_OBJECT = re.compile(r"[\s`]*+(\{.*\})[\s`]*+")
_LEADING = re.compile(
    r"\b(?:isn't|aren't|wasn't|weren't|confirm that|surely|obviously|given that|assuming|as expected)\b"
    r"|,\s*+(?:right|correct|no|yes|don't they|doesn't it)\s*+\?",
    re.IGNORECASE,
)
_REASONING = re.compile(
    r"(?:^|[.!?]\s)\s*+(?:therefore|hence|thus|so the answer|we can conclude|this means)\b", re.IGNORECASE
)
_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'"})
NOTHING = "nothing"
"""What a perceiver that says nothing has seen."""


class _Query(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)
    picture: int = 1
    region: tuple[int, int, int, int] | None = None


class _Line(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    ask: list[_Query] = Field(min_length=1, max_length=MOST_IN_A_ROUND)


def plan(
    problem: str, sizes: Sequence[tuple[int, int]], seen: Sequence[Observation], may_ask: bool
) -> tuple[Message, ...]:
    """Ask a planner what to look at, or for the answer; `sizes` are the pictures' widths and heights in pixels."""
    wanted = MAY_ASK.format(most=MOST_IN_A_ROUND) + "\n".join(FORMS) if may_ask else MUST_ANSWER + FORMS[1]
    pictures = "\n".join(f"{n}. {width} x {height} pixels" for n, (width, height) in enumerate(sizes, 1))
    told = "\n".join(map(_told, seen)) or "nothing yet"
    return (
        Message("system", PLAN + wanted),
        Message("user", f"Question:\n{problem}\n\nPictures:\n{pictures}\n\nSeen:\n{told}"),
    )


def read_plan(
    text: str, kind: Kind, sizes: Sequence[tuple[int, int]], asked: Collection[Query], may_ask: bool
) -> Queries | Answered:
    """Read the last line of a planner's answer; `asked` are the questions that have been answered already."""
    found = _OBJECT.fullmatch(next(last_lines(text), ""))
    if found is None:
        solved = read_answer(text, kind)
        return Answered(solved.normal, solved.said)
    if not may_ask:
        raise NotAnAnswer("there are no questions left")
    try:
        line = _Line.model_validate_json(found[1])
    except ValidationError as error:
        raise NotAnAnswer(f"no questions: {error.errors(include_url=False)[0]['msg']}") from None
    queries = dict.fromkeys(_query(each, sizes) for each in line.ask)
    new = tuple(query for query in queries if query not in asked)
    if not new:
        raise NotAnAnswer("all of it has been asked before")
    return Queries(new)


def read_description(text: str) -> Described:
    """Read what a perceiver says; one that draws conclusions is thrown away, since it may only describe."""
    said = " ".join(text.split()) or NOTHING
    if len(said) > LONGEST_DESCRIPTION or not encodable(said):
        raise NotAnAnswer(
            f"a description of more than {LONGEST_DESCRIPTION:,} characters, or half a character"
        )
    if _REASONING.search(said):
        raise NotAnAnswer("the perceiver reasons where it is to describe")
    return Described(normal(said, "any"), said)


def _query(given: _Query, sizes: Sequence[tuple[int, int]]) -> Query:
    question = " ".join(given.question.split())
    if not question or not encodable(question):
        raise NotAnAnswer("an empty question")
    if question.startswith("["):  # a panel would take it for the name of a reader
        raise NotAnAnswer("a question begins with a word")
    if _LEADING.search(question.translate(_APOSTROPHES)):
        raise NotAnAnswer(f"a question that tells what to see: {question[:60]!r}")
    if not 1 <= given.picture <= len(sizes):
        raise NotAnAnswer(f"there is no picture {given.picture}")
    if given.region is not None:
        _check_region(given.region, sizes[given.picture - 1])
    return Query(question, given.picture, given.region)


def _check_region(region: Region, size: tuple[int, int]) -> None:
    left, top, right, bottom = region
    if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
        raise NotAnAnswer(f"{list(region)} is no region of a picture of {size[0]} x {size[1]} pixels")


def told(query: Query) -> str:
    """Write what is looked at: `picture 1 [0, 0, 52, 112]: "value?"`."""
    # A question is a planner's own words and an answer outside text: as JSON each stays on one line, and in its quotes.
    where = f"picture {query.picture}" + (f" {list(query.region)}" if query.region else "")
    return f"{where}: {to_json(query.question).decode()}"


def _told(seen: Observation) -> str:
    return f"- {told(seen.query)} {to_json(seen.answer).decode()}"
