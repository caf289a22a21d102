"""The `Draft` seam: who proposes the states ahead, so that their steps can be asked before they are reached.

The idea is that of speculative decoding (Leviathan et al. 2023, arXiv 2211.17192), with steps for tokens and elections for
the large model's verification.  A draft only chooses what to ask early and never casts a ballot: a wrong proposal costs
samples, and a good one time.

    Rollout(task.short(), model)           the same model's short answers, one step after the other
    Rollout(task, small_model)             a smaller or faster model rolled ahead
    AskAhead(task, model, steps=8)         several steps in one call
    Recall(task)                           what followed when the run last was in a place like this; no model at all
    Supplied(lambda state: ...)            a function of the user's
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from contextlib import aclosing
from functools import partial
from inspect import isawaitable
from itertools import pairwise
from typing import Any, Generic, TypeVar

from ..agents.model import Ask, Model, Prompt
from ..agents.task import Task
from ..errors import BadInput
from ..voting.flags import PAPER, Reading, RedFlag, screen
from ..voting.samples import Sample

S = TypeVar("S", bound=Hashable)

TOKENS_A_STEP = 32
"""What `AskAhead` allows for each step beyond the task's own token limit."""
REMEMBERED = 1 << 16
"""Contexts of one length that `Recall` keeps; when full, the half that was written first is dropped."""

# The window hashes of `Recall` are polynomials in _BASE modulo a Mersenne prime: collisions are rare, and cost samples only.
_PRIME = (1 << 61) - 1
_BASE = 0x1D8AF1E5C7B34E6D


class Draft(ABC, Generic[S]):
    """Proposes the states ahead; never casts a ballot."""

    name: str
    """What reports call it."""

    @abstractmethod
    def roll(self, path: Sequence[S]) -> AsyncGenerator[S, None]:
        """Yield the states expected after the last one of `path`, one a step, until it knows no further.

        `path` begins with the state decided last and goes on with those expected already, most often none.
        A roll ends before a step with side effects and when the task is finished.
        """

    def decided(self, state: S, after: S) -> None:
        """Learn that a step was decided which led from `state` to `after`; called for every one, in order."""

    async def aclose(self) -> None:
        """Free what the draft holds; a model belongs to whoever opened it."""


class Rollout(Draft[S]):
    """A model answers one step after the other, greedily; a sample with a red flag ends the roll.

    `task` runs over the states of the main task: its `short()`, or itself in another style, or the very same.
    """

    def __init__(self, task: Task[S, Any], model: Model) -> None:
        self.name = f"rollout of {model.name}"
        self._task = task
        self._model = model

    async def roll(self, path: Sequence[S]) -> AsyncGenerator[S, None]:
        """Advance by the model's own answers; raises what the model raises."""
        task, state = self._task, path[-1]
        while not _over(task, state):
            sample = await _greedy(self._model, task.ask(state), task.sampling.max_tokens)
            reading: Reading[Any] = Reading(sample, partial(task.read, state=state), state)
            answer = screen(reading, task.flags)
            if isinstance(answer, RedFlag):
                return
            state = task.advance(state, answer)
            yield state


class AskAhead(Draft[S]):
    """A model is asked for several steps in one call, and then for the next ones; a red flag ends the roll.

    Raises `BadInput` if the task does not say how to ask for several steps.
    """

    def __init__(self, task: Task[S, Any], model: Model, steps: int = 8) -> None:
        if steps < 1:
            raise BadInput(f"steps must be at least 1, not {steps!r}")
        if task.ask_ahead(task.start(), steps) is None:
            raise BadInput(
                f"task {task.name!r} does not ask for several steps in one call: choose another draft"
            )
        self.name = f"{steps} steps ahead by {model.name}"
        self._task = task
        self._model = model
        self._steps = steps

    async def roll(self, path: Sequence[S]) -> AsyncGenerator[S, None]:
        """Go from call to call; raises what the model raises."""
        state = path[-1]
        while not _over(self._task, state):
            states = await self._call(state)
            if not states:
                return
            for after in states:
                if _over(self._task, state):
                    return
                yield after
                state = after

    async def _call(self, state: S) -> Sequence[S]:
        prompt = self._task.ask_ahead(state, self._steps)
        if prompt is None:
            return ()
        limit = self._task.sampling.max_tokens + TOKENS_A_STEP * self._steps
        sample = await _greedy(self._model, prompt, limit)
        outcome = screen(Reading(sample, lambda text: tuple(self._task.read_ahead(text, state))), PAPER)
        return () if isinstance(outcome, RedFlag) else outcome


