"""Tracking: the state of a video, one frame and one voted operation a step (VideoReasonBench, arXiv 2505.23359).

The state at the start is known, as where a video shows it.  A microagent sees the frame of one operation and says which it is; the rules
work out the state after it.  Nobody has to remember a video, so that a million operations are no harder than ten.
"""

import random
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from surefoot.agents.tasks.optional import Case
from surefoot.agents.tasks.task import Task, Value
from surefoot.errors import BadInput
from surefoot.models.base import Message, Prompt, Sampling
from surefoot.tools.pictures.picture import Picture
from surefoot.tools.puzzles.puzzle import NoMove
from surefoot.tools.videoreason.canvas import Style
from surefoot.tools.videoreason.episode import Episode
from surefoot.tools.videoreason.frames import draw_operation, encoded
from surefoot.typed_input import checked
from surefoot.voting.flags import NotAnAnswer

TrackState = tuple[int, Any]
"""How many operations are behind, and the demo's state after them."""

QUESTIONS = {"cup": "swap?", "files": "command?"}
"""The others ask `op?`."""
SIZES_PX = (160, 144, 176, 128)
"""The sides of a frame, view by view."""
MOST_VIEWS = 32
KEPT_VIEWS = 2
"""Frames are kept for a step and the one after it."""
MAX_TOKENS, MAX_TOKENS_OF_FILES = 32, 160
"""A sample is no longer than this, even where each character is a token."""


class Track(Task[TrackState, str]):
    """Follow `operations` of a demo that is drawn from `seed`: number, circle, cup, files, cards or chips.

    `size` is the side of a board, 2 to 9, or the number of piles, cups or paths, 1 or 2.  Each of `views` frames the same operation
    in a size and a style of its own.  An answer is an operation as its demo writes it:

        number, circle      up
        cup                 a2,c1
        cards, chips        +6H 0, -20 1
        files               rm -rf path0/{a.txt,b.py}

    One that is illegal in the state as it was tracked cannot be applied, and is no answer.
    """

    name = "track"

    @checked
    def __init__(
        self, demo: str = "number", size: int = 2, operations: int = 20, seed: int = 0, views: int = 4
    ) -> None:
        if not 1 <= views <= MOST_VIEWS:
            raise BadInput(f"a step has 1 to {MOST_VIEWS} views, not {views!r}")
        self.episode = Episode(demo, size, operations, seed)
        self.demo, self.views = self.episode.demo, views
        self._question = QUESTIONS.get(demo, "op?")
        self._picture = lru_cache(KEPT_VIEWS * views)(self._drawn)
        tokens = MAX_TOKENS_OF_FILES if demo == "files" else MAX_TOKENS
        self.sampling = Sampling(max_tokens=tokens)

    def spec(self) -> Mapping[str, Value]:
        """The constructor's arguments."""
        return {
            "demo": self.demo.name,
            "size": self.episode.size,
            "operations": self.episode.operations,
            "seed": self.episode.seed,
            "views": self.views,
        }

    def start(self) -> TrackState:
        """The state as the video shows it."""
        return 0, self.episode.state(0)

    def ask(self, state: TrackState, view: int = 0) -> Prompt:
        """Show the frame of the next operation, framed as in `view`."""
        return (Message("user", self._question, (self._picture(state[0], view % self.views),)),)

    def read(self, text: str, state: TrackState, view: int = 0) -> str:
        """Parse an operation that is legal in this state; raises `NotAnAnswer` for anything else."""
        operation = self.demo.read_operation(text.strip())
        try:
            self.demo.after(state[1], operation)
        except NoMove as error:
            raise NotAnAnswer(str(error)) from None
        return self.demo.write_operation(operation)

    def advance(self, state: TrackState, answer: str) -> TrackState:
        """Apply the operation by the rules."""
        step, tracked = state
        return step + 1, self.demo.after(tracked, self.demo.read_operation(answer))

    def finished(self, state: TrackState) -> bool:
        """Whether all operations are behind."""
        return state[0] >= self.episode.operations

    def solved(self, state: TrackState) -> bool:
        """Whether the state is the simulator's."""
        return self.finished(state) and state[1] == self.episode.state(self.episode.operations)

    def steps(self) -> int:
        """One for each operation."""
        return self.episode.operations

    def case(self, rng: random.Random) -> Case[TrackState, str]:
        """Draw one of the job's own states, uniformly over its steps, with the right answer."""
        step = rng.randrange(self.episode.operations)
        return Case((step, self.episode.step(step).state), self._shown(step))

    def show(self, answer: str) -> str:
        """Write the operation."""
        return answer

    def _shown(self, step: int) -> str:
        return self.demo.write_operation(self.episode.step(step).operation)

    def _drawn(self, step: int, view: int) -> Picture:
        """Draw what the video shows, wherever the tracked state has got to."""
        style = Style.drawn(random.Random(f"view {view}")) if view else Style()
        size_px = SIZES_PX[view % len(SIZES_PX)]
        return encoded(draw_operation(self.demo, *self.episode.step(step), size_px, style))
