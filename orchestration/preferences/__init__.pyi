"""What `surefoot.orchestration.preferences` offers."""

from .judging import Judging, foresees
from .store import Known, Preferences
from .updating import Updated, update

__all__ = ["Judging", "Known", "Preferences", "Updated", "foresees", "update"]
