"""What can go wrong with a request to the server double, on demand."""

import asyncio
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from .replies import refusal


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request for samples."""

    kind: Literal["status", "drop", "cut", "malformed", "page", "hang", "break"]
    """An error status; a connection closed at once, or in the middle of the answer; an answer that is not JSON, or a
    web page; no answer ever; a thinking double's stream that breaks off after `tokens`."""
    status: int = 500
    retry_after: str | None = None
    message: str = "injected fault"
    tokens: int = 3

    async def befall(self, request: web.Request) -> web.StreamResponse:
        """Answer the request wrongly, or not at all."""
        match self.kind:
            case "status":
                return refusal(self.status, self.message, self.retry_after)
            case "malformed":
                return web.Response(body=b'{"choices": [{"index": 0, "te', content_type="application/json")
            case "page":
                return web.Response(text="<html>Welcome</html>", content_type="text/html")
            case "hang":
                await asyncio.Event().wait()
            case "cut":
                response = web.StreamResponse(headers={"Content-Length": "100"})
                await response.prepare(request)
                await response.write(b'{"choices": [')
        if request.transport:
            request.transport.abort()
        return web.Response()
