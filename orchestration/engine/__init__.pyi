"""What `surefoot.orchestration.engine` offers."""

from .drafts import AskAhead, Draft, Rollout, Supplied
from .open_step import StepStalled
from .recall import Recall
from .rollout_process import RolloutProcess
from .speculation import Speculation

__all__ = [
    "AskAhead",
    "Draft",
    "Recall",
    "Rollout",
    "RolloutProcess",
    "Speculation",
    "StepStalled",
    "Supplied",
]
