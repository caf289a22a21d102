"""The folder of a run, worked on by one of several processes: each opens what it needs by itself."""

from functools import partial
from pathlib import Path

from surefoot.models.connect import open_model
from surefoot.models.openai.options import Options
from surefoot.orchestration.events import Listen, ignore
from surefoot.orchestration.redis.open import open_redis
from surefoot.orchestration.workers.on_ray import OnRay, in_actors

from .fleet import Fleet


async def work_in_folder(out: Path, *, redis: str, model: str, options: Options | None, workers: int) -> None:
    """Work on every instance of a run that is not over, `workers` at a time, until all are: those of others are waited for."""
    fleet = Fleet.again(out)
    async with open_redis(redis) as store, open_model(model, options=options) as opened:
        await fleet.work(store, opened, workers=workers)


async def work_on_ray(
    out: Path,
    on: OnRay,
    *,
    redis: str,
    model: str,
    options: Options | None = None,
    workers: int = 1,
    listen: Listen = ignore,
) -> None:
    """Let the actors of a Ray cluster work on the run in a folder (an absolute path), each on `workers` instances at a time.

    Every node has this folder, and those of the settings of the run, at the same paths, and keys in its environment.  Raises what `in_actors` does.
    """
    work = partial(work_in_folder, out, redis=redis, model=model, options=options, workers=workers)
    await in_actors(work, on, listen)
