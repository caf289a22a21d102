"""One request at a time with one server: authorised, limited, timed, and tried again through an outage."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from functools import partial
from typing import NamedTuple, TypeVar

import aiohttp
import httpx
from pydantic import ValidationError
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_any,
    stop_before_delay,
    wait_random_exponential,
)
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from surefoot.models.base import ModelUnavailable
from surefoot.models.keys import VARIABLES

from .answer_cache import PLEASE_DO_NOT, AnswerFromCache, sign_of_store
from .cumulative import CumulativeStream
from .error_bodies import FailureReported, ReportedError, failure_in_body
from .failures import Lasts, RequestRefused, StreamInterrupted, Transient, UnreadableResponse, lasts
from .limiter import Limiter, Slot
from .limits import ResponseTooLarge, beginning
from .options import Options, Wait
from .redaction import Redactor, redacted_url, up_to_v1
from .retry_after import wanted_pause

__all__ = [
    "Exchange",
    "Follow",
    "Read",
    "Request",
    "RequestRefused",
    "Send",
    "StreamInterrupted",
    "Transient",
]

T = TypeVar("T")
Send = Callable[[httpx.Request], Awaitable[httpx.Response]]
"""Returns a response whose body has not been read."""
Read = Callable[[httpx.Response, Callable[[], None]], Awaitable[T]]
"""Makes sense of a response, calling its second argument once the model has begun; raises `ValueError` if it cannot."""
Follow = Callable[[httpx.Response, Callable[[], None]], AsyncIterator[T]]
"""Like `Read`, one item after the other."""

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 15.0
"""Pauses are drawn uniformly between 0 and a limit that doubles from the first of these to the second."""

_OVERLOADED = (429, 503)
_TELLING = re.compile(r"reasoning_content|reasoning_details|reasoning|tool_choice")
_KEYS = f"it is taken from ${' or $'.join(VARIABLES)}, or with --api-key-file from a file"


class Request(NamedTuple):
    """What is sent, and how long it may take."""

    method: str
    url: httpx.URL
    body: bytes | None
    patience_s: float
    total_s: float
    fresh: bool = False
    """It asks for samples, which no store may answer."""
    private: bool = False
    """There are raw thoughts in what is sent, so that the server's words, which may quote them, are not passed on."""


