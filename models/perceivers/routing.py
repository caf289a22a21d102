"""Asks that several models answer, each its own."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from surefoot.models.base import Ask, Model
from surefoot.voting.samples import Sample


async def answered(asks: Sequence[Ask], models: Sequence[Model]) -> AsyncGenerator[tuple[int, Sample], None]:
    """Let each ask be answered by the model in its place, all at once, and yield (position, sample) in the order of completion.

    Each model gets its asks in one call.  The first failure is raised.  Closing the generator cancels what still runs, and waits
    for its end.
    """
    found: asyncio.Queue[tuple[int, Sample] | asyncio.Task[None]] = asyncio.Queue()
    shares = {id(model): model for model in models}
    tasks = []
    try:
        for model in shares.values():
            places = [place for place, own in enumerate(models) if own is model]
            task = asyncio.create_task(_hand_on(model, asks, places, found))
            task.add_done_callback(found.put_nowait)
            tasks.append(task)
        left = len(tasks)
        while left:
            item = await found.get()
            if isinstance(item, asyncio.Task):
                item.result()
                left -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _hand_on(
    model: Model,
    asks: Sequence[Ask],
    places: Sequence[int],
    found: "asyncio.Queue[tuple[int, Sample] | asyncio.Task[None]]",
) -> None:
    async with aclosing(model.sample([asks[place] for place in places])) as samples:
        async for position, sample in samples:
            found.put_nowait((places[position], sample))
