"""A gateway that answers from a store, as people put in front of their model servers: to be told from the model itself.

async with DoubleServer(double) as server, CachingGateway(server.url) as gateway:
    model = OpenAIModel(gateway.url)
"""

import json
import secrets
from collections.abc import Collection
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
from aiohttp import web

HOST = "127.0.0.1"
OK = 200


class _Stored(NamedTuple):
    body: bytes
    content_type: str


class CachingGateway:
    """Passes requests on to `upstream` (its /v1) and answers them from its store when it takes them for known ones.

    A request is known by its whole body, by the fields of `keyed_by` alone, or by all but those of `keyed_without`.
    `heeds`: a request with `cache-control: no-store` is never answered from the store.  `new_names`: an answer out of the
    store gets a name of its own.  `admits`: a header says HIT or MISS.
    """

    def __init__(
        self,
        upstream: str,
        *,
        keyed_by: Collection[str] | None = None,
        keyed_without: Collection[str] = (),
        heeds: bool = False,
        new_names: bool = False,
        admits: bool = False,
    ) -> None:
        self.hits = 0
        self.misses = 0
        self.url = ""
        self._upstream = upstream
        self._keyed_by, self._keyed_without = keyed_by, keyed_without
        self._heeds, self._new_names, self._admits = heeds, new_names, admits
        self._store: dict[str, _Stored] = {}
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession()
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        await self._client.close()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        key = self._key(request, body)
        stored = self._store.get(key) if key else None
        if stored is None:
            sent = {
                name: request.headers[name]
                for name in ("authorization", "content-type")
                if name in request.headers
            }
            url = self._upstream.removesuffix("/v1") + request.path_qs
            async with self._client.request(request.method, url, data=body, headers=sent) as got:
                content, content_type = await got.read(), got.headers.get("content-type", "application/json")
            if not key or got.status != OK:
                return _response(content, content_type, status=got.status)
            self.misses += 1
            stored = self._store[key] = _Stored(_named(content), content_type)
            return _response(*stored, hit="MISS" if self._admits else "")
        self.hits += 1
        content = _named(stored.body) if self._new_names else stored.body
        return _response(content, stored.content_type, hit="HIT" if self._admits else "")

    def _key(self, request: web.Request, body: bytes) -> str:
        """Return what the request is known by; "" if it is not to be kept."""
        wanted = not (self._heeds and "no-store" in request.headers.get("cache-control", ""))
        if request.method != "POST" or not wanted:
            return ""
        said = json.loads(body)
        names = set(said if self._keyed_by is None else self._keyed_by) - set(self._keyed_without)
        return json.dumps([request.path, {name: said.get(name) for name in sorted(names)}])


def _response(body: bytes, content_type: str, hit: str = "", status: int = 200) -> web.Response:
    headers = {"content-type": content_type, **({"x-cache-status": hit} if hit else {})}
    return web.Response(body=body, status=status, headers=headers)


def _named(body: bytes) -> bytes:
    """Return an answer, or the events of a streamed one, under a new name."""
    name = f"chatcmpl-{secrets.token_hex(16)}"
    if not body.startswith(b"data:"):
        return json.dumps({**json.loads(body), "id": name}).encode()
    events = [
        event
        if b"[DONE]" in event
        else b"data: " + json.dumps({**json.loads(event[5:]), "id": name}).encode()
        for event in body.split(b"\n\n")
        if event
    ]
    return b"".join(event + b"\n\n" for event in events)