class Exchange:
    """Sends requests and returns what `read` makes of the responses."""

    def __init__(
        self, send: Send, server: str, options: Options, words: Redactor, headers: httpx.Headers | None = None
    ) -> None:
        self.server = server
        self.limiter = Limiter(options.max_in_flight)
        self.retries = 0
        """Requests that were sent once more after a failure."""
        self.words = words
        """Whatever the server says goes through here before it gets into a sentence."""
        self._send = send
        self._first_token_s = options.first_token_s
        self._on_wait, self._on_back = options.on_wait, options.on_back
        self._headers = httpx.Headers(headers)
        self._headers.update(
            {"content-type": "application/json", "accept-encoding": "identity", **PLEASE_DO_NOT}
        )
        if options.api_key:
            self._headers["authorization"] = f"Bearer {options.api_key}"
        if options.session:
            self._headers["x-session-id"] = options.session
        self._extensions = {
            "timeout": {"connect": options.connect_s, "read": None, "write": None, "pool": None}
        }
        self._gone = False

    async def request(self, call: Request, read: Read[T]) -> T:
        """Return what `read` makes of the response.

        Raises `RequestRefused` when the server says no, and `ModelUnavailable` when `patience_s` seconds after the first
        failure there is still no answer.
        """
        return await self._patiently(partial(self._try, call, read), call.patience_s)

    async def stream(self, call: Request, follow: Follow[T]) -> AsyncGenerator[T, None]:
        """Yield what `follow` makes of the response, as it comes; closing the generator closes the connection.

        Raises as `request` does, and `StreamInterrupted` if the response breaks off after the model has begun.
        """
        # Timeouts and the limiter's slot belong to one task, which a generator does not have: hence the queue.
        arrived: asyncio.Queue[T | None] = asyncio.Queue()
        has_begun = False

        async def pump(response: httpx.Response, begun: Callable[[], None]) -> None:
            def first() -> None:
                nonlocal has_begun
                has_begun = True
                begun()

            async for item in follow(response, first):
                arrived.put_nowait(item)

        async def attempt() -> None:
            try:
                await self._try(call, pump, streamed=True)
            except Transient as failure:
                if has_begun:
                    raise StreamInterrupted(f"{self.server} broke off ({failure})") from failure
                raise

        task = asyncio.create_task(self._patiently(attempt, call.patience_s))
        task.add_done_callback(lambda _: arrived.put_nowait(None))
        try:
            while (item := await arrived.get()) is not None:
                yield item
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _patiently(self, attempt: Callable[[], Awaitable[T]], patience_s: float) -> T:
        # The first try goes without tenacity, which costs more than all else here.
        try:
            result = await attempt()
        except Transient as failure:
            result = await self._try_again(attempt, patience_s, failure)
        if self._gone:
            self._gone = False
            if self._on_back:
                self._on_back()
        return result

    async def _try_again(self, attempt: Callable[[], Awaitable[T]], patience_s: float, first: Transient) -> T:
        known: Transient | None = first

        async def next_attempt() -> T:
            nonlocal known
            if known is not None:
                failure, known = known, None
                raise failure
            return await attempt()

        def give_up(state: RetryCallState) -> None:
            failure = _failure_in(state)
            if failure.once:
                raise RequestRefused(
                    f"{self.server} fails at this request each time ({failure})"
                ) from failure
            raise ModelUnavailable(
                f"{self.server} has not answered for {patience_s:g} s ({failure}): "
                f"check its address, start it, and resume"
            ) from failure

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Transient),
            wait=_AsAsked(wait_random_exponential(FIRST_PAUSE_S, LONGEST_PAUSE_S)),
            stop=stop_any(stop_before_delay(patience_s), _OnceMore()),
            before_sleep=self._announce,
            retry_error_callback=give_up,
        )
        return await retrying(next_attempt)

    async def _try(self, call: Request, read: Read[T], streamed: bool = False) -> T:
        request = httpx.Request(
            call.method, call.url, headers=self._headers, content=call.body, extensions=self._extensions
        )
        first = asyncio.timeout(self._first_token_s)
        try:
            async with self.limiter.slot() as slot, asyncio.timeout(call.total_s), first:

                def begun() -> None:
                    first.reschedule(None)
                    if streamed:
                        slot.began()

                return await self._read(request, read, slot, begun, call)
        except TimeoutError:
            what, seconds = (
                ("first token", self._first_token_s) if first.expired() else ("answer", call.total_s)
            )
            failure = Transient(f"no {what} within {seconds:g} s")
        except (httpx.RequestError, aiohttp.ClientError) as error:
            failure = Transient(self.words(str(error) or type(error).__name__))
        # Outside of the handlers: what was caught there holds the request, its key and what the server said, and would
        # go along as the context of what is raised.
        raise failure

    async def _read(
        self, request: httpx.Request, read: Read[T], slot: Slot, begun: Callable[[], None], call: Request
    ) -> T:
        response = await self._send(request)
        private = call.private
        failure: Transient | RequestRefused
        try:
            if response.status_code != 200:
                raise FailureReported(failure_in_body(await beginning(response), response.status_code))
            if call.fresh and (sign := sign_of_store(response.headers)):
                raise AnswerFromCache(self.server, self.words(sign))
            return await read(response, begun)
        except FailureReported as error:
            if error.failure.status in _OVERLOADED:
                slot.overloaded()
            failure = self._judged(error.failure, response, private)
        except ValueError as error:
            failure = Transient(f"not an answer in the form of the OpenAI API ({self.words(_why(error))})")
        except ResponseTooLarge as error:
            failure = RequestRefused(f"{self.server} sends what cannot be an answer: {error}")
        except CumulativeStream as error:
            failure = UnreadableResponse(f"{self.server} sends what cannot be read: {error}")
        finally:
            await response.aclose()
        raise failure

    def _judged(
        self, failure: ReportedError, response: httpx.Response, private: bool
    ) -> Transient | RequestRefused:
        """Return what a failure means, whether it came as a status or inside an answer."""
        status = failure.status
        beside = "an error" if response.status_code == 200 else response.reason_phrase
        said = self.words(failure.kind if private else failure.said) or beside or "no reason given"
        said = f"{status or 'in place of its answer'}: {said}"
        if response.is_redirect:
            return RequestRefused(self._redirected(response.headers.get("location", "elsewhere")), status)
        stays = lasts(status, failure.kind, failure.all)
        if stays is not Lasts.STAYS:
            after_s = wanted_pause(response.headers, failure.all)
            return Transient(said, after_s, once=stays is Lasts.ONCE_MORE)
        if status in (401, 403):
            which = "the API key" if "authorization" in self._headers else "a request without an API key"
            return RequestRefused(f"{self.server} does not accept {which} ({said}): {_KEYS}", status)
        told = (
            f"{failure.kind} {_of_the_api(failure.all)}" if private else self.words.without_keys(failure.all)
        )
        return RequestRefused(f"{self.server} refuses the request ({said})", status, told)

    def _redirected(self, location: str) -> str:
        where = redacted_url(location)
        root = up_to_v1(where)
        if self.server.endswith(f" {root.removesuffix('/v1')}"):
            # Nothing that a user could give instead leads anywhere else.
            return (
                f"{self.server} redirects a request to {self.words(where)!r}, and redirects are not followed: the API must "
                f"answer at /v1 itself"
            )
        return f"{self.server} redirects to {self.words(root)!r}: give that address instead"

    def _announce(self, state: RetryCallState) -> None:
        self._gone = True
        self.retries += 1
        if self._on_wait and state.next_action:
            error, pause_s = str(_failure_in(state)), state.next_action.sleep
            wait = Wait(server=self.server, error=error, attempt=state.attempt_number, next_try_s=pause_s)
            self._on_wait(wait)


def _of_the_api(said: str) -> str:
    """Return those of a server's words that tell what it refuses, and cannot be a thought that it quotes."""
    return " ".join(dict.fromkeys(_TELLING.findall(said)))


class _AsAsked(wait_base):
    """Wait as long as another strategy says, but no less than the server asked for."""

    def __init__(self, otherwise: wait_base) -> None:
        self._otherwise = otherwise

    def __call__(self, retry_state: RetryCallState) -> float:
        return max(self._otherwise(retry_state), _failure_in(retry_state).retry_after_s)


class _OnceMore(stop_base):
    """Stop where the failure is of a kind that has been tried often enough."""

    def __call__(self, retry_state: RetryCallState) -> bool:
        return retry_state.attempt_number > 1 and _failure_in(retry_state).once


def _failure_in(state: RetryCallState) -> Transient:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Transient)
    return error


def _why(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return ": ".join(map(str, (*first["loc"], first["msg"])))
    return str(error)
