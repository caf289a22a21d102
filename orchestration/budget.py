"""What a run may spend before it stops in order: steps, tokens, money."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from surefoot.errors import BadInput, SurefootError
from surefoot.voting.reliability import Price
from surefoot.voting.samples import NOTHING, Usage


class Paused(SurefootError):
    """A run stops in order, before its budget is overspent; it is no failure, and resuming with a larger one goes on."""


class OverBudget(SurefootError):
    """The calibration alone would take more than the budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run may spend before it stops in order; resumed with a larger budget, or none, the job goes on.

    Budget(steps=100)                           so many steps of this run
    Budget(tokens=2_000_000)                    tokens of the whole job: earlier runs, calibration and speculation included
    Budget(cost=5, price=Price(0.4, 1.6))       the same in money, by prices per million tokens
    """

    steps: int | None = None
    tokens: int | None = None
    cost: float | None = None
    price: Price | None = None

    def __post_init__(self) -> None:
        for what in ("steps", "tokens", "cost"):
            value = getattr(self, what)
            if value is not None and not 0 < value < float("inf"):
                raise BadInput(f"a budget of {what} must be above 0, not {value!r}")
        if (self.cost is None) != (self.price is None):
            raise BadInput("a budget in money takes both, a cost and the price of a million tokens")

    def over(self, usage: Usage, more: float = 0) -> str:
        """Say which bound so many tokens would pass, in words; "" if none.  `more` are tokens of unknown kind, at the dearer price."""
        if usage.uncounted and (self.tokens is not None or self.cost is not None):
            return f"the server does not say what {usage.uncounted} samples have cost, so that no budget can be kept"
        if self.tokens is not None and usage.total + more > self.tokens:
            return f"{usage.total + more:,.0f} tokens would be more than the budget of {self.tokens:,}"
        if self.cost is not None and (cost := self._cost(usage, more)) > self.cost:
            return f"a cost of {cost:,.4g} would be more than the budget of {self.cost:,.4g}"
        return ""

    def _cost(self, usage: Usage, more: float) -> float:
        assert self.price is not None
        dearer = max(self.price.input_per_mtok, self.price.output_per_mtok)
        return self.price.of(usage.prompt, usage.completion, usage.cached) + more * dearer / 1e6


class Meter:
    """Watches over one run's budget.

    A step is begun only if the dearest one of this run so far would still fit, and an election that needs further samples gets them
    only if they fit at the price of the dearest ones so far.  So what is spent can pass the budget by no more than a first step, or
    one whose samples are larger than any before, is larger than what was set aside for it.
    """

    def __init__(
        self, budget: Budget, step: int, spent: Usage, ahead: Mapping[str, int], before: Usage
    ) -> None:
        self._budget = budget
        self._until = None if budget.steps is None else step + budget.steps
        self._spent = spent
        """On the steps of the job so far."""
        self.ahead = Counter(ahead)
        """What speculation has done, see `Ledger.counts`."""
        self._before = before
        """What is not among a job's own: the calibration."""
        self._sample, self._samples = NOTHING, 0
        """The dearest sample so far, field by field, and the most samples of a step."""

    def spend(self, usage: Usage, samples: int) -> None:
        """Count what a step has taken."""
        self._learn(usage, samples)
        self._spent = self._spent.plus(usage)

    def _learn(self, usage: Usage, samples: int) -> None:
        each = Usage(*(-(-tokens // samples) for tokens in usage))
        self._sample = Usage(*map(max, self._sample, each))._replace(cached=0)
        self._samples = max(self._samples, samples)

    def check(self, step: int) -> None:
        """Raise `Paused` if the next step does not fit."""
        if step == self._until:
            raise Paused(
                f"stopped before step {step}: the run has taken the {self._budget.steps:,} steps that it may"
            )
        self._fits(step, NOTHING, self._samples)

    def check_more(self, step: int, usage: Usage, drawn: int, samples: int) -> None:
        """Raise `Paused` if so many more samples do not fit, of a step that has taken `usage` for those drawn."""
        self._learn(usage, drawn)
        self._fits(step, usage, samples)

    def has_room_ahead(self, samples: int) -> bool:
        """Whether so many samples that may be wasted would still fit."""
        return not self._over(NOTHING, samples)

    def _fits(self, step: int, usage: Usage, samples: int) -> None:
        if over := self._over(usage, samples):
            raise Paused(f"stopped at step {step}: {over}")

    def _over(self, usage: Usage, samples: int) -> str:
        ahead = self.ahead
        reserve = Usage(*(tokens * samples for tokens in self._sample))
        uncounted = self._before.uncounted + ahead["wasted_uncounted"] + ahead["draft_uncounted"]
        extra = self._before.total + ahead["wasted_tokens"] + ahead["draft_tokens"]
        return self._budget.over(self._spent + usage + reserve + Usage(uncounted=uncounted), extra)
