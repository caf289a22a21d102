"""The decomposed task in a workspace that is kept: it begins every act from the base, so that a workspace needs only to be there."""

from collections.abc import AsyncIterator
from typing import Any

from surefoot.agents.tasks.optional import Attempt

from .decomposed.state import DecomposedState, StageAnswer
from .decomposed.task import DecomposedTask
from .instances import Instance
from .issue_task import AttemptCounts
from .kept_workspace import Act, KeptWorkspace


class PiecemealTask(DecomposedTask):
    """One attempt at an instance in small steps."""

    def __init__(self, instance: Instance, *, world: KeptWorkspace, **settings: Any) -> None:
        super().__init__(instance, world=world, **settings)
        self._kept = world

    async def act(self, state: DecomposedState, attempt: Attempt) -> StageAnswer:
        """Do what the stage says."""
        await self._kept.ready(_none)
        return await super().act(state, attempt)

    async def ready(self, state: DecomposedState) -> None:
        """Make the workspace what the run up to `state` has made of it."""
        await self._kept.ready(_none)
        await self.settle(state)

    def progress(self, state: DecomposedState) -> AttemptCounts:
        """Return how far the run is."""
        return AttemptCounts(state.turn, state.calls)


async def _none() -> AsyncIterator[Act]:
    """Return no act to be made again."""
    nothing: tuple[Act, ...] = ()
    for act in nothing:
        yield act
