"""The dashboard as a server: it listens, looks, and ends in order."""

import asyncio
from collections.abc import Callable, Sequence

from redis.asyncio import Redis

from surefoot.errors import BadInput
from surefoot.orchestration.redis.open import open_redis
from surefoot.serving.listening import bound_socket, root_of, serve_app
from surefoot.voting.reliability import Price

try:
    import httptools  # noqa: F401
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    # They come with an extra: say so only when a server is asked for.
    MISSING: ImportError | None = error
else:
    MISSING = None

PATIENCE_S = 10.0
"""A Redis that is gone is waited for so long at a time; the page says that it is gone."""
CONNECTIONS = 250
"""A browser opens a handful."""
GOODBYE_S = 2
"""So long browsers have to go by themselves once the server is told to stop."""


async def serve_dashboard(
    redis: str | Redis | None,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    token: str | None = None,
    price: Price | None = None,
    servers: Sequence[str] = (),
    ready: Callable[[str], object] | None = None,
    say: Callable[[str], object] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve the dashboard of a Redis, the embedded one for None, until `stop` is set or this is cancelled.

    `ready` is told the URL once it can be opened; port 0 takes a free one.  `token`: see `Access`.  `price`: what tokens cost, which no journal says.
    `servers`: addresses of vLLMs whose load is shown beside the jobs, as their `/metrics` tell it.
    `say` is told, in a sentence, what a person has changed.

    Raises `BadInput` for an address that cannot be had, or that strangers reach without a token, and without `surefoot[serve]`;
    and `RedisUnavailable`.
    """
    if MISSING is not None:
        raise BadInput(
            f"the dashboard needs starlette, uvicorn and httptools ({MISSING}); install surefoot[serve]"
        )
    # They load starlette.
    from .access import Access
    from .application import dashboard_app
    from .hub import Hub
    from .vllm_metrics import VllmServers

    access = Access(host, token)
    vllms = VllmServers(servers)
    listener = bound_socket(host, port, "the dashboard")
    with listener:
        async with open_redis(redis, patience_s=PATIENCE_S) as store:
            hub, ending = Hub(store, price, vllms), asyncio.Event()
            serving = asyncio.create_task(
                serve_app(
                    dashboard_app(store, hub, access, say or _nobody),
                    listener,
                    connections=CONNECTIONS,
                    drain_s=GOODBYE_S,
                    ready=lambda: ready and ready(f"{root_of(host, listener)}/"),
                    stop=ending,
                )
            )
            watching = asyncio.create_task(hub.watch())
            scraping = asyncio.create_task(vllms.watch(lambda: hub.browsers > 0))
            stopping = asyncio.create_task((stop or asyncio.Event()).wait())
            try:
                ended, _ = await asyncio.wait(
                    {serving, watching, scraping, stopping}, return_when=asyncio.FIRST_COMPLETED
                )
                for each in ended:
                    each.result()  # raises what ended a server or a hub: neither ends by itself
            finally:
                hub.close()
                ending.set()
                watching.cancel()
                scraping.cancel()
                stopping.cancel()
                await asyncio.gather(serving, watching, scraping, stopping, return_exceptions=True)


def _nobody(sentence: str) -> None:
    """Tell nobody."""
