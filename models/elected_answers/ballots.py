"""What two samples have to share to be one ballot.

| an answer | is compared by |
| --- | --- |
| with tool calls | the names and arguments of all calls, in order; arguments as JSON values, so keys in any order and `1.0` for `1` |
| that must call a tool, and does not | nothing: a red flag |
| without calls, where some were offered | the decision not to call: which words it has was not voted on |
| to a `response_format` of JSON | its JSON value; one that does not fit the schema is a red flag |
| with an equality of its own | its normal form (`surefoot.tools.answers`) |
| any other, `auto` | its normal form, if the first sample is of a type that has one: see `Ballots.seen` |

A text says its answer in a last line `answer = ...`, `ANSWER: ...` or `#### ...`; otherwise all of it is the answer.
"""

import re
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from surefoot.errors import BadInput
from surefoot.models.offers import Call, Offer, read_calls
from surefoot.printable import encodable
from surefoot.tools.answers.last_lines import placed_lines
from surefoot.tools.answers.normal_forms import Kind, normal
from surefoot.tools.answers.prose import answer_span
from surefoot.tools.json_schema import arguments_by_schema
from surefoot.voting.flags import NotAnAnswer

from .bounds import Equality

CALLS, NO_CALL, JSON = "calls", "no call", "json"
"""What an election may have decided, besides a `Kind`."""
FEW_WORDS = 3
SCHEMAS_KEPT = 128
LONGEST_SCHEMA = 100_000
"""Characters of a JSON schema, of an answer or of a tool's arguments."""
_MARKED = re.compile(r"(\*{0,2}+)(?:#{4}|ANSWER:)\*{0,2}+\s*+(\S.*+)")
_FENCED = re.compile(r"```[\w+-]*+\n[^`]*+```")
_SENTENCE = re.compile(r"[.!?,;:\n]")
_TYPED: tuple[Kind, ...] = ("number", "quantity", "date")


class Ballot(NamedTuple):
    """The canonical answer of a sample."""

    kind: str
    """By what it was compared: `calls`, `no call`, `json`, or a `Kind`."""
    form: Hashable


class Prose(Exception):
    """The first sample is of no type that two samples could be compared by; there is no vote."""


class Ballots:
    """Reads the ballots of one request; how texts are compared may be found out from the first."""

    def __init__(
        self, equality: Equality, offer: Offer | None = None, form: Callable[[str], str] | None = None
    ) -> None:
        self.equality = equality
        self.offer = offer
        """What may be called."""
        self._form = form
        self._checks = (
            {} if offer is None else {tool.name: schema_check(tool.parameters) for tool in offer.tools}
        )
        self._kind: Kind | None = None if equality in ("auto", "none") else cast(Kind, equality)

    @property
    def open(self) -> bool:
        """Whether the first sample has to tell how answers are compared, so that no others are drawn beside it."""
        return self.equality == "auto" and self._kind is None and self._form is None and self.offer is None

    def read(self, text: str) -> Ballot:
        """Return the ballot of a sample; raises `NotAnAnswer` for what is none, and `Prose` if there is to be no vote."""
        if not encodable(text):
            raise NotAnAnswer("half of a surrogate pair, which cannot be sent")
        if self.offer is not None:
            text, calls = read_calls(text)
            if calls:
                return Ballot(CALLS, tuple(map(self._called, calls)))
            if self.offer.choice == "required":
                raise NotAnAnswer("no call, where one must be made")
        if self._form is not None:
            return Ballot(JSON, self._form(text))
        if not text.strip():
            raise NotAnAnswer("an empty answer")
        if self.equality == "none":
            return Ballot("text", text)
        if self._kind is None and self.offer is not None:
            return Ballot(NO_CALL, "")
        if self._kind is None:
            self._kind = seen(text)
            if self._kind is None:
                raise Prose
        return Ballot(self._kind, normal(said_in(text), self._kind))

    def _called(self, call: Call) -> tuple[str, str]:
        assert self.offer is not None
        if self.offer.choice == "none":
            raise NotAnAnswer("a call, where none may be made")
        check = self._checks.get(call.name)
        if check is None:
            raise NotAnAnswer(f"a call of {call.name[:64]!r}, which is no tool")
        check(call.arguments)
        return call.name, normal(call.arguments, "json")


def said_in(text: str) -> str:
    """Return the answer that a text says: that of its last line `answer = ...`, `ANSWER: ...` or `#### ...`, or else all of it."""
    span = answer_span(text)
    if span is not None:
        return text[slice(*span)]
    _, last = next(placed_lines(text), (0, ""))
    marked = _MARKED.fullmatch(last.strip())
    return marked[2].removesuffix(marked[1]).rstrip() if marked else text


def seen(text: str) -> Kind | None:
    """Return how answers like this one are compared; None for prose, of which two samples are hardly ever the same.

    A line that says the answer, JSON, a number, a quantity, a date, at most three words that are no sentence: `any`.  One fenced
    block of Python and nothing else: `code`.
    """
    said = said_in(text).strip()
    if said != text.strip():
        return "any"
    if _FENCED.fullmatch(said):
        return "code" if _is(said, "code") else None
    if said[:1] in ("[", "{"):
        return "json" if _is(said, "json") else None
    if len(said.split()) <= FEW_WORDS and not _SENTENCE.search(said.removesuffix(".")):
        return "any"
    return "any" if any(_is(said, kind) for kind in _TYPED) else None


def answer_form(schema: str | None) -> Callable[[str], str]:
    """Return the function that gives the one form of a JSON answer, which has to fit the schema if there is one."""
    check = None if schema is None else schema_check(schema)

    def form(text: str) -> str:
        found = normal(text, "json")
        if not found.startswith("{"):
            raise NotAnAnswer("JSON, but no object")
        if check is not None:
            check(text)
        return found

    return form


@lru_cache(maxsize=SCHEMAS_KEPT)
def schema_check(schema: str) -> Callable[[str], None]:
    """Return the function that raises `NotAnAnswer` for JSON that does not fit; raises `BadInput` for what is no schema of an object."""
    if len(schema) > LONGEST_SCHEMA:
        raise BadInput(f"a JSON schema has at most {LONGEST_SCHEMA:,} characters, not {len(schema):,}")
    model = arguments_by_schema("answer", cast(dict[str, Any], from_json(schema)))

    def check(text: str) -> None:
        _fits(model, text)

    return check


def _fits(model: type[BaseModel], text: str) -> None:
    try:
        model.model_validate_json(text)
    except ValidationError as error:
        raise NotAnAnswer(error.errors(include_url=False, include_input=False)[0]["msg"][:300]) from None


def _is(said: str, kind: Kind) -> bool:
    with suppress(NotAnAnswer, BadInput):
        normal(said, kind)
        return True
    return False
