"""Separate budgets for thinking and answer, so that a long thought never eats the answer's share.

Elastic Reasoning (Xu et al. 2025, arXiv 2505.05315), without its training.
"""

from dataclasses import replace

from surefoot.errors import BadInput
from surefoot.models.streaming import Streaming

from .control import Control, StreamState


class Elastic(Control):
    """Lets the model think for `thinking` tokens and answer in `solution` tokens of its own.

    The answer's share is the ask's `max_tokens` if that is less, and never less than both because of a `Reasoner`'s own.
    Where the server enforces `thinking_token_budget` a sample is one request: `native` says so, None has it tried out once.
    Otherwise thinking that reaches its limit is closed by hand, and the answer is a second request.
    """

    def __init__(self, thinking: int, solution: int, native: bool | None = None) -> None:
        if thinking < 0 or solution < 1:
            raise BadInput(
                f"a budget is at least 0 tokens to think and 1 to answer, not {thinking!r} and {solution!r}"
            )
        self._thinking, self._solution = thinking, solution
        self._native = native

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"elastic({self._thinking},{self._solution})"

    async def prepare(self, state: StreamState, model: Streaming) -> None:
        """Set both limits, and the server's own budget where it works."""
        native = await model.native_budget() if self._native is None else self._native
        budget = self._thinking if native else None
        state.draw = replace(state.draw, max_tokens=self._thinking, thinking_budget=budget)
        state.answer_limit = self._solution
