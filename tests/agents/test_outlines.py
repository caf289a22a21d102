"""A decomposition as an object: made from a job, written, edited, read back, and gone by."""

import json
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput
from surefoot.agents.planner import (
    Goal,
    GoalState,
    Outline,
    Proposal,
    Solved,
    outline,
    read_outline,
    tree,
)
from surefoot.agents.planner.state import DEEPEST
from surefoot.agents.tasks.guarded import guarded

WHOLE = "What is 1234 * 5678?"
HALVES = ("What is 1234 * 56?", "What is 1234 * 78?")
PLAN = Outline(WHOLE, (Outline(HALVES[0]), Outline(HALVES[1])), "formula", "{1} * 100 + {2}")
DIGEST = "f0ec57af63eedd9bd897c9332399da01564cdd7f8d7a060b804e0d689cd23fdc"


def after(task: Goal, state: GoalState, *answers: Any) -> GoalState:
    for answer in answers:
        state = guarded(task).advance(state, answer)
    return state


def solved(text: str) -> Solved:
    return Solved(text, text)


def nested(levels: int) -> Outline:
    """An outline of so many problems in one another."""
    made = Outline("bottom")
    for level in range(levels - 1):
        made = Outline(f"level {level}", (made, Outline(f"beside {level}")))
    return made


def test_the_given_splits_are_taken_and_the_rest_is_asked_about() -> None:
    task = Goal(WHOLE, outline=PLAN)
    state = task.start()
    assert [node.problem for node in state.nodes] == [WHOLE, HALVES[0]]
    assert state.nodes[0].split == PLAN.split
    assert state.stage == "propose"  # a last part may be made smaller again
    state = after(Goal(WHOLE, votes=1, outline=PLAN), state, Proposal(), solved("69104"))
    assert (state.nodes[-1].problem, state.stage) == (HALVES[1], "propose")


def test_with_no_depth_the_last_parts_are_answered_as_they_are() -> None:
    task = Goal(WHOLE, "number", depth=0, outline=PLAN)
    assert task.start().stage == "solve"
    state = after(task, task.start(), solved("69104"), solved("96252"))
    assert state.answer == str(1234 * 5678)
    assert outline(state.done).splitlines()[0] == f"{WHOLE} -> 7006652   [{{1}} * 100 + {{2}}]"


def test_parts_may_be_given_at_any_depth_and_unevenly() -> None:
    deep = Outline(HALVES[0], (Outline("a"), Outline("b", (Outline("c"), Outline("d")), "merge")))
    task = Goal(WHOLE, votes=1, depth=0, outline=Outline(WHOLE, (deep, Outline(HALVES[1])), "concatenate"))
    state, asked = task.start(), []
    while not task.finished(state):
        asked.append((state.stage, state.nodes[-1].problem))
        state = after(task, state, solved("[1]"))
    solving = ["a", "c", "d", HALVES[1]]
    assert [problem for stage, problem in asked if stage == "solve"] == solving
    assert [problem for stage, problem in asked if stage == "compose"] == [HALVES[0]]


def test_below_a_last_part_the_outline_says_nothing() -> None:
    task = Goal(WHOLE, votes=1, outline=PLAN)
    state = after(task, task.start(), Proposal(("x", "y"), "ask"), Proposal(("z", "w"), "ask"))
    assert [node.problem for node in state.nodes] == [WHOLE, HALVES[0], "x", "z"]
    assert state.stage == "propose"


def test_an_outline_is_part_of_what_makes_the_task_again_and_without_one_nothing_is() -> None:
    task = Goal(WHOLE, outline=PLAN)
    assert Goal(**task.spec()).spec() == task.spec()  # type: ignore[arg-type]
    assert Goal(**task.spec()).start() == task.start()  # type: ignore[arg-type]
    assert task.digest == PLAN.digest
    assert set(Goal(WHOLE).spec()) == {"problem", "kind", "votes", "depth"}
    assert Goal(WHOLE).digest is None


