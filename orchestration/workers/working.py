"""A worker: it takes parts of a stitched job that nobody holds, until none is left.

All that keeps workers out of each other's way is in the parts' own journals: the lease, the fencing token, the next step.  A worker that is killed
leaves a part where its journal stands, and another one takes it up from there.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from redis.asyncio import Redis

from surefoot.agents.tasks.codec import written
from surefoot.agents.tasks.failures import TaskFailed
from surefoot.agents.tasks.known_limits import check_known
from surefoot.agents.tasks.part_of import PartOf, parts_of
from surefoot.errors import BadInput, SurefootError
from surefoot.models.base import Model, ModelUnavailable
from surefoot.models.connect import as_kept
from surefoot.models.openai.options import Options
from surefoot.orchestration import deletion
from surefoot.orchestration.budget import Budget
from surefoot.orchestration.engine.speculation import Speculation
from surefoot.orchestration.events import (
    Began,
    Counts,
    Event,
    Listen,
    Noted,
    StitchedStands,
    ignore,
    shielded,
)
from surefoot.orchestration.journal import jobs, stitched
from surefoot.orchestration.journal.fixed import Fixed
from surefoot.orchestration.journal.jobs import NoSuchJob
from surefoot.orchestration.journal.lease import JobHeld, WriteRefused
from surefoot.orchestration.plan import open_for
from surefoot.orchestration.redis.client import RedisUnavailable
from surefoot.orchestration.redis.open import open_redis
from surefoot.orchestration.reporting import answered
from surefoot.orchestration.run import address_again, take_up
from surefoot.orchestration.task_of_job import Given, task_again
from surefoot.typed_input import checked

from .purse_of_parts import PurseOfParts, check_bounds
from .stitched import summed

LOOK_AGAIN_S = 0.5
"""Between two looks at parts that others hold."""
LOOKING = 0.05
"""Largest share of the time that goes into reading how the whole stands: there may be thousands of parts."""
SHORT_LOOK_S = 0.05
"""What a budget is worth each time, however often."""
MOST_AT_ONCE = 1000
ENDED = ("stalled", "failed", "asking", "cancelled")
"""Statuses of parts that are left as they are unless they are wanted again."""
NOT_THE_PARTS = (ModelUnavailable, RedisUnavailable, BadInput)
"""What would come up in every other part, too."""


@checked
async def work(
    job: str,
    *,
    redis: str | Redis | None = None,
    model: str | Model | None = None,
    task: Given = None,
    at_once: int = 1,
    again: bool = False,
    speculate: Speculation | None = None,
    budget: Budget | None = None,
    options: Options | None = None,
    on_event: Listen | None = None,
) -> int:
    """Work on the parts of a stitched job that nobody holds, `at_once` at a time, until none is left; return how many this call has finished.

    Any number of workers may do so at the same time, on any machines that reach the Redis.  Parts that others hold are waited for: they are taken
    over where their worker dies, at once on the same machine, else when its lease has run out.

    `task` is needed for one that is neither part of surefoot nor installed, `model` if the job was begun with a `Model` object, both as for `resume`.
    A part that stalls, fails or is cancelled is told of in a `Noted` event and in the report, and the others go on; `again` takes up, once, those that
    were left so; one that asked a person is taken up as soon as that is answered, too.  `speculate` and `options` are those of
    `run`; `on_event` hears the events of all parts, and now and then how the whole stands.

    `budget`: tokens, money or time since the job began, all workers and the calibration included.  This worker ends where it would be
    passed; what others have spent it sees when it reads all parts: before it takes one or, where that takes long, for a twentieth of its time.

    Raises `NoSuchJob` for one that is not there or has no parts, `ModelUnavailable`, `RedisUnavailable`, and `BadInput` for another task,
    for one that is being deleted, and for a budget of steps, turns or work.
    """
    check_at_once(at_once)
    check_bounds(budget)
    listen = shielded(on_event)
    async with open_redis(redis, listen) as store:
        known = await stitched.load_kept(store, job)
        given: Any = task_again(known.whole, task)
        wanted = model or address_again(job, known.fixed.model)
        check_known(wanted, given)
        async with open_for(given, wanted, options, listen) as opened:
            bench = Workbench(
                redis=store,
                known=known,
                split=parts_of(given, known.parts),
                model=opened,
                address=kept_as(wanted, opened),
            )
            worker = Worker(
                bench, again=again, speculate=speculate, budget=budget, options=options, listen=listen
            )
            return await worker.work(at_once)


def kept_as(model: str | Model, opened: Model) -> str:
    """Return how journals name a model."""
    return as_kept(model) if isinstance(model, str) else opened.name


def check_at_once(at_once: int) -> None:
    """Refuse numbers that cannot be."""
    if not 1 <= at_once <= MOST_AT_ONCE:
        raise BadInput(f"a worker does 1 to {MOST_AT_ONCE:,} parts at once, not {at_once!r}")


async def create_parts(
    redis: Redis, known: stitched.StitchedJob, missing: Iterable[tuple[str, PartOf[Any, Any]]]
) -> None:
    """Create the jobs of parts, unless another worker was faster."""
    new = [
        jobs.NewJob(
            name,
            part.name,
            part.spec(),
            written(part.state_codec, part.start()),
            _fixed_of(known, part.steps()),
            known.code,
            part.steps(),
        )
        for name, part in missing
    ]
    await jobs.create_all(redis, new)


def _fixed_of(known: stitched.StitchedJob, steps: int) -> Fixed:
    """Return what a part is fixed with: all that the whole is, but for its share of the risk; the calibration is on the bill of the whole."""
    fixed, share = known.fixed, steps / known.steps

    def of_part(risk: float | None) -> float | None:
        return None if risk is None else 1 - (1 - risk) ** share

    if fixed.calibrated is None:
        return fixed
    calibrated = fixed.calibrated._replace(risk=of_part(fixed.calibrated.risk), calibration=None)
    return fixed._replace(calibrated=calibrated, risk_bound=of_part(fixed.risk_bound))


class Workbench(NamedTuple):
    """A stitched job, and what it takes to work on it, open."""

    redis: Redis
    known: stitched.StitchedJob
    split: Sequence[PartOf[Any, Any]]
    model: Model
    address: str
    """How journals name the model."""


class Worker:
    """One worker at one stitched job."""

    def __init__(
        self,
        bench: Workbench,
        *,
        again: bool,
        speculate: Speculation | None,
        budget: Budget | None,
        options: Options | None,
        listen: Listen,
    ) -> None:
        self._bench, self._listen = bench, listen
        self._again, self._speculate, self._options = again, speculate, options
        self._purse = None if budget is None else PurseOfParts(budget, bench.known)
        self._looks_at = 0.0
        """When it may look at the whole again, in monotonic time."""
        self._tasks = dict(zip(bench.known.names, bench.split, strict=True))
        self._waiting = deque(self._tasks)
        # Each worker begins at a place of its own, so that they seldom reach for the same part.
        self._waiting.rotate(secrets.randbelow(len(self._tasks)))
        self._held = 0
        """Parts in a row that somebody else holds."""
        self._taken: set[str] = set()
        self._finished = 0
        self._spent = False
        """Whether the budget has stopped a part: no other one is begun."""

    async def work(self, at_once: int) -> int:
        """Go on until no part is left, or the budget is spent, and return how many were finished here."""
        await self._look()
        tasks = [asyncio.create_task(self._one_after_the_other()) for _ in range(at_once)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self._finished

    async def _one_after_the_other(self) -> None:
        while self._waiting and not self._spent:
            name = self._waiting.popleft()
            if await self._is_over(name):
                self._held = 0
                continue
            self._waiting.append(name)
            self._held += 1
            if self._held >= len(self._waiting):
                self._held = 0
                await asyncio.sleep(LOOK_AGAIN_S)
                await self._look()

    async def _is_over(self, name: str) -> bool:
        """Do a part that nobody holds; return whether there is nothing more to do about it."""
        redis = self._bench.redis
        try:
            found = await jobs.load(redis, name)
            if found.status == "done":
                return True
            if found.holder is not None:
                return False
            if found.status in ENDED and name in self._taken:
                return True
            if found.status in ENDED and not (self._again or await answered(redis, found)):
                return True
            return await self._done(name)
        except (JobHeld, WriteRefused):
            return False  # it is another worker's now, or was cancelled, which the next look shows
        except NoSuchJob:
            # Who began the job was killed before all parts were there; or it has been deleted.
            await self._make_again(name)
            return False
        except SurefootError as error:
            # A `NotPlain` is of one state, although it is a `BadInput`, too.
            if isinstance(error, NOT_THE_PARTS) and not isinstance(error, TaskFailed):
                raise
            # A stall, an audit that failed, a damaged journal: the other parts go on.
            self._listen(Noted(sentence=str(error)))
        return True

    async def _make_again(self, name: str) -> None:
        """Make a part that is not there; raises what `load_kept` does where the whole is being deleted, and then leaves none behind."""
        redis, job = self._bench.redis, self._bench.known.id
        await stitched.load_kept(redis, job)
        await create_parts(redis, self._bench.known, [(name, self._tasks[name])])
        try:
            await stitched.load_kept(redis, job)
        except BadInput:
            # The deletion began between the two looks, and may have passed this part by.
            with suppress(NoSuchJob):
                await deletion.delete(redis, name)
            raise

    async def _look(self) -> None:
        """Look how the whole stands, all workers together, for a budget and for who listens, if it is not too soon."""
        began, known = time.monotonic(), self._bench.known
        if (self._purse is None and self._listen is ignore) or began < self._looks_at:
            return
        self._looks_at = float("inf")  # for the others of this process, until it is known how long it takes
        found = await jobs.listed(self._bench.redis, known.names)
        whole = summed(known, found)
        if self._purse is not None:
            self._purse.see(whole)
        self._listen(
            StitchedStands(
                job=known.id,
                task=known.task,
                parts=known.parts,
                done=sum(isinstance(each, jobs.Job) and each.status == "done" for each in found),
                step=whole.step,
                steps=known.steps,
                k=whole.k,
                counts=Counts.of(whole.counters),
                repairs=whole.counters.get("repairs", 0),
                risk=whole.risk,
                error_bound=whole.calibrated and whole.calibrated.error,
            )
        )
        now = time.monotonic()
        short = self._purse is not None and now - began < SHORT_LOOK_S
        self._looks_at = now if short else now + (now - began) * (1 / LOOKING - 1)

    async def _done(self, name: str) -> bool:
        await self._look()
        began = False

        def listen(event: Event) -> None:
            nonlocal began
            began = began or isinstance(event, Began)
            self._listen(event)

        again = self._again and name not in self._taken
        self._taken.add(name)
        report = await take_up(
            self._bench.redis,
            name,
            self._tasks[name],
            self._bench.model,
            self._bench.address,
            again=again,
            speculate=self._speculate,
            budget=None if self._purse is None else self._purse.budget,
            options=self._options,
            on_event=listen,
        )
        self._finished += began and report.solved
        if report.status == "failed":
            self._listen(Noted(sentence=f"part {name} failed: {report.stopped}"))
        if report.bound is not None:
            self._spent = True
            self._listen(Noted(sentence=f"part {name} {report.stopped}"))
        return True
