"""A problem is solved step by step, and gone back over where there is cause: what is asked, how it is read, what follows."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from surefoot import BadInput, NotAnAnswer
from surefoot.agents.actions import (
    ActionChain,
    ActionStep,
    ChainState,
    Preferred,
    Reflection,
    arithmetic,
    prompts,
)
from surefoot.agents.actions.chain import PATIENCE, REFLECTIONS
from surefoot.agents.actions.state import ANSWERS, STATES
from surefoot.agents.tasks.catalogue import task_of
from surefoot.agents.tasks.guarded import guarded
from surefoot.voting.leading import leading

PROBLEM = "Take 7. Then, one after the other: * 3, + 8. What is the result?"
FIRST, SECOND, ANSWER = (
    ActionStep("21", "21", "7 * 3"),
    ActionStep("29", "29", "21 + 8"),
    ActionStep("29", "29", final=True),
)
OTHER = ActionStep("28", "28", "21 + 7")
BAD, FINE, NEW, OLD = Reflection(2, "8, not 7"), Reflection(None), Preferred(new=True), Preferred(new=False)


def chain(**how: Any) -> ActionChain:
    return ActionChain(PROBLEM, **{"kind": "number", "confirm": 1, **how})


def after(task: ActionChain, *answers: Any) -> ChainState:
    state = task.start()
    for answer in answers:
        assert not task.finished(state)
        state = guarded(task).advance(state, answer)
        assert STATES.decode(STATES.encode(state)) == state
        assert ANSWERS.decode(ANSWERS.encode(answer)) == answer
    return state


def told(task: ActionChain, state: ChainState) -> str:
    asked = task.ask(state)
    assert not isinstance(asked, str)
    return asked[-1].content


# What is asked, and how it is read


@pytest.mark.parametrize("form", prompts.NEXT_FORMS)
def test_each_form_of_a_step_that_is_asked_for_is_read(form: str) -> None:
    step = prompts.read_next(f"I think.\n```json\n{form}\n```\n", "any", last=False)
    assert prompts.shown(step) == form.replace('": "', '":"').replace('", "', '","')
    assert prompts.read_next(prompts.shown(step), "any", last=False) == step
    assert form in prompts.next_step(PROBLEM, ChainState(), last=False)[0].content


@pytest.mark.parametrize(("form", "found"), [*zip(prompts.REFLECT_FORMS, (FINE, BAD), strict=True)])
def test_each_form_of_a_finding_that_is_asked_for_is_read(form: str, found: Reflection) -> None:
    assert prompts.read_finding(f"Let me see.\n{form}", 2) == found
    assert form in prompts.reflect(PROBLEM, [FIRST, OTHER], "")[0].content


@pytest.mark.parametrize("number", [1, 2])
def test_each_choice_that_is_asked_for_is_read_in_either_order(number: int) -> None:
    form = f"choice = {number}"
    assert form in prompts.compare(PROBLEM, [FIRST], [OTHER, SECOND])[0].content.splitlines()
    assert prompts.read_preferred(form, swapped=False).new == (number == 2)
    assert prompts.read_preferred(form, swapped=True).new == (number == 1)


def test_the_last_step_may_only_be_an_answer() -> None:
    task = chain(longest=2)
    state = after(task, FIRST)
    asked = task.ask(state)
    assert '"continue"' not in asked[0].content  # type: ignore[union-attr]
    with pytest.raises(NotAnAnswer, match="no answer"):
        task.read(prompts.shown(SECOND), state)
    assert task.read(prompts.shown(ANSWER), state) == ANSWER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "29",
        "answer = 29",
        "{}",
        "[" * 10_000,
        '{"action": "answer", "answer": "29"} or so',
        '{"action": "answer", "answer": "29"}\nNo, wait',
        '{"action": "answer", "answer": "a lot"}',
        '{"action": "answer", "answer": ""}',
        '{"action": "answer", "answer": "29", "result": "29"}',
        '{"action": "answer"}',
        '{"action": "reflect"}',
        '{"action": "continue", "step": "21 + 8"}',
        '{"action": "continue", "step": " ", "result": "29"}',
        '{"action": "continue", "step": 8, "result": "29"}',
        '{"action": "continue", "step": "21 + 8", "result": null, "x": 1}',
        '{"action": "continue", "step": "\\ud800", "result": "29"}',
        '{"action": "continue", "step": "s", "result": "' + "x" * 2001 + '"}',
        '{"action": "continue", "step": "' + "x" * 2001 + '", "result": "29"}',
        '{"action": "continue", "step": "s", "result": 1e3000}',
        '{"action": "continue", "step": "s", "result": 1e999999999}',
        '["action", "answer"]',
        '{"action": "continue", "step": "s", "result": null}',
        '{"action": "continue", "step": "s", "result": "[\\"\\\\ud800\\"]"}',
    ],
)
def test_what_is_no_step_is_a_red_flag(text: str) -> None:
    with pytest.raises(NotAnAnswer):
        prompts.read_next(text, "number", last=False)


@pytest.mark.parametrize("kind", ["any", "list"])
@pytest.mark.parametrize("answer", ["null", '"[\\"\\\\ud800\\"]"'])
def test_null_and_half_a_character_are_no_answers(kind: Any, answer: str) -> None:
    with pytest.raises(NotAnAnswer):
        prompts.read_next(f'{{"action": "answer", "answer": {answer}}}', kind, last=True)


@pytest.mark.parametrize(
    "text",
    [
        "ok",
        "{}",
        '{"ok": "true"}',
        '{"ok": 1}',
        '{"ok": true, "first_bad_step": 1}',
        '{"ok": true, "hint": ""}',
        '{"ok": false}',
        '{"ok": false, "first_bad_step": 1}',
        '{"ok": false, "first_bad_step": 0, "why": "x"}',
        '{"ok": false, "first_bad_step": 3, "why": "x"}',
        '{"ok": false, "first_bad_step": 1.5, "why": "x"}',
        '{"ok": false, "first_bad_step": "1", "why": "x"}',
        '{"ok": false, "first_bad_step": true, "why": "x"}',
        '{"ok": false, "first_bad_step": 1e3000, "why": "x"}',
        '{"ok": false, "first_bad_step": 1, "why": "\\udfff"}',
        '{"ok": false, "first_bad_step": 1, "why": "x", "hint": "y"}',
    ],
)
def test_what_is_no_finding_is_a_red_flag(text: str) -> None:
    with pytest.raises(NotAnAnswer):
        prompts.read_finding(text, 2)


@pytest.mark.parametrize("text", ["", "1", "choice = 0", "choice = 3", "choice = 1, 2", "choice = 1\nor 2"])
def test_what_is_no_choice_is_a_red_flag(text: str) -> None:
    with pytest.raises(NotAnAnswer):
        prompts.read_preferred(text, swapped=False)


def test_numbers_and_lists_are_results_with_and_without_quotes() -> None:
    for line in ('"result": 29', '"result": "29"', '"result": 29.0', '"result": "29.00"'):
        assert (
            prompts.read_next(f'{{"action": "continue", "step": "s", {line}}}', "any", False).normal == "29"
        )
    listed = prompts.read_next('{"action": "continue", "step": "s", "result": [1, 2]}', "any", False)
    assert listed.normal == "[1, 2]"


def test_a_number_is_told_in_its_normal_form_and_words_as_they_were_said() -> None:
    for kind, said, answer in (("number", "1,200.0", "1200"), ("text", "Up, North", "Up, North")):
        assert prompts.read_next(f'{{"action": "answer", "answer": "{said}"}}', kind, True).said == answer  # type: ignore[arg-type]


def test_a_clear_finding_may_name_no_step_by_null() -> None:
    assert prompts.read_finding('{"ok": true, "first_bad_step": null, "why": ""}', 2) == FINE


def test_a_clear_finding_may_say_why() -> None:
    assert prompts.read_finding('{"ok": true, "why": "all steps follow"}', 2) == FINE


@pytest.mark.parametrize(
    ("why", "kept"),
    [("x" * 301, "x" * 300), ("x" * 299 + " y", "x" * 299), (" a\n b ", "a b"), (" ", "no reason was given")],
)
def test_a_reason_of_any_length_is_read_and_a_long_one_cut(why: str, kept: str) -> None:
    said = to_json({"ok": False, "first_bad_step": 1, "why": why}).decode()
    assert prompts.read_finding(said, 2).why == kept


@given(st.text(max_size=100))
def test_whatever_a_step_and_a_reason_say_stays_on_its_line(text: str) -> None:
    said = to_json(text).decode()
    with suppress(NotAnAnswer):
        step = prompts.read_next(f'{{"action": "continue", "step": {said}, "result": {said}}}', "any", False)
        assert len(prompts.reflect(PROBLEM, [step], "")[1].content.splitlines()) == 5
        why = prompts.read_finding(f'{{"ok": false, "first_bad_step": 1, "why": {said}}}', 1).why
        told = prompts.next_step(PROBLEM, ChainState(undone=(step,), why=why), last=False)[1].content
        assert len(told.splitlines()) == 9


@pytest.mark.parametrize(
    "piece", ["{", "}", "{}", '{"a":', " ", "`", "x", "[", "1e9,", '{"action": "answer",']
)
def test_reading_takes_time_in_proportion(piece: str, slope: Callable[..., float]) -> None:
    def read(text: str) -> None:
        for reader in (
            lambda: prompts.read_next(text, "any", last=False),
            lambda: prompts.read_finding(text, 2),
            lambda: prompts.read_preferred(text, swapped=False),
        ):
            with pytest.raises(NotAnAnswer):
                reader()

    assert slope(read, lambda size: "{" + piece * (size // len(piece)) + "}") <= 1.1


# What follows


def test_without_a_check_and_without_every_nobody_reflects() -> None:
    task = chain()
    state = after(task, FIRST, SECOND, ANSWER)
    assert task.finished(state) and task.solved(state) and state.answer == "29" and state.reflected == ()


def test_reflections_come_after_so_many_steps_and_at_the_answer() -> None:
    stages = [after(chain(every=2), *answers).stage for answers in ([FIRST], [FIRST, SECOND])]
    assert stages == ["continue", "reflect"]
    assert after(chain(every=2), FIRST, SECOND, FINE, ANSWER).stage == "reflect"
    state = after(chain(every=2), FIRST, SECOND, FINE, ANSWER, FINE)
    assert state.answer == "29" and state.explores == 0


def test_a_failed_check_asks_for_a_reflection_and_says_why() -> None:
    task = chain(check="arithmetic")
    state = after(task, FIRST, ActionStep("30", "30", "21 + 8"))
    assert state.stage == "reflect" and '"21 + 8 is not 30"' in told(task, state)
    assert after(task, FIRST, SECOND).stage == "continue"


def test_a_bad_step_is_taken_back_with_all_after_it_and_whoever_takes_it_is_told() -> None:
    task = chain(every=3)
    state = after(task, FIRST, OTHER, ActionStep("28", "28", final=True), BAD)
    assert (state.stage, state.steps, len(state.undone)) == ("explore", (FIRST,), 2)
    assert told(task, state).endswith(f'Taken back:\n{prompts.shown(OTHER)}\nwhy: "8, not 7"')


def test_a_doubt_that_is_not_confirmed_brings_all_steps_back() -> None:
    task = chain(every=3)
    state = after(
        task, FIRST, OTHER, ActionStep("28", "28", final=True), BAD, ActionStep("28", "28.0", "another way")
    )
    assert task.finished(state) and state.answer == "28" and state.undone == ()


@pytest.mark.parametrize(
    ("preferred", "last", "stage"), [(NEW, SECOND, "continue"), (OLD, OTHER, "continue")]
)
def test_a_changed_step_stands_only_if_it_wins(preferred: Preferred, last: ActionStep, stage: str) -> None:
    state = after(chain(every=2, explores=1), FIRST, OTHER, BAD, SECOND, preferred)
    assert (state.steps, state.stage) == ((FIRST, last), stage)


def test_two_steps_are_compared_in_turn_in_either_order_and_nothing_tells_which_is_new() -> None:
    task = chain(every=2, confirm=3)
    state = after(task, FIRST, OTHER, BAD, BAD, BAD, SECOND)
    shown = []
    for _ in range(2):
        text = told(task, state)
        assert "Taken back" not in text and BAD.why not in text
        shown.append(text.splitlines()[-2:])
        state = task.advance(state, OLD)
    assert [line[3:] for line in shown[0]] == [line[3:] for line in reversed(shown[1])]


def test_one_who_always_takes_the_first_changes_nothing_and_stalls_nothing() -> None:
    task = chain(every=2, confirm=2)
    state = after(task, FIRST, OTHER, BAD, BAD, SECOND)
    compared = 0
    while state.stage == "compare":
        state, compared = task.advance(state, task.read("choice = 1", state)), compared + 1
    assert state.steps == (FIRST, OTHER) and compared <= PATIENCE * 2


def test_findings_that_do_not_agree_change_nothing() -> None:
    task = chain(every=2, confirm=2)
    state = after(task, FIRST, OTHER)
    for finding in (BAD, FINE) * PATIENCE:
        if state.stage == "reflect":
            state = task.advance(state, finding)
    assert state.stage == "continue" and state.steps == (FIRST, OTHER) and state.explores == 0


@given(st.lists(st.sampled_from([BAD, FINE, Reflection(1, "x")]), max_size=30), st.integers(1, 4))
def test_findings_are_counted_as_the_one_election_counts(said: list[Reflection], confirm: int) -> None:
    task = chain(every=2, confirm=confirm)
    state = after(task, FIRST, OTHER)
    for finding in said:
        if state.stage != "reflect":
            break
        state = task.advance(state, finding)
    if state.stage == "reflect":
        assert leading(said, confirm, PATIENCE * confirm) is None
    assert len(state.findings) < PATIENCE * confirm


def test_no_length_is_verified_more_than_twice_and_no_more_is_taken_back_than_allowed() -> None:
    task = chain(every=1, explores=10)
    state = task.start()
    results = iter(range(1000))
    answers = {
        "continue": lambda: ActionStep(str(next(results)), "n", "s"),
        "explore": lambda: ActionStep(str(next(results)), "n", "s"),
        "reflect": lambda: Reflection(1, "all of it"),
        "compare": lambda: NEW,
    }
    for _ in range(100):
        state = task.advance(state, answers[state.stage]())
    assert state.explores <= 10
    assert all(state.reflected.count(length) <= REFLECTIONS for length in state.reflected)


@pytest.mark.parametrize("explores", [0, 1, 2])
def test_whatever_is_answered_a_chain_comes_to_its_end(explores: int) -> None:
    task = chain(every=1, explores=explores, longest=5)
    state, asked = task.start(), 0
    while not task.finished(state):
        texts = {
            "reflect": '{"ok": false, "first_bad_step": 1, "why": "x"}',
            "compare": "choice = 2",
        }
        step = f'{{"action": "continue", "step": "s", "result": "{asked}"}}'
        if '"continue"' not in task.ask(state)[0].content:  # type: ignore[union-attr]
            step = prompts.shown(ANSWER)
        state, asked = task.advance(state, task.read(texts.get(state.stage, step), state)), asked + 1
    assert state.explores <= explores and state.taken <= 5 + 1 and state.answer == "29"


def test_changes_need_their_own_lead_by_samples_and_steps_that_of_votes() -> None:
    task = chain(votes=4, confirm=7)
    assert [task.lead(answer) for answer in (FIRST, ANSWER, BAD, FINE, NEW)] == [4, 4, 1, 1, 1]
    assert ActionStep("21", "21.0", "in other words") == FIRST and ActionStep("21", "21", final=True) != FIRST
    assert Reflection(2, "this") == Reflection(2, "that")


def test_each_decision_can_be_shown() -> None:
    task = chain()
    assert [task.show(each) for each in (FIRST, ANSWER, FINE, BAD, NEW, OLD)] == [
        "continue 7 * 3 -> 21",
        "answer 29",
        "reflect: all right",
        "reflect: step 2: 8, not 7",
        "compare: the new step",
        "compare: the old step",
    ]


# What it is made of


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"problem": " "}, "a problem is a text"),
        ({"problem": "x" * 100_001}, "a problem is a text"),
        ({"problem": "\ud800"}, "a problem is a text"),
        ({"kind": "code"}, "one line"),
        ({"votes": 0}, "leads of 1"),
        ({"confirm": 51}, "leads of 1"),
        ({"every": -1}, "every"),
        ({"explores": 11}, "explores"),
        ({"longest": 0}, "longest"),
        ({"check": "os:system"}, "'os:system' is not known here"),
        ({"check": "arithmetics"}, "arithmetic"),
        ({"every": True}, "every"),
    ],
)
def test_what_cannot_be_a_chain_is_refused(how: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        ActionChain(**{"problem": PROBLEM, **how})


def test_a_chain_is_made_again_from_its_name_and_its_spec() -> None:
    task = chain(check="arithmetic", every=3, explores=1, longest=9, votes=2)
    again = task_of("action-chain", task.spec())
    assert again.spec() == task.spec() and again.ask(again.start()) == task.ask(task.start())


@pytest.mark.parametrize(
    ("text", "said", "wrong"),
    [
        ("21 + 8", "29", False),
        ("21 + 8 = 29", "29", False),
        ("21 + 8", "28", True),
        ("2 ** 10", "1024.0", False),
        ("1 / 3", "1/3", False),
        ("1 / 0", "5", False),
        ("9" * 5000, "5", False),
        ("2 ** 2 ** 99", "5", False),
        ("add eight", "28", False),
        ("21 + 8", "a lot", False),
        ("", "28", False),
        ("(" * 400, "28", False),
        ("(2 + 3) * -4", "-20", False),
        ("(2 + 3) * -4 = -20", "20", True),
        ("1 / 3 = 0.33", "0.33", True),  # rounded
        ("2 + 3 = 5 * 4 = 20", "20", False),
        ("2 + 3 = 5 * 4", "20", False),
        ("2026-11-30", "30", False),
        ("11/30", "30", False),
        ("2026", "30", False),
        ("x = 21 + 8", "28", False),
    ],
)
def test_arithmetic_is_worked_out_and_nothing_else_is_looked_at(text: str, said: str, wrong: bool) -> None:
    found = arithmetic(PROBLEM, [FIRST, ActionStep(said, said, text)])
    assert found == (f"{text} is not {said}" if wrong else None)


def test_a_check_of_a_package_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fussy.py").write_text(
        "def last(problem, steps):\n    return 'bad\\n' + 'x' * 999 + '\\x1b'\n"
    )
    installed = tmp_path / "fussy-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: fussy\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[surefoot.checks]\nfussy = fussy:last\nnumber = fussy:__name__\nlost = fussy:nowhere\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    state = after(chain(check="fussy"), FIRST)
    assert state.doubt is not None and state.doubt.startswith("bad xxx") and len(state.doubt) == 300
    for name, why in (("number", "cannot be called"), ("lost", "cannot be imported")):
        with pytest.raises(BadInput, match=why):
            chain(check=name)
