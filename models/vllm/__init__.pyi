"""What `surefoot.models.vllm` offers."""

from .launch import Build, NoVLLM, Serving, find, server_command, source
from .serve import ServerFailed, serving

__all__ = [
    "Build",
    "NoVLLM",
    "ServerFailed",
    "Serving",
    "find",
    "server_command",
    "serving",
    "source",
]
