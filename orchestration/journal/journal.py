"""The journal: the append-only, durable record of verdicts in Redis, from which every state is derived.

    async with await Journal.acquire(redis, job) as journal:
        await journal.append(record)        # buffered; committed in groups, by count and by time
        await journal.commit()              # durable now

Exactly once: a commit is one compare-and-append, checked against the fencing token and the expected next step, so a step
is recorded once, however many runners crash, retry, or believe that they hold the job.
"""

import asyncio
import builtins
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from redis.asyncio import Redis
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from surefoot.errors import BadInput, SurefootError
from surefoot.orchestration.events import Committed, Counts, Decided, Listen, ignore
from surefoot.orchestration.redis.script import Script
from surefoot.voting.samples import Usage

from . import scripts
from .jobs import Job, Keys, NoSuchJob, load
from .lease import (
    GIVE_BACK_S,
    LEASE_S,
    Cancelled,
    WriteRefused,
    cancelled,
    give_back,
    release,
    take,
    unwritable,
)
from .lease_holder import describe, left, me
from .records import UNPACKED_BYTES, CorruptJournal, Record, canonical, encode, link, verified
from .segments import frames, snapshot
from .snapshots import Snapshot, encode_snapshot, reading, text

COMMIT_STEPS = 500
COMMIT_S = 0.05
COMMIT_BYTES = 1 << 22
"""A commit is made early when its answers come to so much as JSON."""
ANSWER_BYTES = 1 << 22
KEPT_BYTES = 1 << 24
"""Raw samples that a job keeps, compressed.  The last quarter is for the steps drawn at random, which show the usual case."""
COUNTED = 10**12
"""Largest number of tokens or votes that one step may claim: a server that says more is wrong, and sums stay exact."""
CONTESTED_LISTED = 1000
"""Contested steps that are listed by number; the others are found by reading the records."""


class Fenced(WriteRefused):
    """Another runner took the job over; this runner writes no more."""


class WentBack(WriteRefused):
    """The journal stands at an earlier step than was acknowledged: Redis lost its last moments in a crash."""


