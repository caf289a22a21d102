"""What `surefoot.agents.preferences` offers."""

from .preference import Preference
from .prompt_block import block
from .signal import ChoiceSignal
from .with_preference import WithPreference

__all__ = ["ChoiceSignal", "Preference", "WithPreference", "block"]
