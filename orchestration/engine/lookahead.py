"""What is expected beyond the steps that are open: states, and the draft that goes on proposing more."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Generic

from surefoot.agents.tasks.task import S
from surefoot.errors import BadInput
from surefoot.printable import printable

from .background import Failed, background, failure_of
from .drafts import Draft

MOST_PROPOSED = 64
"""States that a draft may be ahead of what has been asked."""


class Lookahead(Generic[S]):
    """The expected states of the steps to be opened next, in order.

    `changed` is called when a draft has said something, `failed` with what the draft raised.
    """

    def __init__(self, draft: Draft[S] | None, changed: Callable[[], None], failed: Failed) -> None:
        self.draft = draft
        self._changed = changed
        self._failed = failed
        self._states: deque[S] = deque()
        self._drafting: asyncio.Task[None] | None = None
        self._left: set[asyncio.Task[None]] = set()
        """Rollouts that were given up and have not ended yet."""
        self._exhausted = False
        """Whether the draft knows no further."""
        self._overtaken: deque[S] = deque()
        """States that were reached while the draft was still on its way to them."""
        self._room = asyncio.Event()

    def __bool__(self) -> bool:
        """Whether anything is expected."""
        return bool(self._states)

    @property
    def first(self) -> S:
        """The state of the next step, if anything is expected."""
        return self._states[0]

    @property
    def settled(self) -> bool:
        """Whether the draft has said where the first state leads, or will not, or is too slow to be waited for.

        Worth waiting for: some models answer faster when they are told what to expect (`OpenStep.after`).
        """
        return self.draft is None or self._exhausted or len(self._states) > 1 or bool(self._overtaken)

    def restart(self, state: S) -> None:
        """Forget everything else and go on from this state."""
        self._stop()
        self._exhausted = False
        self._states = deque([state])

    def advance(self, state: S) -> None:
        """Expect this state, which the draft has not proposed yet; what it is working on may still be of use.

        A draft that says more at a time than one election takes would otherwise never be used.
        """
        # A draft that is left so far behind is given up; that also bounds what is kept for it.
        if not self.drafting or len(self._overtaken) >= MOST_PROPOSED:
            self.restart(state)
        else:
            self._overtaken.append(state)
            self._states.append(state)

    def pop(self) -> tuple[S, S | None]:
        """Return the first state, which is expected no longer, and the one after it."""
        state = self._states.popleft()
        # At half: to wake the draft for every single state would cost a switch of tasks each.
        if len(self._states) <= MOST_PROPOSED // 2:
            self._room.set()
        return state, self._states[0] if self._states else None

    @property
    def drafted(self) -> int:
        """How many states the draft is ahead of the open steps; negative where these have overtaken it."""
        return len(self._states) - len(self._overtaken)

    @property
    def drafting(self) -> bool:
        """Whether the draft goes on from here already."""
        return self._drafting is not None and not self._drafting.done()

    def start_draft(self, path: Sequence[S]) -> None:
        """Let the draft go on from here; `path` are the states from the one decided last to the open ones.

        `changed` is called once it has had the chance to say something at once.  There is nothing in `_overtaken` now.
        """
        if self.draft is not None:
            self._drafting = background(self._follow(self.draft, (*path, *self._states)), self._failed)
            self._drafting.add_done_callback(lambda _: self._changed())
            # After the first go of the task, by which a draft that asks no model, like `Recall`, has proposed.
            asyncio.get_running_loop().call_soon(self._changed)

    async def aclose(self) -> None:
        """Let the draft stop."""
        self._stop()
        await asyncio.gather(*self._left, return_exceptions=True)

    async def _follow(self, draft: Draft[S], path: Sequence[S]) -> None:
        """Write down what the draft proposes, not too far ahead of what is asked."""
        try:
            async with aclosing(draft.propose(path)) as states:
                async for state in states:
                    _check(draft, state)
                    if self._overtaken:
                        # The run was here first: what the draft says of this state can only be compared.
                        if self._overtaken.popleft() == state:
                            continue
                        self._overtaken.clear()
                        return  # it has gone another way: it is to begin anew from where the run is
                    self._states.append(state)
                    self._changed()  # WAKE-UP
                    if len(self._states) >= MOST_PROPOSED:
                        self._room.clear()
                        await self._room.wait()
        except (Exception, asyncio.CancelledError) as error:
            failure = failure_of(error, f"the draft ({draft.name})")
            if self._drafting is not asyncio.current_task():
                return  # it was left, and failed on its way out
            self._failed(failure)
        # The return above skips this: an exhausted draft rests until the next restart, one that went another way begins anew.
        self._exhausted = True
        self._overtaken.clear()
        self._changed()

    def _stop(self) -> None:
        if self._drafting is not None:
            self._drafting.cancel()
            # It may take a moment, and what its model opens is not to outlive the model.
            self._left.add(self._drafting)
            self._drafting.add_done_callback(self._left.discard)
            self._drafting = None
        self._overtaken.clear()


def _check(draft: Draft[S], state: S) -> None:
    """Raise for what cannot be a state."""
    try:
        hash(state)
    except TypeError:
        raise BadInput(
            f"the draft ({draft.name}) proposed {printable(f'{state!r:.100}')}, which cannot be hashed: no state is like that"
        ) from None
