"""What `surefoot.orchestration.checkpoints` offers."""

from .gate import NoConnection
from .saver import AsyncOnly, DamagedCheckpoint, RedisSaver, Unstorable, UntrustedValue
from .store import LostValue

__all__ = [
    "AsyncOnly",
    "DamagedCheckpoint",
    "LostValue",
    "NoConnection",
    "RedisSaver",
    "Unstorable",
    "UntrustedValue",
]
