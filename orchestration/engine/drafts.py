"""The `Draft` seam: who proposes the states ahead, so that their steps can be asked before they are reached.

The idea is that of speculative decoding (Leviathan et al. 2023, arXiv 2211.17192), with steps for tokens and elections for
the large model's verification.  A draft only chooses what to ask early and never casts a ballot: a wrong proposal costs
samples, and a good one time.

    Rollout(task.short(), model)           the same model's short answers, one step after the other
    Rollout(task, small_model)             a smaller or faster model rolled ahead
    AskAhead(task, model, steps=8)         several steps in one call
    Recall(task)                           what followed when the run last was in a place like this (`recall`)
    Supplied(lambda state: ...)            a function of the user's
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from inspect import isawaitable
from typing import Any, Generic

from surefoot.agents.tasks.guarded import outcome_of
from surefoot.agents.tasks.optional import Acts, AsksAhead, check_optional
from surefoot.agents.tasks.task import S, Task
from surefoot.errors import BadInput
from surefoot.models.base import Ask, Model, Prompt
from surefoot.voting.flags import PAPER, Reading, RedFlag, screen
from surefoot.voting.samples import NOTHING, Sample, Usage

from .hypothetical import hypothetically

TOKENS_A_STEP = 32
"""What `AskAhead` allows for each step beyond the task's own token limit."""


class Draft(ABC, Generic[S]):
    """Proposes the states ahead; never casts a ballot."""

    name: str
    """What messages call it."""

    spent: Usage = NOTHING
    """Tokens of all the samples that it was given so far, in all its rollouts; nothing for one that asks no model.

    What a call had drawn when its rollout was cut off, and had not handed over yet, cannot be known and is missing.
    """

    @abstractmethod
    def propose(self, path: Sequence[S]) -> AsyncGenerator[S, None]:
        """Yield the states expected after the last one of `path`, one a step, until it knows no further.

        Whatever it raises ends the run if the last state that it has said, or was given, has come true by then; else it
        ends the rollout only.  `path` begins with the state decided last and goes on with the states expected already (usually none); some may be
        decided by the time the rollout begins.
        A rollout ends before a step with side effects and when the task is finished.
        """

    def decided(self, state: S, after: S) -> None:
        """Learn that an election decided a step which led from `state` to `after`; called in order.

        It is not called for a step that the world answered, nor for the one before.  After a repair, or where Redis went back,
        steps come once more.
        """


class _Asking(Draft[S]):
    """A draft that asks a model, and counts what that costs."""

    def __init__(self, task: Task[S, Any], model: Model) -> None:
        self._task, self._model, self._barrier = task, model, barrier(task)

    async def propose(self, path: Sequence[S]) -> AsyncGenerator[S, None]:
        """Go from answer to answer; raises what the model raises."""
        state = path[-1]
        while not self._barrier(state):
            states = await self._after(state)
            if not states:
                return
            for after in states:
                # Once more, because one call may have answered for several steps, and past the barrier.
                if self._barrier(state):
                    return
                yield after
                state = after

    @abstractmethod
    async def _after(self, state: S) -> Sequence[S]:
        """Return the states that one call of the model says come next; none if it does not know."""

    async def _greedy(
        self, prompts: Sequence[Prompt], max_tokens: int
    ) -> AsyncGenerator[tuple[int, Sample], None]:
        # At temperature 0 the seed matters to doubles alone: it lets the votes of a step differ.
        asks = [Ask(prompt, 0.0, max_tokens, number) for number, prompt in enumerate(prompts)]
        async with aclosing(self._model.sample(asks)) as samples:
            async for position, sample in samples:
                self.spent += sample.usage
                yield position, sample


