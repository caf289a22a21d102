"""Deterministic doubles: models and servers whose errors are known, for tests, benches and examples."""

from .double import Double, Garbage, Latency, towers_double

__all__ = ["Double", "Garbage", "Latency", "towers_double"]
