"""The proxy as an ASGI application: OpenAI's endpoints around a model."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import NamedTuple, Protocol, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from surefoot.errors import SurefootError
from surefoot.models.base import Model
from surefoot.models.elected_answers.vote import Poll, Vote

from .admission import Admission
from .poll import chat_poll, text_poll
from .replies import DONE, ApiError, ElectedReply, Json, api_error_of, encoded, event, headers
from .requests import ChatRequest, SampleRequest, TextRequest, first_mistake
from .responses import ResponsesReply, ResponsesRequest
from .settings import ProxySettings

VOTED = "voted"
"""A name that stands for whichever model is behind the proxy."""
COMMENT = b": voting\n\n"
_PLAIN = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

log = logging.getLogger(__name__)
"""Gets the class of an error that is a mistake of the proxy's own; never a prompt, an answer or a key."""

R = TypeVar("R", bound=SampleRequest)


class Rendered(Protocol):
    """An elected answer in the form of an endpoint."""

    summary: Json
    """What the vote came to."""

    def whole(self) -> Json:
        """Return it in one piece."""
        ...

    def events(self) -> Iterator[bytes]:
        """Yield it as server-sent events."""
        ...


class ReadRequest(NamedTuple):
    """A request that was read."""

    request: SampleRequest
    poll: Poll
    render: Callable[[Vote], Rendered]


Read = Callable[[bytes], ReadRequest]


def proxy_app(model: Model, settings: ProxySettings | None = None) -> Starlette:
    """Return the application that answers for a model, which stays its caller's to close.

    `/v1/chat/completions`, `/v1/completions`, `/v1/responses`, `/v1/models`, `/health`.  Serve it on loopback, or with an API key.
    """
    settings = settings or ProxySettings()
    admission = Admission(settings)

    def rendered(vote: Vote, request: SampleRequest, chat: bool) -> Rendered:
        usage = bool(request.stream_options and request.stream_options.include_usage)
        return ElectedReply(vote, model.name, chat=chat, include_usage=usage)

    def chat(body: bytes) -> ReadRequest:
        request = _read(ChatRequest, body)
        return ReadRequest(request, chat_poll(request, settings), lambda vote: rendered(vote, request, True))

    def text(body: bytes) -> ReadRequest:
        request = _read(TextRequest, body)
        return ReadRequest(request, text_poll(request, settings), lambda vote: rendered(vote, request, False))

    def responses(body: bytes) -> ReadRequest:
        request = _read(ResponsesRequest, body)
        poll = chat_poll(_valid(request.as_chat), settings)
        return ReadRequest(request, poll, lambda vote: ResponsesReply(vote, model.name, request))

    made = int(time.time())
    card: Json = {"id": model.name, "object": "model", "created": made, "owned_by": "surefoot"}

    async def models(request: Request) -> Response:
        return _json({"object": "list", "data": [card]})

    async def one_model(request: Request) -> Response:
        if request.path_params["name"] not in (VOTED, model.name):
            raise _no_model(model)
        return _json(card)

    async def health(request: Request) -> Response:
        return _json({"status": "ok"})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", _Elected(model, settings, admission, chat), methods=["POST"]),
            Route("/v1/completions", _Elected(model, settings, admission, text), methods=["POST"]),
            Route("/v1/responses", _Elected(model, settings, admission, responses), methods=["POST"]),
            Route("/v1/models", _checked(admission, models)),
            Route("/v1/models/{name:path}", _checked(admission, one_model)),
            Route("/health", health),
        ],
        exception_handlers={404: _not_there, 405: _not_there, ApiError: _refused},
    )


