"""What `surefoot.orchestration.journal` offers."""

from .jobs import Job, NewerJournal, NoSuchJob, cancel, every, load
from .journal import Fenced, Journal, WentBack
from .lease import Cancelled, JobDone, JobHeld, WriteRefused
from .records import CorruptJournal

__all__ = [
    "Cancelled",
    "CorruptJournal",
    "Fenced",
    "Job",
    "JobDone",
    "JobHeld",
    "Journal",
    "NewerJournal",
    "NoSuchJob",
    "WentBack",
    "WriteRefused",
    "cancel",
    "every",
    "load",
]
