"""Reasoning hygiene: untrusted text is cleaned, fenced and judged before a model reads it."""

from .fencing import NOTICE, FencedText, fence, fence_by_digest
from .guard import POLICY, THINKING_OFF, Guard, GuardDecision
from .lookalikes import MARK
from .sanitise import GROWTH, Cleaned, Removed, clean

__all__ = [
    "GROWTH",
    "MARK",
    "NOTICE",
    "POLICY",
    "THINKING_OFF",
    "Cleaned",
    "FencedText",
    "Guard",
    "GuardDecision",
    "Removed",
    "clean",
    "fence",
    "fence_by_digest",
]
