"""The puzzles: rules, procedures that lead to the end, and text that is read back."""

import random
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput
from surefoot.tools.puzzles import NoMove, blocks, checkers, crossing
from surefoot.tools.puzzles.blocks import BLOCKS
from surefoot.tools.puzzles.checkers import CHECKERS
from surefoot.tools.puzzles.crossing import CROSSING
from surefoot.tools.puzzles.puzzle import Puzzle

SHORTEST = {(1, 2): 1, (2, 2): 5, (3, 2): 11, (2, 3): 3, (3, 3): 5, (4, 3): 9, (5, 3): 11, (6, 4): 9}
"""Crossings that so many pairs need at least with so many seats, as published (Pressman & Singmaster 1989)."""


def line_at(pairs: int, moves: int) -> checkers.CheckersPosition:
    position = checkers.CheckersPosition(None, "R", checkers.start(pairs))
    for _ in range(moves):
        move = CHECKERS.right(position)
        position = checkers.CheckersPosition(move, "R", CHECKERS.after(position, move))
    return position


@pytest.mark.parametrize("pairs", [1, 2, 3, 4, 5, 13, 40])
def test_checkers_change_sides_in_the_fewest_moves(pairs: int) -> None:
    lines = [line_at(pairs, 0)]
    while not checkers.solved(lines[-1].board):
        move = CHECKERS.right(lines[-1])
        lines.append(checkers.CheckersPosition(move, "R", CHECKERS.after(lines[-1], move)))
    assert len(lines) - 1 == checkers.length(pairs) == (pairs + 1) ** 2 - 1
    assert all(line.board.count("R") == line.board.count("B") == pairs for line in lines)


@given(st.integers(1, 12), st.data())
def test_checkers_look_the_same_from_the_other_side(pairs: int, data: st.DataObject) -> None:
    position = line_at(pairs, data.draw(st.integers(0, checkers.length(pairs) - 1)))
    across = checkers.CheckersPosition(
        position.previous and (2 * pairs - position.previous[0], 2 * pairs - position.previous[1]),
        "B",
        checkers.mirrored(position.board),
    )
    source, target = CHECKERS.right(across)
    assert (2 * pairs - source, 2 * pairs - target) == CHECKERS.right(position)


@pytest.mark.parametrize(
    ("line", "move", "why"),
    [
        ("RR.BB", (0, 2), "R jumps over B alone"),
        ("RR.BB", (3, 4), "a piece goes to the empty place"),
        ("RR.BB", (2, 2), "a piece goes to the empty place"),
        ("RR.BB", (5, 2), "there is no place 5"),
        ("RR.BB", (-1, 2), "there is no place -1"),
        (".RRBB", (1, 0), "R goes one place ahead, or two over one piece"),
        ("R.RBB", (3, 1), None),
        (".RBRB", (4, 0), "B goes one place ahead, or two over one piece"),
    ],
)
def test_what_breaks_a_rule_of_checkers_is_refused(line: str, move: tuple[int, int], why: str | None) -> None:
    position = checkers.CheckersPosition(None, "R", line)
    if why is None:
        assert CHECKERS.after(position, move) == "RBR.B"
        return
    with pytest.raises(NoMove, match=re.escape(why)):
        CHECKERS.after(position, move)


@pytest.mark.parametrize(("pairs", "seats"), [*SHORTEST, (1, 9), (5, 4), (20, 4), (9, 6), (100, 5)])
def test_everybody_crosses_and_no_actor_meets_a_stranger(pairs: int, seats: int) -> None:
    everyone = crossing.everyone(pairs)
    left: crossing.People = everyone
    timetable = crossing.timetable(pairs, seats)
    for number, (actors, agents) in enumerate(timetable):
        right = crossing.in_order(set(everyone) - set(left))
        position = crossing.CrossingPosition(number % 2 == 0, actors, agents, left, right)
        crew = CROSSING.right(position)
        left = CROSSING.after(position, crew)
        assert 1 <= len(crew) <= seats
        assert all(map(crossing.safe, (crew, left, set(everyone) - set(left))))
    assert left == ()
    assert len(timetable) == SHORTEST.get((pairs, seats), len(timetable))


@pytest.mark.parametrize(("pairs", "seats"), [(4, 2), (6, 3), (0, 2), (3, 1), (3, -4), (10**6, 4)])
def test_a_crossing_that_cannot_be_is_refused(pairs: int, seats: int) -> None:
    with pytest.raises(BadInput):
        crossing.timetable(pairs, seats)


@given(st.lists(st.sampled_from(crossing.everyone(5)), unique=True))
def test_a_group_is_safe_if_each_actor_is_without_agents_or_with_the_own_one(people: list[str]) -> None:
    actors, agents = ({person[1:] for person in people if person[0] == kind} for kind in "ag")
    assert crossing.safe(people) == all(number in agents or not agents for number in actors)


