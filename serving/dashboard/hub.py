"""What is in Redis, looked at once for all browsers: jobs, their pace, and the latest steps of those that are open.

    async with open_redis(url) as redis:
        hub = Hub(redis)
        watching = asyncio.create_task(hub.watch())
        async for text in hub.updates(Topic(job="towers-1")):    # or Topic() for the list of jobs
            ...

One look serves any number of browsers, and a slow one misses looks instead of holding up the others.  After a look the hub rests `REST` times as long as
the look has taken the processor, so that looking never takes more than 1 % of one core: with very many jobs it looks less often.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from pydantic_core import to_json
from redis.asyncio import Redis
from redis.exceptions import RedisError

from surefoot.errors import SurefootError
from surefoot.orchestration.deletion import OVER
from surefoot.orchestration.journal import stitched
from surefoot.orchestration.journal.jobs import Job, Keys, UnreadableJob, every, listed, shown_id
from surefoot.orchestration.journal.snapshots import reading
from surefoot.orchestration.journal.stitched import StitchedJob
from surefoot.orchestration.redis.retrying import redis_words
from surefoot.orchestration.workers.listing import ListedJob, Stitched, in_place_of_parts
from surefoot.voting.reliability import Price

from .figures import Figures, LatestSteps
from .pace import JobPace
from .server_pace import ServerPace
from .views import matching, opened, parts_of, row
from .vllm_metrics import VllmServers

LOOK_S = 1.0
"""Between two looks, at least."""
IDLE_S = 5.0
"""The same while no browser is open: the pace of the last minutes is to be there when one is."""
REST = 100.0
WHOLE_S = 60.0
"""Jobs that are over are read again so often: one may have been deleted, or taken up."""
HEARTBEAT_S = 15.0
"""A browser that nothing was sent to hears so often that it is still connected."""
MOST_ROWS = 100
"""Jobs in the list that is kept up to date in browsers, the latest."""
BEAT = b": still here\n\n"


class Topic(NamedTuple):
    """What a browser shows: a job, or the list of jobs."""

    job: str = ""
    """Its name; "" for the list."""
    text: str = ""
    """What those of the list have in their name, task, arguments or model."""
    status: str = ""


class _Told(NamedTuple):
    """The latest that was said of a topic."""

    number: int
    view: bytes


class Hub:
    """The looks at one Redis, and who is told of them."""

    def __init__(self, redis: Redis, price: Price | None = None, servers: VllmServers | None = None) -> None:
        self.figures = Figures(redis)
        self.trouble = ""
        """Why the latest look came to nothing, in a sentence; "" if it did not."""
        self._redis, self._price = redis, price
        self._jobs: dict[str, Job | UnreadableJob] = {}
        self._whole: dict[str, StitchedJob | UnreadableJob] = {}
        self._shown: dict[str, ListedJob] = {}
        """As they are listed: stitched ones in the place of their parts."""
        self._rows: dict[str, tuple[ListedJob, dict[str, Any]]] = {}
        self._paces: dict[str, JobPace] = {}
        self._asked: dict[str, ServerPace] = {}
        """What runners ask of their models' servers."""
        self._servers = servers or VllmServers()
        self._open: Counter[Topic] = Counter()
        self._latest: dict[str, LatestSteps] = {}
        self._told: dict[Topic, _Told] = {}
        self._read_all_at = -math.inf
        self._looked = asyncio.Event()
        self._changed = asyncio.Event()
        self._telling = asyncio.Lock()
        self._closed = False

    @property
    def browsers(self) -> int:
        """How many are told."""
        return self._open.total()

    async def watch(self) -> None:
        """Look again and again, until this is cancelled; a Redis that is gone is looked for again."""
        while True:
            began = time.thread_time()
            try:
                await self.look()
                self.trouble = ""
            except (SurefootError, RedisError) as error:
                self.trouble = _sentence(error)
            self._looked.set()  # or what is wrong is known
            for topic in [*self._open]:
                await self._tell(topic)
            spent = time.thread_time() - began
            await asyncio.sleep(max(LOOK_S if self._open else IDLE_S, REST * spent))

    async def look(self) -> None:
        """Read what may have changed: jobs that are not over and new ones; all of them now and then."""
        now = time.monotonic()
        if now - self._read_all_at >= WHOLE_S:
            self._jobs = {job.id: job for job in await every(self._redis)}
            self._read_all_at = now
        else:
            await self._look_at_changes()
        self._whole = {each.id: each for each in await stitched.every(self._redis)}
        jobs = in_place_of_parts([*self._whole.values()], [*self._jobs.values()])
        self._shown = {_id(job): job for job in jobs}
        self._rows = {name: known for name, known in self._rows.items() if name in self._shown}
        self._keep_pace(now)
        self._looked.set()

    async def updates(self, topic: Topic) -> AsyncIterator[bytes]:
        """Yield what is to be said of a topic as server-sent events: at once, and after each look that saw something new."""
        self._open[topic] += 1
        seen = 0
        try:
            await self._looked.wait()
            await self._tell(topic)
            while not self._closed:
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        while (told := self._told[topic]).number == seen and not self._closed:
                            await self._changed.wait()
                except TimeoutError:
                    yield BEAT
                    continue
                seen = told.number
                yield b'data: {"now":%.3f,"view":%b}\n\n' % (time.time(), told.view)
        finally:
            self._open[topic] -= 1
            if not self._open[topic]:
                del self._open[topic]
                self._told.pop(topic, None)
                if not any(each.job == topic.job for each in self._open):
                    self._latest.pop(topic.job, None)

    def close(self) -> None:
        """Let every browser go."""
        self._closed = True
        self._wake()

    def list_of(self, text: str = "", wanted: str = "", most: int = MOST_ROWS) -> dict[str, Any]:
        """Return the latest jobs, no more than `most`, that have a text in them and a status, and what all such jobs come to."""
        rows = matching([self._row(job) for job in self._shown.values()], text, wanted)
        rows.sort(key=lambda each: each["updated"], reverse=True)
        return {
            "trouble": self.trouble,
            "jobs": rows[:most],
            "found": len(rows),
            "of": len(self._shown),
            "statuses": Counter(each["status"] for each in rows),
            "steps_s": sum(each.get("steps_s") or 0.0 for each in rows),
            "tokens": sum(each.get("tokens") or 0 for each in rows),
            "servers": self._servers.views(),
        }

    async def job(self, name: str) -> dict[str, Any]:
        """Return one job; `missing` if there is none of this name."""
        listed_as = self._shown.get(name) or self._jobs.get(name)
        if listed_as is None:
            return {"trouble": self.trouble, "id": name, "status": "missing"}
        if isinstance(listed_as, UnreadableJob):
            return {"trouble": self.trouble, **row(listed_as)}
        whole = listed_as.whole if isinstance(listed_as, Stitched) else listed_as
        latest, unread = None, ""
        if not isinstance(listed_as, Stitched):
            try:
                latest = await self.figures.latest(whole, self._latest.setdefault(name, LatestSteps()))
            except (SurefootError, RedisError) as error:
                # Damaged, or just being taken back to be decided again: the page of the job goes on with what its description says.
                unread = _sentence(error)
        found = opened(whole, self._paces.get(name), self._price, latest, self._asked.get(name))
        if isinstance(known := self._whole.get(name), StitchedJob):
            found |= {"status": whole.status, "kind": "stitched", **parts_of(known, whole, self._jobs)}
        return {
            "trouble": self.trouble,
            "unread": unread,
            "servers": self._servers.of(whole.models[-1]),
            **found,
        }

    async def _look_at_changes(self) -> None:
        """Read jobs that are new or not over, and forget those that are gone."""
        with reading("the list of jobs"):
            ids = {shown_id(raw): raw for raw in await self._redis.smembers(Keys("").jobs)}
        wanted = [raw for name, raw in ids.items() if not _over(self._jobs.get(name))]
        found = await listed(self._redis, wanted)
        kept = {name: job for name, job in self._jobs.items() if name in ids and _over(job)}
        self._jobs = kept | {job.id: job for job in found if job is not None}

    def _keep_pace(self, now: float) -> None:
        """Note how far each running job is; the pace of one that stands still since it was left is forgotten."""
        paces, asked = {}, {}
        wholes = [each.whole for each in self._shown.values() if isinstance(each, Stitched)]
        # Parts, too: one may be opened by itself.  Of a whole nothing is asked: its parts' runners ask.
        for job in (*wholes, *self._jobs.values()):
            if isinstance(job, Job) and job.status == "running":
                paces[job.id] = self._paces.get(job.id) or JobPace()
                paces[job.id].look(now, job.step)
        for job in self._jobs.values():
            if job.id in paces and isinstance(job, Job):
                asked[job.id] = self._asked.get(job.id) or ServerPace()
                asked[job.id].look(now, job.counters)
        self._paces, self._asked = paces, asked

    def _row(self, job: ListedJob) -> dict[str, Any]:
        name, pace = _id(job), self._paces.get(_id(job))
        known, shown = self._rows.get(name, (None, {}))
        if known is not job or pace is not None:
            shown = row(job, pace)
            self._rows[name] = (job, shown)
        return shown

    async def _tell(self, topic: Topic) -> None:
        """Make what is to be said of a topic, and wake those that are told if it is something new."""
        async with self._telling:
            view = await self.job(topic.job) if topic.job else self.list_of(topic.text, topic.status)
            text = to_json(view, inf_nan_mode="null")
            before = self._told.get(topic)
            # The last browser may have left while it was read.
            if topic in self._open and (before is None or before.view != text):
                self._told[topic] = _Told(before.number + 1 if before else 1, text)
                self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _over(job: Job | UnreadableJob | None) -> bool:
    return isinstance(job, Job) and job.status in OVER and job.holder is None


def _id(job: ListedJob) -> str:
    return job.whole.id if isinstance(job, Stitched) else job.id


def _sentence(error: Exception) -> str:
    if isinstance(error, SurefootError):
        return error.sentence
    return f"Redis does not work ({redis_words(error)})"