class Rollout(_Asking[S]):
    """A model answers one step after the other, greedily; it ends where no sample is without a red flag.

    `task` runs over the states of the main task: its `short()`, or itself in another style, or the very same.  With more than
    one of `votes` as many samples are drawn in one call, each in the next view, and the most frequent answer leads on: a
    draft that is right more often, in the same time where the model has room.
    """

    def __init__(self, task: Task[S, Any], model: Model, votes: int = 1) -> None:
        if votes < 1:
            raise BadInput(f"votes must be at least 1, not {votes!r}")
        super().__init__(task, model)
        self.name = f"rollout of {model.name}"
        self._votes = votes

    async def _after(self, state: S) -> Sequence[S]:
        prompts: Sequence[Prompt] = hypothetically((), self._prompts, state)
        samples = [entry async for entry in self._greedy(prompts, self._task.sampling.max_tokens)]
        return hypothetically((), self._led, state, samples)

    def _prompts(self, state: S) -> Sequence[Prompt]:
        return [self._task.ask(state, vote % self._task.views) for vote in range(self._votes)]

    def _led(self, state: S, samples: Sequence[tuple[int, Sample]]) -> Sequence[S]:
        """Return the state that the most frequent answer leads to, if there is an answer."""
        task, answers = self._task, Counter[Any]()
        for vote, sample in samples:
            outcome = outcome_of(task, sample, state, vote)
            if not isinstance(outcome, RedFlag):
                answers[outcome] += 1
        return [task.advance(state, answer) for answer, _ in answers.most_common(1)]


class AskAhead(_Asking[S]):
    """A model is asked for several steps in one call, and then for the next ones; a red flag ends the rollout.

    Raises `BadInput` if the task does not say how to ask for several steps.
    """

    def __init__(self, task: Task[S, Any], model: Model, steps: int = 8) -> None:
        if steps < 1:
            raise BadInput(f"steps must be at least 1, not {steps!r}")
        super().__init__(task, model)
        # Asked of the first state, so that a task that never does it is told of at once, and not by silence.
        if not isinstance(task, AsksAhead) or task.ask_ahead(task.start(), steps) is None:
            raise BadInput(
                f"task {task.name!r} does not ask for several steps in one call: choose another draft, or write `ask_ahead` "
                "and `read_ahead`"
            )
        self._ahead: AsksAhead[S] = task
        self.name = f"{steps} steps ahead by {model.name}"
        self._steps = steps

    async def _after(self, state: S) -> Sequence[S]:
        prompt = hypothetically(None, self._ahead.ask_ahead, state, self._steps)
        if prompt is None:
            return ()
        limit = self._task.sampling.max_tokens + TOKENS_A_STEP * self._steps
        samples = [sample async for _, sample in self._greedy([prompt], limit)]
        return hypothetically((), self._read, state, samples)

    def _read(self, state: S, samples: Sequence[Sample]) -> Sequence[S]:
        [sample] = samples
        outcome = screen(Reading(sample, lambda text: tuple(self._ahead.read_ahead(text, state))), PAPER)
        return () if isinstance(outcome, RedFlag) else outcome


class Supplied(Draft[S]):
    """Asks the user's function, sync or async: the state in, the state expected next out, or None where it knows no further.

    It is asked of expected states, also of the last one, so a table has to say None beyond its end: `Supplied(table.get)`.
    """

    name = "supplied"

    def __init__(self, function: Callable[[S], S | Awaitable[S | None] | None]) -> None:
        self._function = function

    async def propose(self, path: Sequence[S]) -> AsyncGenerator[S, None]:
        """Follow the function; raises what it raises."""
        state = path[-1]
        while (after := await self._next(state)) is not None:
            yield after
            state = after

    async def _next(self, state: S) -> S | None:
        after = self._function(state)
        return await after if isawaitable(after) else after


def barrier(task: Task[S, Any]) -> Callable[[S], bool]:
    """Return what says whether a rollout has to end at a state: nothing may be asked beyond it, or the task can do nothing with it.

    Raises `TaskFailed` for a task with half of what is optional, which could act unnoticed.
    """
    check_optional(task)
    if not isinstance(task, Acts):
        return lambda state: hypothetically(True, task.finished, state)
    return lambda state: hypothetically(True, lambda: task.finished(state) or task.acts(state))
