"""How a problem is made smaller, as a person can read it, edit it, and give it back.

    {"problem": "What is 734 * 902?", "combine": "formula", "formula": "{1} * 10 + {2}",
     "parts": [{"problem": "What is 734 * 90?"}, {"problem": "What is 734 * 2?"}]}

Its digest is the SHA-256 of that object in UTF-8, without blanks, the fields in the order `problem`, `answer`, `hint`, `combine`, `formula`, `parts`,
those left out that say nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError

from surefoot.agents.tasks.failures import cut
from surefoot.agents.tasks.plain_values import canonical
from surefoot.errors import BadInput
from surefoot.printable import encodable
from surefoot.tools.answers.combining import Combine
from surefoot.voting.flags import NotAnAnswer

from .prompts import LONGEST, NO_PART, is_part, sound
from .state import DEEPEST, MOST_PARTS, GoalState, Proposal
from .trees import Branch, Place, tree

LONGEST_FILE = 5_000_000
"""Characters of an outline."""
LONGEST_ANSWER = 1_000_000
"""Characters of an answer, which programs may have put together of many."""
SHOWN = 12
"""Characters of a digest in a sentence."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A problem and its parts, each of which may have parts again.

    One with `parts` is taken as decided: nobody is asked how to make that problem smaller.  One with an `answer` is taken as answered: nobody is
    asked about it at all.  One with neither is open: it is made smaller, or answered, as every problem is.
    """

    problem: str
    parts: tuple["Outline", ...] = ()
    combine: Combine = "ask"
    """How the answers of the parts become that of the problem."""
    formula: str = ""
    """Goes with `combine="formula"`."""
    answer: str | None = None
    """Of a part that is answered already; of one that has parts, none."""
    hint: str = ""
    """What whoever is asked about an open problem is told besides, such as what was tried; it is made smaller even where `depth` is reached."""
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", revalidate_instances="always")

    @classmethod
    def of(cls, state: GoalState, *, answers: bool = False) -> Self:
        """Return how a job's problem is made smaller, as far as that is decided at the state that `surefoot.state(job)` returns.

        With `answers` parts that are answered come with their answers, and without their own parts: by that outline only the rest is asked.
        """
        return cls.of_tree(tree(state), answers=answers)

    @classmethod
    def of_tree(cls, branch: Branch, *, answers: bool = False, whole: bool = True) -> Self:
        """Return it for a tree; the whole's own answer is never taken along."""
        if answers and branch.answer and not whole:
            return cls(branch.problem, answer=branch.answer)
        split = branch.split or Proposal()
        parts = tuple(cls.of_tree(part, answers=answers, whole=False) for part in branch.parts)
        return cls(branch.problem, parts, split.combine, split.formula)

    def open_leaves(self, place: Place = ()) -> Iterator[tuple[Place, Self]]:
        """Yield the problems that have neither parts nor an answer, with their places."""
        if not self.parts and self.answer is None:
            yield place, self
        for number, part in enumerate(self.parts):
            yield from part.open_leaves((*place, number))  # type: ignore[misc]

    def has(self, place: Place) -> bool:
        """Whether there is a problem at a place."""
        return not place or (place[0] < len(self.parts) and self.parts[place[0]].has(place[1:]))

    def at(self, place: Place) -> "Outline":
        """Return the problem at a place."""
        return self.parts[place[0]].at(place[1:]) if place else self

    def put(self, place: Place, other: "Outline") -> "Outline":
        """Return this outline with another one at a place."""
        if not place:
            return other
        first, *rest = place
        parts = (*self.parts[:first], self.parts[first].put(tuple(rest), other), *self.parts[first + 1 :])
        return replace(self, parts=parts)

    @property
    def split(self) -> Proposal:
        """The first of its splits, as the planner takes it."""
        return Proposal(tuple(part.problem for part in self.parts), self.combine, self.formula)

    @property
    def plain(self) -> Mapping[str, Any]:
        """What JSON holds of it: no field that says nothing."""
        known = {"problem": self.problem}
        if self.answer is not None:
            known["answer"] = self.answer
        if self.hint:
            known["hint"] = self.hint
        if not self.parts:
            return known
        how = {"combine": self.combine} | ({"formula": self.formula} if self.formula else {})
        return {**known, **how, "parts": [part.plain for part in self.parts]}

    @property
    def canonical(self) -> str:
        """Its one JSON text."""
        return canonical(self.plain).decode()

    @property
    def digest(self) -> str:
        """SHA-256 of its one JSON text, in 64 hexadecimal digits: two outlines that decide the same have the same."""
        return sha256(read_outline(self).canonical.encode()).hexdigest()


_OUTLINES: TypeAdapter[Outline] = TypeAdapter(Outline)


