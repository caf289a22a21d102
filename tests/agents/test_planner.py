"""A problem is made smaller by vote: what is asked, how it is read, what follows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput, NotAnAnswer
from surefoot.agents.handbook import WithHandbook
from surefoot.agents.planner import Chosen, Goal, GoalState, Part, Proposal, Solved, outline, prompts
from surefoot.agents.planner.goal import CANDIDATES, REJECTED
from surefoot.agents.planner.prompts import FORMS, read_answer, read_choice, read_proposal, shown
from surefoot.agents.tasks.guarded import guarded
from surefoot.models.doubles.goals import CANNOT_READ, goal_right, goal_wrong

PROBLEM = "What is 1234 * 5678?"
HALVES = Proposal(("What is 1234 * 56?", "What is 1234 * 78?"), "formula", "{1} * 100 + {2}")
OTHERS = [Proposal((f"Part {n}?", "And the rest?"), "ask") for n in range(1, 9)]


def after(task: Goal, state: GoalState, *answers: Any) -> GoalState:
    for answer in answers:
        state = guarded(task).advance(state, answer)
    return state


@pytest.mark.parametrize("form", FORMS)
def test_each_form_that_is_asked_for_is_read(form: str) -> None:
    proposal = read_proposal(f"I think.\n{form}\n", ["A problem."])
    assert read_proposal(shown(proposal), ["A problem."]) == proposal
    assert form in prompts.propose("A problem.")[0].content


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not end with a line of JSON"),
        ('{"parts": []} or so', "does not end"),
        ('{"parts": []}\nNo, wait', "does not end"),
        ("{}", "does not end"),
        ('{"answer": 5}', "no proposal"),
        ('{"parts": "two"}', "no proposal"),
        ('{"parts": [1, 2]}', "no proposal"),
        ('{"parts": ["one"]}', "2 to 8 parts, not 1"),
        ('{"parts": ["a", " "]}', "empty"),
        ('{"parts": ["What is 2 * 3?", "b"]}', "a problem that it is a part of"),
        ('{"parts": ["What is 2 * 3 + 1?", "b"]}', "a problem that it is a part of"),
        ('{"parts": ["a", "b"], "combine": "magic"}', "no proposal"),
        ('{"parts": ["a", "b"], "combine": "formula"}', "formula"),
        ('{"parts": ["a", "b"], "combine": "formula", "formula": "{1} + 2"}', "not each of"),
        ('{"parts": ' + str(["a"] * 9).replace("'", '"') + "}", "not 9"),
        ("[" * 10_000, "does not end"),
        ('{"parts": ["\\ud800", "b"]}', "no proposal"),
    ],
)
def test_what_is_no_proposal_is_a_red_flag(text: str, why: str) -> None:
    with pytest.raises(NotAnAnswer, match=why):
        read_proposal(text, ["What is 2 * 3 + 1?", "What is 2 * 3?"])


@pytest.mark.parametrize(
    ("text", "said"),
    [("answer = 42", "42"), ("So:\n**answer = 1,200**", "1,200"), ("Answer = The Seine.", "The Seine."), ("answer = `[2, 1.0]`", "[2, 1]"), ("answer = 007", "007"),
     ("answer = a*", "a*"), ("answer = **", "**"), ('answer = ["a  b"]', '["a  b"]'), ('answer = "5"', "5"), ("`answer = 1.10`", "1.10")],
)  # fmt: skip
def test_an_answer_is_the_last_line(text: str, said: str) -> None:
    assert read_answer(text, "any").said == said


def test_equal_answers_are_one_ballot_however_they_are_said() -> None:
    one, other = read_answer("answer = Paris", "any"), read_answer("answer = 'paris'.", "any")
    assert one == other and hash(one) == hash(other)
    assert (one.said, other.said) == ("Paris", "'paris'.")


def test_a_quantity_is_compared_by_how_much_it_is_and_shown_as_it_was_said() -> None:
    one, other = read_answer("answer = 3.0 km", "quantity"), read_answer("answer = 3000 m", "any")
    assert one == other
    assert (one.said, other.said) == ("3.0 km", "3000 m")


@pytest.mark.parametrize("text", ["", "answer =", "answer = 4\nanswer is 5", "42", 'answer = ["\\ud800"]'])
def test_no_answer_is_a_red_flag(text: str) -> None:
    for kind in ("number", "list"):
        with pytest.raises(NotAnAnswer):
            read_answer(text, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "of"),
    [
        ("choice = 3", 2),
        ("choice = one", 2),
        ("choice = -1", 2),
        ("choice = 0, 1", 2),
        ("", 2),
    ],
)
def test_a_choice_is_one_of_those_shown(text: str, of: int) -> None:
    with pytest.raises(NotAnAnswer):
        read_choice(text, of)


def test_a_proposal_wins_once_it_leads_every_other_by_votes() -> None:
    task = Goal(PROBLEM, votes=2)
    state = after(task, task.start(), HALVES, OTHERS[0], HALVES)
    assert (state.stage, len(state.nodes)) == ("propose", 1)
    state = after(task, state, HALVES)
    assert [node.problem for node in state.nodes] == [PROBLEM, HALVES.parts[0]]
    assert state.proposals == ()


def test_proposals_that_differ_are_chosen_among_in_every_order() -> None:
    task = Goal(PROBLEM, votes=3)
    ways = [HALVES, *OTHERS[:2]]
    state = after(task, task.start(), *ways)
    assert state.stage == "choose"
    orders = set()
    for view in range(task.views):
        text = task.ask(state, view)[-1].content  # type: ignore[union-attr]
        places = [text.index(shown(way)) for way in ways]
        orders.add(tuple(sorted(range(3), key=places.__getitem__)))
        for place in range(3):
            number = sorted(places).index(places[place]) + 1
            assert task.read(f"choice = {number}", state, view) == Chosen((place + 1,))
        assert task.read("choice = 0", state, view) == Chosen(())
        assert task.read("choice = 3, 1,2", state, view) == Chosen((1, 2, 3))
    assert len(orders) == 6
    assert after(task, state, Chosen((1, 3))).nodes[-1].problem == HALVES.parts[0]


def test_where_no_way_is_right_new_ones_are_asked_for_and_in_the_end_none() -> None:
    task = Goal(PROBLEM, votes=3)
    state = task.start()
    for _ in range(REJECTED):
        assert state.stage == "propose"
        state = after(task, state, *OTHERS[:3], Chosen(()))
    assert (state.stage, state.proposals) == ("solve", ())


def test_two_ways_that_never_part_are_chosen_among() -> None:
    task = Goal(PROBLEM, votes=3)
    most = 2 * 3 + CANDIDATES
    state = after(task, task.start(), *(OTHERS[:2] * most)[: most - 1])
    assert state.stage == "propose"
    assert after(task, state, OTHERS[0]).stage == "choose"


def test_of_many_ways_the_most_frequent_are_chosen_among() -> None:
    task = Goal(PROBLEM, votes=4)
    state = after(task, task.start(), HALVES, OTHERS[0], HALVES, HALVES, *OTHERS[1:4], OTHERS[3])
    assert state.stage == "choose"
    asked = task.ask(state)[-1].content  # type: ignore[union-attr]
    assert [way for way in (HALVES, *OTHERS) if shown(way) in asked] == [HALVES, OTHERS[0], OTHERS[3]]


def test_answers_go_up_as_far_as_a_program_knows() -> None:
    task = Goal(PROBLEM, "number", votes=1)
    state = after(task, task.start(), HALVES, Proposal(), Solved("69104", "69104"))
    assert (state.stage, state.nodes[-1].problem) == ("propose", HALVES.parts[1])
    state = after(task, state, Proposal(), Solved("96252", "96252"))
    assert state.answer == str(1234 * 5678) and task.finished(state) and state.stage == "over"
    assert outline(state.done).splitlines() == [
        "What is 1234 * 5678? -> 7006652   [{1} * 100 + {2}]",
        "  What is 1234 * 56? -> 69104",
        "  What is 1234 * 78? -> 96252",
    ]


def test_what_no_program_knows_is_asked() -> None:
    task = Goal("Who wrote it, and when?", votes=1)
    split = Proposal(("Who wrote it?", "When was it written?"), "ask")
    state = after(
        task, task.start(), split, Proposal(), Solved("jane", "Jane"), Proposal(), Solved("1811", "1811")
    )
    assert state.stage == "compose"
    asked = task.ask(state)[-1].content  # type: ignore[union-attr]
    assert "1. Who wrote it?\nanswer = Jane" in asked
    assert after(task, state, Solved("jane, 1811", "Jane, 1811")).answer == "Jane, 1811"


@pytest.mark.parametrize(
    ("kind", "combine", "answers", "whole"),
    [
        ("set", "concatenate", ["[1, 2]", "[2, 0]"], "[0, 1, 2]"),
        ("number", "concatenate", ["1", "2"], None),
        ("number", "merge", ["[1]", "[2]"], None),
        ("list", "merge", ["[1]", "[0]"], "[0, 1]"),
        ("any", "concatenate", ["007", "x"], "007\nx"),
        ("any", "concatenate", ["[" + "123456," * 40_000 + "1]", "[2]"], None),
    ],
)
def test_what_a_program_makes_is_of_the_kind_that_is_wanted_or_somebody_is_asked(
    kind: Any, combine: Any, answers: list[str], whole: str | None
) -> None:
    task = Goal("All of it?", kind, votes=1)
    split = Proposal(("One?", "Two?"), combine)
    state = after(task, task.start(), split)
    for answer in answers:
        state = after(task, state, Proposal(), read_answer(f"answer = {answer}", "any"))
    assert state.answer == whole
    assert state.stage == ("compose" if whole is None else "over")


def test_a_formula_that_meets_words_is_asked_about() -> None:
    task = Goal(PROBLEM, votes=1)
    state = after(
        task, task.start(), HALVES, Proposal(), Solved("many", "many"), Proposal(), Solved("2", "2")
    )
    assert state.stage == "compose"


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_part_of_a_part_is_answered_as_it_is_at_some_depth(depth: int) -> None:
    task = Goal(PROBLEM, votes=1, depth=depth)
    state = task.start()
    for _ in range(depth):
        assert state.stage == "propose"
        state = after(task, state, HALVES)
    assert state.stage == "solve"


@pytest.mark.parametrize(
    "arguments",
    [
        {"problem": " "},
        {"votes": 0},
        {"depth": -1},
        {"depth": 50},
        {"kind": "prose"},
        {"kind": "code"},
        {"problem": "\ud800"},
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Goal(**{"problem": PROBLEM, **arguments})


@given(st.integers(10, 10**9), st.integers(10, 10**9), st.integers(1, 10**9))
def test_the_double_knows_its_problems_and_errs_in_form(a: int, b: int, which: int) -> None:
    problem = f"What is {a} * {b}?"
    solve = prompts.solve(problem)
    assert read_answer(goal_right(solve), "number").said == str(a * b)
    assert read_answer(goal_wrong(solve, which), "number").said != str(a * b)
    ask = prompts.propose(problem)
    right, wrong = read_proposal(goal_right(ask), [problem]), read_proposal(goal_wrong(ask, which), [problem])
    assert right != wrong
    choose = prompts.choose(problem, [wrong, right])
    assert goal_right(choose) == "choice = 2" != goal_wrong(choose, which)


@given(st.lists(st.integers(-50, 50), max_size=40), st.integers(1, 10**9))
def test_the_double_sorts(items: list[int], which: int) -> None:
    problem = f"Sort these numbers, smallest first: {items}"
    assert read_answer(goal_right(prompts.solve(problem)), "list").said == str(sorted(items))
    assert read_answer(goal_wrong(prompts.solve(problem), which), "list").said != str(sorted(items))


def test_the_double_knows_what_it_is_asked_behind_a_handbook() -> None:
    plain = Goal(PROBLEM)
    task = WithHandbook(plain, [("behavior_slowly", "Go slowly.")])
    asked, before = task.ask(task.start()), plain.ask(plain.start())
    assert asked != before and goal_right(asked) == goal_right(before)


def test_the_double_says_what_it_does_not_know() -> None:
    assert goal_right(prompts.solve("Who are you?")) == goal_right("Who?") == CANNOT_READ


def test_an_outline_of_nothing_is_empty() -> None:
    assert outline(()) == ""
    assert outline((Part(0, "Why?", Proposal(), "Because."),)) == "Why? -> Because."
