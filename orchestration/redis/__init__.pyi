"""What `surefoot.orchestration.redis` offers."""

from .client import RedisUnavailable, connect
from .embedded import NoLocalRedis
from .open import open_redis

__all__ = [
    "NoLocalRedis",
    "RedisUnavailable",
    "connect",
    "open_redis",
]