def read_outline(given: str | Outline) -> Outline:
    """Read an outline from JSON, or look one over that was made in Python, and return it in its one form.

    Raises `BadInput`, which names the place, for whatever a proposal may not be either: 2 to 8 parts, none of them empty or a problem that it is
    a part of, of no more than 100,000 characters together, and a formula over all of them.
    """
    if isinstance(given, str) and len(given) > LONGEST_FILE:
        raise BadInput(f"an outline has at most {LONGEST_FILE:,} characters, not {len(given):,}")
    try:
        made = _OUTLINES.validate_json(given) if isinstance(given, str) else _OUTLINES.validate_python(given)
        if isinstance(given, str):
            _check_repeats(json.loads(given, object_pairs_hook=_Fields, parse_int=str, parse_float=str))
    except (ValidationError, RecursionError) as error:
        raise BadInput(_said(error)) from None
    _check_problem(made.problem.strip())
    if made.answer is not None:
        raise BadInput(
            "the outline is wrong: its whole problem has an answer, so that there is nothing to solve"
        )
    found = _sound(made, made.problem.strip(), (), ())
    if (size := _size(found)) > MOST_PARTS:
        raise BadInput(f"an outline has at most {MOST_PARTS:,} problems, not {size:,}")
    return found


def _said(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return f"an outline is nested no deeper than {DEEPEST} problems"
    first = error.errors(include_url=False, include_input=False)[0]
    return _unread(first["loc"], first["msg"])


def _unread(path: tuple[int | str, ...], why: str) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"the outline cannot be read{f' at {cut(place[1:])}' if place else ''}: {why}"


class _Fields(tuple[tuple[str, Any], ...]):
    """The fields of an object as they are written; a `dict` would have the last of each alone."""


def _check_repeats(value: Any, path: tuple[int | str, ...] = ()) -> None:
    """Refuse a field that is there twice, of which pydantic takes the last; it has bounded the depth."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            _check_repeats(item, (*path, number))
    elif isinstance(value, _Fields):
        names: set[str] = set()
        for name, item in value:
            if name in names:
                raise BadInput(_unread((*path, name), "it is there twice: leave one of them out"))
            names.add(name)
            _check_repeats(item, (*path, name))


def _check_problem(problem: str) -> None:
    if not problem or len(problem) > LONGEST or not encodable(problem):
        raise BadInput(f"the outline's problem is a text of 1 to {LONGEST:,} characters")


def _sound(made: Outline, problem: str, place: Place, above: tuple[str, ...]) -> Outline:
    """Return an outline in its one form, as deep as it goes; `above` are the problems that this one is a part of."""
    if len(above) >= DEEPEST:
        raise _wrong(place, f"an outline is nested no deeper than {DEEPEST} problems")
    if not made.parts and (made.formula or made.combine != "ask"):
        raise _wrong(
            place, f"combine {made.combine!r} and no parts: give the parts, or leave combine and formula out"
        )
    answer, hint = _known(made, place)
    if made.formula and made.combine != "formula":
        raise _wrong(place, f"a formula goes with combine 'formula', not {made.combine!r}")
    above = (*above, problem)
    told = [part.problem.strip() for part in made.parts]
    for number, part in enumerate(told):
        if not is_part(part, above):
            raise _wrong((*place, number), NO_PART)
    try:
        split = sound(told, made.combine, made.formula, above)
    except NotAnAnswer as error:
        raise _wrong(place, str(error)) from None
    pairs = enumerate(zip(made.parts, told, strict=True))
    parts = tuple(_sound(part, text, (*place, number), above) for number, (part, text) in pairs)
    return Outline(problem, parts, split.combine, split.formula, answer, hint)


def _known(made: Outline, place: Place) -> tuple[str | None, str]:
    """Return the answer and the hint of a problem in their one form."""
    if made.answer is None and not made.hint:
        return None, ""
    if made.parts:
        raise _wrong(
            place, "a problem with parts has neither an answer nor a hint: leave one or the other out"
        )
    if made.answer is not None and made.hint:
        raise _wrong(place, "nobody is asked about a problem with an answer, so leave its hint out")
    # Lines are kept: a program that puts texts together writes a line each.
    lines = [" ".join(line.split()) for line in (made.answer or "").split("\n")]
    answer = None if made.answer is None else "\n".join(filter(None, lines))
    for what, told, most in (("an answer", answer or "", LONGEST_ANSWER), ("a hint", made.hint, LONGEST)):
        if not encodable(told):
            raise _wrong(place, f"{what} holds half a character")
        if len(told) > most:
            raise _wrong(place, f"{what} is a text of at most {most:,} characters")
    if answer == "":
        raise _wrong(place, "an answer is empty: give one, or leave it out")
    return answer, made.hint.strip()


def _wrong(place: Place, why: str) -> BadInput:
    path = ".".join(f"parts[{number}]" for number in place)
    return BadInput(f"the outline is wrong{f' at {path}' if path else ''}: {why}")


def _size(outline: Outline) -> int:
    return 1 + sum(map(_size, outline.parts))
