"""What `surefoot.models.openai` offers."""

from .answer_cache import AnswerFromCache
from .batches import Capabilities, Endpoint
from .client import OpenAIModel
from .failures import RequestRefused, StreamInterrupted, UnreadableResponse
from .options import Options, Wait
from .probe import ServerLacks

__all__ = [
    "AnswerFromCache",
    "Capabilities",
    "Endpoint",
    "OpenAIModel",
    "Options",
    "RequestRefused",
    "ServerLacks",
    "StreamInterrupted",
    "UnreadableResponse",
    "Wait",
]
