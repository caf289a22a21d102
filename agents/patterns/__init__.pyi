"""What `surefoot.agents.patterns` offers."""

from .instructions import PATTERNS
from .with_pattern import WithPattern

__all__ = ["PATTERNS", "WithPattern"]
