"""What a run looks like from outside, while it runs: plain counters that a display may read at any time.

progress = Progress()
report = await surefoot.run(task, on_event=progress.listen)
"""

import time
from collections import Counter
from dataclasses import dataclass, field

from surefoot.voting.reliability import dissent_risk
from surefoot.voting.samples import NOTHING, Usage

from .events import (
    AuditBegan,
    Back,
    Began,
    Calibrating,
    Committed,
    Counts,
    Event,
    GoneBack,
    Noted,
    Repaired,
    SegmentBegan,
    StepDecided,
    StitchedStands,
    Waiting,
)


@dataclass(slots=True)
class Progress:
    """Counters of one job, those of earlier runners included; nothing but `listen` writes them."""

    job: str = ""
    task: str = ""
    doing: str = "starting"
    """What is going on, in a word or two: `calibrating`, `running`, `auditing`, ..."""
    waiting: str = ""
    """What is being waited for, in a sentence; empty while nothing is."""
    notes: list[str] = field(default_factory=list)
    """What a person should know before the run goes on, in sentences; a display shows each once."""
    step: int = 0
    steps: int | None = None
    first: int = 0
    """The step at which this runner began."""
    stitched: str = ""
    """The stitched job whose counters these are, those of other workers included; "" if it is none."""
    parts: int = 0
    parts_done: int = 0
    k: int = 0
    votes: int = 0
    reused: int = 0
    """Steps that have taken the verdict of an earlier one."""
    contested: int = 0
    dissent: int = 0
    """Votes against the winner of their step."""
    repairs: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    ahead: Counter[str] = field(default_factory=Counter)
    """What speculation has done: see `Ledger.counts`."""
    rungs: Counter[str] = field(default_factory=Counter)
    """What a ladder has done: `RUNG:climbed`, `RUNG:decided` and `RUNG:samples`."""
    usage: Usage = NOTHING
    predicted: float | None = None
    """Chance that the whole job is right, as calibrated; None if nothing was."""
    error_bound: float | None = None
    """Upper bound of the share of wrong ballots, as calibrated; None if nothing was."""
    durable: int = 0
    durable_at: float = field(default_factory=time.monotonic)
    """Monotonic time of the last commit, of a stitched job as far as it was seen."""
    started: float = field(default_factory=time.monotonic)

    def listen(self, event: Event) -> None:
        """Fold an event in."""
        if type(event) is StepDecided:  # nearly every event is one
            self.step = event.record.step + 1
            return
        match event:
            case Committed(step=step, counts=counts):
                self.durable, self.durable_at = step, time.monotonic()
                self._count(counts)
            case Calibrating():
                self.task, self.doing = event.task, "calibrating"
                self.step, self.steps = event.asked, event.states
            case Began():
                self._begin(event)
            case SegmentBegan(k=k):
                self.doing, self.k = "running", k
            case AuditBegan():
                self.doing = "auditing"
            case Repaired(step=step, times=times):
                self.repairs += times
                self.step = step
            case GoneBack(step=step):
                self.step = self.durable = step
            case Waiting(sentence=sentence):
                self.waiting = sentence
            case Back():
                self.waiting = ""
            case Noted(sentence=sentence):
                self.notes.append(sentence)
            case StitchedStands():
                self._stand(event)

    def _stand(self, event: StitchedStands) -> None:
        """Show a stitched job as a whole; the rate is that of all workers since it was first looked at."""
        if self.stitched != event.job:
            self.first, self.step, self.started = event.step, event.step, time.monotonic()
        self.job = self.stitched = event.job
        self.task, self.doing = event.task, "running"
        self.parts, self.parts_done, self.steps, self.k = event.parts, event.done, event.steps, event.k
        if event.step > self.durable:
            self.durable_at = time.monotonic()  # some worker's commit
        # Steps that are decided and not yet durable are on their way into its journals.
        self.step, self.durable = max(self.step, event.step), event.step
        self.repairs, self.error_bound = event.repairs, event.error_bound
        self.predicted = None if event.risk is None else 1 - event.risk
        self.votes, self.dissent, self.contested, self.reused, self.usage = 0, 0, 0, 0, NOTHING
        self.flags, self.ahead, self.rungs = Counter(), Counter(), Counter()
        self._count(event.counts)

    def _begin(self, event: Began) -> None:
        """Show the job from where it stands, and not only this runner; what was noted before stays."""
        fresh = Progress(job=event.job, task=event.task, doing="running", notes=self.notes, k=event.k)
        fresh.first = fresh.step = fresh.durable = event.step
        fresh.steps, fresh.repairs = event.steps, event.repairs
        fresh.predicted = None if event.risk is None else 1 - event.risk
        fresh.error_bound = event.error_bound
        fresh._count(event.counts)
        for name in Progress.__slots__:  # a subclass names none of its own
            setattr(self, name, getattr(fresh, name))

    def _count(self, counts: Counts) -> None:
        self.votes += counts.votes
        self.dissent += counts.dissent
        self.contested += counts.contested
        self.reused += counts.reused
        self.flags.update(counts.flags)
        self.ahead.update(counts.ahead)
        self.rungs.update(counts.rungs)
        self.usage += counts.usage

    @property
    def elapsed_s(self) -> float:
        """Seconds since this runner began."""
        return time.monotonic() - self.started

    @property
    def durable_age_s(self) -> float:
        """Seconds since the last commit."""
        return time.monotonic() - self.durable_at

    @property
    def rate(self) -> float:
        """Steps per second of this runner."""
        return (self.step - self.first) / max(self.elapsed_s, 1e-9)

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at this rate; None while nobody can tell."""
        if self.steps is None or self.step == self.first:
            return None
        return (self.steps - self.step) / self.rate

    @property
    def measured(self) -> float | None:
        """The same chance at the bound that the run's own dissent allows; None while votes tell nothing, as at k = 1."""
        if not self.votes or not self.steps:
            return None
        risk = dissent_risk(self.dissent, self.votes, self.k, self.steps)
        return None if risk is None else 1 - risk

    @property
    def dissent_rate(self) -> float:
        """Share of votes against the winner: what the run itself says about the error per vote."""
        return self.dissent / self.votes if self.votes else 0.0


class ProgressOfSeveral(Progress):
    """Counters of several jobs at once, in sum; it keeps the name that it is given, else it has that of the one that began first."""

    __slots__ = ()

    def listen(self, event: Event) -> None:
        """Fold an event of any of them in."""
        match event:
            case Began() if self.stitched:
                pass  # it is counted already
            case Began() if self.job:
                self.step, self.first = self.step + event.step, self.first + event.step
                self.repairs += event.repairs
                self._count(event.counts)
            case StepDecided():
                self.step += 1
            case Committed(counts=counts):
                self.durable, self.durable_at = self.step, time.monotonic()
                self._count(counts)
            case Repaired(times=times):
                self.repairs += times
            case GoneBack():
                pass
            case _:
                super().listen(event)
