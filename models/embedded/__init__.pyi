"""What `surefoot.models.embedded` offers."""

import pathlib

from .llama_cpp import EmbeddedServer, NoEmbeddedModel, embedded_options
from .pool import NumpyPebble

PEBBLES: tuple[str, ...]
WEIGHTS: pathlib.Path

__all__ = [
    "EmbeddedServer",
    "NoEmbeddedModel",
    "NumpyPebble",
    "embedded_options",
]