def test_an_outline_is_of_its_problem() -> None:
    with pytest.raises(BadInput, match="of another problem"):
        Goal("What is 2 * 2?", outline=PLAN)


def test_the_digest_is_that_of_what_is_decided_and_not_of_how_it_is_written() -> None:
    spaced = json.dumps(
        {"formula": "{1}*100+{2}", **{k: v for k, v in PLAN.plain.items() if k != "formula"}}, indent=3
    )
    assert read_outline(spaced).digest == PLAN.digest
    assert read_outline(spaced.replace("56?", "57?")).digest != PLAN.digest
    assert Outline(f" {WHOLE} ", PLAN.parts, "formula", "{1}*100+{2}").digest == PLAN.digest
    assert PLAN.canonical.startswith(
        '{"problem":"What is 1234 * 5678?","combine":"formula","formula":"{1} * 100 + {2}","parts":'
    )
    assert PLAN.digest == DIGEST == sha256(PLAN.canonical.encode()).hexdigest()


@pytest.mark.parametrize("steps", range(6))
def test_the_outline_of_a_job_is_what_is_decided_so_far(steps: int) -> None:
    task = Goal(WHOLE, "number", votes=1)
    inner = Proposal(("What is 1234 * 50?", "What is 1234 * 6?"), "formula", "{1} + {2}")
    way = [
        PLAN.split,
        inner,
        Proposal(),
        solved("61700"),
        Proposal(),
        solved("7404"),
        Proposal(),
        solved("96252"),
    ]
    state = after(task, task.start(), *way[:steps])
    found = Outline.of(state)
    assert found == read_outline(found.canonical)
    assert len(found.parts) == (2 if steps else 0)
    assert found.parts[:1] == (
        (Outline(HALVES[0], tuple(map(Outline, inner.parts)), "formula", "{1} + {2}"),)
        if steps > 1
        else found.parts[:1]
    )
    again = Goal(WHOLE, "number", votes=1, outline=found)
    given = again.start()
    for answer in way[min(steps, 2) :]:
        given = after(again, given, answer)
    assert given.done == after(task, task.start(), *way).done
    assert given.answer == "7006652"