class Recall(Draft[S]):
    """Proposes what followed when the run's last answers were the same before; longest context first, no model at all.

    A relative of prompt lookup decoding (Saxena 2023) and of retrieval-based speculative decoding (REST, He et al. 2023,
    arXiv 2311.08252), with the task's `gist` of an answer for a token.  `contexts` are the numbers of answers compared.
    A path that does not begin with the state decided last is strange to it.  After a resume, hand it the past by
    `decided`: as many steps as the longest context bring back the place, all of them the memory.
    """

    name = "recall"

    def __init__(
        self,
        task: Task[S, Any],
        contexts: Sequence[int] = (1024, 256, 64, 16, 4),
        remembered: int = REMEMBERED,
    ) -> None:
        if not contexts or min(contexts) < 1:
            raise BadInput(f"contexts are lengths of at least 1, not {contexts!r}")
        if remembered < 2:
            raise BadInput(f"remembered must be at least 2, not {remembered!r}")
        self._task = task
        self._memories = [_Memory(length, remembered) for length in sorted(set(contexts), reverse=True)]
        self._trail = _Trail(max(contexts), [0])
        self._state: S | None = None

    def decided(self, state: S, after: S) -> None:
        """Remember what followed each context; a step without a gist ends all contexts."""
        gist = self._task.gist(state, after)
        if gist is not None:
            for memory in self._memories:
                memory.write(self._trail, gist)
        self._trail.push(gist)
        self._state = after

    async def roll(self, path: Sequence[S]) -> AsyncGenerator[S, None]:
        """Go along `path` and continue from there, taking what it proposes for granted."""
        if path[0] != self._state:
            return
        trail, state = self._trail.copy(), path[-1]
        for before, after in pairwise(path):
            trail.push(self._task.gist(before, after))
        while not _over(self._task, state) and (step := self._expected(trail, state)) is not None:
            gist, state = step
            trail.push(gist)
            yield state

    def _expected(self, trail: "_Trail", state: S) -> tuple[Hashable, S] | None:
        for memory in self._memories:
            gist = memory.read(trail)
            if gist is not None and (after := self._task.unfold(state, gist)) is not None:
                return gist, after
        return None


class Supplied(Draft[S]):
    """Asks the user's function, sync or async: the state in, the state expected next out, or None at its end."""

    name = "supplied"

    def __init__(self, function: Callable[[S], S | Awaitable[S | None] | None]) -> None:
        self._function = function

    async def roll(self, path: Sequence[S]) -> AsyncGenerator[S, None]:
        """Follow the function; raises what it raises."""
        state = path[-1]
        while (after := await self._next(state)) is not None:
            yield after
            state = after

    async def _next(self, state: S) -> S | None:
        after = self._function(state)
        return await after if isawaitable(after) else after


class _Trail:
    """The hashes of all beginnings of a sequence of gists, as many as the longest context needs.

    With H(i) for the first i gists, the last n of them hash to H(i) - H(i - n) BASE^n, so that a new gist costs the same
    for any length.
    """

    __slots__ = ("hashes", "longest")

    def __init__(self, longest: int, hashes: list[int]) -> None:
        self.longest = longest
        self.hashes = hashes

    def push(self, gist: Hashable | None) -> None:
        """Go on by one gist; None ends the sequence and begins another."""
        if gist is None:
            self.hashes = [0]
            return
        hashes = self.hashes
        hashes.append((hashes[-1] * _BASE + hash(gist)) % _PRIME)
        if len(hashes) > 2 * self.longest + 2:
            del hashes[: -self.longest - 1]

    def copy(self) -> "_Trail":
        return _Trail(self.longest, self.hashes[-self.longest - 1 :])


class _Memory:
    """What followed each context of one length, in two halves: when one is full, the older one is dropped."""

    __slots__ = ("_half", "_length", "_new", "_old", "_shift")

    def __init__(self, length: int, remembered: int) -> None:
        self._length = length
        self._half = remembered // 2
        self._shift = pow(_BASE, length, _PRIME)
        self._new: dict[int, Hashable] = {}
        self._old: dict[int, Hashable] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def write(self, trail: _Trail, gist: Hashable) -> None:
        """Remember that `gist` followed; a sequence shorter than the context leaves nothing to remember."""
        hashes = trail.hashes
        if len(hashes) > self._length:
            self._new[(hashes[-1] - hashes[-1 - self._length] * self._shift) % _PRIME] = gist
            if len(self._new) >= self._half:
                self._old, self._new = self._new, {}

    def read(self, trail: _Trail) -> Hashable | None:
        """Return what followed last time, or None if nothing is remembered."""
        hashes = trail.hashes
        if len(hashes) <= self._length:
            return None
        key = (hashes[-1] - hashes[-1 - self._length] * self._shift) % _PRIME
        gist = self._new.get(key)
        return self._old.get(key) if gist is None else gist


def _over(task: Task[S, Any], state: S) -> bool:
    return task.finished(state) or task.acts(state)


async def _greedy(model: Model, prompt: Prompt, max_tokens: int) -> Sample:
    async with aclosing(model.sample([Ask(prompt, 0.0, max_tokens, 0)])) as samples:
        _, sample = await anext(samples)
        return sample
