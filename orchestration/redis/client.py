"""From a URL to a client: redis://, rediss:// and unix://, and the same behind Redis Sentinel."""

import asyncio
import re
from typing import Any, Final
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError, ResponseError

from surefoot.errors import BadInput, SurefootError
from surefoot.printable import encodable

from .retrying import OnWait, PatientRedis, redis_words, wants_password

PATIENCE_S = 600.0
CONNECTIONS = 32
CONNECT_S = 5.0
GREET_S = 10.0
"""Longest wait for the first reply of all."""
SENTINEL_S = 2.0
"""Longest wait for a sentinel before the next one is asked."""

_SENTINEL: Final = re.compile(
    r"(?P<tls>redis|rediss)\+sentinel://((?P<user>[^/?#]*)@)?(?P<hosts>[^@/?#]+)/(?P<service>[^/?#]+)(?P<rest>(/\d+)?(\?.*)?)"
)
_DATABASE: Final = re.compile(r"(/\d*)?")
_HOST: Final = re.compile(r"(\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>[^\s:\[\]]+))(:(?P<port>\d{1,5}))?")


class RedisUnavailable(SurefootError):
    """Redis cannot be reached, has been gone for longer than the patience allows, or refuses to work."""


async def connect(
    url: str, *, patience_s: float = PATIENCE_S, on_wait: OnWait = lambda _: None
) -> PatientRedis:
    """Open a client for `url`, and check that a Redis answers there.

        redis://[[user]:password@]host[:port][/database]           rediss:// with TLS
        unix:///path/to/socket
        redis+sentinel://[[user]:password@]sentinel[:port][,sentinel2...]/service[/database]      rediss+sentinel:// with TLS

    `?sentinel_password=` and `?sentinel_username=` are for the sentinels themselves; other options are redis-py's.

    The first contact fails at once with `RedisUnavailable`; later outages are waited through for `patience_s` seconds.
    When all connections are busy, callers queue up.  The caller closes the client with `aclose()`.

    One connection is open from the start, so that a server that ends without clients stays.
    """
    client = PatientRedis(_pool(url), patience_s, on_wait)
    try:
        async with asyncio.timeout(GREET_S):
            await client.execute_once("PING")
    except BusyLoadingError:
        await client.ping()  # it is there, and soon will do
    except (RedisError, OSError) as error:
        await client.aclose()
        said = redis_words(error) or f"no reply within {GREET_S:.0f} s"
        raise RedisUnavailable(_refusal(url, error, said.rstrip("."))) from None
    except asyncio.CancelledError:
        await client.aclose()
        raise
    return client


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """Asks the sentinels who is the primary for every new connection, and queues callers up."""

    async def aclose(self) -> None:
        """Close the connections to the sentinels, too."""
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()


def _pool(url: str) -> BlockingConnectionPool:
    options: dict[str, Any] = {
        "max_connections": CONNECTIONS,
        "timeout": None,
        # The client is patient with whole commands; the connection tries once.
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": CONNECT_S,
        "socket_timeout": None,
    }
    try:
        sentinels = "+sentinel://" in url
        parts = urlsplit(url)
        if not encodable(url) or (
            parts.scheme in ("redis", "rediss") and not _DATABASE.fullmatch(parts.path)
        ):
            raise ValueError("no UTF-8, or no number of a database: redis-py would take database 0")
        pool = _sentinel_pool(url, options) if sentinels else BlockingConnectionPool.from_url(url, **options)
        pool.make_connection()  # connects nowhere, but knows which options there are
        return pool
    except (ValueError, TypeError):
        # What the URL parser says quotes parts of the URL, and a part may be of the password.
        raise BadInput(
            f"{without_password(url)!r} is not a Redis URL, which looks like redis://host:6379/0, rediss://host:6379/0, "
            f"unix:///path/to/socket or redis+sentinel://host:26379,host2:26379/service/0"
        ) from None


def _sentinel_pool(url: str, options: dict[str, Any]) -> _SentinelPool:
    """Make a pool from the URL form that redis-sentinel-url, LangChain and Prefect share; `ValueError` if it is none."""
    found = _SENTINEL.fullmatch(url)
    hosts = [_HOST.fullmatch(host) for host in found["hosts"].split(",")] if found else [None]
    if not found or None in hosts:
        raise ValueError("no sentinels, or no service")
    user = f"{found['user']}@" if found["user"] else ""
    given = dict(parse_url(f"{found['tls']}://{user}sentinel{found['rest']}"))
    secure = given.pop("connection_class", None) is not None
    given.pop("host", None)
    own = {name: given.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    shared = {name: value for name, value in given.items() if name.startswith("ssl_")}
    sentinels = Sentinel(
        [(host["v6"] or host["name"], int(host["port"] or 26379)) for host in hosts if host],
        sentinel_kwargs={
            **own,
            **shared,
            "ssl": secure,
            "retry": options["retry"],
            "socket_connect_timeout": SENTINEL_S,
            "socket_timeout": SENTINEL_S,
        },
    )
    connection = SentinelManagedSSLConnection if secure else SentinelManagedConnection
    return _SentinelPool(found["service"], sentinels, connection_class=connection, **options | given)  # type: ignore[no-untyped-call]


def _refusal(url: str, error: Exception, said: str) -> str:
    where = repr(without_password(url))
    if wants_password(error):
        return f"the Redis at {where} wants another user or password: give it in the address, redis://USER:PASSWORD@host:6379"
    if isinstance(error, ResponseError):
        return f"the Redis at {where} refuses: {said}; give another address"
    if url.startswith("rediss"):
        return f"no Redis answers at {where}: {said}; start it, or give another address (redis:// if it has no TLS)"
    tls = " (rediss:// if it has TLS)" if "closed" in said else ""
    return f"no Redis answers at {where}: {said}; start it, or give another address{tls}"


def without_password(url: str) -> str:
    """Return the URL as it may be shown."""
    shown = re.sub(r"^([\w+]+://)?.*@", r"\1***@", url, flags=re.DOTALL)
    return re.sub(r"(password=)[^&#]*", r"\1***", shown)
