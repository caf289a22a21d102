"""Several models as one: an ask says in its first line which of them it is for."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Model, check_model
from surefoot.voting.samples import Sample

from .routing import answered

_ADDRESS = re.compile(r"\[([^\[\],\n]+)\](?:\n|\Z)")
"""A first line that is no list of values."""


class Panel:
    """A `Model` over several, whose names differ.

        panel = Panel([OcrReader(), TemplateReader()])
        Message("user", "[template]\\nWhich number is this?", (cell,))    # goes to the second, without the first line
        Message("user", "Which number is this?", (cell,))                # goes to the first

    So an engine and a framing make one view of a task.  Raises `BadInput` for an ask to a model that it does not have.
    """

    def __init__(self, models: Sequence[Model], *, name: str | None = None) -> None:
        for model in models:
            check_model(model)
        self._models = {model.name: model for model in models}
        if not models or len(self._models) < len(models):
            raise BadInput(
                f"a panel has models with different names, not {[model.name for model in models]!r}: name them apart"
            )
        self._name = name or " | ".join(self._models)

    @property
    def name(self) -> str:
        """What reports and journals call it."""
        return self._name

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask, each by the model that it is for; see `Model`."""
        routed = [self._routed(ask) for ask in asks]
        async with aclosing(answered([ask for _, ask in routed], [model for model, _ in routed])) as samples:
            async for sample in samples:
                yield sample

    def _routed(self, ask: Ask) -> tuple[Model, Ask]:
        """Return the model that an ask is for, and the ask as that model gets it."""
        first = next(iter(self._models.values()))
        if isinstance(ask.prompt, str) or not ask.prompt:
            return first, ask
        *before, last = ask.prompt
        found = _ADDRESS.match(last.content)
        if found is None:
            return first, ask
        if found[1] not in self._models:
            raise BadInput(f"no model of the panel is called {found[1]!r}: it has {', '.join(self._models)}")
        question = last._replace(content=last.content[found.end() :])
        return self._models[found[1]], ask._replace(prompt=(*before, question))
