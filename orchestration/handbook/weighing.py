"""A behaviour earns its place: the same states are asked about with and without it, and it is kept if that shows."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, NamedTuple

from surefoot.agents.handbook import Behaviour, WithHandbook
from surefoot.agents.tasks.guarded import Guarded, guarded
from surefoot.agents.tasks.optional import Case, NoCases
from surefoot.agents.tasks.task import Task, sampling_for
from surefoot.errors import BadInput
from surefoot.models.base import Model
from surefoot.models.openai.options import Options
from surefoot.orchestration.calibrate import BATCH, ask_about, different_cases
from surefoot.orchestration.events import ignore
from surefoot.orchestration.plan import open_for
from surefoot.typed_input import check_fields, checked
from surefoot.voting.calibration import StateOutcome
from surefoot.voting.paired import MeanInterval, beats, mean_interval

Cases = Sequence[Case[Any, Any]]

FEWEST_STATES = FEWEST_CALLS = 20
HARM_CONFIDENCE = 0.8
"""So weak a sign of more errors is enough to refuse what only saves tokens: a job pays more for an error than for tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """How a behaviour is weighed.  Raises `BadInput` for what cannot be."""

    states: int = 500
    """Different states that are asked about, if no cases are given; all there are, if these are fewer."""
    level: float = 0.05
    """Chance that what changes nothing is kept."""
    input_share: float = 0.1
    """What an input token counts beside an output token: the block is the same in every prompt, so a server's prefix cache has it."""
    seed: int = 0
    """Of the states and of the samples."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.states < FEWEST_STATES:
            raise BadInput(f"a behaviour is weighed on {FEWEST_STATES} states or more, not {self.states!r}")
        if not 0 < self.level <= 0.5:
            raise BadInput(f"the level is a probability above 0 and at most 0.5, not {self.level!r}")
        if not 0 <= self.input_share <= 1:
            raise BadInput(f"an input token counts 0 to 1 output tokens, not {self.input_share!r}")


USUAL = Weighing()


class Weighed(NamedTuple):
    """What a behaviour did to the samples of the same states."""

    behaviour: Behaviour
    kept: bool
    why: str
    """In words."""
    states: int
    errors: tuple[float, float]
    """Share of samples that were wrong or unusable, without it and with it."""
    won: int
    """States with fewer of them with it."""
    lost: int
    """States with more."""
    tokens: MeanInterval | None
    """Change of a sample's tokens, input at its share; None where the server did not count."""


@checked
async def weigh(
    behaviour: Behaviour,
    task: Task[Any, Any],
    *,
    model: str | Model,
    weighing: Weighing = USUAL,
    beside: Sequence[Behaviour] = (),
    cases: Cases | None = None,
    options: Options | None = None,
) -> Weighed:
    """Ask about the same states of `task` with and without a behaviour, `beside` others that are kept already, and say whether it earns its place.

    It is kept if samples are wrong less often, or if they take fewer tokens and are not wrong more often:

    - errors: a state is won if fewer of its samples, one a view, are wrong or unusable with the behaviour, and lost if more are.  Exact
      one-sided sign test over the states, which is McNemar's where a task has one view (`surefoot.voting.beats`), at `level` / 2.
    - tokens: Student's paired interval for the change of a sample's tokens at confidence 1 - `level` (`surefoot.voting.mean_interval`) lies
      below 0, and the sign test finds no more errors even at 0.2.  The pairs are calls of the model, 20 or more, of at most 16 states each.

    So what changes nothing is kept with a chance of `level` at most, half of it from each test (Bonferroni).  An increase of errors that is too
    small for so many states to show passes with a behaviour that saves tokens.

    The same seed draws the same states, and asks for each sample with the same seed in both arms.  `cases` are states of your own, with their right
    answers.  Raises `NoCases` for a task that draws none or too few, `BadInput` for cases without answers or of one state, and what the model raises.
    """
    found = await _in_turn([behaviour], task, model, weighing, beside, cases, options)
    return found[0]


@checked
async def earn(
    behaviours: Sequence[Behaviour],
    task: Task[Any, Any],
    *,
    model: str | Model,
    weighing: Weighing = USUAL,
    beside: Sequence[Behaviour] = (),
    cases: Cases | None = None,
    options: Options | None = None,
) -> list[Weighed]:
    """Weigh behaviours one after the other, each beside those kept before it, so that of two that do the same one is kept.

    The level is for all together: each is weighed at its share (Bonferroni).  The rest is as for `weigh`.
    """
    if not behaviours:
        return []
    alone = replace(weighing, level=weighing.level / len(behaviours))
    return await _in_turn(behaviours, task, model, alone, beside, cases, options)


