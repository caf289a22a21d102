"""A Redis client that waits through an outage or a fail-over instead of failing the run, and loses no cancellation."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    ConnectionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    wait_exponential_jitter,
)

from surefoot.printable import printable

T = TypeVar("T")
OnWait = Callable[[str], None]
"""Told in one sentence what is being waited for, and with an empty string when the wait is over."""

REPLY_S = 30.0
"""Longest wait for one reply, connecting included, where the patience is not shorter: a server that says nothing for so long counts as gone."""

_NOT_NOW = re.compile(r"(?:^|-)(READONLY|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|LOADING|MISCONF|BUSY) ")
"""Answers of a server that cannot do now what it can do later.  Redis 6 puts a script's error behind words of its own."""

_CLIENT = re.compile(r"<redis\.asyncio\.client\.Redis\(.*?\bhost=([^,]+),port=(\d+).*?\)>\)>\)>")
"""How redis-py names a sentinel that does not answer: by all its settings, a page long."""
LONGEST = 500
"""Characters of an error in a sentence."""


class NotNow(ConnectionError):
    """The server answers, but not as one that can be worked with: a replica, one without its replicas, one that is loading."""


class PatientRedis(Redis):
    """A client over `pool` whose every command is tried for `patience_s` seconds in all.

    Each try after a failed one goes over a fresh connection, since a name, a proxy or Sentinel may lead to another server
    by then.  Repeating a command whose reply was lost is safe here: every write of the journal and of the saver may be repeated.

    Raises the last `ConnectionError` or `TimeoutError` of redis-py when the patience is at its end, and other errors at once.
    """

    def __init__(self, pool: ConnectionPool, patience_s: float, on_wait: OnWait) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True  # it is this client's own
        self._patience_s = patience_s
        self._reply_s = min(REPLY_S, patience_s)
        self._on_wait = on_wait

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command, again and again while no server can answer it."""
        began = time.monotonic()
        try:
            return await self.execute_once(*args, **options)  # nearly always all that it takes
        except Exception as error:
            if not _passes(error):
                raise
            return await self._execute_again(error, began, *args, **options)

    async def _execute_again(self, failure: Exception, began: float, *args: Any, **options: Any) -> Any:
        """Go on after a first failure."""
        first: Exception | None = failure
        waited = False

        async def attempt() -> Any:
            nonlocal first
            if first is not None:
                failed, first = first, None
                raise failed
            return await self.execute_once(*args, **options)

        def announce(state: RetryCallState) -> None:
            nonlocal waited
            waited = True
            self._announce(state)

        retrying = AsyncRetrying(
            retry=retry_if_exception(_passes),
            stop=lambda _: time.monotonic() - began >= self._patience_s,
            wait=wait_exponential_jitter(multiplier=0.05, max=5, jitter=0.05),
            before_sleep=announce,
            reraise=True,
        )
        try:
            return await retrying(attempt)
        finally:
            if waited:
                self._on_wait("")

    async def execute_once(self, *args: Any, **options: Any) -> Any:
        """Send a command one time, without patience."""
        try:
            # redis-py's own time-outs lose cancellations, see `heeding`.
            async with asyncio.timeout(self._reply_s):
                return await heeding(super().execute_command(*args, **options))  # type: ignore[no-untyped-call]
        except OSError as error:
            await self._leave()
            raise TimeoutError(str(error) or f"no reply within {self._reply_s:.0f} s") from error
        except (ConnectionError, TimeoutError):
            await self._leave()
            raise
        except ResponseError as error:
            if not _not_now(error):
                raise
            await self._leave()
            raise NotNow(str(error)) from error

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close all connections; commands that still wait for the server end."""
        self._patience_s = 0
        await super().aclose(close_connection_pool)

    async def _leave(self) -> None:
        """Close the connections: they may lead to a server that has lost its place to another one."""
        pool = self.connection_pool
        await pool.update_active_connections_for_reconnect()
        with suppress(RedisError, OSError):
            await pool.disconnect(inuse_connections=False)

    def _announce(self, state: RetryCallState) -> None:
        assert state.outcome is not None
        error = state.outcome.exception()
        what = "does not take commands now" if isinstance(error, NotNow) else "is gone"
        self._on_wait(f"Redis {what} ({redis_words(error)}); attempt {state.attempt_number}")


def redis_words(error: BaseException | None) -> str:
    """Return what redis-py says, fit for a sentence: printable, of bounded length, and with an address in place of a client."""
    return printable(_CLIENT.sub(r"\1:\2", str(error))[:LONGEST])


async def heeding(call: Awaitable[T]) -> T:
    """Await `call`, and be cancelled if that was asked for meanwhile, however the call ended.

    With a time-out redis-py sends inside `asyncio.wait_for`.  On Python 3.11 that drops the cancellation of a task whose
    inner future is done already, and with it an `asyncio.timeout` or the end of a program.
    """
    task = asyncio.current_task()
    assert task is not None
    asked = task.cancelling()
    try:
        return await call
    finally:
        if task.cancelling() > asked:
            raise asyncio.CancelledError


class HeedingRedis(Redis):
    """A caller's client whose commands lose no cancellation; closing it closes nothing."""

    def __init__(self, client: Redis) -> None:
        super().__init__(connection_pool=client.connection_pool)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command."""
        return await heeding(super().execute_command(*args, **options))  # type: ignore[no-untyped-call]


def _passes(error: BaseException) -> bool:
    """Whether it is worth another try; a password does not become right by waiting."""
    return isinstance(error, ConnectionError | TimeoutError) and not wants_password(error)


def wants_password(error: BaseException) -> bool:
    """Whether a server has refused this client; over a unix socket redis-py wraps its error in another one."""
    refused = AuthenticationError | AuthorizationError
    return isinstance(error, refused) or isinstance(error.__cause__, refused)


def _not_now(error: ResponseError) -> bool:
    return isinstance(error, ReadOnlyError | ClusterDownError | TryAgainError) or bool(
        _NOT_NOW.search(str(error))
    )
