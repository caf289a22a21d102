"""Videos followed by vote, one frame a step."""

import random
import tracemalloc
from collections.abc import AsyncGenerator, Sequence
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

import surefoot
from surefoot import Ask, BadInput, Message, NotAnAnswer, Sample, Settings
from surefoot.agents.perception import Track
from surefoot.models.base import Prompt
from surefoot.orchestration.engine.speculation import Speculation

DEMOS = ("number", "circle", "cup", "files", "cards", "chips")


class Seeing:
    """Knows every frame of a job by its digest, and is wrong, in form, in some samples: in one of `one_in`."""

    name = "seeing"

    def __init__(self, task: Track, one_in: int = 0) -> None:
        self._one_in = one_in
        self._known: dict[str, str] = {}
        for number, (_, operation) in enumerate(task.episode):
            answer = task.demo.write_operation(operation)
            for view in range(task.views):
                digest = digest_of(task.ask((number, ()), view))
                assert self._known.setdefault(digest, answer) == answer, "a frame that shows two operations"
        self._answers = sorted(set(self._known.values()))

    def answer(self, ask: Ask) -> str:
        rng = random.Random(ask.seed)
        if self._one_in and rng.randrange(self._one_in) == 0:
            return rng.choice(self._answers)
        return self._known[digest_of(ask.prompt)]

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for number, ask in enumerate(asks):
            yield number, Sample(self.answer(ask), tokens=4)


def message_of(prompt: Prompt) -> Message:
    assert not isinstance(prompt, str)
    (message,) = prompt
    return message


def digest_of(prompt: Prompt) -> str:
    (picture,) = message_of(prompt).pictures
    return picture.digest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREFOOT_HOME", str(tmp_path))


@pytest.mark.parametrize("demo", DEMOS)
async def test_a_video_is_followed_to_its_end_by_a_model_that_is_often_wrong(demo: str) -> None:
    task = Track(demo, size=2, operations=40, seed=5)
    report = await surefoot.run(task, Settings(k=3), model=Seeing(task, one_in=5))
    assert (report.solved, report.steps) == (True, 40)
    assert report.contested > 0


async def test_it_can_be_speculated_on_and_calibrated() -> None:
    task = Track("chips", size=2, operations=60, seed=1)
    model = Seeing(task, one_in=20)
    report = await surefoot.run(
        task, Settings(states=200), model=model, speculate=Speculation("leading", capacity=16)
    )
    assert report.solved and report.steps == 60


@pytest.mark.parametrize("demo", DEMOS)
def test_the_right_answers_of_all_steps_lead_to_the_simulators_state(demo: str) -> None:
    task = Track(demo, size=2, operations=300, seed=2)
    state = task.start()
    for number in range(300):
        assert not task.finished(state)
        answer = task.read(f" {task.demo.write_operation(task.episode.step(number).operation)}\n", state)
        assert task.show(answer) == answer
        assert len(answer) <= task.sampling.max_tokens
        state = task.advance(state, answer)
    assert task.finished(state) and task.solved(state) and task.steps() == 300


def test_one_wrong_operation_is_found_at_the_end() -> None:
    task = Track("cup", size=3, operations=5, seed=2)
    state = task.start()
    for number in range(5):
        shown = task.demo.write_operation(task.episode.step(number).operation)
        answer = next(each for each in ("a1,b1", "a1,c3") if each != shown) if number == 2 else shown
        state = task.advance(state, answer)
    assert task.finished(state)
    assert state[1] != task.episode.state(5) and not task.solved(state)


def test_what_is_illegal_in_the_tracked_state_is_no_answer() -> None:
    task = Track("chips", size=1)
    with pytest.raises(NotAnAnswer, match="no such chip"):
        task.read("-100 0", (0, ((5,),)))
    with pytest.raises(NotAnAnswer, match="does not add or remove"):
        task.read("+100 0 and so on", task.start())
    assert task.read("-5 0", (0, ((5,),))) == "-5 0"


def test_the_ballots_of_a_step_are_about_different_pictures_of_one_operation() -> None:
    task = Track("circle", size=3, operations=3, views=8)
    asked = [message_of(task.ask(task.start(), view)) for view in range(8)]
    assert {(each.role, each.content) for each in asked} == {("user", "op?")}
    assert len({each.pictures for each in asked}) == 8
    sizes = {Image.open(BytesIO(each.pictures[0].data)).size for each in asked}
    assert len(sizes) == 4
    assert message_of(Track("cup").ask(Track("cup").start())).content == "swap?"
    assert message_of(Track("files").ask(Track("files").start())).content == "command?"


def test_a_long_video_takes_little_memory() -> None:
    task = Track("number", size=3, operations=8_000, seed=1)
    tracemalloc.start()
    try:
        for number in range(0, 8_000, 200):
            task.ask((number, ()), number % 4)
        assert tracemalloc.get_traced_memory()[1] < 1_500_000
    finally:
        tracemalloc.stop()


def test_a_case_is_one_of_the_jobs_own_states_with_its_answer() -> None:
    task, rng = Track("cards", size=2, operations=300, seed=9), random.Random(0)
    for _ in range(50):
        state, answer = task.case(rng)
        assert answer is not None
        assert task.read(answer, state) == answer


def test_it_is_made_again_from_its_spec() -> None:
    task = Track("files", 2, 30, 4, 5)
    again = Track(**task.spec())  # type: ignore[arg-type]
    assert again.spec() == task.spec() and again.views == 5
    assert again.ask(again.start(), 3) == task.ask(task.start(), 3)


def test_what_cannot_be_followed_is_refused() -> None:
    with pytest.raises(BadInput, match="no demo 'chess'"):
        Track("chess")
    with pytest.raises(BadInput, match="1 to 32 views, not 0"):
        Track(views=0)
    with pytest.raises(BadInput, match="size of Track must be of type int"):
        Track(size="3")  # type: ignore[arg-type]