def test_a_tree_has_answers_and_what_nobody_has_looked_at_yet() -> None:
    task = Goal(WHOLE, votes=1, outline=PLAN)
    state = after(task, task.start(), Proposal(), solved("69104"))
    whole = tree(state)
    assert [(place, branch.answer, branch.split) for place, branch in whole.walk()] == [
        ((), None, PLAN.split),
        ((0,), "69104", Proposal()),
        ((1,), None, None),
    ]
    assert [branch.problem for _, branch in tree(task.start()).walk()] == [WHOLE, *HALVES]


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "cannot be read: Invalid JSON"),
        ("[]", "cannot be read"),
        ("{}", "at problem: Field required"),
        ('{"problem": 5}', "at problem"),
        ('{"problem": " "}', "a text of 1 to 100,000"),
        ('{"problem": "p", "answer": "5"}', "its whole problem has an answer"),
        ('{"problem": "p", "' + "k" * 5_000 + '": 5}', "at kkk"),
        ('{"problem": "p", "\\u001b[2J": 5}', r"at \\x1b\[2J"),
        ('{"problem": "p", "parts": "two"}', "at parts"),
        ('{"problem": "p", "parts": [{"problem": "a"}]}', "wrong: a problem is split into 2 to 8 parts, not 1"),
        ('{"problem": "p", "parts": [{"problem": "a"}, {"problem": " "}]}', r"at parts\[1\]: a part is empty"),
        ('{"problem": "p", "parts": [{"problem": "a"}, {"problem": " p "}]}', r"at parts\[1\]: .* it is a part of"),
        ('{"problem": "p", "parts": [{"problem": "a"}, {"problem": "b", "combine": "magic"}]}', r"at parts\[1\].combine"),
        ('{"problem": "p", "parts": [{"problem": "a"}, {"problem": "b"}], "formula": "{1} + {2}"}', "goes with combine 'formula'"),
        ('{"problem": "p", "parts": [{"problem": "a"}, {"problem": "b"}], "combine": "formula", "formula": "{1}"}', "not each of"),
        ('{"problem": "p", "parts": [{"problem": "a"}, {"problem": "b"}], "combine": "formula", "formula": "__import__"}', "wrong: a formula"),
        ('{"problem": "p", "parts": [{"problem": "a"}, {"problem": "b", "parts": [{"problem": "c"}, {"problem": "p"}]}]}', r"at parts\[1\].parts\[1\]: "),
        ('{"problem": "p", "problem": "q"}', "cannot be read at problem: it is there twice"),
        ('{"problem": "p", "parts": [{"problem": "a"}, {"problem": "b"}], "parts": [{"problem": "c"}, {"problem": "d"}]}', "at parts: it is there twice"),
        ('{"problem": "p", "parts": [{"problem": "a"}, {"problem": "b", "parts": [{"problem": "c"}, {"problem": "d"}], "parts": []}]}', r"at parts\[1\].parts: it is there twice"),
        ('{"problem": "p", "parts": {"' + "k" * 5_000 + '": 1, "' + "k" * 5_000 + '": 2}, "parts": []}', "at parts.kkk.*twice"),
        ('{"problem": "p", "parts": NaN, "parts": []}', "cannot be read"),
        ('{"problem": "p", "combine": "merge"}', "wrong: combine 'merge' and no parts"),
        ('{"problem": "p", "combine": "formula", "formula": "{1} + {2}"}', "combine 'formula' and no parts"),
        ('{"problem": "p", "parts": [{"problem": "a"}, {"problem": "b", "formula": "{1}"}]}', r"at parts\[1\]: combine 'ask' and no parts"),
        ('{"problem": "\\ud800"}', "at problem|Invalid JSON"),
        ('{"problem": "' + "x" * 100_001 + '"}', "1 to 100,000"),
        ('{"problem": "p", "parts": [{"problem": "' + "a" * 60_000 + '"}, {"problem": "' + "b" * 60_000 + '"}]}', "parts of more than 100,000"),
        ("[" * 100_000, "recursion limit"),
        ('{"problem": "p", "parts": [' * 100_000, "recursion limit"),
        (" " * 5_000_001, "at most 5,000,000 characters"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_what_a_proposal_may_not_be_an_outline_may_not_be_either(written: str, why: str) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        read_outline(written)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("made", [Outline(5), Outline("p", ("a", "b")), Outline("p", parts=None), Outline("\ud800"), nested(2_000)], ids=["number", "texts", "nothing", "half a character", "too deep"])  # type: ignore[arg-type]  # fmt: skip
def test_what_is_made_in_python_is_looked_over_too(made: Any) -> None:
    with pytest.raises(BadInput):
        Goal("p", outline=made)


def test_an_outline_is_as_deep_as_a_job_can_be_and_no_deeper() -> None:
    assert read_outline(nested(DEEPEST)).canonical == nested(DEEPEST).canonical
    assert read_outline(nested(DEEPEST).canonical) == nested(DEEPEST)
    with pytest.raises(BadInput, match=r"at parts\[0\].* no deeper than 50 problems"):
        read_outline(nested(DEEPEST + 1))


def test_an_outline_has_no_more_problems_than_a_job_makes_smaller() -> None:
    def full(levels: int, name: str) -> Outline:
        parts = [full(levels - 1, f"{name}{n}") for n in range(8)] if levels else []
        return Outline(name, tuple(parts))

    assert read_outline(full(4, "p")).parts[7].problem == "p7"
    with pytest.raises(BadInput, match="at most 10,000 problems, not 37,449"):
        read_outline(full(5, "p"))


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(str.strip)
outlines = st.recursive(
    st.builds(Outline, texts),
    lambda inner: st.builds(
        Outline,
        texts,
        st.lists(inner, min_size=2, max_size=8).map(tuple),
        st.sampled_from(["merge", "ask", "concatenate"]),
    ),
    max_leaves=12,
)


@given(outlines)
def test_what_is_read_is_in_one_form_and_reads_back_as_it_is(made: Outline) -> None:
    with suppress(BadInput):  # a text that is a part of itself
        found = read_outline(made)
        assert read_outline(found) == found == read_outline(found.canonical)
        assert read_outline(json.dumps(found.plain)).digest == found.digest


def test_reading_takes_time_linear_in_the_text(slope: Callable[..., float]) -> None:
    def text(size: int) -> str:
        part = '{"problem": "%s"}' % ("x" * (size // 2 // 4))
        return '{"problem": "p", "parts": [' + ", ".join([part] * 4) + "]}"

    def read(written: str) -> None:
        with suppress(BadInput):
            read_outline(written)

    sizes = [8_192, 32_768, 131_072, 524_288]
    assert slope(read, text, sizes) <= 1.2
    assert slope(read, lambda size: '{"problem": "p", "parts": [' * (size // 27), sizes) <= 1.2
    twice = '{"problem": "p", "parts": [%s], "parts": []}'
    assert slope(read, lambda size: twice % ", ".join(['{"k": 1, "l": 2}'] * (size // 18)), sizes) <= 1.2


ANSWERED = '{"problem": "p", "combine": "ask", "parts": [{"problem": "a", "answer": "5"}, {"problem": "b", "hint": "Try it."}]}'


def test_an_answer_and_a_hint_come_back_and_count_in_the_digest() -> None:
    outline = read_outline(ANSWERED)
    assert (outline.parts[0].answer, outline.parts[1].hint) == ("5", "Try it.")
    assert read_outline(outline.canonical) == outline
    plain = read_outline('{"problem": "p", "combine": "ask", "parts": [{"problem": "a"}, {"problem": "b"}]}')
    assert outline.digest != plain.digest
    assert [place for place, _ in outline.open_leaves()] == [(1,)]


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ({"answer": " "}, "an answer is empty"),
        ({"answer": "5", "hint": "h"}, "leave its hint out"),
        ({"answer": "5", "parts": [{"problem": "c"}, {"problem": "d"}]}, "has neither an answer nor a hint"),
        ({"hint": "h", "parts": [{"problem": "c"}, {"problem": "d"}]}, "has neither an answer nor a hint"),
        ({"answer": "5" * 1_000_001}, "at most 1,000,000 characters"),
        ({"answer": "\\ud800"}, "cannot be read"),
    ],
)
def test_what_an_answer_and_a_hint_may_not_be(known: dict[str, Any], why: str) -> None:
    part = json.dumps({"problem": "a", **known}).replace("\\\\ud800", "\\ud800")
    with pytest.raises(BadInput, match=why):
        read_outline(f'{{"problem": "p", "combine": "ask", "parts": [{part}, {{"problem": "b"}}]}}')


def test_thousands_of_given_answers_are_handed_up_in_one_go() -> None:
    """In a loop: no recursion, and what programs put together is put together."""

    def made(depth: int, of: int) -> Outline:
        if not depth:
            return Outline(f"What is {of}?", answer=str(of))
        parts = tuple(made(depth - 1, of * 8 + number) for number in range(8))
        return Outline(
            f"The sum below {of} at {depth}", parts, "formula", " + ".join(f"{{{n}}}" for n in range(1, 9))
        )

    whole = made(4, 1)
    task = Goal(whole.problem, outline=whole)
    state = task.start()
    assert task.finished(state)
    assert state.answer == str(sum(range(8**4, 2 * 8**4)))
    assert len(state.done) == 8**4 + 8**3 + 8**2 + 8 + 1


def test_an_answer_keeps_its_lines_and_nothing_else_of_its_blanks() -> None:
    part = read_outline(Outline("a", (Outline("b", answer=" one  two \n\n\tthree\r\n"), Outline("c")))).parts[
        0
    ]
    assert part.answer == "one two\nthree"
    with pytest.raises(BadInput, match="an answer holds half a character"):
        read_outline(Outline("a", (Outline("b", answer="\udcff"), Outline("c"))))
