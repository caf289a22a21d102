"""An agent's task in a workspace that is kept: an act is made in the world as the act before left it, whoever was killed in between."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from surefoot.agents.agent.state import Conversation, Seen, TurnAnswer
from surefoot.agents.agent.task import AgentTask
from surefoot.agents.tasks.optional import Attempt, DecisionNeeded
from surefoot.tools.tool import Tool
from surefoot.tools.workspace import edit_file, read_file, search, shell, submit, write_file

from .instances import Instance
from .kept_workspace import Act, KeptWorkspace
from .recorded import RecordedAct
from .trajectory import SHELL

TOOLS: tuple[Tool, ...] = (replace(shell, name=SHELL), read_file, edit_file, write_file, search, submit)
"""The shell has the name that mini-swe-agent gives it, so that its readers find the commands."""
INSTRUCTIONS = (
    "You resolve an issue in a code repository, step by step, with tools. The repository is your working folder. Look at the code that "
    "the issue is about before you change anything, reproduce the problem, make the smallest change that resolves it in general and "
    "not for its example alone, and run the tests that are there. Do not change tests that are there, and leave no scratch files. "
    "There is no network. When the issue is resolved, call submit."
)
GOAL = "Resolve this issue in the repository.\n\n{issue}"
History = Callable[[], AsyncIterator[tuple[int, Any, Any]]]
"""The journal's acting steps so far: step, the state that it began with, what the world answered."""


class AttemptCounts(NamedTuple):
    """How far an attempt is."""

    turns: int
    """Decided by the model."""
    calls: int
    """Answered by the world."""
    interventions: int = 0
    """Of the monitor."""


class IssueTask(AgentTask):
    """One attempt at an instance by an agent."""

    name = "issue"

    def __init__(
        self,
        goal: str,
        tools: Sequence[Tool] = TOOLS,
        *,
        world: KeptWorkspace,
        history: History,
        **settings: Any,
    ) -> None:
        super().__init__(goal, tools, world=world, instructions=INSTRUCTIONS, **settings)
        self._kept, self._history = world, history

    @classmethod
    def of(cls, instance: Instance, world: KeptWorkspace, history: History, **settings: Any) -> "IssueTask":
        """Return the task of an instance: of all that the row has, the agent is told the issue."""
        goal = GOAL.format(issue=instance.problem_statement.strip())
        return cls(goal, world=world, history=history, **settings)

    async def act(self, state: Conversation, attempt: Attempt) -> TurnAnswer:
        """Make the call in the workspace as the act before left it; one that a kill interrupted is made there for the first time."""
        await self._kept.ready(self._acts, attempt.step, again=attempt.again)
        self._kept.begin(attempt.step)
        try:
            answer = await super().act(state, attempt._replace(again=False))
        except DecisionNeeded:
            self._kept.untouched()
            raise
        await self._kept.end(attempt.step, self._recorded(attempt.step, state, answer).recorded)
        return answer

    async def ready(self, state: Conversation) -> None:
        """Make the workspace what the run up to `state` has made of it."""
        await self._kept.ready(self._acts)

    def progress(self, state: Conversation) -> AttemptCounts:
        """Return how far the run is."""
        return AttemptCounts(state.turn, state.calls, state.watched.interventions)

    async def _acts(self) -> AsyncIterator[Act]:
        async for step, state, answer in self._history():
            yield self._recorded(step, state, answer)

    def _recorded(self, step: int, state: Conversation, answer: TurnAnswer) -> Act:
        async def again() -> tuple[str, int | None]:
            seen = await super(IssueTask, self).act(state, Attempt(step))
            assert isinstance(seen, Seen)
            return seen.text, _code(seen)

        call = state.due
        assert call is not None
        if not isinstance(answer, Seen):
            return Act(step, RecordedAct(call, None, None, ""), None)  # a person's word
        tool = self._tools.get(call.name)
        changes = tool is not None and tool.effect != "reads" and answer.outcome in ("done", "failed")
        recorded = RecordedAct(call, answer.text, _code(answer), "")
        return Act(step, recorded, again if changes else None)


def _code(seen: Seen) -> int:
    """Return the exit code of a command; of what has none, whether it came to nothing."""
    return seen.code if seen.code is not None else int(seen.outcome == "failed")
