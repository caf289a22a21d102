"""What `surefoot.tools.environments` offers."""

from .bubblewrap import Bubblewrap
from .choosing import choose
from .docker import Docker
from .environment import Environment, Ran
from .limits import Limits
from .local import Local
from .nowhere import Nowhere

__all__ = [
    "Bubblewrap",
    "Docker",
    "Environment",
    "Limits",
    "Local",
    "Nowhere",
    "Ran",
    "choose",
]
