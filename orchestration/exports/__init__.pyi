"""What `surefoot.orchestration.exports` offers."""

from .exporting import export, exported
from .rows import (
    CandidateVotes,
    ExportedCall,
    ExportedResult,
    ExportedRow,
    ExportedRung,
    ExportedSample,
    ExportedStep,
    ExportedTurn,
    ExportTable,
    FlagCount,
)

__all__ = [
    "CandidateVotes",
    "ExportTable",
    "ExportedCall",
    "ExportedResult",
    "ExportedRow",
    "ExportedRung",
    "ExportedSample",
    "ExportedStep",
    "ExportedTurn",
    "FlagCount",
    "export",
    "exported",
]
