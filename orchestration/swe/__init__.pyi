"""What `surefoot.orchestration.swe` offers."""

from .fleet import Fleet, InFlight
from .result import InstanceResult, Result, Visible
from .settings import SweSettings

__all__ = ["Fleet", "InFlight", "InstanceResult", "Result", "SweSettings", "Visible"]
