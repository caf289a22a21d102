"""What a job will take and how sure it is, said before anything is spent on it."""

import random
import time
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.known_limits import check_known
from surefoot.agents.tasks.optional import Stakes, calibrating
from surefoot.agents.tasks.own_audit import has_audit
from surefoot.agents.tasks.task import Task, sampling_for
from surefoot.errors import BadInput, SurefootError
from surefoot.models.base import Model
from surefoot.models.connect import open_model
from surefoot.models.openai.options import Options, Wait
from surefoot.typed_input import checked
from surefoot.voting.calibration import Calibration
from surefoot.voting.certainty import Purchase, purchases
from surefoot.voting.choice import ChosenBudget, ChosenK, choose_budget, choose_k, states_to_promise
from surefoot.voting.election import Stalled
from surefoot.voting.reliability import Forecast, Price, expected_votes, risk
from surefoot.voting.risk_budget import RiskBudget
from surefoot.voting.rules import FirstToAheadBy

from .budget import Budget
from .calibrate import calibrate
from .engine.hypothetical import hypothetically
from .engine.open_step import Terms
from .engine.stride import Stride
from .events import Back, Listen, Noted, Waiting, shielded
from .settings import USUAL, Settings

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)

TIMED_STEPS = 10
"""Elections that are timed for the forecast of the wall time."""


class Unsupported(SurefootError):
    """The calibration cannot support the reliability that was asked for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job will take and how sure it is, said before anything is spent on it."""

    steps: int
    reliability: float
    calibration: Calibration
    choice: ChosenK
    """The lead that decides every step, if one does."""
    spending: ChosenBudget | None = None
    """What decides in its place with the rule `budget`; None with the other one."""
    forecast: Forecast | None = None
    """None if nothing supports the reliability.  For one lead at the observed error rate, for a budget at the bounds that it is spent by."""
    seconds: float | None = None
    """Wall time of a chained run, from the time that a few elections took; None if nothing supports the reliability."""
    purchases: tuple[Purchase, ...] = ()
    """What would make the job surer, and what it costs, the cheapest first; empty if `risk_bound` is what was asked for."""

    @property
    def rule(self) -> FirstToAheadBy | RiskBudget | None:
        """What decides the steps; None if nothing supports the reliability."""
        if self.spending is not None:
            return self.spending.budget
        return None if self.choice.k is None else FirstToAheadBy(self.choice.k)

    @property
    def risk(self) -> float | None:
        """Probability of a wrong step somewhere in the job, if steps are as the calibration says; None without a rule."""
        if self.spending is None:
            return self.choice.risk
        return None if self.spending.budget is None else self.spending.budget.risk

    @property
    def risk_bound(self) -> float | None:
        """What it does not exceed however steps differ, at the calibration's confidence; None if nothing bounds it."""
        return (self.choice if self.spending is None else self.spending).risk_bound

    @property
    def why(self) -> str:
        """All of this but `purchases` in plain sentences."""
        if self.spending is None:
            return self.choice.why
        return f"{self.spending.why} One lead for all: {self.choice.why}"


@checked
async def plan(
    task: Task[S, A],
    settings: Settings = USUAL,
    *,
    model: str | Model = "pebble",
    price: Price | None = None,
    options: Options | None = None,
    on_event: Listen | None = None,
) -> Plan:
    """Calibrate `model` on random states of `task`, and say which k the whole job needs and what it will take.

    `options`: how a model server is asked, if `model` is one's address; what its callbacks would be told goes to `on_event`.
    `k` comes from the upper bound of the error rate, the forecast of votes and cost from the observed rate.  With the rule `budget`
    both come from the upper bounds.
    """
    if settings.k is not None:
        raise BadInput(f"a plan says which k the job needs: give it a reliability, not k = {settings.k}")
    given, task = task, guarded(task)
    check_known(model, given)
    listen = shielded(on_event)
    async with open_for(given, model, options, listen) as opened:
        return await plan_with(task, opened, settings, price, listen)


