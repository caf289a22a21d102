"""What `surefoot.tools.puzzles` offers."""

from .puzzle import NoMove

__all__ = [
    "NoMove",
]