async def _in_turn(
    behaviours: Sequence[Behaviour],
    task: Task[Any, Any],
    model: str | Model,
    weighing: Weighing,
    beside: Sequence[Behaviour],
    cases: Cases | None,
    options: Options | None,
) -> list[Weighed]:
    drawn = _cases(task, weighing, cases)
    found: list[Weighed] = []
    kept = [*beside]
    async with open_for(WithHandbook(task, kept), model, options, ignore) as opened:
        without = await _asked(task, kept, opened, drawn, weighing.seed)
        for each in behaviours:
            having = await _asked(task, [*kept, each], opened, drawn, weighing.seed)
            weighed = compared(each, without, having, weighing)
            found.append(weighed)
            if weighed.kept:
                kept, without = [*kept, each], having
    return found


def _cases(task: Task[Any, Any], weighing: Weighing, cases: Cases | None) -> list[Case[Any, Any]]:
    found = (
        different_cases(guarded(task), weighing.states, random.Random(weighing.seed))
        if cases is None
        else [*cases]
    )
    if any(case.answer is None for case in found):
        raise BadInput(f"task {task.name!r} draws states without right answers: give cases that have them")
    if len({case.state for case in found}) < len(found):
        raise BadInput(
            f"a state of task {task.name!r} is given twice: samples of one say nothing about others"
        )
    if len(found) < FEWEST_STATES:
        raise NoCases(
            f"a behaviour is weighed on {FEWEST_STATES} states or more, and there are {len(found)} of task {task.name!r}"
        )
    return found


async def _asked(
    task: Task[Any, Any], behaviours: Sequence[Behaviour], model: Model, cases: Cases, seed: int
) -> list[StateOutcome]:
    wrapped: Guarded[Any, Any] = guarded(WithHandbook(task, behaviours))
    outcomes: list[StateOutcome] = []
    size = _at_once(len(cases))
    for first in range(0, len(cases), size):
        part = [*cases[first : first + size]]
        outcomes += await ask_about(wrapped, model, part, wrapped.views, seed + first, sampling_for(wrapped))
        await asyncio.sleep(0)  # a model that never suspends could not be stopped here
    return outcomes


def compared(
    behaviour: Behaviour, without: Sequence[StateOutcome], having: Sequence[StateOutcome], weighing: Weighing
) -> Weighed:
    """Say what a behaviour did, given what became of the samples of the same states without it and with it; see `weigh`."""
    pairs = [(_wrong(one), _wrong(other)) for one, other in zip(without, having, strict=True)]
    won, lost = sum(one > other for one, other in pairs), sum(one < other for one, other in pairs)
    before, after = (sum(wrong) / len(pairs) for wrong in zip(*pairs, strict=True))
    tokens = _change(without, having, weighing)
    fewer_errors = beats(won, lost, 1 - weighing.level / 2)
    more_errors = beats(lost, won, HARM_CONFIDENCE)
    saves = tokens is not None and tokens.high < 0
    kept = fewer_errors or (saves and not more_errors)
    why = _why(fewer_errors, more_errors, saves)
    return Weighed(behaviour, kept, why, len(pairs), (before, after), won, lost, tokens)


def _why(fewer_errors: bool, more_errors: bool, saves: bool) -> str:
    if fewer_errors:
        return "fewer errors and fewer tokens" if saves else "fewer errors"
    if saves:
        return "fewer tokens, and more errors" if more_errors else "fewer tokens"
    return "neither fewer errors nor fewer tokens"


def _wrong(outcome: StateOutcome) -> float:
    return 1 - outcome.agreeing / outcome.drawn


def _change(
    without: Sequence[StateOutcome], having: Sequence[StateOutcome], weighing: Weighing
) -> MeanInterval | None:
    if any(outcome.usage.uncounted for outcome in (*without, *having)):
        return None

    def spent(outcome: StateOutcome) -> float:
        return (outcome.usage.completion + weighing.input_share * outcome.usage.prompt) / outcome.drawn

    changes = [spent(other) - spent(one) for one, other in zip(without, having, strict=True)]
    # The samples of one call are not independent on the bill: a server may bill them together.
    size = _at_once(len(changes))
    calls = [fmean(changes[first : first + size]) for first in range(0, len(changes), size)]
    return mean_interval(calls, 1 - weighing.level)


def _at_once(states: int) -> int:
    """Return how many states are asked about in one call of the model."""
    return min(BATCH, states // FEWEST_CALLS)
