"""Forced exits with labels: what calibrates an exit rule, collected on problems whose answers are known."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Prompt
from surefoot.models.gather import as_they_end
from surefoot.voting.samples import NOTHING, Usage

from .control import Control
from .exit_scores import Forced, StatesAt
from .exits import Cue, Exit, ExitRule
from .probes import PROBING, ProbeResult, Probing, needs, same_answer
from .reasoner import Reasoner

AT_ONCE = 16
"""Problems that are thought about at a time."""

Same = Callable[[str, str], bool]
"""Whether a forced answer, as it was written, is the right one."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to think about, and the right answer."""

    prompt: Prompt
    answer: Annotated[str, Field(coerce_numbers_to_str=True)]


class Collected(NamedTuple):
    """What the problems gave."""

    forced: list[Forced]
    without_cue: int
    """Problems whose thinking had no cue, and so no place to exit."""
    usage: Usage


async def collect_exits(
    reasoner: Callable[[Control], Reasoner],
    problems: Sequence[Problem],
    *,
    probing: Probing = PROBING,
    same: Same = same_answer,
    temperature: float = 0.6,
    seed: int = 0,
    at_once: int = AT_ONCE,
    states: StatesAt | None = None,
    keep: Callable[[list[Forced]], object] | None = None,
) -> Collected:
    """Think about each problem to the end, one trace each, and force an answer at every cue.

    `reasoner` makes the reasoner as it will be used later, with the control that it is given in the exit's place:

        await collect(lambda control: Reasoner(model, control, think_tokens=4096), problems)

    With `states` each forced exit has the hidden states there, which an `Inspectable` model shows.

    `keep` is called with the forced exits of each problem as soon as it is done: all that is left if a later one fails.
    Raises `ModelUnavailable` as the model does, and where it sends no log-probabilities.
    """
    slots = asyncio.Semaphore(at_once)

    async def one(number: int, problem: Problem) -> tuple[int, list[Forced], Usage]:
        record = _Record(states)
        thinker = reasoner(Exit(record, probing))
        async with slots:
            state = await thinker.think(Ask(problem.prompt, temperature, 1, seed + number))
        events = [
            _labelled(str(number), cue, probe, same(probe.text, problem.answer))
            for cue, probe in enumerate(record.probes)
        ]
        return number, events, state.usage

    forced: dict[int, list[Forced]] = {}
    usage = NOTHING
    async with aclosing(as_they_end(starmap(one, enumerate(problems)))) as found:
        async for number, events, spent in found:
            forced[number] = events
            usage += spent
            if keep:
                keep(events)
    without_cue = sum(not events for events in forced.values())
    return Collected([event for number in sorted(forced) for event in forced[number]], without_cue, usage)


class _Record(ExitRule):
    """Forces an answer at every cue of one stream and never exits."""

    name = "record"

    def __init__(self, states: StatesAt | None) -> None:
        self.states = states
        self.probes: Sequence[ProbeResult] = ()

    async def safe(self, cue: Cue) -> bool:
        # Without probabilities every further trace would be wasted.
        needs((await cue.force()).mean)
        self.probes = cue.probes
        return False


def _labelled(trace: str, cue: int, probe: ProbeResult, safe: bool) -> Forced:
    mean, least = needs(probe.mean), needs(probe.least)
    return Forced(trace, cue, mean, least, probe.agreement, safe, probe.states)


def read_problems(path: Path) -> list[Problem]:
    """Read problems, one JSON object a line: {"prompt": a text or a list of messages, "answer": the right one}."""
    return _read(path, Problem)


def read_forced(path: Path) -> list[Forced]:
    """Read what `write_forced` has written."""
    return _read(path, Forced)


def write_forced(path: Path, forced: Iterable[Forced], *, more: bool = False) -> None:
    """Write forced exits, one JSON object a line; `more` leaves those that are there.  Raises `BadInput`."""
    try:
        with path.open("ab" if more else "wb") as file:
            file.write(b"".join(to_json(_line(event)) + b"\n" for event in forced))
    except OSError as error:
        raise BadInput(f"forced exits cannot be written to {str(path)!r}: {error.strerror}") from None


def _line(event: Forced) -> dict[str, object]:
    """Return what a line holds; hidden states only where there are any."""
    line = event._asdict()
    if not event.states:
        del line["states"]
    return line


def _read(path: Path, kind: type[T]) -> list[T]:
    adapter = TypeAdapter(kind)
    found = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(adapter.validate_json(line))
            except ValidationError as error:
                why = error.errors()[0]
                where = ".".join(map(str, why["loc"]))
                raise BadInput(
                    f"line {number} of {str(path)!r} is no {kind.__name__.lower()}: {where} {why['msg'].lower()}"
                ) from None
    if not found:
        raise BadInput(f"{str(path)!r} is empty")
    return found
