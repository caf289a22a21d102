"""What to do about a reading: say something first, and more than that only if it does not help.

stance = AT_EASE
for reading in readings(turns):
    decision = policy.decide(reading, stance)
    stance = decision.stance
    if isinstance(decision.act, Stop):
        break
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from surefoot.errors import BadInput

from .signals import Pattern, Signal, SignalReading

NUDGES: Mapping[Pattern, str] = {
    "analysis_paralysis": "You have planned for long and done little. Take the most informative single action now.",
    "rogue_actions": "The last failure was followed by several actions at once. Take one action, and wait for its result.",
    "premature_disengagement": "Nothing that you have observed shows that this is the end. Check it with an action first.",
    "loops": "You have done this before, with the same result. Do something that tells you anything new.",
}
"""What an agent is told about each pattern."""


@dataclass(frozen=True, slots=True)
class Nudge:
    """Tell the agent; without a text, what `NUDGES` says of the pattern."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class CutBudget:
    """Nudge, and leave the agent this share of its thinking budget."""

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise BadInput(f"a cut leaves a share from 0 up to below 1, not {self.share!r}")


@dataclass(frozen=True, slots=True)
class ForceToolCall:
    """Nudge, and let the next turn be a tool call."""


@dataclass(frozen=True, slots=True)
class RestartTurn:
    """Nudge, and take the turn back as if it had not been; what was done stays done, so only a turn without actions is."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the run; without a reason, the pattern and its level are given."""

    reason: str = ""


Intervention = Nudge | CutBudget | ForceToolCall | RestartTurn | Stop

LADDER: tuple[Intervention, ...] = (Nudge(), CutBudget(), ForceToolCall(), RestartTurn(), Stop())


class Stance(NamedTuple):
    """What a policy remembers of one run: plain numbers, so that a checkpoint can hold it."""

    rung: int = 0
    """Which intervention would be next."""
    wait: int = 0
    """Readings that the last one is still given to work."""
    calm: int = 0
    """Readings in succession without concern."""
    level: float = 0.0
    """Of the latest reading."""

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Stance":
        """Make it again of its numbers, which is all that a checkpoint may have kept."""
        rung, wait, calm, level = numbers
        return cls(int(rung), int(wait), int(calm), level)


AT_EASE = Stance()


class PolicyDecision(NamedTuple):
    """What to do now, why, and what to hand in with the next reading."""

    act: Intervention | None
    signal: Signal
    """The signal that speaks loudest in this turn, loops included."""
    stance: Stance

    @property
    def said(self) -> str:
        """What to tell the agent, or, for a stop, the person who runs it."""
        if isinstance(self.act, Stop):
            return (
                self.act.reason
                or f"{self.signal.pattern} at level {self.signal.level:.0f} after every intervention"
            )
        return (isinstance(self.act, Nudge) and self.act.text) or NUDGES[self.signal.pattern]


@dataclass(frozen=True, slots=True)
class Policy:
    """Climbs a ladder of interventions, one rung at a time, while the signals stay high.

    It acts at a level of at least `act_at` that is not already falling, then lets `patience` readings pass.  An
    end that is declared too early is acted on at once, for no reading would come after it.  `forgive` readings in succession of at
    most `calm_at` bring it back to the first rung; in between nothing changes, so a level that hovers fires no series.
    """

    ladder: tuple[Intervention, ...] = LADDER
    act_at: float = 6.0
    calm_at: float = 3.0
    patience: int = 2
    forgive: int = 5

    def __post_init__(self) -> None:
        if not self.ladder:
            raise BadInput("a policy needs at least one intervention on its ladder")
        if not 0 <= self.calm_at < self.act_at <= 10:
            raise BadInput(
                f"levels go from 0 to 10 with calm_at below act_at, not {self.calm_at!r} and {self.act_at!r}"
            )
        if self.patience < 0 or self.forgive < 1:
            raise BadInput(
                f"patience is at least 0 and forgive at least 1, not {self.patience!r} and {self.forgive!r}"
            )

    def decide(self, reading: SignalReading, stance: Stance = AT_EASE) -> PolicyDecision:
        """Say what is to be done after this turn, given what was done before."""
        signal = max(reading.signals, key=lambda each: each.level)
        level = signal.level
        calm = stance.calm + 1 if level <= self.calm_at else 0
        rung = stance.rung if calm < self.forgive else 0
        if not self._due(reading, level, stance):
            return PolicyDecision(None, signal, Stance(rung, max(0, stance.wait - 1), calm, level))
        act = self.ladder[min(rung, len(self.ladder) - 1)]
        return PolicyDecision(act, signal, Stance(rung + 1, self.patience, 0, level))

    def _due(self, reading: SignalReading, level: float, stance: Stance) -> bool:
        ended = next(each.level for each in reading.signals if each.pattern == "premature_disengagement")
        stays = level >= self.act_at and level >= stance.level and not stance.wait
        return stays or ended >= self.act_at
