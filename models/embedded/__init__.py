"""The models that come with this package: their weights, llama.cpp to serve them, and pebble's network in numpy."""

from pathlib import Path

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

PEBBLES = ("pebble", "pebble-numpy")
"""The addresses of pebble, which reads the compact style alone."""
WEIGHTS = Path(__file__).parent / "weights"
"""A folder for each model: GGUF for llama.cpp, safetensors for other engines, and its card."""
