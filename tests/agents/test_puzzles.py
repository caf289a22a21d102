"""Checkers, crossing and blocks as tasks: asked in views, read strictly, and solved by following the prompts."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import surefoot
from surefoot import BadInput, Blocks, Checkers, Crossing, NotAnAnswer, Task
from surefoot.agents.tasks.catalogue import task_of
from surefoot.agents.tasks.optional import NoCases
from surefoot.models.base import Ask
from surefoot.models.doubles import puzzle_double
from surefoot.models.doubles.puzzles import CANNOT_READ, LOST, puzzle_right, puzzle_wrong

STACKS, GOAL = ((1, 3), (2,)), ((1, 2, 3),)
MAKERS: list[Callable[..., Task[Any, Any]]] = [
    lambda **more: Checkers(4, **more),
    lambda **more: Crossing(3, 2, **more),
    lambda **more: Crossing(7, 4, **more),
    lambda **more: Blocks(12, 1, **more),
    lambda **more: Blocks(stacks=STACKS, goal=GOAL, **more),
]
FORMS = [{"form": "full"}, {"form": "move"}, {"form": "full", "checked": True}]


@pytest.fixture(params=MAKERS)
def maker(request: pytest.FixtureRequest) -> Callable[..., Task[Any, Any]]:
    made: Callable[..., Task[Any, Any]] = request.param
    return made


def states(task: Any) -> list[Any]:
    """All states of the right way but the last."""
    found, state = [], task.start()
    while not task.finished(state):
        found.append(state)
        state = task.advance(state, task.read(puzzle_right(task.ask(state)), state))
    assert task.solved(state)
    return found


@pytest.mark.parametrize("form", FORMS)
def test_following_the_prompts_solves_it_in_any_view(
    maker: Callable[..., Task[Any, Any]], form: dict[str, Any]
) -> None:
    task: Any = maker(**form)
    rng, state, steps = random.Random(3), task.start(), 0
    while not task.finished(state):
        view = rng.randrange(task.views)
        text = puzzle_right(task.ask(state, view))
        answer = task.read(text, state, view)
        assert task.audit(state, answer) is None
        state, steps = task.advance(state, answer), steps + 1
    assert task.solved(state) and steps == task.steps()


@pytest.mark.parametrize("form", FORMS)
def test_wrong_answers_are_in_form_and_another_ballot_and_found_by_the_audit(
    maker: Callable[..., Task[Any, Any]], form: dict[str, Any]
) -> None:
    task: Any = maker(**form)
    for state in states(task):
        for view in range(task.views):
            prompt = task.ask(state, view)
            right = task.read(puzzle_right(prompt), state, view)
            for which in range(25):
                wrong = task.read(puzzle_wrong(prompt, which), state, view)
                assert wrong != right and task.audit(state, wrong)


def test_the_views_of_a_step_have_one_right_ballot() -> None:
    task = Checkers(5)
    for state in states(task):
        ballots = {task.read(puzzle_right(task.ask(state, view)), state, view) for view in (0, 1)}
        assert len(ballots) == 1
        assert task.ask(state, 0) != task.ask(state, 1)


@given(st.integers(0, 2**32), st.sampled_from(MAKERS), st.sampled_from(FORMS))
def test_cases_for_calibration_are_the_jobs_own_states_and_right(
    seed: int, maker: Callable[..., Task[Any, Any]], form: dict[str, Any]
) -> None:
    task: Any = maker(**form)
    state, answer = task.case(random.Random(seed))
    assert answer == task.read(puzzle_right(task.ask(state)), state)
    assert state in states(task)


def test_cases_come_from_all_over_a_long_way() -> None:
    task = Checkers(40)  # 1,680 steps: more than are walked from one kept state
    rng = random.Random(0)
    drawn = [task.case(rng) for _ in range(200)]
    assert all(task.read(puzzle_right(task.ask(state)), state) == answer for state, answer in drawn)
    reds = [[place for place, piece in enumerate(state[1]) if piece == "R"] for state, _ in drawn]
    assert 70 < sum(sum(places) / 40 < 40 for places in reds) < 130  # red has come less than half of its way


def test_a_task_is_made_again_from_its_spec(maker: Callable[..., Task[Any, Any]]) -> None:
    for form in FORMS:
        task = maker(**form)
        again = task_of(task.name, task.spec())
        assert again.spec() == task.spec()
        assert again.ask(again.start()) == task.ask(task.start())


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: Checkers(0), "1 to 1000"),
        (lambda: Checkers(3, "short"), "form of Checkers must be"),  # type: ignore[arg-type]
        (lambda: Checkers(2.0), "pairs of Checkers must be of type int"),  # type: ignore[arg-type]
        (lambda: Crossing(True), "pairs of Crossing must be of type int"),
        (lambda: Crossing(4, 2), "4 pairs cannot cross with 2 seats"),
        (lambda: Blocks(0), "2 to 1000 blocks"),
        (lambda: Blocks(stacks=STACKS), "give stacks and their goal"),
        (lambda: Blocks(3, stacks=STACKS, goal=GOAL), "or how many blocks"),
        (lambda: Blocks(stacks=((True, 2),), goal=GOAL), "must be of type"),
        (lambda: Blocks(stacks=STACKS, goal=((1, 2),)), "3 blocks in the stacks, and 2 in the goal"),
    ],
)
def test_a_puzzle_that_cannot_be_is_refused(made: Callable[[], object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        made()


def test_a_job_without_a_step_has_nothing_to_calibrate_on() -> None:
    with pytest.raises(NoCases, match="finished as it is"):
        Blocks(stacks=GOAL, goal=GOAL).case(random.Random(0))


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (Checkers(2), "move = [1, 2]\nboard = R . R B"),
        (Checkers(2), "move = [1, 2]\nboard = R . R R B"),
        (Checkers(2), "move = [1, 5]\nboard = R . R B B"),
        (Checkers(2), "move = [1, 2]\nboard = R X R B B"),
        (Checkers(2), "move = [1, 99999999]\nboard = R . R B B"),
        (Crossing(3), "move = [a1, a1]\nleft = [g1]"),
        (Crossing(3), "move = [a0]\nleft = [g1]"),
        (Crossing(3), "move = [b1]\nleft = [g1]"),
        (Blocks(stacks=STACKS, goal=GOAL), "move = [3, 0]\nstacks = [[1, 2], [2], [3]]"),
        (Blocks(stacks=STACKS, goal=GOAL), "move = [3, 0]\nstacks = [[01], [2], [3]]"),
        (Blocks(stacks=STACKS, goal=GOAL), "move = [3, 0]\nstacks = [[0], [1], [2], [3]]"),
        (Blocks(stacks=STACKS, goal=GOAL), "move = [3]\nstacks = [[1], [2], [3]]"),
        (Blocks(stacks=STACKS, goal=GOAL), "move = [3, 0]\nstacks = [[1], [2]]"),
        (Blocks(stacks=STACKS, goal=GOAL), "move = [3, 0]\nstacks = [[1], [2], [4]]"),
        (Crossing(3), "move = [a1, g1]\nleft = [a9]"),
        (Crossing(3), "move = [a9]\nleft = []"),
    ],
)
def test_a_board_that_holds_something_else_is_no_answer(task: Any, text: str) -> None:
    with pytest.raises(NotAnAnswer):
        task.read(text, task.start())


@pytest.mark.parametrize(
    "text",
    [
        "move = [1, 2]\nboard = R . R B B",
        "I think.\n```\nmove = [1,2]\nboard = [R, ., R, B, B]\n```\n",
        "**move = [ 1 , 2 ]**\n\n**board = R.RBB**",
        "move = [3, 2]\nboard = R R B . B\nNo:\nmove = [1, 2]\nboard = R . R B B",
    ],
)
def test_an_answer_may_have_marks_around_it_and_thoughts_before_it(text: str) -> None:
    task = Checkers(2)
    assert task.read(text, task.start()) == ((1, 2), "R.RBB")


def test_the_order_of_stacks_and_of_people_means_nothing() -> None:
    blocks = Blocks(stacks=((2, 1), (3,)), goal=((1, 2, 3),))
    assert blocks.read("move = [1, 0]\nstacks = [[3], [], [2, 1]]", blocks.start())[1] == ((2, 1), (3,))
    crossing = Crossing(10, 4)
    found = crossing.read("move = [g2, a2]\nleft = [g10, g9, a9]", crossing.start())
    assert found == (("a2", "g2"), ("a9", "g9", "g10"))


def test_an_answer_is_what_the_text_ends_with(maker: Callable[..., Task[Any, Any]]) -> None:
    task: Any = maker()
    right = puzzle_right(task.ask(task.start()))
    move, board = right.split("\n")
    for text in (
        "",
        right + "\nOr not?",
        f"{board}\n{move}",
        move,
        board,
        f"{move}\nwait\n{board}",
        f"no: {move}\n{board}",
    ):
        with pytest.raises(NotAnAnswer):
            task.read(text, task.start())


@pytest.mark.parametrize(
    "task",
    [Checkers(5), Crossing(3), Blocks(5), Checkers(5, "move"), Blocks(5, form="move")],
    ids=lambda task: f"{task.name}, {task.form}",
)
@pytest.mark.parametrize(
    "part", ["R ", ".", "a1, ", "[", "[[", "[1], ", "1", " ", "*", "move = ", "board = [", "move = [1, 2]\n"]
)
def test_reading_takes_time_in_proportion_to_the_text(
    task: Any, part: str, slope: Callable[..., float]
) -> None:
    def read(text: str) -> None:
        with pytest.raises(NotAnAnswer):
            task.read(text, task.start())

    label = "move" if task.form == "move" else task.puzzle.board_label
    sizes = (1 << 16, 1 << 18, 1 << 20)
    assert slope(read, lambda size: f"{label} = [" + part * (size // len(part)) + "x", sizes) <= 1.1


@pytest.mark.parametrize("task", [Checkers(1_000), Crossing(400, 4), Blocks(900)], ids=lambda task: task.name)
def test_samples_of_large_puzzles_have_room(task: Any) -> None:
    sample = puzzle_double().draw(Ask(task.ask(task.start()), 0.0, task.sampling.max_tokens, 0))
    assert sample.finish == "stop"


def test_the_doubles_say_so_where_there_is_nothing_to_answer() -> None:
    assert puzzle_right("checkers") == CANNOT_READ
    done = Blocks(stacks=GOAL, goal=GOAL)
    assert puzzle_right(done.ask(done.start())) == puzzle_wrong(done.ask(done.start()), 3) == LOST
    for text in ("", "chess\nBoard: R", "checkers", "checkers\nBoard", "blocks\nGoal: [[1]]"):
        rules, _ = done.ask(done.start())
        assert puzzle_right((rules, surefoot.Message("user", text))) == CANNOT_READ


def test_the_double_errs_as_often_as_it_is_told() -> None:
    task: Any = Checkers(10)
    model = puzzle_double(error=0.25)
    wrong = drawn = 0
    for state in states(task):
        for seed in range(20):
            sample = model.draw(Ask(task.ask(state), 0.1, 750, seed))
            wrong += sample.text != puzzle_right(task.ask(state))
            drawn += 1
    assert abs(wrong / drawn - 0.25) < 0.03
