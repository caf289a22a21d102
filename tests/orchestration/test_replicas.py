"""Jobs on several servers of one model decide what they decide on one."""

import asyncio
from contextlib import AsyncExitStack

import surefoot
from surefoot.models.doubles import DoubleServer, towers_double
from surefoot.orchestration.events import Event, Noted, StepDecided


async def test_a_job_decides_the_same_on_replicas_of_which_one_dies(redis_url: str) -> None:
    task, settings, options = (
        surefoot.Towers(4, "compact"),
        surefoot.Settings(k=3),
        surefoot.Options(seeded=True),
    )
    told: list[str] = []
    ended: list[asyncio.Task[None]] = []
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(DoubleServer(towers_double(error=0.1))) for _ in range(3)]

        def listen(event: Event) -> None:
            if isinstance(event, Noted):
                told.append(event.sentence)
            if isinstance(event, StepDecided) and event.step == 5 and not ended:
                ended.append(asyncio.create_task(servers[1].__aexit__(None, None, None)))

        address = ", ".join(server.url for server in servers)
        alone = await surefoot.run(task, settings, model=servers[0].url, options=options, redis=redis_url)
        report = await surefoot.run(
            task, settings, model=address, options=options, redis=redis_url, on_event=listen
        )
        await ended[0]
    assert report.solved and report.contested and report.head == alone.head
    assert any(
        servers[1].url.removesuffix("/v1") in sentence and "left alone" in sentence for sentence in told
    )
