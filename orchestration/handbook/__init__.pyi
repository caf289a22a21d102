"""What `surefoot.orchestration.handbook` offers."""

from .learning import learn, trace_of
from .store import Handbook
from .weighing import Weighed, Weighing, earn, weigh

__all__ = ["Handbook", "Weighed", "Weighing", "earn", "learn", "trace_of", "weigh"]
