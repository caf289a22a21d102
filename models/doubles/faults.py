"""What can go wrong with a request to the server double, on demand."""

import asyncio
import json
from dataclasses import KW_ONLY, dataclass
from typing import Literal

from aiohttp import web

from .replies import refusal


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request for samples."""

    kind: Literal["status", "drop", "cut", "malformed", "page", "hang", "break", "error", "answer"]
    """An error status; a connection closed at once, or in the middle of the answer; an answer that is not JSON, or a
    web page; no answer ever; a thinking double's stream that breaks off after `tokens`; an error inside an answer of
    status 200, in one of several forms; `body` for an answer."""
    _: KW_ONLY
    status: int = 500
    retry_after: str | None = None
    message: str = "injected fault"
    tokens: int = 3
    type: str | None = None
    """The kind of error, in the server's words: `insufficient_quota`, ..."""
    form: Literal["object", "string", "choice", "finish", "event"] = "object"
    """Where the error is: in place of the answer, as an object or a string; in a choice; the reason to finish; an event
    of the stream."""
    body: str = ""
    """Sent as a stream of events if it begins like one, otherwise as JSON."""

    async def befall(self, request: web.Request) -> web.StreamResponse:
        """Answer the request wrongly, or not at all."""
        match self.kind:
            case "status":
                return refusal(self.status, self.message, self.retry_after, self.type)
            case "error":
                return self._inside(await request.json())
            case "answer":
                return _sent(self.body)
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

    def _inside(self, asked: dict[str, object]) -> web.Response:
        """Return an answer that failed after its first words."""
        error: dict[str, object] = {"message": self.message, "code": self.status, "type": self.type}
        chat, streams = "messages" in asked, bool(asked.get("stream"))
        words: dict[str, object] = (
            {"delta" if streams else "message": {"content": "4"}} if chat else {"text": "4"}
        )
        choice: dict[str, object] = {"index": 0, "finish_reason": None, **words}
        forms: dict[str, dict[str, object]] = {
            "object": {"error": error, "choices": []},
            "string": {"error": self.message},
            "choice": {"choices": [{**choice, "error": error}]},
            "finish": {"choices": [{**choice, "finish_reason": "error"}]},
            "event": {"error": error},
        }
        failed = forms[self.form]
        if not streams:
            return _sent(json.dumps(failed))
        name = "event: error\n" if self.form == "event" else ""
        return _sent(f"data: {json.dumps({'choices': [choice]})}\n\n{name}data: {json.dumps(failed)}\n\n")


def _sent(body: str) -> web.Response:
    kind = "text/event-stream" if body.startswith(("data:", "event:", ":")) else "application/json"
    return web.Response(text=body, content_type=kind)