@pytest.mark.parametrize(
    ("crew", "why"),
    [
        (("a2", "g1"), "in the boat an actor is with another's agent"),
        (("a1", "g9"), "g9 is not on the bank that the boat leaves"),
        (("a1", "a2"), "the timetable wants 1 actors and 1 agents"),
        ((), "the timetable wants 1 actors and 1 agents"),
    ],
)
def test_what_breaks_a_rule_of_the_crossing_is_refused(crew: crossing.People, why: str) -> None:
    position = crossing.CrossingPosition(True, 1, 1, crossing.everyone(3), ())
    with pytest.raises(NoMove, match=re.escape(why)):
        CROSSING.after(position, crew)


def test_a_position_that_nobody_can_leave_is_found_in_a_bounded_time() -> None:
    people = crossing.everyone(300)
    stuck = crossing.CrossingPosition(
        True, 2, 2, tuple(person for person in people if person != "g300"), ("g300",)
    )
    began = time.process_time()
    with pytest.raises(NoMove, match="nobody can cross"):
        CROSSING.right(stuck)
    assert time.process_time() - began < 1


@given(st.integers(2, 60), st.integers(0, 10**6))
def test_blocks_come_to_their_goal_and_none_moves_more_than_twice(count: int, seed: int) -> None:
    position = blocks.drawn(count, seed)
    moves: list[blocks.BlocksMove] = []
    while position.stacks != position.goal:
        moves.append(move := BLOCKS.right(position))
        position = blocks.BlocksPosition(BLOCKS.after(position, move), position.goal)
    moved = [block for block, _ in moves]
    assert all(moved.count(block) <= 2 for block in moved)
    with pytest.raises(NoMove, match="in their place"):
        BLOCKS.right(position)


@given(st.integers(2, 30), st.integers(0, 10**6))
def test_a_move_of_a_block_keeps_all_others_where_they_are(count: int, seed: int) -> None:
    position = blocks.drawn(count, seed)
    for move in (BLOCKS.right(position), *BLOCKS.others(position)[1:]):
        after = BLOCKS.after(position, move)
        assert sorted(b for stack in after for b in stack) == [*range(1, count + 1)]
        without = [tuple(b for b in stack if b != move[0]) for stack in position.stacks]
        assert blocks.canonical(
            tuple(b for b in stack if b != move[0]) for stack in after
        ) == blocks.canonical(without)
        onto = next(stack for stack in after if move[0] in stack)
        assert onto[-1] == move[0] and (onto[-2] if len(onto) > 1 else blocks.TABLE) == move[1]


@pytest.mark.parametrize("move", [(1, 0), (3, 3), (1, 2), (3, 9), (2, 0)])
def test_what_breaks_a_rule_of_the_blocks_is_refused(move: blocks.BlocksMove) -> None:
    with pytest.raises(NoMove, match="illegal"):
        BLOCKS.after(blocks.BlocksPosition(((1, 3), (2,)), ((1, 2, 3),)), move)


@pytest.mark.parametrize(
    ("stacks", "goal"),
    [
        ([[1, 2]], [[1, 2, 3]]),
        ([[1, 1]], [[1, 2]]),
        ([[0, 1]], [[0, 1]]),
        ([], []),
        ([[1], []], [[2]]),
    ],
)
def test_blocks_that_are_not_those_of_the_goal_are_refused(stacks: Any, goal: Any) -> None:
    with pytest.raises(BadInput, match="blocks"):
        blocks.check(stacks, goal)


def positions() -> list[tuple[Puzzle[Any, Any, Any], Any]]:
    rng = random.Random(0)
    people = crossing.everyone(3)
    return [
        *((CHECKERS, line_at(pairs, rng.randrange(checkers.length(pairs)))) for pairs in (1, 2, 7, 30)),
        *((BLOCKS, blocks.drawn(count, count)) for count in (2, 9, 40)),
        (CROSSING, crossing.CrossingPosition(True, 1, 1, people, ())),
        (CROSSING, crossing.CrossingPosition(False, 0, 1, ("a2", "a3", "g3"), ("a1", "g1", "g2"))),
    ]


@pytest.mark.parametrize(("puzzle", "position"), positions())
def test_what_is_written_is_read_back(puzzle: Puzzle[Any, Any, Any], position: Any) -> None:
    name, *lines = puzzle.question(position).splitlines()
    assert name == puzzle.name and puzzle.read_position(lines) == position
    for move in (puzzle.right(position), *puzzle.others(position)):
        written = puzzle.write_move(move)
        assert re.fullmatch(puzzle.move_form, written) and puzzle.read_move(written) == move
    board = puzzle.before(position)
    written = puzzle.write_board(board)
    assert re.fullmatch(puzzle.board_form, written) and puzzle.read_board(written) == board
    assert puzzle.right(position) not in puzzle.others(position)


@given(st.integers(1, 15), st.data())
def test_the_position_at_a_step_of_checkers_is_the_one_that_is_walked_to(
    pairs: int, data: st.DataObject
) -> None:
    step = data.draw(st.integers(0, checkers.length(pairs)))
    walked = line_at(pairs, step)
    assert checkers.reached(pairs, step) == (walked.previous, walked.board)
