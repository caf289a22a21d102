import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput
from surefoot.tools.towers.board import (
    IllegalMove,
    Move,
    apply,
    broken_rule,
    is_board,
    optimal_length,
    optimal_move,
    optimal_state,
    random_pegs,
    solved,
    start,
)


@pytest.mark.parametrize("disks", range(1, 13))
def test_the_closed_form_is_a_legal_solution_of_optimal_length(disks: int) -> None:
    pegs = start(disks)
    for step in range(optimal_length(disks)):
        assert pegs == optimal_state(disks, step)
        assert not solved(pegs)
        pegs = apply(pegs, optimal_move(disks, step))
    assert solved(pegs)


@given(st.integers(13, 64), st.data())
def test_the_closed_form_chains_at_any_step_of_any_tower(disks: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(0, optimal_length(disks) - 1))
    before = optimal_state(disks, step)
    assert is_board(before, disks)
    assert apply(before, optimal_move(disks, step)) == optimal_state(disks, step + 1)


@pytest.mark.parametrize(
    ("move", "why"),
    [
        (Move(1, 0, 0), "would stay on peg 0"),
        (Move(2, 0, 1), "disk 2 is not on top of peg 0"),
        (Move(1, 1, 2), "disk 1 is not on top of peg 1"),
        (Move(1, 0, 3), "there is no peg 3"),
        (Move(1, -1, 0), "there is no peg -1"),
    ],
)
def test_a_broken_rule_is_named(move: Move, why: str) -> None:
    assert why in str(broken_rule(start(3), move))
    with pytest.raises(IllegalMove, match=why):
        apply(start(3), move)


def test_a_disk_never_lies_on_a_smaller_one() -> None:
    pegs = apply(start(3), Move(1, 0, 1))
    assert broken_rule(pegs, Move(2, 0, 1)) == "disk 2 would lie on the smaller disk 1"
    assert broken_rule(pegs, Move(2, 0, 2)) is None


@given(st.integers(1, 20), st.integers())
def test_random_boards_are_boards(disks: int, seed: int) -> None:
    assert is_board(random_pegs(disks, random.Random(seed)), disks)


@pytest.mark.parametrize("pegs", [((1, 2), (), ()), ((2,), (), ()), ((2, 1), (1,), ()), ((3, 1), (), ())])
def test_what_is_no_board_is_refused(pegs: tuple[tuple[int, ...], ...]) -> None:
    assert not is_board((pegs[0], pegs[1], pegs[2]), 2)


@pytest.mark.parametrize("disks", [0, -1, 65])
def test_a_tower_has_1_to_64_disks(disks: int) -> None:
    with pytest.raises(BadInput, match=f"1 to 64 disks, not {disks}"):
        start(disks)
