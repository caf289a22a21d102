"""What `surefoot.serving.inspect_extension` offers."""

from .settings import VotedSettings
from .solvers import voted_solver

__all__ = ["VotedSettings", "voted_solver"]
