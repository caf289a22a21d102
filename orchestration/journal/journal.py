"""The journal: the append-only, durable record of verdicts in Redis, from which every state is derived.

    async with await Journal.acquire(redis, job) as journal:
        await journal.append(record)        # buffered; committed in groups, by count and by time
        await journal.commit()              # durable now

Exactly once: a commit is one compare-and-append, checked against the fencing token and the expected next step, so a step
is recorded once, however many runners crash, retry, or believe that they hold the job.
"""

import asyncio
import builtins
import secrets
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from pydantic_core import to_json
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from surefoot.agents.tasks.optional import Attempt
from surefoot.errors import SurefootError
from surefoot.orchestration.events import Back, Committed, Counts, Listen, StepDecided, Waiting, ignore
from surefoot.orchestration.record import Record
from surefoot.orchestration.redis.script import Script

from . import scripts
from .group import Group
from .jobs import SUSPENDED, Job, Keys, NoSuchJob, load, standing_still
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
from .records import UNPACKED_BYTES, CorruptJournal, Frame, encode, link, verified, write
from .segments import frames, snapshot
from .snapshots import Snapshot, encode_snapshot, reading, text

COMMIT_STEPS = 500
COMMIT_S = 0.05
COMMIT_BYTES = 1 << 22
"""A commit is made early when its answers come to so much as JSON."""
SUSPENDED_S = 1.0
"""A runner looks so often whether a person has suspended its job, or lets it go on."""
KEPT_BYTES = 1 << 24
"""Raw samples that a job keeps, compressed.  The last quarter is for the steps drawn at random, which show the usual case."""
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
        self.worker = ""
        """The worker whose steps these are, in the job's counters; "" where nobody asks."""
        self.asked: Callable[[], Mapping[str, int]] = dict
        """What the runner's model has asked of its servers since the last call, for the job's counters."""
        self.suspended = job.suspended
        """Whether a person has suspended the job: who runs it stands still before the next step, by `may_go`."""
        self.redis = redis
        self._keys = Keys(job.id)
        self._holder = holder
        self._fence = fence
        self._lease_s = lease_s
        self._head, self._durable_head = bytes.fromhex(job.head), job.head
        self._group = Group()
        self._kept_bytes = job.counters.get("kept_bytes", 0)
        self._since = self._clock = time.monotonic()
        self._lock = asyncio.Lock()
        self._failure: SurefootError | RedisError | None = None
        self._pulse: asyncio.Task[None] | None = None
        self._beats = True
        self._owner: asyncio.Task[Any] | None = None
        self._interrupted = False
        self._released = asyncio.Event()
        """Set whenever it is seen that the job may go on."""
        self._acted = -1
        """The last step at which this runner has begun to act."""
        self._totals = Counter(job.counters)
        """The job's counters as they are in Redis."""
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
                        await self._bill()
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

    @property
    def counters(self) -> Mapping[str, int]:
        """The job's counters as they are in Redis."""
        return self._totals

    @property
    def head(self) -> str:
        """The hash chain's head before the next step."""
        return self._head.hex()

    async def append(self, record: Record, kept: bytes | None = None) -> None:
        """Add the next decided step; `kept` is the JSON of its raw samples, if they are worth keeping.

        Returns before the record is durable unless the group is full.  Raises what went wrong with an earlier commit.
        """
        if self._failure is not None:
            raise self._failure
        if record.step != self.step:
            raise CorruptJournal(f"step {record.step} was decided, but step {self.step} comes next")
        answer, row = write(record)
        group = self._group
        if not group.rows:
            self._since = time.monotonic()
        group.add(record, row)
        self._head = link(self._head, answer)
        self.step += 1
        if record.others or record.flags:
            self.notable += bool(record.others) + sum(record.flags.values())
        if kept is not None:
            self._keep(record, kept)
        if self.listen is not ignore:
            self.listen(StepDecided(record=record))
        # The pulse has no turn while a model that answers at once never lets go of the event loop, nor has a cancellation.
        late = time.monotonic() - self._since > 2 * COMMIT_S
        full = len(group.rows) >= COMMIT_STEPS or group.size >= COMMIT_BYTES
        if late or full or self.step % self.job.settings.segment == 0:
            await self.commit()

    async def may_go(self) -> None:
        """Make everything appended so far durable, and return once the job is not suspended any more."""
        await self.commit()
        self.listen(Waiting(on="person", sentence=standing_still(self.job.id)))
        while self.suspended and self._failure is None:
            self._released.clear()
            await self._released.wait()
        await self.commit()  # nothing is left to commit: it raises what went wrong meanwhile
        self.listen(Back(on="person"))

    async def commit(self) -> None:
        """Make everything appended so far durable, as one frame.  Raises what went wrong with an earlier commit."""
        await self._flush()

    async def _flush(self, token: str = "") -> list[bytes] | None:
        """Commit; with the `token` of an attempt it begins in the same call, whose answer is returned, unless there was nothing to commit."""
        async with self._lock:
            if self._failure is not None:
                raise self._failure
            if not self._group.rows:
                return None
            self.also.update(self.asked())
            group, head, after = self._group, self.head, self.step
            also, clock = self.also, self._clock
            self._group, self.also = Group(), Counter()
            counters = group.counters()
            counters.update(also)
            if self.worker:
                counters[f"by:{self.worker}"] += len(group.rows)
            counters["wall_ms"] += self._lap_ms()
            counters = +counters
            frame = encode(after - len(group.rows), group.rows, self._durable_head, head)
            try:
                answer, contested = await self._commit(group, after, frame, head, counters, token)
            except asyncio.CancelledError:
                # Whether it arrived is unknown.  Sent once more as it is, it counts once.
                self._group = group.followed_by(self._group)
                self.also, self._clock = also + self.also, clock
                raise
            self._totals.update(counters)
            self._contested += contested
            self._durable_head = head
            self.durable = after
            self.committed_at = time.monotonic()
            if self.listen is not ignore:
                self.listen(Committed(step=self.durable, counts=Counts.of(counters)))
            return answer

    async def _commit(
        self, group: Group, after: int, frame: bytes, head: str, counters: Mapping[str, int], token: str
    ) -> tuple[list[bytes], int]:
        """Append one frame, which ends before step `after`; return the answer and how many contested steps were listed."""
        pairs = [item for name, count in counters.items() for item in (f"n:{name}", str(count))]
        contested = group.contested[: max(0, CONTESTED_LISTED - self._contested)]
        first = after - len(group.rows)
        answer = await self._call(
            scripts.APPEND,
            [self._keys.log(first // self.job.settings.segment), self._keys.kept, self._keys.contested],
            [
                *(self._holder, int(self._lease_s * 1000), first, after),
                *(self._durable_head, head, frame, f"{time.time():.3f}", token),
                # Each argument takes redis-py some time, so these are two and not dozens.
                *(to_json(pairs), to_json(contested), *group.kept),
            ],
        )
        return answer, len(contested)

    async def begin(self) -> Attempt:
        """Write down that the world is about to be touched at the next step, and return what is known of attempts before.

        Everything appended so far is made durable in the same call.  What a person has decided is handed out once.
        """
        token = secrets.token_hex(8)  # a reply that is lost is asked for once more
        answer = await self._flush(token)
        if answer is None:
            answer = await self._call(scripts.BEGIN, [], [*self._stands(), token])
        _, again, *word = answer
        # A Redis that went back has forgotten what this runner has done since, but the runner has not.
        known, self._acted = self.step <= self._acted, max(self.step, self._acted)
        return Attempt(self.step, bool(again) or known, text(word[0]) if word else None)

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
            [*self._stands(), to.step, to.head, self.sealed],
        )
        self._stand_at(to.step, to.head)

    async def go_back(self, step: int) -> None:
        """Take back the steps from `step` on, all of the segment that is not sealed, so that they are decided again.

        The job knows from then on that they are: `redo`.
        """
        log = self._keys.log(self.sealed)
        stay, head, rest, cut = 0, "", b"", self.step
        for frame, part in await frames(self.redis, self.job, self.sealed):
            if frame.first >= step:
                break
            if frame.first + frame.steps <= step:
                stay, head = stay + 1, frame.after
                continue
            kept = [write(record) for record in part if record.step < step]
            end = bytes.fromhex(frame.before)
            for answer, _ in kept:
                end = link(end, answer)
            head = end.hex()
            rest = encode(frame.first, [row for _, row in kept], frame.before, head)
        if not head:
            head = (await snapshot(self.redis, self.job, self.sealed - 1)).head
        redo = (step, cut)
        args = [*self._stands(), step, head, stay, rest, to_json(redo)]
        await self._call(scripts.BACK, [self._keys.kept, log], args)
        self.job = self.job._replace(redo=redo)
        self._stand_at(step, head)

    async def settle(self, status: str, **fields: str) -> None:
        """Write down how the job stands now that its run has ended, and what `also` still counts."""
        self.also.update(self.asked())
        await self._write({"status": status, **fields})

    async def _bill(self) -> None:
        """Write down what `also` still counts where the run ends in a way that is not written down: by an error, or cancelled."""
        self.also.update(self.asked())
        if +self.also:
            await self._write({})

    async def _write(self, fields: Mapping[str, str]) -> None:
        also, self.also = self.also, Counter()
        also["wall_ms"] += self._lap_ms()
        self._totals.update(also)
        # As totals, not as increments: sent once more they count once.
        counted = {f"n:{name}": str(self._totals[name]) for name in also}
        pairs = [item for pair in {**fields, **counted}.items() for item in pair]
        await self._call(scripts.SETTLE, [], [*self._stands(), *pairs])

    async def tail(self) -> tuple[Snapshot, list[Record]]:
        """Read where the job really stands: the last sealed segment, and the verified records after it.

        Also what a runner does when a commit raised `WentBack`: it continues from there.
        """
        try:
            self._fence = await take(self.redis, self.job.id, self._holder, self._lease_s)
            job = self.job = await load(self.redis, self.job.id)
        except NoSuchJob:
            raise _vanished(self.job.id) from None
        self._totals = Counter(job.counters)
        self._kept_bytes = job.counters.get("kept_bytes", 0)
        # The last segment of a job is sealed short.  If it turns out not to be the last, as when `steps` of the task has
        # been mended since, it is open again.
        whole = min(job.sealed, job.step // job.settings.segment)
        sealed = await snapshot(self.redis, job, whole - 1)
        found: list[tuple[Frame, list[Record]]] = []
        for segment in range(whole, -(-job.step // job.settings.segment)):
            found += await frames(self.redis, job, segment)
        records = [
            record
            for _, part in verified(found, sealed.head, sealed.step, f"job {job.id!r}")
            for record in part
        ]
        head = found[-1][0].after if found else sealed.head
        if (sealed.step + len(records), head) != (job.step, job.head):
            raise CorruptJournal(
                f"job {job.id!r}: {job.step} steps are said to be decided, the records end at step "
                f"{sealed.step + len(records)}"
            )
        self.sealed = whole
        self._stand_at(job.step, job.head)
        return sealed, records

    def _stands(self) -> tuple[int, str]:
        return self.durable, self._durable_head

    def _stand_at(self, step: int, head: str) -> None:
        self.step = self.durable = step
        self._head, self._durable_head = bytes.fromhex(head), head
        self._group, self._failure = Group(), None

    def _keep(self, record: Record, samples: bytes) -> None:
        """Keep a step's samples, compressed, as long as the job has room for them."""
        packed = zlib.compress(samples, 1)
        notable = record.others or record.flags
        room = KEPT_BYTES - KEPT_BYTES // 4 if notable else KEPT_BYTES
        if self._kept_bytes + len(packed) <= room and len(samples) <= UNPACKED_BYTES:
            self._kept_bytes += len(packed)
            self.also["kept_bytes"] += len(packed)
            self._group.kept += (str(record.step), packed)

    def _lap_ms(self) -> int:
        """Return the milliseconds since this was called last, or since the job was taken."""
        before, self._clock = self._clock, time.monotonic()
        return round((self._clock - before) * 1000)

    async def _stop_pulse(self) -> None:
        if self._pulse is not None:
            # redis-py can lose the cancellation, see `heeding`; then the pulse ends after that call, by itself.
            self._beats = False
            self._pulse.cancel()
            await asyncio.gather(self._pulse, return_exceptions=True)

    async def _beat(self) -> None:
        """Commit by time and keep the lease while steps are slow."""
        renewed = looked = time.monotonic()
        while self._beats:
            await asyncio.sleep(COMMIT_S)
            if self._failure is not None:
                continue
            try:
                if self._group.rows and time.monotonic() - self._since >= COMMIT_S:
                    await self.commit()
                elif time.monotonic() - max(renewed, self.committed_at) > self._lease_s / 3:
                    await self._call(scripts.RENEW, [], [self._holder, int(self._lease_s * 1000)])
                    renewed = time.monotonic()
                if time.monotonic() - looked >= SUSPENDED_S:
                    self.suspended = bool(await self.redis.hexists(self._keys.meta, SUSPENDED))
                    looked = time.monotonic()
                    if not self.suspended:
                        self._released.set()
            except (SurefootError, RedisError) as error:
                self._failure = error
                self._released.set()  # who stands still is to hear of it
                if isinstance(error, Fenced | Cancelled) and self._owner is not None:
                    # Nothing more will be written, so waiting, and paying, for a model must stop.
                    self._interrupted = True
                    self._owner.cancel()

    async def _call(self, script: Script, keys: list[str], args: Sequence[Any]) -> list[bytes]:
        own = [self._keys.meta, self._keys.lease]
        answer: list[bytes] = await script.run(
            self.redis.execute_command, [*own, *keys], [self._fence, *args]
        )
        verdict = answer[0]
        if verdict == b"ok":
            return answer
        if verdict == b"missing":
            raise _vanished(self.job.id)
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


def _vanished(job: str) -> NoSuchJob:
    return NoSuchJob(
        f"job {job!r} has vanished: this Redis kept nothing over a restart or a fail-over; switch its persistence on"
    )


def _count(fence: str) -> int:
    """Return how many takings a fencing token counts; a smaller one than ours means that Redis went back."""
    return int(fence.partition("-")[0] or 0)
