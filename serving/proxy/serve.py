"""The proxy as a server, for as long as it is wanted."""

import asyncio
from collections.abc import Callable

from surefoot.errors import BadInput
from surefoot.models.base import Model
from surefoot.serving.listening import bound_socket, is_loopback, root_of, serve_app

from .settings import ProxySettings

try:
    import httptools  # noqa: F401
    import jsonschema  # noqa: F401
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    # They come with an extra: say so only when a server is asked for.
    MISSING: ImportError | None = error
else:
    MISSING = None

DRAIN_S = 30
"""So long the requests in flight have to end by themselves once the server is told to stop."""


async def serve_proxy(
    model: Model,
    settings: ProxySettings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8001,
    ready: Callable[[str], object] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve the proxy until `stop` is set; `ready` is told the base URL once it listens.  Port 0 takes a free one.

    Told to stop it lets no more requests in and gives those in flight `DRAIN_S` seconds; cancelled it cancels them.
    Raises `BadInput` off loopback without an API key, for an address that cannot be had, and without `surefoot[serve]`.
    """
    settings = settings or ProxySettings()
    if MISSING is not None:
        raise BadInput(
            f"the proxy needs starlette, uvicorn, httptools and jsonschema ({MISSING}); install surefoot[serve]"
        )
    if settings.api_key is None and not is_loopback(host):
        raise BadInput(
            f"the proxy listens on {host!r} only with an API key that clients have to send; without one on 127.0.0.1"
        )
    from .application import proxy_app  # starlette comes with an extra

    app = proxy_app(model, settings)
    listening = bound_socket(host, port, "the proxy")
    await serve_app(
        app,
        listening,
        # More than requests: those that wait for their turn are told so in the form of the API.
        connections=2 * settings.most_requests + 64,
        drain_s=DRAIN_S,
        ready=lambda: ready and ready(f"{root_of(host, listening)}/v1"),
        stop=stop,
    )
