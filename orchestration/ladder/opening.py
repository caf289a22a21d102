"""The other models that a ladder names, opened."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from surefoot.errors import BadInput
from surefoot.models.base import Model
from surefoot.models.connect import is_address
from surefoot.models.openai.redaction import HIDDEN
from surefoot.orchestration.rungs import Ladder


@asynccontextmanager
async def open_others(
    ladder: Ladder | None, open_model: Callable[[str | Model], AbstractAsyncContextManager[Model]]
) -> AsyncIterator[Mapping[str, Model]]:
    """Open the other models of a ladder by `open_model`, and yield them by the names of their rungs; none without a ladder.

    Raises `BadInput` for one that is known by name alone, and what `open_model` raises.
    """
    async with AsyncExitStack() as stack:
        opened: dict[str, Model] = {}
        for name, model in (ladder.models if ladder else {}).items():
            if isinstance(model, str) and (not is_address(model) or HIDDEN in model):
                raise BadInput(
                    f"a ladder's model is an address or a Model, not {model!r}; a journal keeps neither a Model nor a key: "
                    "give the ladder once more, from Python, `resume(job, ladder=...)`"
                )
            opened[name] = await stack.enter_async_context(open_model(model))
        yield opened