async def plan_with(
    task: Task[S, A],
    model: Model,
    settings: Settings,
    price: Price | None,
    listen: Listen,
    budget: Budget | None = None,
) -> Plan:
    """Plan a job with a model that is open already."""
    if settings.rule == "budget" and isinstance(task, Stakes):
        raise BadInput(
            f"task {task.name!r} has leads of its own, which a risk budget does not know: let one lead decide"
        )
    steps = task.steps()
    if steps is None:
        raise BadInput(
            f"task {task.name!r} does not say how many steps it takes: give k instead of a reliability"
        )
    began = time.perf_counter()
    calibration = await calibrate(task, model, settings, listen=listen, budget=budget)
    sample_s = (time.perf_counter() - began) / calibration.samples
    choice = choose_k(calibration, steps, settings.reliability, own_leads=isinstance(task, Stakes))
    plan = Plan(steps, settings.reliability, calibration, choice)
    if settings.rule == "budget":
        plan = replace(
            plan, spending=choose_budget(calibration, steps, settings.reliability, settings.hardest)
        )
    plan = replace(plan, purchases=_purchases(task, plan, settings, sample_s, price))
    rule = plan.rule
    if rule is None:
        return plan
    right = 1 - calibration.error_rate
    taken = Forecast.of(
        *(rule.least, rule.risk, steps * rule.votes)
        if isinstance(rule, RiskBudget)
        else (rule.k, risk(right, rule.k, steps), steps * expected_votes(right, rule.k)),
        valid_rate=calibration.valid_rate,
        per_sample=calibration.per_sample,
        price=price,
    )
    seconds = steps * await _seconds_per_step(task, model, rule, settings)
    return replace(plan, forecast=taken, seconds=seconds)


def _purchases(
    task: Task[S, A], plan: Plan, settings: Settings, sample_s: float, price: Price | None
) -> tuple[Purchase, ...]:
    """Say what would make the planned job surer.  A check that the task has is timed on a few random states and their right answers."""
    calibration, rule = plan.calibration, plan.rule
    lead = None if rule is None else rule.most if isinstance(rule, RiskBudget) else rule.k
    states: int | None = None
    # A task that has drawn all the states it has cannot draw more.
    if calibration.states == settings.states and not calibration.every_state:
        if lead is None:
            states = plan.choice.states_to_support
        elif plan.risk_bound is not None:
            states = states_to_promise(calibration, lead, plan.steps, plan.reliability)
    audited, audit_s = has_audit(task), None
    if audited:
        cases, rng = calibrating(task), random.Random(settings.seed)
        known = [case for case in (cases.case(rng) for _ in range(TIMED_STEPS)) if case.answer is not None]
        began = time.perf_counter()
        for case in known:
            hypothetically(None, task.audit, case.state, case.answer)
        audit_s = (time.perf_counter() - began) / len(known) if known else None
    return purchases(
        calibration,
        lead,
        plan.steps,
        plan.reliability,
        bound=plan.risk_bound,
        states=states,
        rungs=() if settings.ladder is None else settings.ladder.names,
        audited=audited,
        audit_s=audit_s,
        sample_s=sample_s,
        price=price,
    )


async def _seconds_per_step(
    task: Task[S, A], model: Model, rule: FirstToAheadBy | RiskBudget, settings: Settings
) -> float:
    """Time a few elections on random states, one after the other as in a run.

    A state that cannot be decided is left out: whether steps stall is not the question here.
    """
    sampling = sampling_for(task, settings.sampling)
    most = rule.most if isinstance(rule, RiskBudget) else rule.k
    terms = Terms(task, rule, sampling, limit=10 * most, seed=settings.seed)
    stride = Stride(terms, model)
    cases, rng = calibrating(task), random.Random(settings.seed)
    began = time.perf_counter()
    for number in range(TIMED_STEPS):
        with suppress(Stalled):
            await stride.decide(cases.case(rng).state, number)
    return (time.perf_counter() - began) / TIMED_STEPS


@asynccontextmanager
async def open_for(
    task: Task[Any, Any], model: str | Model, options: Options | None, listen: Listen
) -> AsyncIterator[Model]:
    """Open the model that is asked about a task; it tells what it waits for and has found.

    Raises `BadInput` if a server turns out to serve one that does not know the task.
    """

    def wait(pause: Wait) -> None:
        listen(Waiting(on="model", sentence=f"{pause.error}; next try in {pause.next_try_s:.0f} s"))

    told = replace(
        options or Options(),
        on_wait=wait,
        on_back=lambda: listen(Back(on="model")),
        on_notice=lambda sentence: listen(Noted(sentence=sentence)),
    )
    async with open_model(model, options=told) as opened:
        if isinstance(model, str):
            check_known(opened.name, task)
        yield opened
