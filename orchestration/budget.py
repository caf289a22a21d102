"""What a run, or several together, may spend before they stop in order: steps, turns, tokens, money, time."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from surefoot.errors import BadInput, SurefootError
from surefoot.typed_input import check_fields
from surefoot.voting.reliability import Price
from surefoot.voting.samples import NOTHING, Usage

from .report import Bound


class Paused(SurefootError):
    """A run stops in order, before its budget is overspent; it is no failure, and resuming with a larger one goes on."""

    def __init__(self, sentence: str, bound: Bound, usage: Usage = NOTHING) -> None:
        super().__init__(sentence)
        self.bound = bound
        """What of the budget it was."""
        self.usage = usage
        """What the samples of the step that was given up for it have cost."""


class Excess(NamedTuple):
    """A bound that would be passed."""

    bound: Bound
    sentence: str


class OverBudget(SurefootError):
    """The calibration alone would take more than the budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run may spend before it stops in order; resumed with a larger budget, or none, the job goes on.

    Budget(steps=100)                           so many steps of this run
    Budget(tokens=2_000_000)                    so many tokens of the whole job
    Budget(cost=5, price=Price(0.4, 1.6))       the same in money, by prices per million tokens
    Budget(wall_s=3600)                         an hour from the job's beginning
    Budget(working_s=3600)                      an hour of work on it
    Budget(shared=purse)                        what several runs may spend together: see `Purse`
    """

    steps: int | None = None
    """Of this run."""
    turns: int | None = None
    """Of the whole run of an agent, which ends there; other jobs have none."""
    tokens: int | None = None
    """Of the whole job: earlier runs, calibration and speculation included."""
    cost: float | None = None
    """The same in money."""
    price: Price | None = None
    """Of a million input and of a million output tokens; goes with `cost`."""
    wall_s: float | None = None
    """Seconds since the job began, whether anybody works on it or not."""
    working_s: float | None = None
    """Seconds of work on the whole job, waits included: `Report.wall_s`, and the calibration."""
    shared: "Purse | None" = None
    """What this run and others in this process may spend together."""

    def __post_init__(self) -> None:
        check_fields(self)
        for what in ("steps", "turns", "tokens", "cost", "wall_s", "working_s"):
            value = getattr(self, what)
            if value is not None and not 0 < value < float("inf"):
                raise BadInput(f"a budget of {what} must be above 0, not {value!r}")
        if (self.cost is None) != (self.price is None):
            raise BadInput("a budget in money takes both, a cost and the price of a million tokens")

    def over(self, usage: Usage, more: float = 0) -> Excess | None:
        """Return the bound that so many tokens would pass; None if none.  `more` are tokens of unknown kind, at the dearer price."""
        if usage.uncounted and (self.tokens is not None or self.cost is not None):
            return Excess(
                "cost" if self.tokens is None else "tokens",
                f"the server does not say what {usage.uncounted} samples have cost, so that no budget can be kept",
            )
        if self.tokens is not None and usage.total + more > self.tokens:
            return Excess(
                "tokens", f"{usage.total + more:,.0f} tokens would be more than the budget of {self.tokens:,}"
            )
        if self.cost is not None and (cost := self._cost(usage, more)) > self.cost:
            return Excess("cost", f"a cost of {cost:,.4g} would be more than the budget of {self.cost:,.4g}")
        return None

    def late(self, wall_s: float, working_s: float) -> Excess | None:
        """Return the bound that so much time would reach; None if none."""
        if self.wall_s is not None and wall_s >= self.wall_s:
            return Excess(
                "wall_time",
                f"{wall_s:,.4g} s since it began would be no less than the budget of {self.wall_s:,.4g} s",
            )
        if self.working_s is not None and working_s >= self.working_s:
            return Excess(
                "working_time",
                f"{working_s:,.4g} s of work would be no less than the budget of {self.working_s:,.4g} s",
            )
        return None

    def _cost(self, usage: Usage, more: float) -> float:
        assert self.price is not None
        dearer = max(self.price.input_per_mtok, self.price.output_per_mtok)
        return self.price.of(usage.prompt, usage.completion, usage.cached) + more * dearer / 1e6


class Purse:
    """What several runs of one process may spend together; each is given it in its `Budget`, beside bounds of its own.

        purse = Purse(tokens=2_000_000, wall_s=3600)
        budget = Budget(tokens=100_000, shared=purse)
        await asyncio.gather(*[surefoot.run(task, model=model, budget=budget) for task in tasks])

    A run sets aside what its next step may take, judged by its dearest one so far, or by the dearest of all runs before it has any, and takes
    the step only if that fits beside what is spent and what the others have set aside.  Else that run stops in order, and leaves to the others what
    is left.  So what is spent can pass the bounds by no more than first steps, or those that are dearer than any before, are dearer than
    what was set aside for them.

    Only what is spent from it counts, not what a job had spent before; `spend` adds that, or whatever else is to count.  `wall_s` is
    in seconds from `elapsed_s` before the making of the purse, by `clock`.
    """

    def __init__(
        self,
        *,
        tokens: int | None = None,
        cost: float | None = None,
        price: Price | None = None,
        wall_s: float | None = None,
        elapsed_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bounds = Budget(tokens=tokens, cost=cost, price=price, wall_s=wall_s)
        self._clock, self._began = clock, clock() - elapsed_s
        self._spent, self._extra = NOTHING, 0
        self._dearest = NOTHING
        """The dearest step of all runs, field by field."""
        self._reserved: dict[object, Usage] = {}
        # Runs may be in event loops of several threads: to look and to set aside is one act.
        self._lock = threading.Lock()

    @property
    def spent(self) -> Usage:
        """What is spent so far, without the tokens of speculation whose kind is not known."""
        return self._spent

    @property
    def tokens(self) -> int:
        """All tokens that are spent so far."""
        return self._spent.total + self._extra

    def spend(self, usage: Usage, more: int = 0) -> None:
        """Count what was spent; `more` are tokens of unknown kind."""
        with self._lock:
            self._spent, self._extra = self._spent + usage, self._extra + more

    def learn(self, step: Usage) -> None:
        """See what a step has taken, for runs that have none behind them."""
        with self._lock:
            self._dearest = Usage(*map(max, self._dearest, step))._replace(cached=0, uncounted=0)

    def reserve(self, run: object, usage: Usage | None, longest_s: float = 0) -> Excess | None:
        """Set aside what a run's next step may take, None being whatever others took; return the bound that it would pass, if any.

        It takes the place of what the run had set aside before; that is kept if it would pass one.
        """
        with self._lock:
            before = self._reserved.pop(run, NOTHING)
            wanted = self._dearest if usage is None else usage
            over = self._over(wanted, longest_s)
            self._reserved[run] = wanted if over is None else before
            return over

    def keep(self, run: object, usage: Usage = NOTHING) -> None:
        """Set aside so much for a run, and no more, whatever is left."""
        with self._lock:
            self._reserved.pop(run, None)
            if usage != NOTHING:
                self._reserved[run] = usage

    def excess(self, usage: Usage, seconds: float = 0) -> Excess | None:
        """Return the bound that so much more would pass, beside what is spent and set aside; None if none."""
        with self._lock:
            return self._over(usage, seconds)

    def _over(self, wanted: Usage, longest_s: float) -> Excess | None:
        over = self._bounds.over(self._spent + Usage.of_all(self._reserved.values()) + wanted, self._extra)
        over = over or self._bounds.late(self._clock() - self._began + longest_s, 0)
        return over and Excess(over.bound, f"with all runs that share a purse, {over.sentence}")
