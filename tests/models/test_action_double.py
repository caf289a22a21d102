"""A double that solves, verifies and compares chains: each skill is what it says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput
from surefoot.agents.actions import ActionChain, ActionStep, ChainState, Reflection, prompts
from surefoot.agents.handbook import WithHandbook
from surefoot.models.base import Ask, Message
from surefoot.models.doubles import ActionDouble, chain_answer, chain_problem
from surefoot.models.doubles.chains import CANNOT_READ, action_right, action_wrong

OPERATIONS = ("* 3", "+ 8", "- 50")
PROBLEM = chain_problem(7, OPERATIONS)
FIRST, SECOND, OTHER = (
    ActionStep("21", "21", "7 * 3"),
    ActionStep("29", "29", "21 + 8"),
    ActionStep("28", "28", "21 + 7"),
)
DRAWS = 2000


def share(double: ActionDouble, prompt: tuple[Message, ...], right: str) -> float:
    """How often a sample is the right one."""
    asks = [Ask(prompt=prompt, temperature=0.7, max_tokens=200, seed=seed) for seed in range(DRAWS)]
    return sum(double.draw(ask).text == right for ask in asks) / DRAWS


def test_it_goes_through_a_chain_as_a_calculator_does() -> None:
    task = ActionChain(PROBLEM, kind="number", every=1, confirm=1)
    state = task.start()
    while not task.finished(state):
        state = task.advance(state, task.read(action_right(task.ask(state)), state))
    assert state.answer == str(chain_answer(7, OPERATIONS)) == "-21"
    assert [step.normal for step in state.steps] == ["21", "29", "-21", "-21"] and state.explores == 0


def test_it_knows_what_it_is_asked_behind_a_handbook() -> None:
    plain = ActionChain(PROBLEM, kind="number", every=1, confirm=1)
    task = WithHandbook(plain, [("behavior_slowly", "Go slowly.")])
    state = task.advance(task.start(), FIRST)
    for asked in (task.ask(state), plain.ask(state)):
        assert prompts.read_finding(action_right(asked), 1) == Reflection(None)


@given(st.integers(0, 2**64 - 1), st.sampled_from([(), (FIRST,), (FIRST, OTHER), (FIRST, SECOND)]))
def test_wrong_answers_are_in_form_and_wrong(which: int, steps: tuple[ActionStep, ...]) -> None:
    asked = prompts.next_step(PROBLEM, ChainState(steps), last=False)
    right, wrong = (
        prompts.read_next(text, "number", False) for text in (action_right(asked), action_wrong(asked, which))
    )
    assert right != wrong
    if steps:
        verified = prompts.reflect(PROBLEM, steps, "")
        found, missed = (
            prompts.read_finding(text, len(steps))
            for text in (action_right(verified), action_wrong(verified, which))
        )
        assert found != missed and (found == Reflection(2)) == (OTHER in steps)


def test_of_two_steps_the_right_one_is_better_wherever_it_stands() -> None:
    for ways, right in (([OTHER, SECOND], "2"), ([SECOND, OTHER], "1")):
        asked = prompts.compare(PROBLEM, [FIRST], ways)
        assert action_right(asked) == f"choice = {right}" != action_wrong(asked, 0)


def test_of_two_wrong_steps_it_prefers_the_same_in_either_order() -> None:
    third = ActionStep("30", "30", "21 + 9")
    there, back = (prompts.compare(PROBLEM, [FIRST], ways) for ways in ([OTHER, third], [third, OTHER]))
    assert action_right(there) != action_right(back)


def test_each_skill_has_its_own_chance() -> None:
    double = ActionDouble(error=0.1, hit=0.6, false_alarm=0.3, compare_error=0.25, sway=0.5, seed=4)
    good, bad = (prompts.reflect(PROBLEM, steps, "") for steps in ([FIRST, SECOND], [FIRST, OTHER]))
    told = [ChainState((FIRST,), undone=(step,), why="x") for step in (SECOND, OTHER)]
    doubted, justly = (prompts.next_step(PROBLEM, state, last=False) for state in told)
    for asked, chance in (
        (prompts.next_step(PROBLEM, ChainState((FIRST,)), last=False), 0.9),
        (good, 0.7),
        (bad, 0.6),
        (prompts.compare(PROBLEM, [FIRST], [OTHER, SECOND]), 0.75),
        (doubted, 0.5),
        (justly, 0.9),
    ):
        assert share(double, asked, action_right(asked)) == pytest.approx(chance, abs=0.05)


def test_samples_that_are_correlated_are_all_the_same_but_for_another_prompt() -> None:
    double = ActionDouble(error=0.5, correlation=1.0, critic_correlation=1.0)
    asked = [
        prompts.next_step(chain_problem(start, OPERATIONS), ChainState(), last=False) for start in range(40)
    ]
    shares = {share(double, each, action_right(each)) for each in asked}
    assert shares == {0.0, 1.0}


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        (),
        "What is 2 + 2?",
        (Message("user", "What is 2 + 2?"),),
        (Message("system", "s"), Message("user", f"Problem:\n{PROBLEM}\n\nSteps:\n1. {{}}")),
        (
            Message("system", "s"),
            Message("user", f'Problem:\n{PROBLEM}\n\nSteps:\n1. {{"action": "answer"}}'),
        ),
        (Message("system", "You verify"), Message("user", "Problem:\n\n\nSteps:\nnone yet")),
    ],
)
def test_what_it_does_not_know_it_says(prompt: Any) -> None:
    assert action_right(prompt) == action_wrong(prompt, 1) == CANNOT_READ
    ask = Ask(prompt=prompt, temperature=0.7, max_tokens=200, seed=1)
    assert ActionDouble().draw(ask).text == CANNOT_READ


@pytest.mark.parametrize("what", ["error", "hit", "false_alarm", "compare_error", "sway", "correlation"])
def test_chances_lie_between_0_and_1(what: str) -> None:
    for chance in (-0.1, 1.1):
        with pytest.raises(BadInput, match="between 0 and 1"):
            ActionDouble(**{what: chance})
