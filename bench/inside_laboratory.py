"""What bench/inside.py measures with: a model whose streams are drawn once, problems, one setting after the other."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from thinking_laboratory import ANSWER_TOKENS, CUES, PROBING, THINK_TOKENS
from thinking_replay import Replay
from thinking_stats import Run

from surefoot.agents.reasoning import Control, Reasoner, StreamState, Thought
from surefoot.agents.reasoning.exit_labels import Problem, collect_exits
from surefoot.agents.reasoning.exit_scores import Forced, StatesAt
from surefoot.agents.reasoning.reasoner import BUDGET
from surefoot.agents.reasoning.thoughts import ThoughtKind
from surefoot.models import Ask, Draw, Piece, Streaming
from surefoot.models.local import CacheShape, CompressedKV, LocalModel, Trial
from surefoot.training.ponder.problems import TrainingProblem, answer_of

SEEDS = 64
"""Seeds of a problem: more than any setting draws samples."""
AT_ONCE = 64
"""Problems that are thought about at a time: half as many as the model has slots, since each may have a forced answer beside it."""


class InsideReplay(Replay):
    """Streams with the states of all layers, so that exits by any of them meet the very same thoughts."""

    def __init__(self, model: LocalModel) -> None:
        super().__init__(model, top_logprobs=1)
        self._inside = model

    @property
    def depth(self) -> int:
        return self._inside.depth

    async def digest(self) -> str:
        return await self._inside.digest()

    async def stream(self, draw: Draw) -> AsyncGenerator[Piece, None]:
        every = tuple(range(1, self.depth + 1))
        async for piece in super().stream(replace(draw, layers=every)):
            # The piece that says that a stream was cut short has none.
            shown = tuple(piece.states[layer - 1] for layer in draw.layers) if piece.states else ()
            yield piece._replace(states=shown)


@dataclass(frozen=True, slots=True)
class InsideRun:
    """One setting on the problems of one difficulty, at one temperature, all seeds together."""

    run: Run
    temperature: float
    unfinished: int
    kv_bytes: float
    """Of a text, when it ends, on average."""


class InsideBench:
    """Problems of one kind at one temperature, and what is measured on them."""

    def __init__(
        self,
        model: Streaming,
        shape: CacheShape,
        problems: Sequence[TrainingProblem],
        temperature: float,
        seeds: int,
    ) -> None:
        self.model, self.shape, self.problems = model, shape, problems
        self.temperature, self.seeds = temperature, seeds

    async def run(
        self,
        control: str,
        setting: str,
        *controls: Control,
        model: Streaming | None = None,
        kv: CompressedKV | None = None,
    ) -> InsideRun:
        """Let the model, or another, solve all problems with these controls."""
        reasoner = thinker(model or self.model, *controls)
        asks = [
            Ask(problem.prompt, self.temperature, ANSWER_TOKENS, number * SEEDS + seed)
            for seed in range(self.seeds)
            for number, problem in enumerate(self.problems)
        ]
        slots = asyncio.Semaphore(AT_ONCE)

        async def think(ask: Ask) -> StreamState:
            async with slots:
                return await reasoner.think(ask)

        states = await asyncio.gather(*map(think, asks))
        right = [
            answer_of(state.text) == problem.answer
            for state, problem in zip(states, [*self.problems] * self.seeds, strict=True)
        ]
        count = len(states)
        texts = [len(str(state.prompt)) + state.tokens + state.answer_tokens for state in states]
        run = Run(
            self.problems[0].difficulty,
            control,
            setting,
            "".join("01"[hit] for hit in right),
            thinking=sum(state.tokens for state in states) / count,
            output=sum(state.usage.completion for state in states) / count,
            input=sum(state.usage.prompt for state in states) / count,
            seconds=0.0,
        )
        unfinished = sum(state.ended_by == BUDGET for state in states)
        kept = sum(self.shape.bytes(tokens, kv) for tokens in texts) / count
        return InsideRun(run, self.temperature, unfinished, kept)

    async def trial(self, *controls: Control, model: Streaming | None = None) -> Trial:
        """Return what studies choose by."""
        found = await self.run("", "", *controls, model=model)
        count = found.run.problems
        return Trial(found.run.accuracy, found.run.output, found.unfinished / count)

    async def forced(self, at: StatesAt) -> list[Forced]:
        """Return forced exits with their states; a second place costs nothing, as streams are heard from memory."""
        collected = await collect_exits(
            lambda control: thinker(self.model, control),
            [Problem(problem.prompt, problem.answer) for problem in self.problems],
            probing=PROBING,
            temperature=self.temperature,
            at_once=AT_ONCE,
            states=at,
        )
        return collected.forced


def thinker(model: Streaming, *controls: Control) -> Reasoner:
    return Reasoner(model, *controls, answer_tokens=ANSWER_TOKENS, think_tokens=THINK_TOKENS, cues=CUES)


def kind(thought: Thought) -> ThoughtKind | None:
    """Return what a thought of ponder does; `done` neither goes on nor looks back."""
    return None if thought.text.startswith("done") else thought.kind
