"""Models and drafts that keep to their seams badly: a run with speculation ends as one without."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from surefoot import Case, Settings, Speculation, Task, Typed
from surefoot.agents.tasks.task import Value
from surefoot.models.base import Ask, ModelUnavailable
from surefoot.orchestration.calibrate import calibrate
from surefoot.orchestration.engine.drafts import Draft, Rollout, Supplied
from surefoot.orchestration.engine.open_step import OpenStep, Terms
from surefoot.orchestration.engine.stride import Stride
from surefoot.voting import FirstToAheadBy, Sample

State = tuple[int, Any]


class Line(Task[State, Any]):
    """So many steps; the state is the number of steps and the last answer."""

    name = "line"
    views = 1

    def __init__(self, length: int = 4) -> None:
        self.length = length

    def spec(self) -> dict[str, Value]:
        return {}

    def start(self) -> State:
        return 0, 0

    def ask(self, state: State, view: int = 0) -> str:
        return repr(state)

    def read(self, text: str, state: State, view: int = 0) -> Any:
        return json.loads(text)

    def advance(self, state: State, answer: Any) -> State:
        return state[0] + 1, answer

    def finished(self, state: State) -> bool:
        return state[0] == self.length


class Says:
    """Answers ask number `n` about a prompt, from 0, with `text(prompt, n)`; the last ask of a call first."""

    name = "says"

    def __init__(self, text: Callable[[str, int], str]) -> None:
        self.text = text
        self.asked: dict[str, int] = {}

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        numbers = []
        for ask in asks:
            numbers.append(self.asked.get(str(ask.prompt), 0))
            self.asked[str(ask.prompt)] = numbers[-1] + 1
        for place in reversed(range(len(asks))):
            await asyncio.sleep(0)
            yield place, Sample(self.text(str(asks[place].prompt), numbers[place]))


LINE = Line()


async def decided(
    model: Any, speculation: Speculation | None, k: int = 3, spare: int = 0, task: Line = LINE
) -> list[str]:
    """Decide all steps and return the winners as they are written."""
    terms = Terms(task, FirstToAheadBy(k), task.sampling, limit=30, spare=spare)
    stride = Stride(terms, model, speculation)
    found, state = [], task.start()
    try:
        async with asyncio.timeout(10):
            for step in range(task.length):
                winner = (await stride.decide(state, step)).verdict.winner
                found.append(repr(winner))
                state = task.advance(state, winner)
    finally:
        await stride.aclose()
    return found


EITHER = pytest.mark.parametrize(
    "speculation", [None, Speculation(), Speculation(Supplied(lambda state: (state[0] + 1, 1)))]
)


@EITHER
async def test_what_a_model_has_cancelled_by_itself_is_a_failure(speculation: Speculation | None) -> None:
    class GivesUp(Says):
        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            if any(ask.prompt == "(2, 1)" for ask in asks):
                waiting = asyncio.ensure_future(asyncio.Event().wait())
                waiting.cancel()
                await waiting
            async for entry in super().sample(asks):
                yield entry

    with pytest.raises(ModelUnavailable, match="a call of says was cancelled from inside"):
        await decided(GivesUp(lambda prompt, n: "1"), speculation)


class Misplacing(Says):
    """Answers asks at the positions that `places` makes of their number."""

    def __init__(self, places: Callable[[int], Sequence[int]]) -> None:
        super().__init__(lambda prompt, n: "1")
        self.places = places

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for number, place in enumerate(self.places(len(asks))):
            await asyncio.sleep(0)
            yield place, Sample(str(number % 2))


@EITHER
@pytest.mark.parametrize(
    ("places", "said"),
    [
        (lambda asked: range(asked - 1), r"says left 1 of \d+ asks unanswered"),
        (lambda asked: range(-1, asked - 1), "says answered ask -1 of a call"),
        (lambda asked: [0] * asked, "says answered ask 0 of a call that does not owe it"),
        (lambda asked: range(asked + 1), r"says answered ask \d+ of a call that does not owe it"),
    ],
    ids=["one too few", "before the first", "one again and again", "one too many"],
)
async def test_a_model_answers_each_ask_once(
    places: Callable[[int], Sequence[int]], said: str, speculation: Speculation | None
) -> None:
    with pytest.raises(ModelUnavailable, match=said):
        await decided(Misplacing(places), speculation)


class Answering:
    """Answers every ask with the same thing."""

    name = "odd"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Any], None]:
        for position in range(len(asks)):
            yield position, self.answer


@EITHER
@pytest.mark.parametrize(
    "answer",
    [None, "1", tuple(Sample("1")), Sample(1), Sample("1", usage=None), Sample("1", usage=(1, 0, 1, 0, 0))],  # type: ignore[arg-type]
)
async def test_an_answer_is_a_sample_and_nothing_that_looks_like_one(
    answer: Any, speculation: Speculation | None
) -> None:
    with pytest.raises(ModelUnavailable, match=r"odd answered .*: an answer is a surefoot\.Sample"):
        await decided(Answering(answer), speculation)


@EITHER
async def test_a_sample_may_be_of_a_class_of_its_own(speculation: Speculation | None) -> None:
    class Thought(Sample):
        pass

    assert await decided(Answering(Thought("1")), speculation) == ["1"] * 4


class Drawn(Line):
    """The same, with states to calibrate on."""

    def case(self, rng: random.Random) -> Case[State, Any]:
        return Case((rng.randrange(1000), 1), 1)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Misplacing(lambda asked: range(asked - 1)), r"says left 1 of \d+ asks unanswered"),
        (Misplacing(lambda asked: range(-1, asked - 1)), "says answered ask -1 of a call"),
        (Misplacing(lambda asked: range(asked + 1)), r"says answered ask \d+ of a call"),
        (Answering("1"), r"odd answered '1': an answer is a surefoot\.Sample"),
    ],
    ids=["one too few", "before the first", "one too many", "a text"],
)
async def test_a_calibration_takes_one_sample_for_each_ask(model: Any, said: str) -> None:
    with pytest.raises(ModelUnavailable, match=said):
        await calibrate(Drawn(), model, Settings(states=5))


async def test_a_draft_that_was_cancelled_by_itself_ends_where_it_is() -> None:
    def cancelled(state: State) -> State:
        if state[0] == 1:
            raise asyncio.CancelledError
        return state[0] + 1, 1

    speculation = Speculation(Supplied(cancelled), max_waste=0.9)
    assert await decided(Says(lambda prompt, n: "1"), speculation) == ["1"] * 4
    with pytest.raises(ModelUnavailable, match=r"the draft \(supplied\) was cancelled from inside"):
        await decided(Says(lambda prompt, n: "1"), Speculation(Supplied(lambda state: cancelled((1, 1)))))


@dataclass(frozen=True)
class Rich:
    step: int
    last: int | bool


class RichLine(Line):
    """The same with states that need a codec."""

    state_codec = Typed(Rich)

    def start(self) -> Any:
        return Rich(0, 0)

    def ask(self, state: Any, view: int = 0) -> str:
        return repr((state.step, state.last))

    def advance(self, state: Any, answer: Any) -> Any:
        return Rich(state.step + 1, answer)

    def finished(self, state: Any) -> bool:
        return bool(state.step == self.length)


@pytest.mark.parametrize("task", [Line(), RichLine()])
@pytest.mark.parametrize("drafted", [False, True])
async def test_a_state_that_is_only_equal_to_the_expected_one_is_asked_about_itself(
    task: Line, drafted: bool
) -> None:
    """Of step 0 the ballots 1 come first and the ballot true counts first: it wins for all, and leads elsewhere."""

    def text(prompt: str, n: int) -> str:
        return {"(0, 0)": "1" if n else "true", "(1, True)": "5", "(1, 1)": "7"}.get(prompt, "0")

    draft: Draft[Any] | None = None
    if drafted:
        draft = Supplied(lambda state: task.advance(state, 1))
    found = await decided(Says(text), Speculation(draft, max_waste=0.9), task=task)
    assert found == await decided(Says(text), None, task=task) == ["True", "5", "0", "0"]


class Answer(int):
    """Counts how often one is hashed."""

    hashed = 0

    def __hash__(self) -> int:
        Answer.hashed += 1
        return super().__hash__()


class AnswerLine(Line):
    def read(self, text: str, state: State, view: int = 0) -> Any:
        return Answer(text)


def test_whether_samples_differ_is_known_without_another_look_at_all_of_them() -> None:
    task = AnswerLine()
    step = OpenStep(Terms(task, FirstToAheadBy(201), task.sampling, limit=999), 0, task.start())
    step.asks()
    for number in range(200):
        step.cast(number, Sample(" " * number + "1"))
        assert not step.disputed
    assert Answer.hashed <= 10 * 200
    step.cast(200, Sample("2"))
    assert step.disputed


class Growing:
    """A rule that wants two samples at first, and then twelve in all."""

    def winner(self, tally: Mapping[Any, int]) -> Any:
        return next((ballot for ballot, votes in tally.items() if votes >= 12), None)

    def wanted(self, tally: Mapping[Any, int]) -> int:
        votes = max(tally.values(), default=0)
        return 2 if votes < 2 else 12 - votes


async def test_a_step_behind_the_head_is_asked_for_more_only_if_there_is_room_for_all_of_it() -> None:
    beyond: list[int] = []

    class Watching(Says):
        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            pipeline = stride._pipeline
            assert pipeline is not None
            head = pipeline._open[0]
            beyond.append(pipeline._ledger.in_flight - head.outstanding)
            for place, ask in enumerate(asks):
                # The head is slow, so that the others are done with their first samples before.
                for _ in range(100 if ask.prompt == task.ask(head.state) else 1):
                    await asyncio.sleep(0)
                yield place, Sample("1")

    task = Line()
    terms = Terms(task, Growing(), task.sampling)
    draft: Draft[State] = Supplied(lambda state: (state[0] + 1, 1))
    stride = Stride(terms, Watching(lambda prompt, n: "1"), Speculation(draft, capacity=8, max_waste=0.99))
    state = task.start()
    async with asyncio.timeout(10):
        for step in range(4):
            state = task.advance(state, (await stride.decide(state, step)).verdict.winner)
    await stride.aclose()
    assert 0 < max(beyond) <= 8


def lost(state: State) -> State:
    if state == (1, 9):
        raise KeyError(state)
    return state[0] + 1, 1


class Refuses(Says):
    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        if any(ask.prompt == "(1, 9)" for ask in asks):
            raise ModelUnavailable("refused")
        async for entry in super().sample(asks):
            yield entry


@pytest.mark.parametrize("draft", [Supplied(lost), Rollout(Line(), Refuses(lambda prompt, n: "1"))])
async def test_a_draft_that_fails_on_a_state_that_the_ballots_spoke_for_only_at_first_does_not_end_the_run(
    draft: Draft[State],
) -> None:
    """The first four ballots of step 0 say 9, so that the draft is asked to go on from there; then 1 wins."""
    model = Says(lambda prompt, n: "9" if prompt == "(0, 0)" and n < 4 else "1")
    assert await decided(model, Speculation(draft, max_waste=0.9), k=5) == ["1"] * 4


async def test_a_model_may_await_while_its_call_is_ended() -> None:
    """Each step has spare samples that never come, and the next step is looked at while the call is ending."""
    ended: list[str] = []

    class Thorough(Says):
        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            ended.append("begun")
            try:
                async for entry in super().sample(asks[:3]):
                    yield entry
                await asyncio.Event().wait()
            finally:
                for _ in range(50):
                    await asyncio.sleep(0)
                ended.append("ended")

    await decided(Thorough(lambda prompt, n: "1"), Speculation(max_waste=0.9), spare=2)
    assert ended.count("ended") == ended.count("begun") >= 4
