"""How often a model errs on a task, and how sure that is.  Pure statistics: no model is asked here.

Samples of one state are not independent evidence about the task: errors are bimodal, nearly all of them sit in a few
states, and a thousand samples of one state say nothing about the next.  So a *state* is the unit.  Its error share is
one observation between 0 and 1, the error rate is the mean over states, and the bound is the one that Hoeffding (1963)
proves for the mean of independent values in [0, 1] of any distribution.  Many samples per state cannot make
it tighter than 3 / states at 95 %, and that is as it should be: so many states may be wrong through and through
without one having been met.  Where every state gave one observation of yes or no, the exact binomial bound serves.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from surefoot.errors import BadInput, SurefootError

from .bounds import binomial_upper, mean_upper
from .flags import RedFlag
from .reliability import PerSample
from .samples import NOTHING, Usage
from .step_classes import TailBound, tail_bound

B = TypeVar("B", bound=Hashable)

JUDGED_FROM = 3
"""Valid samples from which on a state can be called hard: fewer cannot tell bad luck from a wrong mode."""
HARD_BELOW = 0.7
"""With answers unknown, a state is hard if its most frequent ballot has a smaller share than this."""
SHOWN = 5
"""Hard states kept for display."""
STATE_CHARACTERS = 200
"""Longest state that is shown whole."""


class Uncalibrated(SurefootError):
    """The samples drawn say nothing about the error rate."""


class StepKind(NamedTuple):
    """What a calibration says of one kind of step."""

    share: float
    """Of the states drawn, and so of the job's steps, as far as states are drawn as the job meets them."""
    states: int
    """Those that `bound` rests on."""
    bound: TailBound
    """How many steps of this kind may be hard."""


@dataclass(frozen=True, slots=True)
class StateOutcome:
    """What the samples of one state turned out to be."""

    state: Hashable
    """Which state; every state of a calibration is another one."""
    valid: int
    """Samples without a red flag."""
    agreeing: int
    """Those of them that gave the right answer or, where it is unknown, the most frequent one."""
    rival: int = 0
    """Votes of the strongest other ballot."""
    flags: Mapping[str, int] = field(default_factory=dict)
    """Samples thrown away, by reason."""
    usage: Usage = NOTHING
    """Tokens of all samples of this state."""
    kind: str = ""
    """What kind of step the task says it is."""
    by_view: tuple[tuple[int, int], ...] = ()
    """Wrong and all valid samples, a view each; empty where the right answer is unknown."""

    def __post_init__(self) -> None:
        if min(self.agreeing, self.rival) < 0 or self.agreeing + self.rival > self.valid:
            raise BadInput(
                f"state {self.state!r} cannot have {self.agreeing!r} agreeing ballots and {self.rival!r} for a rival "
                f"among {self.valid!r} valid ones"
            )

    @classmethod
    def count(
        cls,
        state: Hashable,
        outcomes: Iterable[B | RedFlag],
        answer: B | None = None,
        usage: Usage = NOTHING,
        *,
        views: int = 1,
        kind: str = "",
    ) -> "StateOutcome":
        """Count the ballots and red flags of one state; `answer` is the right ballot, None where it is unknown.

        The outcomes come in the order in which their samples were submitted, `views` in turn.
        """
        tally: Counter[B] = Counter()
        flags: Counter[str] = Counter()
        seen: Counter[tuple[int, bool]] = Counter()
        for number, outcome in enumerate(outcomes):
            if isinstance(outcome, RedFlag):
                flags[outcome.reason] += 1
            else:
                tally[outcome] += 1
                seen[number % views, outcome == answer] += 1
        valid = tally.total()
        by_view: tuple[tuple[int, int], ...] = ()
        if answer is not None:
            by_view = tuple(
                (seen[view, False], seen[view, False] + seen[view, True]) for view in range(views)
            )
        elif tally:
            answer = tally.most_common(1)[0][0]
        agreeing = 0 if answer is None else tally.pop(answer, 0)
        rival = max(tally.values(), default=0)
        return cls(state, valid, agreeing, rival, dict(flags), usage, kind, by_view)

    @property
    def drawn(self) -> int:
        """Samples drawn, the thrown-away ones included."""
        return self.valid + sum(self.flags.values())

    def shown(self) -> str:
        """Say in a line what its samples were."""
        state = repr(self.state)
        state = state if len(state) <= STATE_CHARACTERS else f"{state[:STATE_CHARACTERS]}..."
        return f"{state}: {self.agreeing} of {self.valid} valid samples agree, {self.rival} for the strongest other"

    def judged(self) -> bool:
        """Whether there is enough to tell if the state is hard; without any valid sample it is."""
        return self.valid >= JUDGED_FROM or (self.valid == 0 and self.drawn >= JUDGED_FROM)

    def hard(self, known_answers: bool) -> bool:
        """Whether voting is in trouble here: the right answer is not the strict mode, or there hardly is a mode."""
        if known_answers:
            return self.agreeing <= self.rival
        return self.agreeing < HARD_BELOW * self.valid or self.valid == 0


