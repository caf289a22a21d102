"""Calibration: ask a model about random states of a task, and count how often it is right."""

import asyncio
import random
import time
from collections.abc import Callable, Hashable
from contextlib import aclosing
from typing import Any, TypeVar

from surefoot.agents.tasks.failures import TaskFailed
from surefoot.agents.tasks.guarded import outcome_of
from surefoot.agents.tasks.optional import Acts, Case, Classifies, Guesses, Offers, calibrating
from surefoot.agents.tasks.task import Task, sampling_for
from surefoot.models.base import Ask, Model, Sampling
from surefoot.voting.bounds import mean_upper
from surefoot.voting.calibration import Calibration, StateOutcome, worst_upper
from surefoot.voting.samples import NOTHING, Usage

from .budget import Budget, OverBudget
from .engine.calls import check_all_answered, claim
from .engine.open_step import seed_of
from .events import Calibrating, Listen, ignore
from .settings import USUAL, Settings

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)

SAMPLES_PER_STATE = 3
"""At least so many samples of every state, one per view: fewer cannot tell a hard state from bad luck."""
BATCH = 16
"""States asked about in one call of the model."""
OFTEN = 30
"""Samples of each state of a job so short that all of them are met: enough to bound each one's error rate by itself."""
MAX_REDRAWS = 20
"""Draws in a row that only repeat known states, for each of these, before the task is taken to have no others."""


async def calibrate(
    task: Task[S, A],
    model: Model,
    settings: Settings = USUAL,
    *,
    confidence: float = 0.95,
    listen: Listen = ignore,
    budget: Budget | None = None,
) -> Calibration:
    """Draw samples of `settings.states` different random states of the task, at the temperature of the later ballots.

    Where the job is so short that all its states are among them, they are its own alone, and each is drawn more often.

    Raises `NoCases` if the task cannot draw states, `Uncalibrated` if there is nothing to count.
    """
    states, seed, sampling = settings.states, settings.seed, sampling_for(task, settings.sampling)
    listen(Calibrating(task=task.name, asked=0, states=states))
    cases = different_cases(task, states, random.Random(seed))
    path = _path(task, cases)
    per_state = max(task.views, SAMPLES_PER_STATE)
    each = False
    if path is not None:
        cases, often = path, min(OFTEN, per_state * states // len(path)) // per_state * per_state
        # Which bound is used is decided before anything is drawn: the one that is smaller if no sample is wrong.
        each = worst_upper([(0, often)] * len(path), confidence) <= mean_upper(0, len(path), confidence)
        per_state = often if each else per_state
    outcomes: list[StateOutcome] = []
    began = time.monotonic()
    at_once = max(1, BATCH * SAMPLES_PER_STATE // per_state)
    for first in range(0, len(cases), at_once):
        asked = await ask_about(
            task, model, cases[first : first + at_once], per_state, seed + first, sampling
        )
        outcomes += asked
        listen(Calibrating(task=task.name, asked=len(outcomes), states=len(cases)))
        if budget is not None:
            if budget.shared is not None:
                budget.shared.spend(Usage.of_all([outcome.usage for outcome in asked]))
            _check_budget(budget, outcomes, len(cases), time.monotonic() - began)
        await asyncio.sleep(0)  # a model that never suspends could not be stopped here
    known = all(case.answer is not None for case in cases)
    return Calibration.of(
        outcomes, known_answers=known, confidence=confidence, every_state=path is not None, each=each
    )


def _path(task: Task[S, A], cases: list[Case[S, A]]) -> list[Case[S, A]] | None:
    """Return the cases of all states of the job, in its order; None if some were not drawn, or answers are not known.

    It is walked by the right answers from the start, so nothing is taken on trust of how states are drawn.
    """
    steps = task.steps()
    if steps is None or not 0 < steps <= len(cases):
        return None
    known = {case.state: case for case in cases if case.answer is not None}
    path: list[Case[S, A]] = []
    state = task.start()
    while len(path) < steps and not task.finished(state):
        case = known.pop(state, None)  # a state that comes again leads nowhere
        if case is None or case.answer is None:
            return None
        path.append(case)
        state = task.advance(state, case.answer)
    return path or None


def _check_budget(budget: Budget, outcomes: list[StateOutcome], states: int, taken_s: float) -> None:
    """Raise `OverBudget` once the states so far show that all of them would take too much."""
    usage, asked = Usage.of_all([outcome.usage for outcome in outcomes]), len(outcomes)
    whole_s = taken_s * states / asked
    over = budget.over(Usage(*(tokens * states // asked for tokens in usage))) or budget.late(
        whole_s, whole_s
    )
    if budget.shared is not None:
        left = Usage(*(tokens * (states - asked) // asked for tokens in usage))
        over = over or budget.shared.excess(left, whole_s - taken_s)
    if over is not None:
        raise OverBudget(
            f"calibrating on {states} states takes too much: {over.sentence}; give k, fewer states, or a larger budget"
        )


def different_cases(task: Task[S, A], count: int, rng: random.Random) -> list[Case[S, A]]:
    """Draw `count` cases with different states, or all that can be found if there are fewer."""
    cases, found = calibrating(task), dict[S, Case[S, A]]()
    acting, redraws = task if isinstance(task, Acts) else None, 0
    while len(found) < count and redraws < MAX_REDRAWS * (1 + len(found)):
        case = cases.case(rng)
        if acting is not None and acting.acts(case.state):
            raise TaskFailed(task.name, "case", "drew a state at which the world answers", "draw others")
        redraws = redraws + 1 if case.state in found else 0
        found.setdefault(case.state, case)
    return list(found.values())


def _guesser(task: Task[S, A]) -> Callable[[Case[S, A], int], str | None]:
    """Return what says how a right sample reads, where the task knows it: some models answer faster when told."""
    if not isinstance(task, Guesses):
        return lambda case, view: None

    def guess(case: Case[S, A], view: int) -> str | None:
        if case.answer is None:
            return None
        return task.guess(case.state, task.advance(case.state, case.answer), view)

    return guess


async def ask_about(
    task: Task[S, A],
    model: Model,
    cases: list[Case[S, A]],
    per_state: int,
    seed: int,
    sampling: Sampling,
) -> list[StateOutcome]:
    """Draw so many samples of each case, its views in turn, and count what became of them; the same seed asks the same."""
    guess = _guesser(task)
    offering = task if isinstance(task, Offers) else None
    classifying = task if isinstance(task, Classifies) else None
    asks = [
        Ask(
            task.ask(case.state, number % task.views),
            sampling.temperature,
            sampling.max_tokens,
            seed_of(~seed, place, number),
            guess(case, number % task.views),
            None if offering is None else offering.offer(case.state),
        )
        for place, case in enumerate(cases)
        for number in range(per_state)
    ]
    outcomes: list[list[Any]] = [[None] * per_state for _ in cases]
    usages = [NOTHING] * len(cases)
    owed = {position: divmod(position, per_state) for position in range(len(asks))}
    async with aclosing(model.sample(asks)) as samples:
        async for position, sample in samples:
            place, number = claim(model, owed, position, sample)
            outcomes[place][number] = outcome_of(task, sample, cases[place].state, number)
            usages[place] += sample.usage
    check_all_answered(model, owed, len(asks))
    return [
        StateOutcome.count(
            case.state,
            outcome,
            case.answer,
            usage,
            views=task.views,
            kind="" if classifying is None else classifying.step_kind(case.state),
        )
        for case, outcome, usage in zip(cases, outcomes, usages, strict=True)
    ]
