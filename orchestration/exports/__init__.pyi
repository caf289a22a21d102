"""What `surefoot.orchestration.exports` offers."""

from .exporting import export, exported
from .rows import (
    CandidateVotes,
    ExportedCall,
    ExportedExample,
    ExportedMessage,
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
    "ExportedExample",
    "ExportedMessage",
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