@dataclass(frozen=True, slots=True)
class Calibration:
    """What samples of many different states, drawn at random from the task, say about a model."""

    states: int
    measured: int
    """States with enough valid samples to have an error share."""
    samples: int
    valid: int
    error_rate: float
    """The mean over states of the share of wrong valid samples."""
    error_bound: float
    """What the error rate exceeds in at most 1 - confidence of all calibrations."""
    confidence: float
    known_answers: bool
    """If False, `error_rate` is disagreement with the most frequent answer: consistency, not correctness."""
    flags: Mapping[str, int]
    usage: Usage
    """Tokens of all samples."""
    judged: int
    """States with enough samples to tell whether they are hard."""
    hard: int
    """States in which the right answer is not the strict mode (unknown answers: modal share below 0.7)."""
    hard_bound: float
    """Upper bound of the share of states that look hard in so many samples; 1.0 if none was judged."""
    hard_states: tuple[StateOutcome, ...]
    """A few hard states, those with most valid samples first."""
    every_state: bool = False
    """Whether these are all states of the job, so that none is left that was not met."""
    worst_bound: float | None = None
    """What the error rate of no state exceeds, at this confidence for all of them together; None unless each was drawn often."""
    erring: int = 0
    """States with a wrong ballot, or without any valid one."""
    fewest: int = 0
    """Valid samples of the state that has the fewest."""
    kinds: Mapping[str, StepKind] = field(default_factory=dict)
    """What is known of each kind of step, by name; empty where the right answers are unknown."""

    @property
    def bound(self) -> float:
        """The error rate that `k` is chosen for."""
        return self.error_bound if self.worst_bound is None else self.worst_bound

    @classmethod
    def of(
        cls,
        outcomes: Sequence[StateOutcome],
        *,
        known_answers: bool,
        confidence: float = 0.95,
        every_state: bool = False,
        each: bool = False,
    ) -> "Calibration":
        """Evaluate the outcomes of *different* states, drawn at random.

        With unknown answers one ballot of each state is spent on naming the most frequent answer and only the others
        count, (agreeing - 1) / (valid - 1): a state's only ballot always agrees with itself.  Where the most frequent
        answer holds less than two thirds this still flatters; such states are counted as hard.  States without a
        countable ballot are left out of the error rate.  With `every_state` the outcomes are those of all states of the job;
        `each` asks for a bound that holds for each of them, too (see `worst_upper`).  Raises `BadInput` if a state comes twice, `Uncalibrated` if
        there is nothing to count.
        """
        _refuse_repeats(outcomes)
        spent = 0 if known_answers else 1
        counted = [(o.valid - o.agreeing, o.valid - spent) for o in outcomes if o.valid > spent]
        flags = sum((Counter(o.flags) for o in outcomes), Counter[str]())
        if not counted:
            raise Uncalibrated(_nothing(outcomes, flags, spent))
        every_state = every_state and len(counted) == len(outcomes)
        worst = worst_upper(counted, confidence) if each and every_state else None
        judged = [o for o in outcomes if o.judged()]
        hard = sorted((o for o in judged if o.hard(known_answers)), key=lambda o: -o.valid)
        return cls(
            states=len(outcomes),
            measured=len(counted),
            samples=sum(o.drawn for o in outcomes),
            valid=sum(o.valid for o in outcomes),
            error_rate=sum(wrong / among for wrong, among in counted) / len(counted),
            error_bound=_error_bound(counted, confidence, every_state),
            confidence=confidence,
            known_answers=known_answers,
            flags=dict(flags),
            usage=_total(outcomes),
            judged=len(judged),
            hard=len(hard),
            hard_bound=binomial_upper(len(hard), len(judged), confidence) if judged else 1.0,
            hard_states=tuple(hard[:SHOWN]),
            every_state=every_state,
            worst_bound=worst,
            erring=sum(outcome.agreeing < max(1, outcome.valid) for outcome in outcomes),
            fewest=min(outcome.valid for outcome in outcomes),
            kinds=_kinds(outcomes, confidence) if known_answers else {},
        )

    @property
    def valid_rate(self) -> float:
        """The share of samples without a red flag."""
        return self.valid / self.samples

    @property
    def hard_rate(self) -> float | None:
        """The share of judged states that look hard; None if none was judged."""
        return self.hard / self.judged if self.judged else None

    @property
    def per_sample(self) -> PerSample | None:
        """Mean tokens of the samples that the server counted, for `forecast`; None if it counted none."""
        usage, counted = self.usage, self.samples - self.usage.uncounted
        if counted < 1:
            return None
        return PerSample(usage.prompt / counted, usage.completion / counted, usage.cached / counted)


