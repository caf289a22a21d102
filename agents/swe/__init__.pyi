"""What `surefoot.agents.swe` offers."""

from .grading import PatchGrade, grade, run_tests, set_up
from .instances import Instance, parse_instance, read_instances
from .issue_task import IssueTask
from .kept_workspace import KeptWorkspace, NotRebuilt, SetUpFailed
from .patches import SCRATCH, CheckedPatch, FileChange, PatchRefused, check_patch, emptiness
from .predictions import Prediction, merge_predictions, read_predictions
from .recorded import RecordedAct, Recording, parse_recording, read_recording
from .replaying import Difference, Replayed, compare, replayed
from .repository import find_repository, prepare_for_tests, prepare_workspace
from .trajectory import Cost, TrajectoryLog, convert, ended, messages, observed, said, told

__all__ = [
    "SCRATCH",
    "CheckedPatch",
    "Cost",
    "Difference",
    "FileChange",
    "Instance",
    "IssueTask",
    "KeptWorkspace",
    "NotRebuilt",
    "PatchGrade",
    "PatchRefused",
    "Prediction",
    "RecordedAct",
    "Recording",
    "Replayed",
    "SetUpFailed",
    "TrajectoryLog",
    "check_patch",
    "compare",
    "convert",
    "emptiness",
    "ended",
    "find_repository",
    "grade",
    "merge_predictions",
    "messages",
    "observed",
    "parse_instance",
    "parse_recording",
    "prepare_for_tests",
    "prepare_workspace",
    "read_instances",
    "read_predictions",
    "read_recording",
    "replayed",
    "run_tests",
    "said",
    "set_up",
    "told",
]
