"""A Redis client that waits through an outage instead of failing the run, and says so."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_delay,
    wait_exponential_jitter,
)

from ..errors import BadInput, SurefootError

T = TypeVar("T")
OnWait = Callable[[str], None]
"""Told in one sentence what is being waited for, and with an empty string when the wait is over."""

PATIENCE_S = 600.0
CONNECTIONS = 32


class RedisUnavailable(SurefootError):
    """Redis cannot be reached, has been gone for longer than the patience allows, or refuses to work."""


class PatientRetry(Retry):
    """redis-py's retry seam, with exponential backoff up to a total patience in seconds.

    Repeating a command whose reply was lost is safe here: every write of the journal and of the saver is idempotent.
    """

    def __init__(self, patience_s: float, on_wait: OnWait) -> None:
        super().__init__(NoBackoff(), retries=-1, supported_errors=(ConnectionError, TimeoutError, OSError))  # type: ignore[arg-type]
        self._patience_s = patience_s
        self._on_wait = on_wait

    async def call_with_retry(
        self,
        do: Callable[[], Awaitable[T]],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """Call `do` until it succeeds or the patience ends; `fail` tidies the connection up after each failure."""

        def worth_another_try(error: BaseException) -> bool:
            return isinstance(error, self._supported_errors) and (is_retryable is None or is_retryable(error))

        def announce(state: RetryCallState) -> None:
            assert state.outcome is not None
            self._on_wait(f"Redis is gone ({state.outcome.exception()}); attempt {state.attempt_number}")

        failures = 0

        async def attempt() -> T:
            nonlocal failures
            try:
                return await do()
            except self._supported_errors as error:
                failures += 1
                await (fail(error, failures) if with_failure_count else fail(error))
                raise

        retrying = AsyncRetrying(
            retry=retry_if_exception(worth_another_try),
            stop=stop_after_delay(self._patience_s),
            wait=wait_exponential_jitter(multiplier=0.05, max=5, jitter=0.05),
            before_sleep=announce,
            reraise=True,
        )
        result: T = await retrying(attempt)
        if failures:
            self._on_wait("")
        return result


async def connect(url: str, *, patience_s: float = PATIENCE_S, on_wait: OnWait = lambda _: None) -> Redis:
    """Open a client for `url` (redis://, rediss:// or unix://) and check that a Redis answers there.

    The first contact fails at once with `RedisUnavailable`; later outages are waited through for `patience_s` seconds.
    When all connections are busy, callers queue up.  The caller closes the client with `aclose()`.

    One connection is open from the start, so that a server that ends when nobody is connected stays.
    """
    retry = PatientRetry(patience_s, on_wait)
    try:
        await _greet(url)
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=None,
            retry=retry,
            socket_connect_timeout=5,
            socket_timeout=30,
        )
    except (ValueError, TypeError):
        # What the URL parser says quotes parts of the URL, and a part may be of the password.
        raise BadInput(
            f"{without_password(url)!r} is not a Redis URL, which looks like redis://host:6379/0, rediss://host:6379/0 "
            f"or unix:///path/to/socket"
        ) from None
    client = Redis.from_pool(pool)
    await client.ping()
    return client


async def _greet(url: str) -> None:
    first = Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=5, socket_timeout=5)
    try:
        await first.ping()
    except (RedisError, OSError) as error:
        raise RedisUnavailable(f"no Redis answers at {without_password(url)!r}: {error}") from None
    finally:
        await first.aclose()


def without_password(url: str) -> str:
    """Return the URL as it may be shown."""
    shown = re.sub(r"^(\w+://)?.*@", r"\1***@", url, flags=re.DOTALL)
    return re.sub(r"(password=)[^&#]*", r"\1***", shown)
