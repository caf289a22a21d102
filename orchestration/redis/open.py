"""From what a user types to a Redis that answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.exceptions import RedisError

from surefoot.orchestration.events import Back, Listen, Waiting, ignore

from . import embedded
from .client import PATIENCE_S, RedisUnavailable, connect
from .retrying import HeedingRedis, redis_words


@asynccontextmanager
async def open_redis(
    redis: str | Redis | None, listen: Listen = ignore, patience_s: float = PATIENCE_S
) -> AsyncIterator[Redis]:
    """Open the Redis of a URL, the embedded one for None; a client is taken as it is and left to its owner.

    Raises `RedisUnavailable` when a Redis opened here refuses to work, or is gone for longer than `patience_s` seconds.
    """
    if redis is not None and not isinstance(redis, str):
        yield HeedingRedis(redis) if isinstance(redis, Redis) else redis
        return

    def waiting(sentence: str) -> None:
        listen(Waiting(on="redis", sentence=sentence) if sentence else Back(on="redis"))
        if sentence and redis is None:
            embedded.ensure_guard()

    url = redis or await embedded.start_server(on_wait=waiting)
    client = await connect(url, patience_s=patience_s, on_wait=waiting)
    try:
        yield client
    except RedisError as error:
        raise RedisUnavailable(
            f"Redis does not work ({redis_words(error)}); what was decided is safe: resume the job, or ask again, once it works"
        ) from error
    finally:
        await client.aclose()
