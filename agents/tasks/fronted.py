"""Any task with a block of text at the front of its prompts: behaviours, what a user likes, a pattern of reasoning."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from surefoot.models.base import Message, Prompt

from .around import Around
from .optional import AsksAhead, Fits, Shortens
from .task import A, S, Task

BYTES_PER_TOKEN = 3
"""Fewer than in most prose: a block takes no more tokens than this says."""
EVERYWHERE = ""
"""The stage of a block that is for all other stages."""


class Fronted(Around[S, A]):
    """A task whose prompts begin with a block of text; all else is that of the task inside.

    The block stands in the system message, before what the task says there, or before a prompt that is one text.  A prompt with pictures stays as
    it is: whoever looks at them is told nothing but where to look.
    """

    _blocks: Mapping[str, str]
    """What stands in front of a prompt, by what the state says its `stage` is; the constructor of each kind sets it."""

    def __init__(self, task: Task[S, A] | str, arguments: Sequence[tuple[str, Any]] = ()) -> None:
        """Wrap a task; or make one again from a journal, by its name and its `arguments` as pairs."""
        super().__init__(task, arguments)
        self._before = lru_cache(maxsize=16)(_put_before)  # a prompt that grows is looked at once

    def ask(self, state: S, view: int = 0) -> Prompt:
        """Put the block in front of what the task asks, unless it shows pictures."""
        return self._fronted(self.task.ask(state, view), state)

    def _own_optional(self) -> Mapping[str, Any]:
        """Let what makes prompts of its own have the block, too."""
        inner, own = self.task, dict[str, Callable[..., Any]]()
        if isinstance(inner, Shortens):
            kind: Any = type(self)
            own["short"] = lambda: kind(inner.short(), **self._own())
        if isinstance(inner, AsksAhead):
            own["ask_ahead"] = lambda state, *steps: (
                (asked := inner.ask_ahead(state, *steps)) and self._fronted(asked, state)
            )
        if isinstance(inner, Fits):
            own["fit"] = lambda context: inner.fit(max(1, context - self._tokens))
        return own

    @property
    def _tokens(self) -> int:
        """As many as the longest block takes, or more."""
        return -(-max(len(block.encode()) for block in self._blocks.values()) // BYTES_PER_TOKEN)

    def _fronted(self, prompt: Prompt, state: S) -> Prompt:
        block = self._blocks.get(EVERYWHERE)
        if self._blocks.keys() != {EVERYWHERE}:  # else a task of one's own may call anything its stage
            stage = getattr(state, "stage", EVERYWHERE)
            block = self._blocks.get(stage, block) if isinstance(stage, str) else block
        if not block:
            return prompt
        if isinstance(prompt, str):
            return f"{block}\n\n{prompt}"
        if not (isinstance(prompt, tuple) and prompt and isinstance(prompt[0], Message)):
            return prompt  # no prompt at all, which the engine says in its own words
        if any(getattr(each, "pictures", ()) for each in prompt):
            return prompt  # a perceiver says what it sees, and gets no goal and no history
        first, *rest = prompt
        if first.role == "system":
            return self._before(block, first), *rest
        return Message("system", block), first, *rest


def _put_before(block: str, first: Message) -> Message:
    return first._replace(content="\n\n".join((block, first.content)))
