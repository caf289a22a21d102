"""What `surefoot.models` offers."""

from .base import Ask, Message, Model, ModelUnavailable, Prompt, Sampling
from .connect import open_model
from .draft_laws import AcceptanceLaw, DraftPoint, chosen_law, fitted_law
from .equivalence import Comparison, Equated
from .gather import as_they_end, in_order
from .langchain import VotedChatModel
from .offers import Call, Offer, ToolSchema, read_calls, without_thoughts, write_calls
from .replicas import Replicas
from .streaming import Draw, Inspectable, Piece, Streaming, Token, whole_stream
from .tags import THINK, Tags

__all__ = [
    "THINK",
    "AcceptanceLaw",
    "Ask",
    "Call",
    "Comparison",
    "DraftPoint",
    "Draw",
    "Equated",
    "Inspectable",
    "Message",
    "Model",
    "ModelUnavailable",
    "Offer",
    "Piece",
    "Prompt",
    "Replicas",
    "Sampling",
    "Streaming",
    "Tags",
    "Token",
    "ToolSchema",
    "VotedChatModel",
    "as_they_end",
    "chosen_law",
    "fitted_law",
    "in_order",
    "open_model",
    "read_calls",
    "whole_stream",
    "without_thoughts",
    "write_calls",
]
