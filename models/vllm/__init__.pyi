"""What `surefoot.models.vllm` offers."""

from .draft_tuning import (
    DraftCost,
    DraftCounters,
    LossySpeculation,
    draft_lengths,
    read_draft_counters,
    speculative_config,
)
from .launch import Build, NoVLLM, Serving, find, server_command, source
from .serve import ServerFailed, serving

__all__ = [
    "Build",
    "DraftCost",
    "DraftCounters",
    "LossySpeculation",
    "NoVLLM",
    "ServerFailed",
    "Serving",
    "draft_lengths",
    "find",
    "read_draft_counters",
    "server_command",
    "serving",
    "source",
    "speculative_config",
]
