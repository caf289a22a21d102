"""Trim: the thinking is closed once its conclusions repeat, once it goes nowhere, and once it goes in circles."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from surefoot.errors import BadInput
from surefoot.models.streaming import Draw, Piece, Streaming

from .control import Close, Control, StreamAction, StreamState, Watch
from .loops import LoopDetector, Loops
from .thoughts import Thought
from .verifier import Verifying

GUIDANCE = "\n\nI have reached the same answer more than once, so I can give it now.\n"
FORCEFUL = "\n\nI have already thought about this for a long time. I stop here and give the best answer that I have.\n"


class Underthinking(NamedTuple):
    """When thinking that does not converge is given up: only if both are exceeded."""

    share: float = 0.5
    """Of the tokens allowed for thinking."""
    thoughts: int = 20


UNDERTHINKING = Underthinking()
LOOPS = Loops()


class Trim(Control):
    """Closes the thinking when `same` of the last `window` conclusions are equivalent.

    After TrimR (arXiv 2505.17155): a small verifier says which thoughts conclude, and only those are compared.  TrimR
    counts consecutive agreement and begins again at a mismatch, which is `window=same` here; with a larger window one
    stray answer between two that agree does not matter.  TrimR's two other cases are closed too, with a more `forceful`
    guidance: `underthinking`, many thoughts that never converge, and `loops`; None switches either off.

    The stream goes on while the verifier is busy; its verdicts are acted upon at the next piece.  A verifier that
    cannot be reached fails the sample, as the model itself would, if that is known by the sample's end: a question that
    is still open then is withdrawn, and what it has cost is on no bill.
    """

    def __init__(
        self,
        verifier: Verifying,
        same: int = 2,
        window: int = 3,
        *,
        guidance: str = GUIDANCE,
        forceful: str = FORCEFUL,
        underthinking: Underthinking | None = UNDERTHINKING,
        loops: Loops | None = LOOPS,
    ) -> None:
        if not 1 <= same <= window:
            raise BadInput(f"trimming needs 1 <= same <= window, not {same!r} of {window!r}")
        self.verifier = verifier
        self.same = same
        self.window = window
        self.guidance = guidance
        self.forceful = forceful
        self.underthinking = underthinking
        self.loops = loops

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"trim({self.same} of {self.window})"

    def watch(self, draw: Draw, model: Streaming) -> Watch:
        """Return a fresh watcher for one stream."""
        return _Trimming(self, draw.max_tokens)


class _Trimming(Watch):
    def __init__(self, trim: Trim, budget: int) -> None:
        self._trim = trim
        self._budget = budget
        self._state: StreamState | None = None
        self._task: asyncio.Task[None] | None = None
        self._begin(0)

    def _begin(self, restarts: int) -> None:
        self._restarts = restarts
        self._detector = LoopDetector(self._trim.loops) if self._trim.loops else None
        self._waiting: list[str] = []
        self._conclusions = deque[tuple[int, str]]()
        """The conclusions in the window, oldest first, each with the number of its answer."""
        self._answers = 0
        self._converged = False

    async def see(self, state: StreamState, piece: Piece, thoughts: Sequence[Thought]) -> StreamAction | None:
        self._state = state
        if self._task and self._task.done():
            self._task.result()
            self._task = None
        if state.closed:
            return None
        if state.restarts != self._restarts:
            await self.aclose()
            self._begin(state.restarts)
        if self._detector and self._detector.feed(piece.thought):
            return Close(self._trim.forceful)
        self._waiting += [thought.text for thought in thoughts]
        if self._waiting and not self._task:
            self._task = asyncio.create_task(self._verify(state))
            # One turn of the event loop is enough for a verifier that asks no model, so its verdicts depend on no clock.
            await asyncio.sleep(0)
        if not self._converged and not self._lost(state):
            return None
        # What was begun while the verifier was busy is left out: half a thought would be answered otherwise.
        whole = sum(len(thought.text) for thought in state.thoughts)
        return Close(self._trim.guidance if self._converged else self._trim.forceful, keep=whole)

    async def aclose(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        failure = None if task.cancelled() else task.exception()
        # A sample that has come to no end has a failure of its own.
        if failure and self._state and self._state.finish:
            raise failure

    def _lost(self, state: StreamState) -> bool:
        limit = self._trim.underthinking
        return (
            limit is not None
            and len(state.thoughts) >= limit.thoughts
            and state.tokens >= limit.share * self._budget
        )

    async def _verify(self, state: StreamState) -> None:
        """Judge the thoughts that wait, and those that come meanwhile."""
        while self._waiting:
            thoughts, self._waiting = self._waiting, []
            opinions = await self._trim.verifier.concludes(thoughts)
            for opinion in opinions:
                state.spend(opinion.usage)
            for thought, opinion in zip(thoughts, opinions, strict=True):
                if opinion.yes:
                    await self._compare(state, thought)

    async def _compare(self, state: StreamState, thought: str) -> None:
        """Give a conclusion the number of its answer, by comparing it with the latest of each answer in the window."""
        if len(self._conclusions) == self._trim.window:
            self._conclusions.popleft()
        latest = dict(self._conclusions)
        answer = None
        opinions = await self._trim.verifier.same([(before, thought) for before in latest.values()])
        for number, opinion in zip(latest, opinions, strict=True):
            state.spend(opinion.usage)
            if opinion.yes:
                answer = number
        if answer is None:
            self._answers += 1
            answer = self._answers
        self._conclusions.append((answer, thought))
        agreeing = sum(number == answer for number, _ in self._conclusions)
        self._converged = self._converged or agreeing >= self._trim.same
