"""Work that is spread over a Ray cluster: Ray places the actors and starts them again, the journals say who may write.

The process of an actor may write on for tens of seconds after its node was declared dead.  That does no harm: its leases hold
until they run out, whoever takes a part over then gets a newer fencing token, and what the old one sends is refused.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput, SurefootError
from surefoot.models.openai.options import Options
from surefoot.orchestration.budget import Budget
from surefoot.orchestration.engine.speculation import Speculation
from surefoot.orchestration.events import Listen, Noted, ignore, shielded
from surefoot.orchestration.redis.open import open_redis
from surefoot.orchestration.settings import USUAL, Settings
from surefoot.typed_input import check_fields, checked

from .stitched import StitchedReport, read_stitched
from .stitching import begin
from .working import work

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)
T = TypeVar("T")
LAST_S = 10.0
"""All is done when one actor has returned, or all shall stop; the others have so long to notice."""


class NoRay(SurefootError):
    """Ray is not installed here; the message says how to install it."""


class ClusterLost(SurefootError):
    """The Ray cluster ended under the work; what was decided is safe, and the same again goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRay:
    """How many actors of a Ray cluster work.  Raises `BadInput` for what cannot be.

    OnRay()               as many as there are nodes now
    OnRay(actors=16)      Ray spreads them over the nodes; those that have no room wait for an autoscaler

    The cluster is that of `$RAY_ADDRESS`, else one that runs on this machine, else a new one here for as long as the work takes.
    """

    actors: int | None = None
    cpus: float = 1.0
    """Cores that each takes of what its node says it has."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.actors is not None and self.actors < 1:
            raise BadInput(f"work on Ray takes one actor at least, not {self.actors!r}")
        if not 0 <= self.cpus < 1e6:
            raise BadInput(f"an actor takes a number of cores that is not negative, not {self.cpus!r}")


@checked
async def stitch_on_ray(
    task: Task[S, A],
    settings: Settings = USUAL,
    *,
    parts: int,
    redis: str,
    model: str = "pebble",
    job: str | None = None,
    at_once: int = 1,
    on: OnRay | None = None,
    again: bool = False,
    speculate: Speculation | None = None,
    budget: Budget | None = None,
    options: Options | None = None,
    on_event: Listen | None = None,
) -> StitchedReport:
    """Do a job in so many parts as `stitch` does, but in the actors of a Ray cluster, each on `at_once` parts; return its report.

    Every node has surefoot, the task's package and the keys in its environment, and reaches the addresses of `redis` and `model`.  The events are
    those of the beginning: what the parts do then is in Redis.  Raises what `stitch` and `in_actors` raise.
    """
    _ray()  # before anything is spent
    listen = shielded(on_event)
    name = await begin(
        task,
        settings,
        parts=parts,
        model=model,
        redis=redis,
        job=job,
        budget=budget,
        options=options,
        on_event=listen,
    )
    # By its class: a node makes the task with the arguments that Redis has.
    part_of_it = partial(work, name, redis=redis, model=model, task=type(task), at_once=at_once, again=again)
    spending = partial(part_of_it, speculate=speculate, budget=budget, options=options)
    await in_actors(spending, on or OnRay(), listen)
    async with open_redis(redis, listen) as store:
        return await read_stitched(store, name, task)


class _Actor:
    """A process on some node.  Called again after its death, it goes on from where the journals stand."""

    async def do(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return await work()


async def in_actors(
    work: Callable[[], Coroutine[Any, Any, T]], on: OnRay, listen: Listen = ignore
) -> list[T]:
    """Do the same work in each of several actors, and return what those returned that are back when all is done.

    `work` is pickled.  It has to share with the others by itself what there is to do, to return only when all of it is done, and
    to go on from where things stand when it is called again: `partial(work, job, redis=url)` of this package does.

    Raises `NoRay`, `ClusterLost`, and what `work` raised if it did so in every actor.
    """
    ray = _ray()
    ours = not ray.is_initialized()
    if ours:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        nodes = sum(bool(node["Alive"]) for node in ray.nodes())
        count = on.actors or nodes
        listen(Noted(sentence=f"{count:,} actors work on a Ray cluster, which has {nodes:,} nodes now"))
        # Ray restarts an actor and calls it again as often as it takes: no error could say whether a call was made.
        kind = ray.remote(
            num_cpus=on.cpus, max_restarts=-1, max_task_retries=-1, scheduling_strategy="SPREAD"
        )(_Actor)
        actors = [kind.remote() for _ in range(count)]
        try:
            return await _until_done(ray, [actor.do.remote(work) for actor in actors])
        finally:
            for actor in actors:
                ray.kill(actor)
    finally:
        if ours:
            ray.shutdown()


async def _until_done(ray: ModuleType, calls: Sequence[Any]) -> list[Any]:
    """Wait for the first that returns, and a little for the others: one for which there is no room yet may never begin."""
    waiting = {asyncio.ensure_future(_answer(call)) for call in calls}
    failures: list[BaseException] = []
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            failures += [error for each in done if (error := each.exception()) is not None]
            if any(each.exception() is None for each in done):
                if waiting:
                    done |= (await asyncio.wait(waiting, timeout=LAST_S))[0]
                return [each.result() for each in done if each.exception() is None]
    except asyncio.CancelledError:
        for call in calls:
            ray.cancel(call)  # each commits what it has decided, and gives its leases back
        if waiting:
            await asyncio.wait(waiting, timeout=LAST_S)
        raise
    finally:
        for each in waiting:
            each.cancel()
    raise _told(ray, failures[0])


async def _answer(call: Any) -> Any:
    return await call


def _told(ray: ModuleType, error: BaseException) -> BaseException:
    """Return what the failure of an actor means to who waits for it."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, SurefootError):
        return cause
    if not isinstance(error, ray.exceptions.RayTaskError):
        error = ClusterLost(
            f"the Ray cluster was lost ({type(error).__name__}); what was decided is safe: the same command again goes on"
        )
    return error


def _ray() -> ModuleType:
    try:
        return import_module("ray")
    except ImportError:
        raise NoRay(
            "there is no Ray here: run `pip install 'surefoot[ray]'` on this machine and on every node"
        ) from None
