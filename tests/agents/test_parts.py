"""Parts of a task: where they begin, when they are solved, and the states that tasks know in advance."""

import pickle
from typing import Any

import pytest

from surefoot import BadInput, Blocks, Checkers, Columns, Crossing, TaskFailed, Towers
from surefoot.agents.tasks import PartOf, Splits
from surefoot.agents.tasks.around import innermost, surrounded
from surefoot.agents.tasks.catalogue import made, task_of
from surefoot.agents.tasks.known_limits import check_known
from surefoot.agents.tasks.part_of import parts_of
from surefoot.tools.towers import board

SPLITTING = [
    Towers(5, "compact"),
    Towers(4, "compact", "move"),
    Columns((987, 65)),
    Columns(("0907", "1")),
    Columns((9, 99999)),
    Checkers(3),
    Blocks(),
    Crossing(),
]


def right_way(task: Any) -> list[Any]:
    """All states, each by the right answer to the one before."""
    state, states = task.start(), [task.start()]
    while not task.finished(state):
        state = task.advance(state, _right(task, state, len(states) - 1))
        states.append(state)
    return states


def _right(task: Any, state: Any, step: int) -> Any:
    if isinstance(task, Columns):
        a, b, digit, carry = task._terms(state)
        return divmod(a * b + digit + carry, 10)
    if isinstance(task, Towers):
        move = board.optimal_move(task.disks, step)
        return move, board.apply(state[1], move) if task.form == "full" else None
    return task._right(state)


@pytest.mark.parametrize("task", SPLITTING, ids=lambda task: f"{task.name} {dict(task.spec())}")
def test_a_state_known_in_advance_is_the_one_that_right_answers_lead_to(task: Any) -> None:
    states = right_way(task)
    assert [task.boundary(step) for step in range(task.steps())] == states[:-1]
    assert isinstance(task, Splits)


@pytest.mark.parametrize("task", SPLITTING, ids=lambda task: f"{task.name} {dict(task.spec())}")
@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_parts_lie_end_to_end(task: Any, parts: int) -> None:
    states = right_way(task)
    found = parts_of(task, parts)
    assert [part.first for part in found] == [0, *(part.end for part in found[:-1])]
    assert found[-1].end == task.steps() == sum(part.steps() for part in found)
    assert max(part.steps() for part in found) - min(part.steps() for part in found) <= 1
    for part in found:
        assert part.start() == states[part.first]
        assert part.solved(states[part.end])
        assert not part.solved(states[part.first])


def test_a_part_is_made_again_from_a_journal_and_in_another_process() -> None:
    part = PartOf(Towers(5, "compact"), 2, 4)
    assert innermost(task_of("part", part.spec())).spec() == part.task.spec()
    assert pickle.loads(pickle.dumps(part)).spec() == part.spec()
    kind = surrounded(Mine, "part", PartOf(Mine(3), 1, 2).spec())
    assert isinstance(kind, type)
    again = made(kind, PartOf(Mine(3), 1, 2).spec())
    assert isinstance(innermost(again), Mine) and again.start() == Mine(3).boundary(3)


class Mine(Towers):
    """A task of one's own, which no journal makes again by its name."""

    name = "mine"

    def __init__(self, disks: int = 3) -> None:
        super().__init__(disks, "compact")

    def spec(self) -> dict[str, Any]:
        return {"disks": self.disks}


@pytest.mark.parametrize("part", [-1, 4, True, 1.0, "1", None])
def test_a_part_that_there_is_not_is_refused(part: Any) -> None:
    with pytest.raises(BadInput, match="of 4 parts there is no part"):
        PartOf(Towers(5), part, 4)


@pytest.mark.parametrize("parts", [True, 2.0, "2", None])
def test_a_number_of_parts_that_is_none_is_refused(parts: Any) -> None:
    with pytest.raises(BadInput, match="a job has 1 to 10,000 parts"):
        parts_of(Towers(5), parts)


def test_a_part_is_not_split_again() -> None:
    with pytest.raises(BadInput, match="knows no states in advance"):
        parts_of(PartOf(Towers(5), 0, 2), 2)


def test_pebble_knows_the_parts_of_what_it_knows() -> None:
    check_known("pebble", PartOf(Towers(5, "compact"), 1, 2))
    with pytest.raises(BadInput, match="compact style"):
        check_known("pebble", PartOf(Towers(5), 1, 2))


class Broken(Towers):
    """A task that fails at a boundary, or knows one that cannot be written down."""

    def boundary(self, step: int) -> Any:
        if step == 10:
            raise KeyError("lost")
        return super().boundary(step) if step != 5 else [step]


@pytest.mark.parametrize(("parts", "why"), [(3, "'boundary'|`boundary`"), (6, "list")])
def test_a_boundary_that_fails_is_said_to_be_one(parts: int, why: str) -> None:
    with pytest.raises(TaskFailed, match=why):
        parts_of(Broken(4), parts)
