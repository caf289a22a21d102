"""An agent from Python: a goal, tools, a world, and a run that survives any kill."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from redis.asyncio import Redis

from surefoot.agents.agent.exit_status import ExitStatus
from surefoot.agents.agent.state import Conversation, DecidedCalls, Watched
from surefoot.agents.agent.task import EFFECTS, INSTRUCTIONS, AgentTask, Votes
from surefoot.agents.monitor.policies import Policy
from surefoot.agents.tasks.codec import read_back
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
from .journal.jobs import Job, load
from .redis.open import open_redis
from .report import Bound, Report
from .reporting import records, state_reached
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


class TurnWatched(BaseModel):
    """What the monitor made of a turn."""

    turn: int
    """From 1."""
    level: float | None
    """Of the signal that spoke loudest, from 0 to 10; None for a turn that it did not look at, as one that handed in the work."""
    pattern: str
    """Which signal that is: `analysis_paralysis`, `rogue_actions`, `premature_disengagement` or `loops`; empty where it did not look."""
    act: str
    """How the monitor stepped in (`Nudge`, `CutBudget`, `ForceToolCall`, `RestartTurn`, `Stop`); empty if it did not."""
    tokens: int | None
    """What the turn has cost; None where the server does not say."""


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
    watched: tuple[TurnWatched, ...]
    """Turn by turn, what the monitor that the run has now makes of it; empty without one."""
    extra_tokens: int | None
    """What the monitor's interventions have cost: the turns that followed an answer which it did not take for the end."""
    question: dict[str, Any] | None
    """What a run that is `asking` wants to know."""
    report: Report
    """The job's own report: votes, tokens, red flags, the hash chain."""


class Agent:
    """A model, tools, and how sure a turn has to be.

    `votes` is the lead that a turn needs, for all of them (a number) or by tool or effect: `{"reads": 1, "writes": 3, "irreversible":
    "person"}`.  1 is a plain agent.  `window` is the model's, in tokens, and as its server says if
    it is not given; the conversation is kept within it.  `budget.turns` ends a run (100 if it
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
        window: int | None = None,
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
        job = await load(store, report.job)
        state: Conversation = await state_reached(store, job, guarded(task))
        watched = [] if state.watched == Watched() else [turn async for turn in _watched(store, job, task)]
    return AgentReport(
        job=report.job,
        status=exit_status(state, report),
        result=state.result,
        turns=state.turn,
        calls=state.calls,
        interventions=state.watched.interventions,
        watched=tuple(turn for turn, _ in watched),
        extra_tokens=_sum([turn.tokens for turn, extra in watched if extra]),
        question=report.question,
        report=report,
    )


async def _watched(redis: Redis, job: Job, task: AgentTask) -> AsyncIterator[tuple[TurnWatched, bool]]:
    """Read a run once more, turn by turn, and whether a turn is there only because an end was not taken for one."""
    state, tokens, taken_back, extra = task.start(), None, False, False
    before = state.watched

    def turn() -> tuple[TurnWatched, bool]:
        looked = state.watched if state.watched is not before else None
        return TurnWatched(
            turn=state.turn,
            level=looked.level if looked else None,
            pattern=looked.pattern if looked else "",
            act=looked.act if looked else "",
            tokens=tokens,
        ), extra

    async for record in records(redis, job):
        answer = read_back(task.answer_codec, record.answer)
        if isinstance(answer, DecidedCalls):
            if state.turn:
                yield turn()
            before, extra = state.watched, taken_back
            tokens = record.usage.known("total")
        state = task.advance(state, answer)
        if isinstance(answer, DecidedCalls):
            taken_back = not (answer.calls or state.ended)
    if state.turn:
        yield turn()


def _sum(tokens: Sequence[int | None]) -> int | None:
    """Return what is known of a sum; None if nothing is."""
    known = [each for each in tokens if each is not None]
    return sum(known) if known or not tokens else None


def exit_status(state: Conversation, report: Report) -> ExitStatus:
    """Return the agent's own ending, else what stopped the run, else how the job stands."""
    if state.ended:
        return ExitStatus(state.ended)
    if report.status == "done":
        return ExitStatus.ANSWERED  # it ended under another monitor than the one that it is read with now
    return ExitStatus(report.status) if report.bound is None else LIMITS.get(report.bound, ExitStatus.STOPPED)
