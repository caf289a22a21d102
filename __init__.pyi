"""What `surefoot` offers: the one list, for type checkers and for the lazy face in `__init__.py` alike."""

from .agents.tasks.codec import Codec, Typed
from .agents.tasks.columns import Columns
from .agents.tasks.failures import NotPlain, TaskFailed
from .agents.tasks.optional import Case
from .agents.tasks.puzzles import Blocks, Checkers, Crossing
from .agents.tasks.sorting import Sorting
from .agents.tasks.task import Task
from .agents.tasks.towers import Towers
from .errors import BadInput, SurefootError
from .models.base import Ask, Message, Model, ModelUnavailable, Sampling
from .models.openai import OpenAIModel
from .models.openai.options import Options
from .orchestration.agent import Agent, AgentReport
from .orchestration.budget import Budget, Purse
from .orchestration.decision import decide
from .orchestration.engine.speculation import Speculation
from .orchestration.overview import jobs, report, state
from .orchestration.plan import Plan, Unsupported, plan
from .orchestration.progress import Progress
from .orchestration.report import Report
from .orchestration.run import resume, run
from .orchestration.rungs import Ladder
from .orchestration.settings import Settings
from .orchestration.solve import Solution, solve
from .orchestration.stream import events
from .orchestration.voted import voted
from .tools.function_tool import tool
from .tools.pictures.picture import Picture
from .tools.pictures.reading import read_picture
from .voting import NotAnAnswer, Sample, Stalled
from .voting.reliability import Price

__all__ = [
    "Agent",
    "AgentReport",
    "Ask",
    "BadInput",
    "Blocks",
    "Budget",
    "Case",
    "Checkers",
    "Codec",
    "Columns",
    "Crossing",
    "Ladder",
    "Message",
    "Model",
    "ModelUnavailable",
    "NotAnAnswer",
    "NotPlain",
    "OpenAIModel",
    "Options",
    "Picture",
    "Plan",
    "Price",
    "Progress",
    "Purse",
    "Report",
    "Sample",
    "Sampling",
    "Settings",
    "Solution",
    "Sorting",
    "Speculation",
    "Stalled",
    "SurefootError",
    "Task",
    "TaskFailed",
    "Towers",
    "Typed",
    "Unsupported",
    "decide",
    "events",
    "jobs",
    "plan",
    "read_picture",
    "report",
    "resume",
    "run",
    "solve",
    "state",
    "tool",
    "voted",
]