class Journal:
    """A lease on one job and the right to append to it."""

    def __init__(
        self, redis: Redis, job: Job, holder: str, fence: str, lease_s: float, listen: Listen
    ) -> None:
        self.job = job
        self.listen = listen
        """Whom to tell what becomes of the job."""
        self.step = job.step
        """The next step to decide; those before it are decided, the last of them perhaps not durable yet."""
        self.durable = job.step
        """The steps before this one are durable."""
        self.sealed = job.sealed
        """How many segments are audited and closed."""
        self.committed_at = time.monotonic()
        self.also: Counter[str] = Counter()
        """Further counts for the job's counters, written with the next commit."""
        self.redis = redis
        self._keys = Keys(job.id)
        self._holder = holder
        self._fence = fence
        self._lease_s = lease_s
        self._head = self._durable_head = job.head
        self._buffer: list[Record] = []
        self._kept: list[str | bytes] = []
        self._bytes = 0
        self._kept_bytes = job.counters.get("kept_bytes", 0)
        self._since = self._clock = time.monotonic()
        self._lock = asyncio.Lock()
        self._failure: SurefootError | RedisError | None = None
        self._pulse: asyncio.Task[None] | None = None
        self._owner: asyncio.Task[Any] | None = None
        self._interrupted = False
        self._contested = job.counters.get("contested", 0)
        self.notable = self._contested + sum(job.flags.values())
        """Contested steps and red flags so far."""

    @classmethod
    async def acquire(
        cls,
        redis: Redis,
        job: str,
        *,
        lease_s: float = LEASE_S,
        holder: str | None = None,
        again: bool = False,
        listen: Listen = ignore,
    ) -> Self:
        """Take the lease of a job; `JobHeld` says who has it, `JobDone` that it is done, `Cancelled` that it was cancelled.

        The lease of a runner that died on this machine is taken at once, any other one when it has run out.  `holder` is who
        holds the name of the job already (see `claimed`); `again` takes a cancelled job, too.
        """
        holder = holder or me()
        try:
            fence = await take(redis, job, holder, lease_s, again=again)
            return cls(redis, await load(redis, job), holder, fence, lease_s, listen)
        except (asyncio.CancelledError, SurefootError):
            # Whatever was answered, or was not waited for: the lease may be ours, and there is no journal to give it back.
            left(holder)
            await give_back(redis, job, holder)
            raise

    async def __aenter__(self) -> Self:
        self._owner = asyncio.current_task()
        self._pulse = asyncio.create_task(self._beat())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        refused: WriteRefused | None = None
        interrupted = isinstance(error, asyncio.CancelledError)
        # A runner that gave up waiting for Redis does not wait a second time.
        gone = isinstance(error, ConnectionError | TimeoutError)
        owner, self._owner = self._owner, None
        if self._interrupted and owner is not None:
            owner.uncancel()  # it was ours, and what is raised below says why
        try:
            try:
                if not isinstance(error, WriteRefused | RedisError):
                    # Whatever else ended the run, the steps decided so far are worth keeping.  The pulse beats on until then: cut
                    # off in the middle of a commit, it would take its steps along.
                    async with asyncio.timeout(GIVE_BACK_S if interrupted else None):
                        await self.commit()
            except WriteRefused as reason:
                refused = reason
            except builtins.TimeoutError:
                gone = True
            finally:
                await self._stop_pulse()
            if interrupted and not gone:
                await give_back(self.redis, self.job.id, self._holder)
            elif not gone:
                await release(self.redis, self.job.id, self._holder)
        except asyncio.CancelledError:
            await give_back(self.redis, self.job.id, self._holder)
            raise
        finally:
            left(self._holder)  # what Redis could not be told this process knows
        if refused is not None:
            raise refused

    async def append(self, record: Record, kept: bytes | None = None) -> None:
        """Add the next decided step; `kept` is the JSON of its raw samples, if they are worth keeping.

        Returns before the record is durable unless the group is full.  Raises what went wrong with an earlier commit.
        """
        if self._failure is not None:
            raise self._failure
        if record.step != self.step:
            raise CorruptJournal(f"step {record.step} was decided, but step {self.step} comes next")
        if not _countable(record):
            raise _uncountable(record)
        answer = canonical(record.answer)
        if len(answer) > ANSWER_BYTES:
            raise BadInput(
                f"step {record.step} cannot be recorded: its answer takes {len(answer):,} bytes as JSON, {ANSWER_BYTES:,} at most"
            )
        if not self._buffer:
            self._since = time.monotonic()
        self._buffer.append(record)
        self._head = link(self._head, answer)
        self._bytes += len(answer) * (1 + len(record.others))
        self.step += 1
        against = record.against
        if against or record.flags:
            self.notable += bool(against) + sum(record.flags.values())
        if kept is not None:
            self._keep(record, kept)
        if self.listen is not ignore:  # an event takes as long to make as a hash: a hundredth of a step
            self.listen(
                Decided(
                    step=record.step,
                    answer=record.answer,
                    votes=record.votes,
                    dissent=against,
                    flags=record.flags,
                )
            )
        # The pulse has no turn while a model that answers at once never lets go of the event loop, nor has a cancellation.
        late = time.monotonic() - self._since > 2 * COMMIT_S
        full = len(self._buffer) >= COMMIT_STEPS or self._bytes >= COMMIT_BYTES
        if late or full or self.step % self.job.settings.segment == 0:
            await self.commit()

    async def commit(self) -> None:
        """Make everything appended so far durable, as one frame.  Raises what went wrong with an earlier commit."""
        async with self._lock:
            if self._failure is not None:
                raise self._failure
            if not self._buffer:
                return
            records, kept, head = self._buffer, self._kept, self._head
            also, clock = self.also, self._clock
            self._buffer, self._kept, self.also, self._bytes = [], [], Counter(), 0
            counters = self._counters(records, also)
            try:
                contested = await self._commit(records, kept, head, counters)
            except asyncio.CancelledError:
                # Whether it arrived is unknown.  Sent once more as it is, it counts once.
                self._buffer, self._kept = records + self._buffer, kept + self._kept
                self.also, self._clock = also + self.also, clock
                raise
            self._contested += contested
            self._durable_head = head
            self.durable = records[-1].step + 1
            self.committed_at = time.monotonic()
            self.listen(Committed(step=self.durable, counts=Counts.of(counters)))

    async def _commit(
        self, records: list[Record], kept: list[str | bytes], head: str, counters: Mapping[str, int]
    ) -> int:
        """Append one frame, and return how many contested steps were listed."""
        pairs = [item for name, count in counters.items() for item in (f"n:{name}", count)]
        contested = [record.step for record in records if record.others]
        contested = contested[: max(0, CONTESTED_LISTED - self._contested)]
        first, after = records[0].step, records[-1].step + 1
        frame = encode(records, self._durable_head, head)
        await self._call(
            scripts.APPEND,
            [self._keys.log(first // self.job.settings.segment), self._keys.kept, self._keys.contested],
            [
                *(self._holder, int(self._lease_s * 1000), first, after),
                *(self._durable_head, head, frame, f"{time.time():.3f}"),
                *(len(counters), *pairs, len(contested), *contested, *kept),
            ],
        )
        return len(contested)

    async def seal(self, segment: int, end: Snapshot) -> None:
        """Close an audited segment with the snapshot of its end."""
        await self._call(
            scripts.SEAL, [self._keys.segments], [*self._stands(), segment, encode_snapshot(end)]
        )
        self.sealed = segment + 1

    async def rewind(self, to: Snapshot) -> None:
        """Take back everything after `to`, the end of the last sealed segment, so that it is decided again."""
        last = self.step // self.job.settings.segment
        logs = [self._keys.log(segment) for segment in range(self.sealed, last + 1)]
        await self._call(
            scripts.REWIND,
            [self._keys.kept, *logs],
            [*self._stands(), to.step, to.head],
        )
        self._stand_at(to.step, to.head)

    async def settle(self, status: str, **fields: str) -> None:
        """Write down how the job stands now that its run has ended."""
        pairs = [item for pair in {"status": status, **fields}.items() for item in pair]
        await self._call(scripts.SETTLE, [], [*self._stands(), *pairs])

    async def tail(self) -> tuple[Snapshot, list[Record]]:
        """Read where the job really stands: the last sealed segment, and the verified records after it.

        Also what a runner does when a commit raised `WentBack`: it continues from there.
        """
        self._fence = await take(self.redis, self.job.id, self._holder, self._lease_s)
        job = self.job = await load(self.redis, self.job.id)
        self._kept_bytes = job.counters.get("kept_bytes", 0)
        sealed = await snapshot(self.redis, job, job.sealed - 1)
        found = []
        for segment in range(job.sealed, -(-job.step // job.settings.segment)):
            found += await frames(self.redis, job, segment)
        records = verified(found, sealed.head, sealed.step, f"job {job.id!r}")
        head = found[-1][0].after if found else sealed.head
        if (sealed.step + len(records), head) != (job.step, job.head):
            raise CorruptJournal(
                f"job {job.id!r}: {job.step} steps are said to be decided, the records end at step "
                f"{sealed.step + len(records)}"
            )
        self.sealed = job.sealed
        self._stand_at(job.step, job.head)
        return sealed, records

    def _stands(self) -> tuple[int, str]:
        return self.durable, self._durable_head

    def _stand_at(self, step: int, head: str) -> None:
        self.step = self.durable = step
        self._head = self._durable_head = head
        self._buffer, self._kept, self._bytes, self._failure = [], [], 0, None

    def _keep(self, record: Record, samples: bytes) -> None:
        """Keep a step's samples, compressed, as long as the job has room for them."""
        packed = zlib.compress(samples, 1)
        notable = record.others or record.flags
        room = KEPT_BYTES - KEPT_BYTES // 4 if notable else KEPT_BYTES
        if self._kept_bytes + len(packed) <= room and len(samples) <= UNPACKED_BYTES:
            self._kept_bytes += len(packed)
            self.also["kept_bytes"] += len(packed)
            self._kept += (str(record.step), packed)

    def _counters(self, records: Sequence[Record], also: Mapping[str, int]) -> dict[str, int]:
        """Sum up what one commit adds to the job's counters."""
        usage = Usage.of_all([record.usage for record in records])
        count = Counter(usage._asdict())
        against = sum(record.against for record in records)
        count["votes"] = against + sum(record.votes for record in records)
        count["dissent"] = against
        count["contested"] = sum(bool(record.others) for record in records)
        for record in records:
            for reason, flagged in record.flags.items():
                count[f"flag:{reason}"] += flagged
        count.update(also)
        now = time.monotonic()
        count["wall_ms"] = round((now - self._clock) * 1000)
        self._clock = now
        return +count

    async def _stop_pulse(self) -> None:
        if self._pulse is not None:
            self._pulse.cancel()
            await asyncio.gather(self._pulse, return_exceptions=True)

    async def _beat(self) -> None:
        """Commit by time and keep the lease while steps are slow."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(COMMIT_S)
            if self._failure is not None:
                continue
            try:
                if self._buffer and time.monotonic() - self._since >= COMMIT_S:
                    await self.commit()
                elif time.monotonic() - max(renewed, self.committed_at) > self._lease_s / 3:
                    await self._call(scripts.RENEW, [], [self._holder, int(self._lease_s * 1000)])
                    renewed = time.monotonic()
            except (SurefootError, RedisError) as error:
                self._failure = error
                if isinstance(error, Fenced | Cancelled) and self._owner is not None:
                    # Nothing more will be written, so waiting, and paying, for a model must stop.
                    self._interrupted = True
                    self._owner.cancel()

    async def _call(self, script: Script, keys: list[str], args: list[Any]) -> None:
        own = [self._keys.meta, self._keys.lease]
        answer = await script.run(self.redis.execute_command, [*own, *keys], [self._fence, *args])
        verdict = answer[0]
        if verdict == b"ok":
            return
        if verdict == b"missing":
            raise NoSuchJob(
                f"job {self.job.id!r} has vanished: this Redis kept nothing over a restart or a fail-over; switch its persistence on"
            )
        if verdict == b"cancelled":
            raise Cancelled(cancelled(self.job.id))
        if verdict in (b"number", b"type", b"damaged"):
            raise unwritable(self.job.id, *answer)
        with reading(f"job {self.job.id!r}: its lease"):
            newer = verdict == b"fenced" and _count(text(answer[1])) >= _count(self._fence)
            holder = describe(text(answer[2])) if newer and answer[2] else "another runner"
        if newer:
            raise Fenced(f"job {self.job.id!r} was taken over by {holder}; this runner stops")
        raise WentBack(f"job {self.job.id!r}: Redis came back without its last moments; resume the job")


def _countable(record: Record) -> bool:
    numbers = (*record.usage, record.votes, *record.flags.values(), *[votes for _, votes in record.others])
    return all(type(number) is int and 0 <= number <= COUNTED for number in numbers)


def _uncountable(record: Record) -> BadInput:
    """Say which number of a record it is."""
    named = {**record.usage._asdict(), "votes": record.votes, **record.flags}
    named |= {f"votes for {answer!r}": votes for answer, votes in record.others}
    name, number = next(
        (name, number)
        for name, number in named.items()
        if type(number) is not int or not 0 <= number <= COUNTED
    )
    return BadInput(
        f"step {record.step} cannot be recorded: {name} is {number!r}, not a whole number from 0 to {COUNTED}; "
        "what was decided before is safe"
    )


def _count(fence: str) -> int:
    """Return how many takings a fencing token counts; a smaller one than ours means that Redis went back."""
    return int(fence.partition("-")[0] or 0)
