"""Speculation on a real vLLM for the CPU: a stretch of a 20-disk tower, every way in turn, in one run.

python bench/vllm.py [--steps 1000] [--first 500000] [--rounds 1] [--results bench/results]

vLLM serves pebble, float32, as `surefoot serve pebble` does; $SUREFOOT_VLLM_PYTHON names its interpreter; `--url` is
one that serves pebble already.  The ways, all with
k = 3 on the same prompts and through the same client:

    serial           the paper's algorithm: one vote after the other (extrapolated from 50 steps)
    parallel votes   the votes of a step together, one step after the other
    leading ballot   the next step starts from the first ballot of this one
    draft: short     the same model on the same server rolls ahead with its short answer, the move alone
    draft: recall    what followed the same moves earlier in this very run
    draft: numpy     pebble in this process rolls ahead with its short answer

Exits 1 if a step is wrong.
"""

import argparse
import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext

from pages import options
from redis.asyncio import Redis
from servers import redis_server
from ways import Board, Stretch, draft_s, engine, serial

import surefoot
from surefoot.models.base import Model
from surefoot.models.connect import open_model
from surefoot.models.vllm.launch import Serving
from surefoot.models.vllm.serve import serving
from surefoot.orchestration.engine.drafts import Rollout
from surefoot.orchestration.engine.recall import Recall

WARM_UP = 20
"""Steps before anything is measured."""

Speculate = Callable[[Stretch], surefoot.Speculation | None]


def ways(given: argparse.Namespace, model: Model, pebble: Model) -> dict[str, Speculate]:
    names = ("depth", "max_waste", "capacity")
    terms = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    return {
        "parallel votes": lambda _: None,
        "leading ballot": lambda _: surefoot.Speculation(**terms),
        "draft: short": lambda task: surefoot.Speculation(draft=Rollout(task.short(), model), **terms),
        "draft: recall": lambda task: surefoot.Speculation(draft=Recall(task), **terms),
        "draft: numpy": lambda task: surefoot.Speculation(draft=Rollout(task.short(), pebble), **terms),
    }


async def round_of(
    given: argparse.Namespace, number: int, model: Model, pebble: Model, redis: Redis, board: Board
) -> None:
    """Measure every way once."""
    task = Stretch(given.disks, given.first, given.steps)
    setting = f"{given.disks} disks from step {given.first:,}"
    found = await serial(task, model, min(given.serial, given.steps))
    board.add(setting, "serial", found._replace(note=f"extrapolated from {found.steps:,}"))
    for way, speculate in ways(given, model, pebble).items():
        measured = await engine(task, model, redis, f"{way}-{number}", speculate(task), given.steps)
        board.add(setting, way, measured)


async def tell_drafts(given: argparse.Namespace, models: Mapping[str, Model], board: Board) -> None:
    """Note what the drafts take when nothing else is done."""
    short = Stretch(given.disks, given.first, given.steps).short()
    for name, model in models.items():
        took = await draft_s(short, Rollout(short, model), min(given.serial, given.steps))
        board.notes.append(f"alone, draft: {name} takes {took * 1000:.2f} ms a step")


def served(given: argparse.Namespace) -> AbstractAsyncContextManager[str]:
    return nullcontext(given.url) if given.url else serving("pebble", Serving(start_s=given.start))


async def measure(given: argparse.Namespace) -> Board:
    board = Board(f"{given.steps:,} chained steps, real vLLM on the CPU, pebble, k = 3")
    async with (
        served(given) as url,
        open_model("pebble-numpy") as pebble,
        surefoot.OpenAIModel(url) as model,
    ):
        await model.ready()
        await serial(Stretch(given.disks, 0, WARM_UP), model, WARM_UP)
        with redis_server() as redis_url:
            async with aclosing(Redis.from_url(redis_url)) as redis:
                for number in range(given.rounds):
                    await round_of(given, number, model, pebble, redis, board)
        await tell_drafts(given, {"short": model, "numpy": pebble}, board)
    return board


def main() -> None:
    parser = options(__doc__, "vllm.md")
    parser.add_argument("--disks", type=int, default=20)
    parser.add_argument("--first", type=int, default=500_000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--serial", type=int, default=50, help="steps of the serial way")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--depth", type=int, help="surefoot's own default if absent, as the next two")
    parser.add_argument("--max-waste", type=float)
    parser.add_argument("--capacity", type=int)
    parser.add_argument("--start", type=float, default=400.0, help="longest start of vLLM in s")
    parser.add_argument("--url", help="of a vLLM that serves pebble; one is started if absent")
    given = parser.parse_args()
    asyncio.run(measure(given)).publish("vllm", given.results)


if __name__ == "__main__":
    main()
