"""An agent from Python: a goal, tools, a world, and a run that survives any kill."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from redis.asyncio import Redis

from surefoot.agents.agent.exit_status import ExitStatus
from surefoot.agents.agent.state import State
from surefoot.agents.agent.task import EFFECTS, INSTRUCTIONS, AgentTask, Votes
from surefoot.agents.monitor.policies import Policy
from surefoot.agents.tasks.guarded import guarded
from surefoot.errors import BadInput
from surefoot.models.base import Model, Sampling
from surefoot.models.openai.options import Options
from surefoot.tools.environments.choosing import choose
from surefoot.tools.environments.environment import Environment
from surefoot.tools.environments.nowhere import Nowhere
from surefoot.tools.tool import Tool
from surefoot.typed_input import checked

from .budget import Budget
from .events import Listen
from .journal.jobs import load
from .redis.open import open_redis
from .report import Bound, Report
from .reporting import state_reached
from .run import run
from .settings import Settings

LIMITS: dict[Bound, ExitStatus] = {
    "tokens": ExitStatus.TOKEN_LIMIT,
    "cost": ExitStatus.COST_LIMIT,
    "wall_time": ExitStatus.TIME_LIMIT,
    "working_time": ExitStatus.TIME_LIMIT,
}
"""What is said of a run that a bound of its budget stopped; steps are not the agent's own measure."""
SHOWN = 100
"""Characters of a value in a sentence."""
SEGMENT = 500
"""Steps between two snapshots: one holds the whole conversation, and what comes after it is read again in no time."""


class AgentReport(BaseModel):
    """A run of an agent, at its end or wherever it stands."""

    job: str
    status: ExitStatus
    """How it ended, or how the job stands: a word of a small set, each with its `sentence`."""
    result: str
    """What the agent said at the end; empty before."""
    turns: int
    calls: int
    """Calls that the world answered."""
    interventions: int
    """How often the monitor stepped in."""
    question: dict[str, Any] | None
    """What a run that is `asking` wants to know."""
    report: Report
    """The job's own report: votes, tokens, red flags, the hash chain."""


class Agent:
    """A model, tools, and how sure a turn has to be.

    `votes` is the lead that a turn needs, for all of them (a number) or by tool or effect: `{"reads": 1, "writes": 3, "irreversible":
    "person"}`.  1 is a plain agent.  `window` is the model's, in tokens; the conversation is kept within it.  `budget.turns` ends a run (100 if it
    is not given); its other bounds stop one in order, to be resumed with a larger budget.  A `monitor` (`surefoot.agents.monitor.Policy()`) reads
    every turn: it tells an agent that thinks instead of acting, lets its next turn be a call, takes an early end back, and at last ends the run.

    Raises `BadInput` for what cannot be, and for tools or votes that contradict each other.
    """

    @checked
    def __init__(
        self,
        model: str | Model,
        tools: Sequence[Tool] = (),
        *,
        votes: int | Mapping[str, Votes] = 1,
        budget: Budget | None = None,
        instructions: str = INSTRUCTIONS,
        window: int = 32_000,
        monitor: Policy | None = None,
        sampling: Sampling | None = None,
        options: Options | None = None,
    ) -> None:
        self._model, self._tools, self._votes, self._budget = model, tuple(tools), votes, budget
        self._instructions, self._window = instructions, window
        self._monitor, self._sampling, self._options = monitor, sampling, options
        for each in self._tools:
            if isinstance(each, type) or not isinstance(each, Tool):
                raise BadInput(
                    f"{repr(each)[:SHOWN]} is no tool: write `@surefoot.tool` above a function, or give an object of the seam `Tool`"
                )
        self._task(
            "any", Nowhere()
        )  # whatever contradicts something is refused before the world is made ready

    async def run(
        self,
        goal: str,
        workspace: str | None = None,
        *,
        environment: str | Environment | None = None,
        redis: str | Redis | None = None,
        job: str | None = None,
        on_event: Listen | None = None,
    ) -> AgentReport:
        """Work on a goal until it is done, a limit ends it, or a person has to decide.

        `workspace`: the folder that the tools work in.  `environment`: how it is fenced, by name (`bubblewrap`, `local`) or one of your own;
        None is the safest that this machine has.  `job`: a name of your own; a run of that name is taken up where it stands, after a
        kill, a spent budget, or `surefoot decide`.

        Raises what `surefoot.run` raises; in each case what is decided and seen is safe.
        """
        world = self._world(workspace, environment)
        await world.start()
        try:
            task = self._task(goal, world)
            report = await run(
                task,
                Settings(k=1, segment=SEGMENT),
                model=self._model,
                redis=redis,
                job=job,
                budget=self._budget,
                options=self._options,
                on_event=on_event,
            )
        finally:
            await world.stop()
        return await agent_report(task, report, redis)

    def _task(self, goal: str, world: Environment) -> AgentTask:
        turns = None if self._budget is None else self._budget.turns
        return AgentTask(
            goal,
            self._tools,
            world=world,
            votes=dict.fromkeys(sorted(EFFECTS), self._votes)
            if isinstance(self._votes, int)
            else self._votes,
            **({} if turns is None else {"turns": turns}),
            window=self._window,
            instructions=self._instructions,
            monitor=self._monitor,
            sampling=self._sampling,
        )

    def _world(self, workspace: str | None, environment: str | Environment | None) -> Environment:
        if isinstance(environment, str) or (environment is None and workspace is not None):
            if workspace is None:
                raise BadInput(
                    f"the environment {environment!r} needs a workspace: the folder that the tools work in"
                )
            # Its name is the explicit word that commands may run without a fence.
            return choose(environment, workspace, trusted=environment == "local")
        return Nowhere() if environment is None else environment


async def agent_report(task: AgentTask, report: Report, redis: str | Redis | None) -> AgentReport:
    """Read how far an agent is from its journal."""
    async with open_redis(redis) as store:
        state: State = await state_reached(store, await load(store, report.job), guarded(task))
    return AgentReport(
        job=report.job,
        status=exit_status(state, report),
        result=state.result,
        turns=state.turn,
        calls=state.calls,
        interventions=state.watched.interventions,
        question=report.question,
        report=report,
    )


def exit_status(state: State, report: Report) -> ExitStatus:
    """Return the agent's own ending, else what stopped the run, else how the job stands."""
    if state.ended:
        return ExitStatus(state.ended)
    if report.status == "done":
        return ExitStatus.ANSWERED  # it ended under another monitor than the one that it is read with now
    return ExitStatus(report.status) if report.bound is None else LIMITS.get(report.bound, ExitStatus.STOPPED)