class _Elected:
    """One endpoint whose answers are elected."""

    def __init__(self, model: Model, settings: ProxySettings, admission: Admission, read: Read) -> None:
        self._model, self._settings, self._admission, self._read = model, settings, admission, read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        # Whatever ends it, the client's going away among it: the samples are cancelled, and its place is free.
        async with AsyncExitStack() as held:
            try:
                response = await self._response(request, held)
            except ClientDisconnect:
                return
            except Exception as error:
                response = _response_to(_api_error(error))
            await response(scope, receive, send)

    async def _response(self, request: Request, held: AsyncExitStack) -> Response:
        self._admission.check(request)
        self._admission.enter()
        held.callback(self._admission.leave, request)
        asked = self._read(await self._admission.body(request))
        if asked.request.model not in (VOTED, self._model.name):
            raise _no_model(self._model)
        vote = Vote(asked.poll)
        if not asked.request.stream:
            with _while_connected(request):
                await self._decide(vote)
            reply = asked.render(vote)
            return _json(reply.whole(), 200, headers(reply.summary))
        deciding = asyncio.create_task(self._decide(vote))
        held.push_async_callback(_cancelled, deciding)
        with _while_connected(request):
            await asyncio.wait({deciding}, timeout=self._settings.keep_alive_s)
        if not deciding.done():
            return StreamingResponse(self._late(asked, vote, deciding), 200, _PLAIN, "text/event-stream")
        deciding.result()
        reply = asked.render(vote)
        events = b"".join(reply.events())
        return Response(events, 200, {**_PLAIN, **headers(reply.summary)}, "text/event-stream")

    async def _decide(self, vote: Vote) -> None:
        seconds = self._settings.election_s
        try:
            async with asyncio.timeout(seconds):
                await vote.decide(self._model)
        except TimeoutError:
            raise ApiError(
                504, f"the vote took longer than {seconds:g} s", kind="api_error", code="too_slow"
            ) from None
        except SurefootError as error:
            raise api_error_of(error, vote) from None

    async def _late(
        self, asked: ReadRequest, vote: Vote, deciding: "asyncio.Task[None]"
    ) -> AsyncIterator[bytes]:
        """Yield comments until the vote is decided, and then the answer; the headers have gone out already."""
        yield COMMENT
        while not (await asyncio.wait({deciding}, timeout=self._settings.keep_alive_s))[0]:
            yield COMMENT
        try:
            deciding.result()
        except Exception as error:
            yield event(_api_error(error).body)
            yield DONE
        else:
            for each in asked.render(vote).events():
                yield each


@contextmanager
def _while_connected(request: Request) -> Iterator[None]:
    """Cancel the block once the client is gone, which raises `ClientDisconnect` then."""
    waiting, gone = asyncio.current_task(), False
    assert waiting is not None

    def leave(watching: "asyncio.Task[None]") -> None:
        nonlocal gone
        if not watching.cancelled():
            gone = True
            waiting.cancel()

    watching = asyncio.create_task(_disconnected(request))
    watching.add_done_callback(leave)
    try:
        yield
    except asyncio.CancelledError:
        # Somebody else may want the end of this task, too, as when the server stops.
        if gone and not waiting.uncancel():
            raise ClientDisconnect from None
        raise
    finally:
        watching.remove_done_callback(leave)
        watching.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _read(kind: type[R], body: bytes) -> R:
    return _valid(lambda: kind.model_validate_json(body))


def _valid(make: Callable[[], R]) -> R:
    try:
        return make()
    except ValidationError as error:
        raise ApiError(400, first_mistake(error)) from None


def _checked(
    admission: Admission, handler: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    async def checked(request: Request) -> Response:
        admission.check(request)
        return await handler(request)

    return checked


def _no_model(model: Model) -> ApiError:
    return ApiError(
        404,
        f"the model here is {model.name!r}, also called {VOTED!r}",
        kind="invalid_request_error",
        code="model_not_found",
    )


def _api_error(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, SurefootError):
        return api_error_of(error)
    log.error("the proxy failed at a request: %s", type(error).__name__)
    return ApiError(500, "the proxy failed at this request", kind="api_error", code="failed")


def _json(said: Json, status: int = 200, more: dict[str, str] | None = None) -> Response:
    return Response(encoded(said), status, {**_PLAIN, **(more or {})}, "application/json")


def _response_to(error: ApiError) -> Response:
    return _json(error.body, error.status, error.headers)


async def _refused(request: Request, error: Exception) -> Response:
    return _response_to(_api_error(error))


async def _not_there(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return _response_to(
        ApiError(status, f"no such endpoint: {request.method} {request.url.path[:100]}", code="unknown_url")
    )
