"""What a commit will write: the steps since the last one, in the form in which they are sent."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self

from surefoot.orchestration.record import Record, RungTally
from surefoot.orchestration.rungs import BACKTRACK, PERSON
from surefoot.voting.samples import Usage


@dataclass(slots=True)
class Group:
    """Steps that wait for the next commit, as the frame will hold them: records are let go at once.

    Whatever lives until then is looked at by Python's garbage collector again and again.  Texts and tuples of numbers it forgets.
    """

    rows: list[bytes] = field(default_factory=list)
    kept: list[str | bytes] = field(default_factory=list)
    """Step and samples in turn, as the journal's script takes them."""
    contested: list[str] = field(default_factory=list)
    """Steps that are listed by number: those on which ballots differed, and those that climbed."""
    flags: Counter[str] = field(default_factory=Counter)
    size: int = 0
    """Bytes of the rows."""
    rungs: Counter[str] = field(default_factory=Counter)
    """What ladders have done, by the names of the job's counters."""
    reused: int = 0
    """Steps that have taken the verdict of an earlier one."""
    _sums: list[tuple[int, ...]] = field(default_factory=list)
    """Votes for and against the winner and the usage, a step each."""

    def add(self, record: Record, row: bytes) -> None:
        """Add a step that was written as this row."""
        step, _, votes, others, flags, usage, rungs, reused = record
        self.rows.append(row)
        self.size += len(row)
        self._sums.append((votes, record.against if others else 0, *usage))
        if others or rungs:
            self.contested.append(str(step))
        if flags:
            self.flags.update(flags)
        if reused is not None:
            self.reused += 1
        if rungs:
            # Those two were counted when the step was given up for the time being.
            self.rungs.update(rung_counts(each for each in rungs if each.rung not in (BACKTRACK, PERSON)))
            self.rungs[f"rung:{rungs[-1].rung}:decided"] += 1

    def counters(self) -> Counter[str]:
        """Sum up what the steps add to the job's counters."""
        votes, against, *usage = map(sum, zip(*self._sums, strict=True))
        count = Counter(dict(zip(Usage._fields, usage, strict=True)))
        count["votes"] = votes + against
        count["dissent"] = against
        count["contested"] = sum(against > 0 for _, against, *_ in self._sums)
        count["reused"] = self.reused
        count.update(self.rungs)
        for reason, flagged in self.flags.items():
            count[f"flag:{reason}"] = flagged
        return count

    def followed_by(self, later: Self) -> Self:
        """Return the two groups as one."""
        return replace(
            self,
            rows=self.rows + later.rows,
            kept=self.kept + later.kept,
            contested=self.contested + later.contested,
            flags=self.flags + later.flags,
            size=self.size + later.size,
            rungs=self.rungs + later.rungs,
            reused=self.reused + later.reused,
            _sums=self._sums + later._sums,
        )


def rung_counts(rungs: Iterable[RungTally]) -> Counter[str]:
    """Return what the job's counters have of a climb: the rungs that were climbed, and the samples that each took."""
    count: Counter[str] = Counter()
    for rung, samples, _ in rungs:
        count[f"rung:{rung}:climbed"] += 1
        count[f"rung:{rung}:samples"] += samples
    return +count
