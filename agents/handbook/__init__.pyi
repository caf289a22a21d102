"""What `surefoot.agents.handbook` offers."""

from .behaviour import Behaviour
from .embedding import Embedding, HashedGrams
from .prompt_block import block, cited
from .reflection import Trace, TracedStep
from .retrieval import new_ones, retrieve
from .with_handbook import WithHandbook

__all__ = [
    "Behaviour",
    "Embedding",
    "HashedGrams",
    "Trace",
    "TracedStep",
    "WithHandbook",
    "block",
    "cited",
    "new_ones",
    "retrieve",
]
