"""A planner that reasons and a perceiver that looks, as one model: no picture ever reaches the planner."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from surefoot.models.base import Ask, Model, check_model, context_of
from surefoot.models.server_load import ServerLoad, server_load_of
from surefoot.voting.samples import Sample

from .reader import shows
from .routing import answered


class Sighted:
    """A `Model` that gives asks with pictures to the perceiver, and all others to the planner."""

    def __init__(self, planner: Model, perceiver: Model) -> None:
        for model in (planner, perceiver):
            check_model(model)
        self._planner, self._perceiver = planner, perceiver

    @property
    def name(self) -> str:
        """What reports and journals call it: both names."""
        return f"{self._planner.name} + {self._perceiver.name}"

    async def context(self) -> int | None:
        """Return how many tokens the planner takes, prompt and answer together; None if it does not say."""
        return await context_of(self._planner)

    def server_load(self) -> ServerLoad | None:
        """Return what both have asked of their servers so far."""
        return server_load_of(self._planner, self._perceiver)

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask, of both models at once; see `Model`."""
        models = [self._perceiver if shows(ask) else self._planner for ask in asks]
        async with aclosing(answered(asks, models)) as samples:
            async for sample in samples:
                yield sample
