"""What happens in a run, as it happens: typed events for whoever listens.

    Calibrating ...             a new job is calibrated, unless k is given
    Began                       the job is taken; the counters begin where it stands
      SegmentBegan
        Climbed ...             a step that its election leaves undecided took a rung of the ladder
        StepDecided ...         an election has decided, or a ladder, or an earlier step that asked the same
        Committed               the steps so far are durable, and counted
      AuditBegan
      Audited                   the segment is sealed, or has a fault, and then it is
      Repaired                  taken back, to be decided again with a larger k
    Undecided                   a step stalled, and the run ends
    Asking                      a person has to decide, and the run ends until then
    Ended                       always the last, with the report or the error

    Waiting, Back               at any time: Redis or the model's server is gone, or a person has suspended the job; and it goes on again
    GoneBack                    at any time: Redis lost its last moments; some steps are decided again
    Noted                       at any time: what a person should know
    StitchedStands              now and then, of a job in parts: how it stands, all workers together

Displays, metrics and dashboards only listen.  A listener is called in the run's event loop, and the run goes on when it returns.
It cannot end the run: when it raises, asyncio's exception handler is told, and the listener hears nothing more.
One listener may hear several runs, as of the parts that a worker does at once: `current_run` keeps their events apart.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, Literal, Self

from surefoot.errors import BadInput, SurefootError
from surefoot.voting.samples import Usage

from .record import Record
from .report import Report

SPECULATION_COUNTERS = (
    "ahead",
    "accepted",
    "rejected",
    "wasted_samples",
    "wasted_tokens",
    "wasted_uncounted",
    "depth",
    "decisions",
    "draft_tokens",
    "draft_uncounted",
)
"""What speculation counts (see `Ledger.counts`), by the names under which a job's counters have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    def covering(self, earlier: Self) -> Self:
        """Return an event of this kind that stands for an earlier one, too; what is counted is summed up."""
        return self


