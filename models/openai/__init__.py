"""The client for any OpenAI-compatible server: one `Model`, and what it is made of."""

from .client import OpenAIModel

__all__ = ["OpenAIModel"]
