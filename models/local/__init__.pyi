"""What `surefoot.models.local` offers."""

from .heads import CacheShape, CompressedKV, Head
from .model import LocalModel, NoLocalModel
from .study import HeadStudy, Trial, study_heads

__all__ = [
    "CacheShape",
    "CompressedKV",
    "Head",
    "HeadStudy",
    "LocalModel",
    "NoLocalModel",
    "Trial",
    "study_heads",
]
