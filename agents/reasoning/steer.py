"""Steer: fewer thoughts that reflect or change course, by a bias on the words that they begin with.

What a plain server offers in place of SEAL's steering vectors (arXiv 2504.07986).
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from surefoot.errors import BadInput, SurefootError
from surefoot.models.streaming import Draw, Piece, Streaming

from .control import Control, StreamState, Watch
from .thoughts import CUES, Cues, Thought, ThoughtKind


class NoCueTokens(SurefootError):
    """The model's tokenizer has no token of its own for any cue word."""


class Steer(Control):
    """Adds `bias` (logits, below 0) to every token that is one of the cue words; -100 forbids them.

    Only cues of one word count, with and without a space or line break before them, capitalised or not, and only where
    such a form is a single token: a bias on the first token of several would hit other words.
    """

    def __init__(self, bias: float, cues: Cues = CUES) -> None:
        if not -100 <= bias < 0:
            raise BadInput(f"a bias that steers away from cue words lies from -100 to below 0, not {bias!r}")
        self.kinds: Counter[ThoughtKind] = Counter()
        """Thoughts of each kind in all streams so far."""
        self._bias = bias
        self._words = tuple(word for word in cues.reflection + cues.transition if word.isalpha())
        self._tokens: dict[Streaming, list[int]] = {}
        self._asking = asyncio.Lock()

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"steer({self._bias:g})"

    async def prepare(self, state: StreamState, model: Streaming) -> None:
        """Add the bias; raises `NoCueTokens` where it would have no effect."""
        async with self._asking:
            if model not in self._tokens:
                self._tokens[model] = await self._find(model)
        bias = tuple((token, self._bias) for token in self._tokens[model])
        state.draw = replace(state.draw, logit_bias=state.draw.logit_bias + bias)

    def watch(self, draw: Draw, model: Streaming) -> Watch:
        """Count what kinds of thoughts are left."""
        return _Tally(self.kinds)

    async def _find(self, model: Streaming) -> list[int]:
        found: set[int] = set()
        for before in ("", " ", "\n"):
            gap = await model.tokenize(before) if before else []
            for word in self._words:
                for form in (word, word.capitalize()):
                    tokens = await model.tokenize(before + form)
                    if gap and tokens[: len(gap)] == gap:
                        tokens = tokens[len(gap) :]
                    found.update(tokens if len(tokens) == 1 else ())
        if not found:
            raise NoCueTokens(
                f"{model.name} has no single token for any of {', '.join(map(repr, self._words))}: leave Steer out, or "
                f"give it cues that the model's tokenizer knows"
            )
        return sorted(found)


class _Tally(Watch):
    def __init__(self, kinds: Counter[ThoughtKind]) -> None:
        self._kinds = kinds

    async def see(self, state: StreamState, piece: Piece, thoughts: Sequence[Thought]) -> None:
        self._kinds.update(thought.kind for thought in thoughts)
