"""What is expected beyond the steps that are open: states, and the draft that goes on proposing more."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import aclosing
from typing import Generic, TypeVar

from .drafts import Draft

S = TypeVar("S", bound=Hashable)

LOOK_AHEAD = 64
"""States that a draft may be ahead of what has been asked."""


class Outlook(Generic[S]):
    """The expected states of the steps to be opened next, in order.

    `changed` is called when a draft has said something, `failed` with what it raised.
    """

    def __init__(
        self, draft: Draft[S] | None, changed: Callable[[], None], failed: Callable[[BaseException], None]
    ) -> None:
        self.draft = draft
        self._changed = changed
        self._failed = failed
        self._states: deque[S] = deque()
        self._roll: asyncio.Task[None] | None = None
        self._rolled_out = False
        """Whether the draft knows no further."""
        self._passed: deque[S] = deque()
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

        Worth waiting for: some models answer faster when they are told what to expect.
        """
        return self.draft is None or self._rolled_out or len(self._states) > 1 or bool(self._passed)

    def expect(self, state: S) -> None:
        """Forget everything else and go on from this state."""
        self._stop()
        self._rolled_out = False
        self._states = deque([state])

    def reach(self, state: S) -> None:
        """Expect this state, where the draft has not said a word yet; what it is busy with may still be of use.

        A draft that says more at a time than one election takes would otherwise never be heard.
        """
        if not self.rolling or len(self._passed) >= LOOK_AHEAD:
            self.expect(state)
        else:
            self._passed.append(state)
            self._states.append(state)

    def take(self) -> tuple[S, S | None]:
        """Return the first state, which is expected no longer, and the one after it."""
        state = self._states.popleft()
        if len(self._states) <= LOOK_AHEAD // 2:
            self._room.set()
        return state, self._states[0] if self._states else None

    @property
    def rolling(self) -> bool:
        """Whether the draft goes on from here already."""
        return self._roll is not None and not self._roll.done()

    def roll(self, path: Sequence[S]) -> None:
        """Let the draft go on from here; `path` are the states from the one decided last to the open ones.

        `changed` is called once it has had the chance to say something at once.
        """
        if self.draft is not None:
            self._roll = asyncio.create_task(self._follow(self.draft, (*path, *self._states)))
            self._roll.add_done_callback(self._ended)
            asyncio.get_running_loop().call_soon(self._changed)

    async def aclose(self) -> None:
        """Let the draft stop."""
        if self._roll is not None:
            self._roll.cancel()
            await asyncio.gather(self._roll, return_exceptions=True)

    async def _follow(self, draft: Draft[S], path: Sequence[S]) -> None:
        """Write down what the draft proposes, not too far ahead of what is asked."""
        async with aclosing(draft.roll(path)) as states:
            async for state in states:
                if self._passed:
                    if self._passed.popleft() == state:
                        continue
                    self._passed.clear()
                    return  # it has gone another way: it is to begin anew from where the run is
                self._states.append(state)
                self._changed()
                if len(self._states) >= LOOK_AHEAD:
                    self._room.clear()
                    await self._room.wait()
        self._rolled_out = True
        self._passed.clear()
        self._changed()

    def _stop(self) -> None:
        if self._roll is not None:
            self._roll.cancel()
            self._roll = None
        self._passed.clear()

    def _ended(self, roll: asyncio.Task[None]) -> None:
        if not roll.cancelled() and (failure := roll.exception()):
            self._failed(failure)
        self._changed()
