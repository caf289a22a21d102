"""What `surefoot.tools.towers` offers."""

from .board import IllegalMove, Move

__all__ = [
    "IllegalMove",
    "Move",
]
