"""The dashboard as an ASGI application: one page, its data as JSON, and what is new as server-sent events.

GET  /                                      the page
GET  /events?job=NAME  ?text=..&status=..   what is new of a job, or of the list of jobs
GET  /api/jobs?text=..&status=..            the list
GET  /api/job?job=NAME                      a job
GET  /api/report, /api/course, /api/plan    what is read when it is asked for, ?job=NAME
GET  /api/step?job=NAME&step=N              a step
GET  /api/turns?job=NAME&first=N            an agent's turns
POST /api/cancel, /api/decide, /api/suspend, /api/limit     with the token: see `_Cancel`, `_Decide`, `_Suspend`, `_Limit`
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from surefoot.errors import BadInput, SurefootError
from surefoot.orchestration.decision import LONGEST, decide
from surefoot.orchestration.journal import jobs, stitched
from surefoot.orchestration.journal.jobs import NoSuchJob
from surefoot.orchestration.redis.client import RedisUnavailable
from surefoot.orchestration.redis.retrying import redis_words
from surefoot.printable import encodable, printable

from .access import Access
from .details import Details
from .hub import Hub, Topic
from .page import page
from .texts import LINE, shortened

MOST_STREAMS = 100
"""Browsers that are kept up to date at the same time."""
MOST_BYTES = 1 << 16
"""Of a request's body: an answer of a person, and two names."""
BODY_S = 10.0
MOST_LISTED = 500
LONGEST_NUMBER = 20
NAME = 1_000
"""Characters of a job's name, and of what jobs are looked for by."""
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
NOTHING_RUNS = "default-src 'none'; frame-ancestors 'none'"
"""The policy of answers that are data."""
Say = Callable[[str], object]
Answer = Callable[[Request], Awaitable[Any]]
Form = TypeVar("Form", bound=BaseModel)


class _Cancel(BaseModel, extra="forbid"):
    job: str = Field(max_length=NAME)


class _Decide(BaseModel, extra="forbid"):
    job: str = Field(max_length=NAME)
    question: str = Field(max_length=NAME)
    answer: str = Field(max_length=LONGEST)


class _Suspend(BaseModel, extra="forbid"):
    job: str = Field(max_length=NAME)
    off: bool = False


class _Limit(BaseModel, extra="forbid"):
    job: str = Field(max_length=NAME)
    limit: int


def dashboard_app(redis: Redis, hub: Hub, access: Access, say: Say) -> ASGIApp:
    """Return the application; who runs it lets the hub `watch`, too.  `say` is told what a person has changed, in a sentence."""
    return _WithHeaders(_Dashboard(redis, hub, access, say).app())


