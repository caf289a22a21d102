"""What a job is fixed with when it is created, and how the journal writes that down."""

from dataclasses import astuple, fields, replace
from typing import NamedTuple

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from surefoot.models.base import Sampling
from surefoot.orchestration.rungs import Ladder
from surefoot.orchestration.settings import Settings
from surefoot.voting.risk_budget import RiskBudget

from .records import SCHEMA


class Calibrated(NamedTuple):
    """What the calibration found that k was chosen by."""

    error: float
    """Upper bound of the share of wrong ballots."""
    risk: float | None
    """Predicted chance of at least one wrong step in the whole job."""
    calibration: tuple[int, int | None, float] | None = None
    """Samples, tokens and seconds that it took before the first step."""
    hard: tuple[int, int, float, bool, tuple[str, ...]] | None = None
    """What it met of hard states: how many of how many judged ones, the upper bound of their share, whether the right answers
    were known, and a few of the states; None if no step is left out of the risk."""


class Fixed(NamedTuple):
    """What a job is fixed with when it is created."""

    settings: Settings
    """Those of the user, with k decided."""
    model: str
    calibrated: Calibrated | None = None
    """None if k was given."""
    budget: RiskBudget | None = None
    """What decides in place of k, which is then the smallest lead that does."""
    risk_bound: float | None = None
    """Bound of the risk that holds however steps differ.  The journal has it beside this text, which older readers know word by word."""
    reuses: bool = False
    """Whether steps may take the verdict of an earlier one that asked the same: whether the task `Reuses`."""

    @property
    def schema(self) -> int:
        """The version of the journal: an older reader, which would decide otherwise, is to refuse a job with a budget, a ladder or a memo."""
        if self.reuses:
            return SCHEMA
        return 1 if self.budget is None and self.settings.ladder is None else 2

    @property
    def k(self) -> int:
        """The lead that decides an election."""
        assert self.settings.k is not None
        return self.settings.k

    def written(self) -> bytes:
        """Return the text that the journal keeps."""
        given, found = self.settings, self.calibrated
        budget = {} if self.budget is None else {"budget": self.budget, "hardest": given.hardest}
        return to_json(
            {
                **budget,
                "k": given.k,
                "model": self.model,
                "segment": given.segment,
                "seed": given.seed,
                "reliability": found and given.reliability,
                "error": found and found.error,
                "risk": found and found.risk,
                "calibration": found and found.calibration,
                "hard": found and found.hard,
                "limit": given.limit,
                "spare": given.spare,
                "sampling": given.sampling and astuple(given.sampling),
                **({"ladder": given.ladder.written()} if given.ladder else {}),
                **({"reuses": True} if self.reuses else {}),
            }
        )

    @classmethod
    def read(cls, raw: str) -> "Fixed":
        """Read the text back; `ValueError`, `TypeError`, `KeyError` or `AttributeError` for another one.

        An older journal may lack what came later: then it is as it is by default.
        """
        stored = from_json(raw)
        parts = {"model": stored.pop("model"), "settings": stored}
        if budget := stored.pop("budget", None):
            parts["budget"] = budget
        if "reuses" in stored:
            parts["reuses"] = stored.pop("reuses")
        found = {name: stored.pop(name) for name in Calibrated._fields if name in stored}
        if sampling := stored.pop("sampling", None):
            stored["sampling"] = dict(zip(_SAMPLING, sampling, strict=True))
        if stored.get("reliability") is None:
            stored.pop("reliability", None)
        else:
            parts["calibrated"] = found
        ladder = stored.pop("ladder", None)
        if stored["k"] is None or stored.keys() - _SETTINGS:
            raise ValueError(f"settings {raw!r}")
        if budget:
            stored["rule"] = "budget"
        fixed = _FIXED.validate_json(to_json(parts), strict=True)
        # By its own checks: pydantic cannot tell a `Model` in JSON.
        return (
            fixed
            if ladder is None
            else fixed._replace(settings=replace(fixed.settings, ladder=Ladder.read(ladder)))
        )


_FIXED = TypeAdapter(Fixed)
_SETTINGS, _SAMPLING = ([field.name for field in fields(kind)] for kind in (Settings, Sampling))
