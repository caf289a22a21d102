"""A proxy on loopback for as long as a test needs it, and the double that it asks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from surefoot.models.base import Model
from surefoot.serving.proxy import ProxySettings, serve_proxy

Proxied = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def proxied() -> Proxied:
    """Return what serves a model and yields the proxy's URL: `async with proxied(model, votes=3) as url`."""

    @asynccontextmanager
    async def serving(model: Model, **settings: Any) -> AsyncIterator[str]:
        stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(
            serve_proxy(model, ProxySettings(**settings), port=0, ready=url.set_result, stop=stop)
        )
        await asyncio.wait({serving, url}, return_when=asyncio.FIRST_COMPLETED)
        try:
            yield url.result() if url.done() else serving.result()
        finally:
            stop.set()
            await serving

    return serving
