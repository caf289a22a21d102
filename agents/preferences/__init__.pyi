"""What `surefoot.agents.preferences` offers."""

from .preference import Preference
from .prompt_block import block
from .signal import Signal
from .with_preference import WithPreference

__all__ = ["Preference", "Signal", "WithPreference", "block"]
