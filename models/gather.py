"""Many questions at once: answers as they come, or in the order of the questions."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from surefoot.voting.samples import Sample

from .base import Ask, Model

T = TypeVar("T")


async def as_they_end(work: Iterable[Coroutine[Any, Any, T]]) -> AsyncGenerator[T, None]:
    """Run everything at once and yield each result as it comes; the first failure is raised.

    Closing the generator cancels what still runs, and waits for its end.
    """
    done: asyncio.Queue[asyncio.Task[T]] = asyncio.Queue()
    tasks = [asyncio.create_task(each) for each in work]
    try:
        for task in tasks:
            task.add_done_callback(done.put_nowait)
        for _ in tasks:
            yield (await done.get()).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def in_order(model: Model, asks: Sequence[Ask]) -> list[Sample]:
    """Return one sample per ask, in the order of the asks; raises what `Model.sample` raises."""
    found: dict[int, Sample] = {}
    async with aclosing(model.sample(asks)) as samples:
        async for position, sample in samples:
            found[position] = sample
    return [found[position] for position in range(len(asks))]
