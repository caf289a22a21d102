"""What a model writes is read in time that grows as its length does, whatever it is made of and however it comes."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, suppress

import pytest

from surefoot.agents.reasoning.budget import Elastic
from surefoot.agents.reasoning.control import Control, StreamState
from surefoot.agents.reasoning.exits import Dynasor, Exit
from surefoot.agents.reasoning.loops import LoopDetector, Loops
from surefoot.agents.reasoning.probes import PROBING, Spotter, normalised, same_answer
from surefoot.agents.reasoning.reasoner import Reasoner
from surefoot.agents.reasoning.steer import Steer
from surefoot.agents.reasoning.trim import Trim
from surefoot.agents.reasoning.verifier import RuleVerifier
from surefoot.agents.tasks.columns import Columns
from surefoot.agents.tasks.towers import Towers
from surefoot.models.base import Ask
from surefoot.models.growing_text import GrowingText
from surefoot.models.streaming import Draw, Piece, whole_stream
from surefoot.models.tags import ThinkParser
from surefoot.voting.flags import NotAnAnswer
from surefoot.voting.samples import Usage

Slope = Callable[..., float]

CHUNKS = (1 << 10, 1 << 14, 1 << 18)
STEPS = (1 << 10, 1 << 13, 1 << 16)
DRAW = Draw(prompt="q", temperature=1.0, max_tokens=1, seed=1)
"""Sizes in characters; smaller where every token is a call."""

DEGENERATE = {
    "blanks": " ",
    "line breaks": "\n",
    "Z1 line breaks and blanks": "\n ",
    "full stops": ".",
    "full stops and blanks": ". ",
    "brackets": "[",
    "closed brackets": "[]",
    "opening tags": "<think>",
    "closing tags": "</think>",
    "pairs of tags": "<think>a</think>b",
    "half tags": "<thin",
    "halves of closing tags": "</",
    "quotes": '"',
    "fences": "```\n",
    "cues": "Wait. ",
    "halves of cues": ". anoth",
    "thoughts": "so 5.\n\n",
    "one word": "a",
    "numbers": "7",
    "boxes": "\\boxed {",
    "move lines": "move = [1, 0, 2]\n",
    "half a move": "move = [1,",
    "half a board": "next_state = [[",
    "signs": "*",
    "questions on new lines": "?\n",
}
every_kind = pytest.mark.parametrize("unit", DEGENERATE.values(), ids=DEGENERATE.keys())


def one_chunk(unit: str) -> Callable[[int], list[str]]:
    return lambda size: ["Let me see." + unit * (size // len(unit))]


def tokens(unit: str) -> Callable[[int], list[str]]:
    return lambda size: ["Let me see.", *[unit] * (size // len(unit))]


def a_million_tokens(unit: str) -> Callable[[int], list[str]]:
    """A text cut every four characters, as tokens do it: through units, wherever that falls."""

    def cut(size: int) -> list[str]:
        text = unit * (size // len(unit) + 1)
        return ["Let me see.", *(text[begin : begin + 4] for begin in range(0, size, 4))]

    return cut


def think(parts: list[str]) -> None:
    """The splitter of thoughts, the state around it, and the search for cues."""
    state, spotter = StreamState(DRAW), Spotter(PROBING.words)
    for part in parts:
        state.hear(Piece(thought=part, usage=Usage(completion=1)))
        spotter.see(state)


def tell_apart(parts: list[str]) -> None:
    parser = ThinkParser()
    for part in parts:
        parser.feed(part)
    parser.end()


def go_in_circles(parts: list[str]) -> None:
    detector = LoopDetector(Loops())
    for part in parts:
        detector.feed(part)


@every_kind
def test_thoughts_are_split_in_linear_time(slope: Slope, unit: str) -> None:
    assert slope(think, one_chunk(unit), CHUNKS) <= 1.1
    assert slope(think, tokens(unit), STEPS) <= 1.1


@pytest.mark.parametrize("unit", ["\n ", "<think>", "</think>", "<think>a</think>b", "<thin", "</", "["])
def test_thoughts_are_told_from_the_answer_in_linear_time(slope: Slope, unit: str) -> None:
    assert slope(tell_apart, one_chunk(unit), CHUNKS) <= 1.1
    assert slope(tell_apart, tokens(unit), STEPS) <= 1.1


@pytest.mark.parametrize("unit", ["\n ", "so 5. ", "."])
def test_loops_are_found_in_linear_time(slope: Slope, unit: str) -> None:
    assert slope(go_in_circles, one_chunk(unit), STEPS) <= 1.1


@every_kind
def test_answers_are_compared_in_linear_time(slope: Slope, unit: str) -> None:
    def compare(text: str) -> None:
        normalised(text)
        same_answer(text, text + "1")

    # Over a wide range: words that no longer fit a cache cost twice as much each, which is a step and no slope.
    assert slope(compare, lambda size: unit * (size // len(unit)), (1 << 10, 1 << 16, 1 << 22)) <= 1.1


@pytest.mark.parametrize(
    "number", ["1e999999999", "1e-999999999", "2E+999_999_999", "1,000e99999", "9" * 100_000]
)
def test_an_absurd_number_is_compared_as_text_alone(number: str) -> None:
    """As a fraction the first of them has a billion digits."""
    assert not same_answer(number, "5")
    assert same_answer(number, number)


TASKS = {
    "verbose": Towers(4),
    "verbose, move": Towers(4, form="move"),
    "compact": Towers(4, "compact"),
    "compact, move": Towers(4, "compact", "move"),
    "columns": Columns(("12", "34")),
}


@every_kind
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
def test_answers_of_tasks_are_read_in_linear_time(slope: Slope, task: Towers | Columns, unit: str) -> None:
    """V2: 12,000 line breaks took 2.8 s in the verbose reader."""

    def read(text: str) -> None:
        for reader in (task.read, *([task.read_ahead] if isinstance(task, Towers) else [])):
            with suppress(NotAnAnswer):
                reader(text, task.start())  # type: ignore[arg-type]

    assert slope(read, lambda size: unit * (size // len(unit)) + "!", CHUNKS) <= 1.1


class Scripted:
    """Streams pieces that are told in advance, whatever it is asked."""

    name = "scripted"

    def __init__(self, parts: list[str]) -> None:
        parser = ThinkParser("<think>")
        told = (parser.feed(part) for part in parts)
        self.pieces = [
            Piece(split.thought, split.text, unopened=split.unopened, usage=Usage(completion=1))
            for splits in told
            for split in splits
        ]

    async def stream(self, draw: Draw) -> AsyncGenerator[Piece, None]:
        if draw.begun:
            yield Piece(text="5", finish="stop", usage=Usage(completion=1))
            return
        for piece in self.pieces:
            yield piece
        yield Piece(text="5", finish="stop")

    async def tokenize(self, text: str) -> list[int]:
        return [hash(text)]

    async def native_budget(self) -> bool:
        return False


def controls() -> Iterator[Control]:
    yield Elastic(1 << 24, 64)
    yield Trim(RuleVerifier(lambda thought: None), underthinking=None, loops=None)
    yield Steer(-5)
    yield Exit(Dynasor())


@pytest.mark.parametrize("unit", ["\n ", " ", ". ", "Wait. ", "so 5.\n\n", "a</think>", "["])
def test_a_reasoner_with_its_controls_is_linear_token_by_token(slope: Slope, unit: str) -> None:
    """Z1: 400 tokens of a line break and a blank took 7 s of CPU on the event loop."""

    def reason(model: Scripted) -> None:
        async def one() -> None:
            reasoner = Reasoner(model, *controls(), think_tokens=1 << 24)
            async with aclosing(reasoner.sample([Ask("q", 1.0, 64, 1)])) as samples:
                assert [sample.finish async for _, sample in samples] == ["stop"]

        asyncio.run(one())

    def models(size: int) -> Scripted:
        return Scripted(tokens(unit)(size))

    assert slope(reason, models, STEPS) <= 1.1


@pytest.mark.parametrize("unit", ["\n ", "a</think>", "<think>a"])
def test_a_stream_is_collected_in_linear_time(slope: Slope, unit: str) -> None:
    def gather(model: Scripted) -> None:
        async def one() -> None:
            await whole_stream(model, DRAW)

        asyncio.run(one())

    assert slope(gather, lambda size: Scripted(tokens(unit)(size)), STEPS) <= 1.1


@pytest.mark.parametrize(
    ("work", "unit"),
    [(think, "\n "), (think, "</"), (tell_apart, "</think>"), (go_in_circles, "so 5. ")],
)
def test_a_million_tokens_cost_no_more_each_than_a_thousand(
    slope: Slope, work: Callable[[list[str]], None], unit: str
) -> None:
    assert slope(work, a_million_tokens(unit), (1 << 10, 1 << 16, 1 << 22)) <= 1.1


def test_text_that_grows_is_the_text_that_was_added() -> None:
    text, whole = GrowingText("ab"), "ab"
    for part in ("", "c", "def", " ", "ghi"):
        text.add(part)
        whole += part
        assert [text.since(start) for start in range(len(whole) + 2)] == [
            whole[start:] for start in range(len(whole) + 2)
        ]
        assert text.length == len(whole)
    assert str(text) == str(text) == whole
    assert text.since(3) == whole[3:]
    assert not text.blank
    assert GrowingText(" \n").blank and GrowingText().blank and str(GrowingText()) == ""
