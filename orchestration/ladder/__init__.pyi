"""What `surefoot.orchestration.ladder` offers."""

from .climber import Climber
from .opening import open_others
from .person import answered
from .rung_rules import Pooled, Twice

__all__ = ["Climber", "Pooled", "Twice", "answered", "open_others"]