class _Dashboard:
    def __init__(self, redis: Redis, hub: Hub, access: Access, say: Say) -> None:
        self._redis, self._hub, self._access, self._say = redis, hub, access, say
        self._details = Details(redis, hub.figures)

    def app(self) -> Starlette:
        """Return its routes."""
        details = self._details
        reads: dict[str, Answer] = {
            "jobs": self._jobs,
            "job": lambda request: self._hub.job(_name(request)),
            "report": lambda request: details.report(_name(request)),
            "course": lambda request: details.course(_name(request)),
            "plan": lambda request: details.plan(_name(request)),
            "step": lambda request: details.step(_name(request), _number(request, "step")),
            "turns": lambda request: details.turns(_name(request), _number(request, "first")),
        }
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/favicon.ico", _no_icon),
                Route("/events", self._events),
                *(Route(f"/api/{name}", self._reading(answer)) for name, answer in reads.items()),
                Route("/api/cancel", self._changing(self._cancel), methods=["POST"]),
                Route("/api/decide", self._changing(self._decide), methods=["POST"]),
                Route("/api/suspend", self._changing(self._suspend), methods=["POST"]),
                Route("/api/limit", self._changing(self._set_limit), methods=["POST"]),
            ]
        )

    async def _page(self, request: Request) -> Response:
        if (refused := self._access.refusal(request, page=True)) is not None:
            return refused
        made = page()
        return Response(made.html, media_type="text/html", headers={"Content-Security-Policy": made.policy})

    async def _events(self, request: Request) -> Response:
        if (refused := self._access.refusal(request)) is not None:
            return refused
        if self._hub.browsers >= MOST_STREAMS:
            return _json({"error": f"{MOST_STREAMS} browsers are open already: close one"}, 503)
        topic = Topic(*(request.query_params.get(name, "")[:NAME] for name in Topic._fields))
        return StreamingResponse(self._hub.updates(topic), media_type="text/event-stream")

    async def _jobs(self, request: Request) -> Any:
        asked = request.query_params
        found = self._hub.list_of(asked.get("text", "")[:NAME], asked.get("status", "")[:NAME], MOST_LISTED)
        return {**found, "controls": self._access.controls}

    def _reading(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            if (refused := self._access.refusal(request)) is not None:
                return refused
            return await _in_sentences(answer, request)

        return answered

    def _changing(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            if (refused := self._access.refusal(request, changes=True)) is not None:
                return refused
            if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return _json({"error": "what is to be changed comes as JSON"}, 415)
            return await _in_sentences(answer, request)

        return answered

    async def _cancel(self, request: Request) -> Any:
        asked = _read(_Cancel, await _body(request))
        parts = await stitched.find(self._redis, asked.job)
        await (jobs.cancel(self._redis, asked.job) if parts is None else stitched.cancel(self._redis, parts))
        self._say(f"job {printable(asked.job)} was cancelled in the dashboard")
        return {"job": asked.job, "status": "cancelled"}

    async def _decide(self, request: Request) -> Any:
        asked = _read(_Decide, await _body(request))
        await decide(asked.job, asked.answer, question=asked.question, redis=self._redis)
        told = shortened(asked.answer, LINE)
        self._say(
            f"question {printable(asked.question)} of job {printable(asked.job)} was answered {told!r} in the dashboard"
        )
        return {"job": asked.job, "answer": asked.answer}

    async def _suspend(self, request: Request) -> Any:
        asked = _read(_Suspend, await _body(request))
        parts = await stitched.find(self._redis, asked.job)
        if parts is None:
            await jobs.suspend(self._redis, asked.job, off=asked.off)
        else:
            await stitched.suspend(self._redis, parts, off=asked.off)
        self._say(
            f"job {printable(asked.job)} was {'let go on' if asked.off else 'suspended'} in the dashboard"
        )
        return {"job": asked.job, "suspended": not asked.off}

    async def _set_limit(self, request: Request) -> Any:
        asked = _read(_Limit, await _body(request))
        await jobs.set_limit(self._redis, asked.job, asked.limit)
        self._say(
            f"steps of job {printable(asked.job)} were given a limit of {asked.limit:,} samples in the dashboard"
        )
        return {"job": asked.job, "limit": asked.limit}


async def _in_sentences(answer: Answer, request: Request) -> Response:
    """Answer with JSON; what goes wrong comes as a sentence."""
    try:
        return _json(await answer(request))
    except NoSuchJob as error:
        return _json({"error": error.sentence}, 404)
    except BadInput as error:
        return _json({"error": error.sentence}, 400)
    except (RedisUnavailable, RedisError) as error:
        said = (
            error.sentence
            if isinstance(error, SurefootError)
            else f"Redis does not work ({redis_words(error)})"
        )
        return _json({"error": said}, 503)
    except SurefootError as error:  # a damaged journal, a newer one, a task that cannot read its own answers
        return _json({"error": error.sentence}, 409)
    except TimeoutError:
        return _json(
            {"error": "this takes too long beside everything else: ask again, or use the command line"}, 503
        )


async def _body(request: Request) -> bytes:
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                found += chunk
                if len(found) > MOST_BYTES:
                    raise HTTPException(413, f"a request has {MOST_BYTES:,} bytes at most")
    except ClientDisconnect:
        raise BadInput("the request ended in the middle") from None
    return bytes(found)


def _read(kind: type[Form], body: bytes) -> Form:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(printable(f"{where}: {first['msg']}" if where else first["msg"])) from None


def _name(request: Request) -> str:
    name = request.query_params.get("job", "")
    if not name or len(name) > NAME or not encodable(name):
        raise BadInput(f"say which job: ?job=NAME, of 1 to {NAME:,} characters")
    return name


def _number(request: Request, name: str) -> int:
    raw = request.query_params.get(name, "")
    try:
        return int(raw[:LONGEST_NUMBER])
    except ValueError:
        raise BadInput(f"{name} is a whole number, not {raw[:LONGEST_NUMBER]!r}") from None


def _json(value: Any, status: int = 200) -> Response:
    return Response(to_json(value, inf_nan_mode="null"), status, media_type="application/json")


async def _no_icon(request: Request) -> Response:
    return Response(status_code=204)


class _WithHeaders:
    """Puts the headers on every answer, refusals and errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Content-Security-Policy", NOTHING_RUNS)
            await send(message)

        await self._app(scope, receive, sent)