def worst_upper(counted: Sequence[tuple[int, int]], confidence: float = 0.95) -> float:
    """Return a bound that no state's error rate exceeds, given (wrong, drawn) of each state.

    The largest of the states' own binomial bounds, each at 1 - (1 - confidence) / states, so that all hold together (Bonferroni).
    Samples of one state may be drawn in several views of different error rates: few wrong ones among them are no likelier than at
    their mean rate throughout (Hoeffding 1956, Ann. Math. Stat. 27:713).
    """
    alone = 1 - (1 - confidence) / len(counted)
    return max(binomial_upper(wrong, among, alone) for wrong, among in counted)


def _kinds(outcomes: Sequence[StateOutcome], confidence: float) -> dict[str, StepKind]:
    """Return what is known of each kind; all of it holds together at the confidence.  Empty if one has no state with a ballot in each view."""
    by_kind: dict[str, list[tuple[tuple[int, int], ...]]] = {}
    for outcome in outcomes:
        by_kind.setdefault(outcome.kind, []).append(outcome.by_view)
    alone = 1 - (1 - confidence) / len(by_kind)
    if not all(
        any(counts and all(among for _, among in counts) for counts in states) for states in by_kind.values()
    ):
        return {}
    bounds = {kind: tail_bound(states, alone) for kind, states in sorted(by_kind.items())}
    return {
        kind: StepKind(len(by_kind[kind]) / len(outcomes), bound.states, bound)
        for kind, bound in bounds.items()
    }


def _error_bound(counted: Sequence[tuple[int, int]], confidence: float, every_state: bool) -> float:
    if all(among == 1 for _, among in counted):
        return binomial_upper(sum(wrong for wrong, _ in counted), len(counted), confidence)
    mean = sum(wrong / among for wrong, among in counted) / len(counted)
    if not every_state:
        return mean_upper(mean, len(counted), confidence)
    # No state is left out, so what is uncertain are the samples alone: independent, and each in [0, 1] once its weight, which is
    # largest where a state has the fewest, is scaled to 1.
    drawn = sum(among for _, among in counted)
    scale = len(counted) * min(among for _, among in counted) / drawn
    return min(1.0, mean_upper(mean * scale, drawn, confidence) / scale)


def _refuse_repeats(outcomes: Sequence[StateOutcome]) -> None:
    state, times = Counter(outcome.state for outcome in outcomes).most_common(1)[0] if outcomes else (None, 0)
    if times != 1:
        what = f"state {state!r} comes {times} times" if times else "there is no state"
        raise BadInput(f"{what}, but a calibration needs different states, each with all its samples")


def _nothing(outcomes: Sequence[StateOutcome], flags: Mapping[str, int], spent: int) -> str:
    drawn = sum(outcome.drawn for outcome in outcomes)
    reasons = ", ".join(f"{reason}: {count}" for reason, count in flags.items()) or "none"
    return (
        f"no state has the {spent + 1} valid samples that a calibration needs ({drawn} samples of {len(outcomes)} "
        f"states; red flags: {reasons}); look at what the model answers, or draw more samples of each state"
    )


def _total(outcomes: Iterable[StateOutcome]) -> Usage:
    usage = NOTHING
    for outcome in outcomes:
        usage += outcome.usage
    return usage
