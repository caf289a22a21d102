"""What the records of a segment add up to: what a dashboard shows of many steps, without sending one of them.

Sealed segments stay as they are, so each is read once.  A job that is opened shows its latest segments, one more read at a time, and on demand
its whole course from a few segments spread over it: no more is read of a million steps than of ten thousand.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from surefoot.orchestration.journal.jobs import Job
from surefoot.orchestration.journal.records import Frame
from surefoot.orchestration.journal.segments import frames
from surefoot.orchestration.record import Record
from surefoot.voting.samples import NOTHING, Usage

LATEST = 20
"""The latest segments of a job are added up, so many."""
AT_ONCE = 5
"""Segments of a running job that are read when it is opened; then one at a time."""
SPREAD = 64
"""Segments that stand for the whole course of a job."""
LATEST_STEPS, SPREAD_STEPS = 20_000, 64_000
"""Fewer segments are read where they are long: steps come to no more than this, or one segment."""
LONGEST = 20_000
"""Steps of a segment; a job with longer ones is shown without what its records say."""
REMEMBERED = 4_096
"""Segments whose figures are kept, over all jobs: about 1 kB each."""
NOTABLE = 5
"""Contested, flagged or climbed steps that are named, of each segment the latest."""
NAMED = 20
"""The same of several segments together."""
WIDEST = 50
"""Margins and dissents from here on are counted as one."""


class NotableStep(NamedTuple):
    """A step that was not unanimous."""

    step: int
    votes: int
    against: int
    flags: Mapping[str, int]
    rungs: tuple[str, ...]


class SegmentFigures(NamedTuple):
    """What some steps add up to."""

    first: int
    steps: int
    voted: int = 0
    """Steps that votes have decided; the others the world, a ladder or an earlier verdict."""
    votes: int = 0
    against: int = 0
    """Votes against the winner of their step."""
    contested: int = 0
    flags: Mapping[str, int] = {}
    margins: Mapping[int, int] = {}
    """Voted steps by the winner's lead over the next ballot."""
    dissents: Mapping[int, int] = {}
    """Voted steps by the votes against their winner."""
    usage: Usage = NOTHING
    notable: tuple[NotableStep, ...] = ()
    """The latest, in order."""

    @classmethod
    def of(cls, first: int, records: Iterable[Record]) -> "SegmentFigures":
        """Add up records."""
        steps = voted = votes = against = contested = 0
        flags, margins, dissents = Counter[str](), Counter[int](), Counter[int]()
        usages: list[Usage] = []
        notable: list[NotableStep] = []
        for record in records:
            steps += 1
            usages.append(record.usage)
            if record.votes:
                voted += 1
                votes += record.votes + record.against
                lead = record.votes - max((count for _, count in record.others), default=0)
                margins[min(lead, WIDEST)] += 1
                dissents[min(record.against, WIDEST)] += 1
            if record.others:
                against += record.against
                contested += 1
            if record.flags:
                flags.update(record.flags)
            if record.others or record.flags or record.rungs:
                notable.append(_notable(record))
                del notable[:-NOTABLE]
        return cls(
            first=first,
            steps=steps,
            voted=voted,
            votes=votes,
            against=against,
            contested=contested,
            flags=dict(flags),
            margins=dict(margins),
            dissents=dict(dissents),
            usage=Usage.of_all(usages),
            notable=tuple(notable),
        )


def added(parts: Sequence[SegmentFigures]) -> SegmentFigures:
    """Add up figures of several segments, the latest last."""
    return SegmentFigures(
        first=min((part.first for part in parts), default=0),
        steps=sum(part.steps for part in parts),
        voted=sum(part.voted for part in parts),
        votes=sum(part.votes for part in parts),
        against=sum(part.against for part in parts),
        contested=sum(part.contested for part in parts),
        flags=sum((Counter(part.flags) for part in parts), Counter()),
        margins=sum((Counter(part.margins) for part in parts), Counter()),
        dissents=sum((Counter(part.dissents) for part in parts), Counter()),
        usage=Usage.of_all(part.usage for part in parts),
        notable=tuple(each for part in parts for each in part.notable)[-NAMED:],
    )


class Figures:
    """Reads segments, each sealed one once."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._known: OrderedDict[tuple[str, float, int], SegmentFigures] = OrderedDict()

    async def latest(self, job: Job, shown: "LatestSteps") -> SegmentFigures | None:
        """Return what the latest segments of a job add up to, as far as they are read; a few more are on the way.

        None if its segments are too long to be read.  Raises `CorruptJournal` for one that is damaged, or is just being taken back.
        """
        if job.settings.segment > LONGEST:
            return None
        whole = whole_segments(job)
        most = max(1, min(LATEST, LATEST_STEPS // job.settings.segment))
        wanted = range(max(0, whole - most), whole)
        unread = [segment for segment in reversed(wanted) if self._key(job, segment) not in self._known]
        # A runner is not to wait for a machine that reads; a job that nobody runs is shown at once.
        may = (AT_ONCE if not shown.looked else 1) if job.holder else LATEST
        for segment in unread[:may]:
            await self.segment(job, segment)
        if job.step > whole * job.settings.segment and job.step != shown.step and not unread[may:]:
            shown.open, shown.step = await self.segment(job, whole), job.step
        elif job.step == whole * job.settings.segment:
            shown.open = None
        shown.looked = True
        known = [self._known[key] for segment in wanted if (key := self._key(job, segment)) in self._known]
        if shown.open is not None and shown.open.first == whole * job.settings.segment:
            known.append(shown.open)
        return added(known)

    async def spread(self, job: Job) -> list[SegmentFigures] | None:
        """Return the figures of up to `SPREAD` segments, evenly over the job; None if its segments are too long to be read.

        Every segment, every second, fourth, eighth one: while a job goes on, those that were read stay among them.
        """
        if job.settings.segment > LONGEST:
            return None
        count = -(-job.step // job.settings.segment)
        most = max(1, min(SPREAD, SPREAD_STEPS // job.settings.segment))
        every = 1
        while count > most * every:
            every *= 2
        return [await self.segment(job, segment) for segment in range(0, count, every)]

    async def segment(self, job: Job, segment: int) -> SegmentFigures:
        """Return the figures of one segment."""
        key = self._key(job, segment)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        found = await frames(self._redis, job, segment)
        # In a thread: others are answered while it is read.
        figures = await asyncio.to_thread(SegmentFigures.of, segment * job.settings.segment, _records(found))
        if segment < whole_segments(job):
            self._known[key] = figures
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return figures

    @staticmethod
    def _key(job: Job, segment: int) -> tuple[str, float, int]:
        return job.id, job.created, segment  # a job that was deleted may have given its name to another one


class LatestSteps:
    """What was read of the latest steps of a job that is open in a browser."""

    def __init__(self) -> None:
        self.looked = False
        self.step = -1
        """How far the open segment was read."""
        self.open: SegmentFigures | None = None
        """The segment that is not sealed yet."""


def whole_segments(job: Job) -> int:
    """Return how many segments of a job are sealed for good: the last one is sealed short, and may be opened again."""
    return min(job.sealed, job.step // job.settings.segment)


def _records(found: Iterator[tuple[Frame, list[Record]]]) -> Iterator[Record]:
    for _, part in found:
        yield from part


def _notable(record: Record) -> NotableStep:
    return NotableStep(
        record.step,
        record.votes,
        record.against,
        dict(record.flags),
        tuple(each.rung for each in record.rungs),
    )
