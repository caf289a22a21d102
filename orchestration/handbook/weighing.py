"""A behaviour earns its place: the same states are asked about with and without it, and it is kept if that shows."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, NamedTuple, TypeVar

from surefoot.agents.handbook import Behaviour, WithHandbook
from surefoot.agents.tasks.around import innermost
from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.optional import Case, NoCases
from surefoot.agents.tasks.task import Task, sampling_for
from surefoot.errors import BadInput
from surefoot.models.base import Model
from surefoot.models.openai.options import Options
from surefoot.orchestration.calibrate import ask_about, different_cases
from surefoot.orchestration.events import ignore
from surefoot.orchestration.plan import open_for
from surefoot.typed_input import check_fields, checked
from surefoot.voting.calibration import StateOutcome
from surefoot.voting.paired import MeanInterval, beats, mean_interval

T = TypeVar("T")
Cases = Sequence[Case[Any, Any]]

FEWEST_STATES = FEWEST_CALLS = 20
AT_ONCE = 8
"""States in a call of the model: calls are what the tests count, and of 500 states these are 63."""
LEAST_LEVEL = 1e-6
"""About 0.5**20: at less, 20 calls that are all won would not be enough."""
LEAST_SAVED = 1e-6
"""Tokens of a sample; a smaller change is rounding."""
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
        if not LEAST_LEVEL <= self.level <= 0.5:
            raise BadInput(
                f"the level of one behaviour is a probability from {LEAST_LEVEL} to 0.5, not {self.level!r}"
            )
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
    """Calls of the model, of at most 8 states each, with fewer of them with it."""
    lost: int
    """Calls with more."""
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

    It is kept if samples are wrong less often, or if they take fewer tokens and are not wrong more often.  The states are asked about in 20 calls
    of the model or more, of at most 8 states each, in all their views.  Each call is made twice, without and with the behaviour, one right after
    the other; which comes first is drawn.  Both tests count these pairs of calls:

    - errors: a pair is won if fewer of its samples are wrong or unusable with the behaviour, and lost if more are.  Exact one-sided sign test
      (`surefoot.voting.beats`), at `level` / 2.
    - tokens: Student's paired interval for the change of a sample's tokens at confidence 1 - `level` (`surefoot.voting.mean_interval`) lies
      below 0, and the sign test finds no more errors even at 0.2.

    So what changes nothing is kept with a chance of `level` at most, half of it from each test (Bonferroni); that of the sign test is exact even if
    the samples of a call err together, or the server drifts, since each pair is a fair coin by the draw of its order.  An increase of errors that
    is too small for so many states to show passes with a behaviour that saves tokens.

    The same seed draws the same states, and asks for each sample with the same seed in both arms.  `cases` are states of your own, with their right
    answers.  Raises `NoCases` for a task that draws none or too few, `BadInput` for cases without answers or of one state and for a behaviour of
    another task or of a name that is given twice, and what the model raises.
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

    The level is for all together: each is weighed at its share (Bonferroni).  Each costs as many calls as `weigh` alone.  The rest is as there.
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
    _check(behaviours, beside, task)
    drawn = _cases(task, weighing, cases)
    found: list[Weighed] = []
    kept = [*beside]
    async with open_for(WithHandbook(task, kept), model, options, ignore) as opened:
        for each in behaviours:
            arms = WithHandbook(task, kept), WithHandbook(task, [*kept, each])
            without, having = await _asked(arms, opened, drawn, weighing.seed)
            found.append(compared(each, without, having, weighing))
            if found[-1].kept:
                kept = [*kept, each]
    return found


def _check(behaviours: Sequence[Behaviour], beside: Sequence[Behaviour], task: Task[Any, Any]) -> None:
    """Refuse, before anything is paid, two of one name, and one for another task."""
    inside = innermost(task)
    for each in WithHandbook(task, [*beside, *behaviours]).behaviours:
        if each.task != inside.name:
            raise BadInput(f"{each.name} is for task {each.task!r}: weigh it on that, not on {inside.name!r}")


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
    arms: tuple[Task[Any, Any], Task[Any, Any]], model: Model, cases: Cases, seed: int
) -> tuple[list[StateOutcome], list[StateOutcome]]:
    """Ask about the same states without and with a behaviour, call by call."""
    tasks = [guarded(arm) for arm in arms]
    outcomes: tuple[list[StateOutcome], list[StateOutcome]] = [], []
    order, asked = random.Random(seed), 0
    for part in _calls(cases):
        # A draw and no fixed order: whatever a server's drift looks like, it favours neither arm.
        for arm in order.sample((0, 1), 2):
            task = tasks[arm]
            outcomes[arm].extend(
                await ask_about(task, model, [*part], task.views, seed + asked, sampling_for(task))
            )
        asked += len(part)
        await asyncio.sleep(0)  # a model that never suspends could not be stopped here
    return outcomes


def compared(
    behaviour: Behaviour, without: Sequence[StateOutcome], having: Sequence[StateOutcome], weighing: Weighing
) -> Weighed:
    """Say what a behaviour did, given what became of the samples of the same states without it and with it; see `weigh`."""
    # The samples of one call are not independent: a server may err, and bill, for all of them together.
    pairs = [*zip(map(_wrong, _calls(without)), map(_wrong, _calls(having)), strict=True)]
    won, lost = sum(one > other for one, other in pairs), sum(one < other for one, other in pairs)
    errors = tuple(_wrong(arm) / sum(each.drawn for each in arm) for arm in (without, having))
    tokens = _change(without, having, weighing)
    fewer_errors = beats(won, lost, 1 - weighing.level / 2)
    more_errors = beats(lost, won, HARM_CONFIDENCE)
    saves = tokens is not None and tokens.high < -LEAST_SAVED
    kept = fewer_errors or (saves and not more_errors)
    why = _why(fewer_errors, more_errors, saves)
    return Weighed(behaviour, kept, why, len(without), (errors[0], errors[1]), won, lost, tokens)


def _why(fewer_errors: bool, more_errors: bool, saves: bool) -> str:
    if fewer_errors:
        return "fewer errors and fewer tokens" if saves else "fewer errors"
    if saves:
        return "fewer tokens, and more errors" if more_errors else "fewer tokens"
    return "neither fewer errors nor fewer tokens"


def _wrong(outcomes: Sequence[StateOutcome]) -> int:
    return sum(each.drawn - each.agreeing for each in outcomes)


def _change(
    without: Sequence[StateOutcome], having: Sequence[StateOutcome], weighing: Weighing
) -> MeanInterval | None:
    if any(outcome.usage.uncounted for outcome in (*without, *having)):
        return None

    def spent(outcome: StateOutcome) -> float:
        return (outcome.usage.completion + weighing.input_share * outcome.usage.prompt) / outcome.drawn

    changes = [spent(other) - spent(one) for one, other in zip(without, having, strict=True)]
    mean, calls = fmean(changes), _calls(changes)
    # Calls differ by a state at most; a call's value weighs by its states, so that the mean is that of the states.
    weights = [len(call) * len(calls) / len(changes) for call in calls]
    values = [mean + weight * (fmean(call) - mean) for weight, call in zip(weights, calls, strict=True)]
    return mean_interval(values, 1 - weighing.level)


def _calls(found: Sequence[T]) -> list[Sequence[T]]:
    """Divide what there is of each state among the calls of the model, as evenly as can be."""
    states = len(found)
    calls = -(-states // min(AT_ONCE, states // FEWEST_CALLS))
    return [found[states * call // calls : states * (call + 1) // calls] for call in range(calls)]
