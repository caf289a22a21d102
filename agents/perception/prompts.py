"""What a planner is asked about pictures that it cannot see, and how its answers are read."""

import re
from collections.abc import Collection, Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from surefoot.agents.planner.prompts import read_answer
from surefoot.models.base import Message
from surefoot.printable import encodable
from surefoot.tools.answers.last_lines import last_lines
from surefoot.tools.answers.normal_forms import Kind, normal
from surefoot.voting.flags import NotAnAnswer

from .looking_state import (
    Answered,
    Captioned,
    Described,
    Observation,
    Queries,
    Query,
    RatedQueries,
    Region,
    Rephrased,
)

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
RATING = """\
- "confidence" says how sure you are, from 0 to 100, of the best answer that you could give before you ask.
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
RATED_FORMS = (FORMS[0].replace("{", '{"confidence": 40, ', 1), FORMS[1])
REPHRASE = """\
A question about a picture tells what its writer expects to see.  Write the same question without that, so that whoever looks says what is
there.  Do not answer it.  You may think first, but briefly.  End with one line in this form:
{"question": "What number is written here?"}"""

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


class _Question(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)


class _Query(_Question):
    picture: int = 1
    region: tuple[int, int, int, int] | None = None


class _Line(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    ask: list[_Query] = Field(min_length=1, max_length=MOST_IN_A_ROUND)


class _RatedLine(_Line):
    confidence: int = Field(ge=0, le=100)


_Read = TypeVar("_Read", bound=BaseModel)


def plan(
    problem: str,
    sizes: Sequence[tuple[int, int]],
    seen: Sequence[Observation],
    may_ask: bool,
    *,
    rated: bool = False,
) -> tuple[Message, ...]:
    """Ask a planner what to look at, or for the answer; `sizes` are the pictures' widths and heights in pixels.

    With `rated` it is asked how sure it is, too.
    """
    forms = "\n".join(RATED_FORMS if rated else FORMS)
    wanted = MAY_ASK.format(most=MOST_IN_A_ROUND) + forms if may_ask else MUST_ANSWER + FORMS[1]
    rules = PLAN + RATING if rated and may_ask else PLAN
    pictures = "\n".join(f"{n}. {width} x {height} pixels" for n, (width, height) in enumerate(sizes, 1))
    told = "\n".join(map(_told, seen)) or "nothing yet"
    return (
        Message("system", rules + wanted),
        Message("user", f"Question:\n{problem}\n\nPictures:\n{pictures}\n\nSeen:\n{told}"),
    )


def rephrase(question: str) -> tuple[Message, ...]:
    """Ask a planner for a question without what it expects to see; neither the problem nor what was seen is told."""
    return Message("system", REPHRASE), Message("user", f"Question:\n{to_json(question).decode()}")


def read_plan(
    text: str,
    kind: Kind,
    sizes: Sequence[tuple[int, int]],
    asked: Collection[Query],
    may_ask: bool,
    *,
    rated: bool = False,
    may_lead: bool = False,
) -> Queries | RatedQueries | Answered:
    """Read the last line of a planner's answer; `asked` are the questions that have been answered already.

    `rated`: questions come with a confidence.  `may_lead`: a question that tells what to see is taken, to be rephrased.
    """
    found = _OBJECT.fullmatch(next(last_lines(text), ""))
    if found is None:
        solved = read_answer(text, kind)
        return Answered(solved.normal, solved.said)
    if not may_ask:
        raise NotAnAnswer("there are no questions left")
    line = _read(_RatedLine if rated else _Line, found[1], "no questions")
    queries = dict.fromkeys(_query(each, sizes, may_lead) for each in line.ask)
    new = tuple(query for query in queries if query not in asked)
    if not new:
        raise NotAnAnswer("all of it has been asked before")
    return RatedQueries(new, line.confidence) if isinstance(line, _RatedLine) else Queries(new)


def read_rephrased(text: str) -> Rephrased:
    """Read the last line of an answer to `rephrase`; a question that still tells what to see is thrown away."""
    found = _OBJECT.fullmatch(next(last_lines(text), ""))
    if found is None:
        raise NotAnAnswer("the text does not end with a question in the wanted form")
    return Rephrased(_question(_read(_Question, found[1], "no question").question, False))


def read_description(text: str) -> Described:
    """Read what a perceiver says; one that draws conclusions is thrown away, since it may only describe."""
    said = _described(text)
    return Described(normal(said, "any"), said)


def read_caption(text: str) -> Captioned:
    """Read a description of a whole picture in the same way."""
    return Captioned(_described(text))


def leads(question: str) -> bool:
    """Whether a question tells what to see, by its words."""
    return _LEADING.search(question.translate(_APOSTROPHES)) is not None


def askable(question: str) -> str:
    """Return a question as it can be asked, in one line; raises `NotAnAnswer`."""
    question = " ".join(question.split())
    if not question:
        raise NotAnAnswer("an empty question")
    if not encodable(question):
        raise NotAnAnswer("a question with half a character")
    if len(question) > LONGEST_QUESTION:
        raise NotAnAnswer(f"a question of more than {LONGEST_QUESTION} characters")
    if question.startswith("["):  # a panel would take it for the name of a reader
        raise NotAnAnswer("a question begins with a word")
    return question


def _read(form: type[_Read], line: str, what: str) -> _Read:
    try:
        return form.model_validate_json(line)
    except ValidationError as error:
        raise NotAnAnswer(f"{what}: {error.errors(include_url=False)[0]['msg']}") from None


def _question(given: str, may_lead: bool) -> str:
    question = askable(given)
    if not may_lead and leads(question):
        raise NotAnAnswer(f"a question that tells what to see: {question[:60]!r}")
    return question


def _query(given: _Query, sizes: Sequence[tuple[int, int]], may_lead: bool) -> Query:
    question = _question(given.question, may_lead)
    if not 1 <= given.picture <= len(sizes):
        raise NotAnAnswer(f"there is no picture {given.picture}")
    if given.region is not None:
        _check_region(given.region, sizes[given.picture - 1])
    return Query(question, given.picture, given.region)


def _described(text: str) -> str:
    said = " ".join(text.split()) or NOTHING
    if len(said) > LONGEST_DESCRIPTION or not encodable(said):
        raise NotAnAnswer(
            f"a description of more than {LONGEST_DESCRIPTION:,} characters, or half a character"
        )
    if _REASONING.search(said):
        raise NotAnAnswer("the perceiver reasons where it is to describe")
    return said


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
