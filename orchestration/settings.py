"""How a job is done, given once: `run`, `plan`, the command line and the journal all take these settings."""

from dataclasses import dataclass
from typing import Literal

from surefoot.errors import BadInput
from surefoot.models.base import Sampling
from surefoot.typed_input import check_fields
from surefoot.voting.choice import HARDEST

from .rungs import Ladder

MOST_ERRORS = 0.4
"""The largest share of wrong ballots that a risk budget reckons with: beyond it a step takes dozens of votes, and leads are long to find."""
MOST_SAMPLES = 100_000
"""The largest limit: the samples that could decide a step are asked for at once, and have to fit into memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a job is done; fixed when the job begins.  Raises `BadInput` for what cannot be.

    Settings()                      a calibration finds the k that supports the usual reliability
    Settings(reliability=0.999)     or another one
    Settings(rule="budget")         the risk is spent step by step, on leads by kind of step and by dissent
    Settings(k=3)                   nothing is calibrated
    """

    reliability: float = 0.99
    """Wanted chance that every step is right."""
    k: int | None = None
    """Lead that decides an election; None lets it follow from `reliability`, by calibration."""
    rule: Literal["lead", "budget"] = "lead"
    """What decides: one lead for all steps, or a risk budget, which needs a calibration."""
    hardest: float = HARDEST
    """Largest share of wrong ballots that a risk budget reckons with on any step; 0 takes the steps of a kind to be alike."""
    states: int = 500
    """Different states that are calibrated on."""
    limit: int = 100
    """Samples that one step may use before it stalls."""
    spare: int = 0
    """Samples asked for beyond the fewest that could decide."""
    segment: int = 1000
    """Steps between two audits."""
    seed: int = 0
    """Seed of the job's random choices."""
    sampling: Sampling | None = None
    """Temperatures and token limit; None for the task's own.  The limit is never higher than the task's flags let pass."""
    ladder: Ladder | None = None
    """What a step climbs that its election leaves undecided; None: the job stalls there."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 < self.reliability < 1:
            raise BadInput(
                f"a reliability is a probability between 0 and 1, both excluded, not {self.reliability!r}"
            )
        if self.k is not None and self.k < 1:
            raise BadInput(f"k, the lead that decides an election, must be at least 1, not {self.k!r}")
        if not 0 <= self.hardest <= MOST_ERRORS:
            raise BadInput(
                f"hardest is a share of wrong ballots from 0 to {MOST_ERRORS}, not {self.hardest!r}"
            )
        if self.rule != "budget" and self.hardest != HARDEST:
            raise BadInput(f"hardest is a risk budget's: give it with the rule 'budget', not {self.rule!r}")
        if self.states < 1:
            raise BadInput(f"a calibration needs at least one state, not {self.states!r}")
        for what, least in (("limit", self.k or 1), ("spare", 0), ("segment", 1)):
            if getattr(self, what) < least:
                raise BadInput(f"{what} must be at least {least}, not {getattr(self, what)!r}")
        if self.limit > MOST_SAMPLES:
            raise BadInput(f"limit must be at most {MOST_SAMPLES:,} samples of a step, not {self.limit!r}")


USUAL = Settings()