Listen = Callable[[Event], None]
"""The seam: called with every event, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a job has used and met.  Steps that are decided again, as after a repair, count again, as in the report."""

    votes: int
    dissent: int
    """Votes against the winner of their step."""
    contested: int
    """Steps on which ballots differed."""
    flags: Mapping[str, int]
    """Red flags: samples thrown away, by reason."""
    ahead: Mapping[str, int]
    """What speculation has done: see `Ledger.counts`."""
    usage: Usage
    rungs: Mapping[str, int] = field(default_factory=dict)
    """What a ladder has done: `RUNG:climbed`, `RUNG:decided` and `RUNG:samples`."""
    reused: int = 0
    """Steps that have taken the verdict of an earlier one; none of the votes are theirs."""

    @classmethod
    def of(cls, counters: Mapping[str, int]) -> Self:
        """Return what a job's counters say, by the names under which the journal has them."""
        return cls(
            votes=counters.get("votes", 0),
            dissent=counters.get("dissent", 0),
            contested=counters.get("contested", 0),
            flags={name[5:]: count for name, count in counters.items() if name.startswith("flag:")},
            ahead={name: counters[name] for name in SPECULATION_COUNTERS if name in counters},
            usage=Usage(*(counters.get(name, 0) for name in Usage._fields)),
            rungs={name[5:]: count for name, count in counters.items() if name.startswith("rung:")},
            reused=counters.get("reused", 0),
        )

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            votes=self.votes + other.votes,
            dissent=self.dissent + other.dissent,
            contested=self.contested + other.contested,
            flags=Counter(self.flags) + Counter(other.flags),
            ahead=Counter(self.ahead) + Counter(other.ahead),
            usage=self.usage + other.usage,
            rungs=Counter(self.rungs) + Counter(other.rungs),
            reused=self.reused + other.reused,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrating(Event):
    """So many states of the task have been asked about."""

    task: str
    asked: int
    states: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Began(Event):
    """A runner has taken the job; the counters are those of its journal, earlier runners included."""

    job: str
    task: str
    step: int
    """The next step to decide."""
    steps: int | None
    k: int
    counts: Counts
    """Those of earlier runners."""
    repairs: int
    risk: float | None
    """Predicted chance of at least one wrong step in the whole job; None if nothing was calibrated."""
    error_bound: float | None = None
    """Upper bound of the share of wrong ballots, as calibrated; None if nothing was."""
    model: str = ""
    """What reports call the model that is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentBegan(Event):
    """The steps of a segment are decided from here on, by first-to-ahead-by-k."""

    segment: int
    k: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDecided(Event):
    """An election has decided a step.  It is durable, and counted, at the next `Committed`."""

    record: Record
    """As the journal has it.  One field, since every step makes such an event: five take three times as long."""

    @property
    def step(self) -> int:
        """Which."""
        return self.record.step

    @property
    def answer(self) -> Any:
        """The winner, a plain value."""
        return self.record.answer

    @property
    def votes(self) -> int:
        """Ballots for it."""
        return self.record.votes

    @property
    def dissent(self) -> int:
        """Ballots against it."""
        return self.record.against

    @property
    def flags(self) -> Mapping[str, int]:
        """Red flags: samples thrown away, by reason."""
        return self.record.flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed(Event):
    """The steps before `step` are durable.  The journal was added these counts, with which its report will be made."""

    step: int
    counts: Counts

    def covering(self, earlier: Self) -> Self:
        """Return the later commit, with the counts of both."""
        return replace(self, counts=earlier.counts + self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditBegan(Event):
    """A segment is read back and checked from outside the model."""

    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited(Event):
    """A segment is sealed, or has a fault."""

    segment: int
    fault: str = ""
    """What was found, with its step; "" if nothing was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired(Event):
    """A segment was taken back; the next step to decide is its first one."""

    segment: int
    step: int
    times: int = 1

    def covering(self, earlier: Self) -> Self:
        """Return the later one, with the times of both."""
        return replace(self, times=earlier.times + self.times)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneBack(Event):
    """Redis lost its last moments; the next step to decide is one that was decided before."""

    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Climbed(Event):
    """A step that its own election left undecided has taken a rung of the ladder."""

    step: int
    rung: str
    """By the name under which the journal has it: `votes`, `views`, `model`, ..."""
    decided: bool
    """Whether this rung has decided it; if not, the next one is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided(Event):
    """A step stalled: it used up its samples, or its ballots were too divided, and no ballot led by k.  The run ends."""

    step: int
    tally: Mapping[str, int]
    """Votes for every candidate, written for a person."""
    flags: Mapping[str, int]
    examples: tuple[str, ...]
    """The last few samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking(Event):
    """The world cannot be touched, or nobody knows whether it was, before a person decides.  The run ends."""

    step: int
    question: str
    choices: tuple[str, ...]
    """What may be answered; empty if anything may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Event):
    """Something is waited for; said again at every try."""

    on: Literal["redis", "model", "person"]
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Back(Event):
    """It answers again, or lets the job go on."""

    on: Literal["redis", "model", "person"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """What a person should know, in one sentence."""

    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchedStands(Event):
    """How a stitched job stands, all workers together: its parts in sum, as their journals have them."""

    job: str
    task: str
    parts: int
    done: int
    """Parts that are done."""
    step: int
    """Steps that are durable."""
    steps: int
    k: int
    counts: Counts
    repairs: int
    risk: float | None
    """Predicted chance of at least one wrong step in the whole job; None if nothing was calibrated."""
    error_bound: float | None = None
    """Upper bound of the share of wrong ballots, as calibrated; None if nothing was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed(Event):
    """The reader of `surefoot.events` was too slow: so many events are not told one by one.

    What follows stands for them: of each kind the latest, which covers the earlier ones.
    """

    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Event):
    """The run is over; always the last event."""

    report: Report | None = None
    """None if it ended in an error."""
    error: BaseException | None = None
    """What `run` raises; a cancellation, too."""


def ignore(event: Event) -> None:
    """Listen to nothing."""


def shielded(listen: Listen | None) -> Listen:
    """Return a listener that never raises: it passes events on until `listen` raises."""
    if listen is None:
        return ignore
    if iscoroutinefunction(listen):
        raise BadInput("on_event is called and never awaited: give a plain function, not an async one")
    hears = listen

    def told(event: Event) -> None:
        nonlocal hears
        try:
            hears(event)
        except Exception as failure:
            hears = ignore
            message = f"a listener raised at {type(event).__name__}, and hears nothing more of this run"
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": failure})

    return told


def current_run() -> object | None:
    """Return what stands for the run whose event a listener is hearing, one object for all of its events; None for what is told of no run."""
    return _CURRENT.get()


class Emitter:
    """One run's events on their way to who listens; leaving the block tells of its end.

    An error is named after the job: nobody may have seen a name that was made up for it.
    """

    def __init__(self, listen: Listen | None) -> None:
        self.emit = shielded(listen)
        self.job = ""
        """The job, once it is taken."""
        self.report: Report | None = None
        """What the run returns."""
        self._around: Emitter | None = None
        """That of the run in which this one was begun, as by a task that runs jobs of its own."""

    async def __aenter__(self) -> Self:
        # What the run starts, such as the journal's pulse, inherits it.
        self._around = _CURRENT.get()
        _CURRENT.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, SurefootError):
            error.job = self.job
        elif isinstance(error, Exception) and self.job:
            error.add_note(
                f"It ended job {self.job!r}; what was decided is safe, and resuming the job goes on."
            )
        self.emit(Ended(report=None if error else self.report, error=error))
        _CURRENT.set(self._around)


_CURRENT: ContextVar[Emitter | None] = ContextVar("surefoot_current_run", default=None)
