"""Measure what was trained on problems that training never drew, through llama.cpp: not the engine that it was trained with.

A trace is left alone up to ponder's own limit of 480 tokens, whatever the recipe cut at; one that is not finished there is wrong, and counted.
"""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import httpx

from surefoot.models.embedded.llama_cpp import EmbeddedServer
from surefoot.training.ponder.data import TAGS
from surefoot.training.ponder.evaluate import PATIENCE_S, Client, Completion
from surefoot.training.ponder.problems import Beginning, TrainingProblem, answer_of, several

from .beginnings import begun


class MeasuredCell(NamedTuple):
    """One model on the problems of one difficulty at one temperature."""

    difficulty: str
    temperature: float
    problems: int
    right: int
    tokens: float
    """Mean of a response."""
    unfinished: int
    """At 480 tokens; they are wrong."""
    thinking: float
    """Share of the responses that have thoughts."""
    cut_right: int | None = None
    """Right answers where the thoughts were closed at a budget; None if that was not asked for."""
    begun_wrong: int = 0
    """Problems that were given again with a wrong first pass to go on from."""
    repaired: int = 0
    """Of these, the right answers."""
    begun_right: int = 0
    kept: int = 0
    """The same with a right first pass."""


def measured(
    gguf: Path,
    *,
    difficulties: Sequence[str],
    temperatures: Sequence[float],
    problems: int,
    budget: int | None = None,
    marks: bool = False,
) -> list[MeasuredCell]:
    """Measure a model on `problems` different held-out problems of each difficulty, the same for every model.

    With a `budget` the same thoughts are also closed after so many tokens, and an answer is drawn.  Every problem is also given with a first pass, right
    or wrong, to go on from; its lines are marked for a model that knows `marks`.
    """
    return asyncio.run(_measured(gguf, difficulties, temperatures, problems, budget, marks))


async def _measured(
    gguf: Path,
    difficulties: Sequence[str],
    temperatures: Sequence[float],
    problems: int,
    budget: int | None,
    marks: bool,
) -> list[MeasuredCell]:
    cells = []
    with EmbeddedServer(gguf, name="ponder") as server:
        async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
            client = Client(server.url, http)
            for difficulty in difficulties:
                asked = several(difficulty, problems, random.Random(f"{difficulty} for rl"))
                rng = random.Random(f"{difficulty} begun for rl")
                beginnings = [begun(problem, rng, marks=marks) for problem in asked]
                for temperature in temperatures:
                    cells.append(await _cell(client, asked, beginnings, temperature, budget))
    return cells


async def _cell(
    client: Client,
    problems: Sequence[TrainingProblem],
    beginnings: Sequence[TrainingProblem],
    temperature: float,
    budget: int | None,
) -> MeasuredCell:
    traces = await client.write([problem.prompt for problem in problems], temperature)
    closed = None
    if budget is not None:
        # A draw that is cut is the beginning of one that is not: the same traces serve.
        cut = [_cut(trace, budget) for trace in traces]
        prompts = [problem.prompt + text for problem, text in zip(problems, cut, strict=True)]
        closed = _right(problems, await client.write(prompts, temperature))
    return MeasuredCell(
        problems[0].difficulty,
        temperature,
        len(problems),
        _right(problems, traces),
        fmean(trace.tokens for trace in traces),
        sum(not trace.ended for trace in traces),
        fmean(not trace.text.startswith("".join(TAGS)) for trace in traces),
        closed,
        *(await _gone_on(client, beginnings, "wrong", temperature)),
        *(await _gone_on(client, beginnings, "right", temperature)),
    )


async def _gone_on(
    client: Client, beginnings: Sequence[TrainingProblem], kind: Beginning, temperature: float
) -> tuple[int, int]:
    """Return how many thoughts that are begun so were gone on from, and how many of these came to a right answer."""
    own = [problem for problem in beginnings if problem.begun == kind]
    written = await client.write([problem.prompt for problem in own], temperature)
    return len(own), _right(own, written)


def _cut(trace: Completion, budget: int) -> str:
    """Return the thoughts of a trace, at most so many tokens of them, and the tag that closes them."""
    thoughts = trace.text.partition(TAGS[1])[0].removeprefix(TAGS[0])
    # ponder's tokens are characters, so that a text can be cut by its length.
    return TAGS[0] + thoughts[: budget - 1] + TAGS[1]


def _right(problems: Sequence[TrainingProblem], written: Sequence[Completion]) -> int:
    return sum(
        one.ended and answer_of(one.text) == problem.answer
        for problem, one in zip(problems, written, strict=True)
    )
