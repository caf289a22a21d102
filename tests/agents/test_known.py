"""Problems with known answers, a line of JSON each: what is read, what is refused, and which answers are right."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from surefoot import BadInput
from surefoot.agents.planner.known import KnownProblem, in_plain_words, read_known

SORT = "\nSort the following list of integers in ascending order and output ONLY the JSON list\non a single line after '####':\n{}\n"


def line(**fields: Any) -> str:
    return json.dumps(fields)


# Two lines in the published form, made up here


@pytest.mark.parametrize("escaped", [True, False])
def test_a_multiplication_is_asked_in_our_words(escaped: bool) -> None:
    fields = {"id": "mul-2x2-0", "question": "Multiply the following numbers:\n34 × 56", "answer": "1904"}
    found = read_known(json.dumps(fields, ensure_ascii=escaped).encode())
    assert found == KnownProblem("mul-2x2-0", "What is 34 * 56?", "1904", "number")


def test_a_list_is_asked_in_our_words_without_a_wish_for_a_form_of_the_answer() -> None:
    found = read_known(line(id="sort-3-0", question=SORT.format("[3, -1, 2]"), answer="[-1,2,3]"))
    assert found.problem == "Sort these numbers, smallest first: [3, -1, 2]"
    assert found.kind == "list" and found.right("[-1, 2, 3]") and not found.right("[3, -1, 2]")


@pytest.mark.parametrize(
    "question",
    [
        "Who wrote it?",
        "Multiply the following numbers:\n34 × x",
        "Multiply the following numbers:\n34 × 56 × 78",
        SORT.format("[3, 1]") + "[2]",
        SORT.format("[3, [1]]"),
        SORT.format("3, 1"),
        "Sort the following list of integers in ascending order of their absolute values: [3, -1]",
    ],
)
def test_every_other_question_is_asked_as_it_is(question: str) -> None:
    assert in_plain_words(question) == question.strip()


@pytest.mark.parametrize(
    ("answer", "kind", "right", "wrong"),
    [
        ("1904", "any", ["1904", "1,904", "1904.0"], ["1905", "1904 km", "around 1904", ""]),
        ("[1,2]", "any", ["[1, 2]", "[1.0, 2]"], ["[2, 1]", "[1, 2, 2]", "1, 2"]),
        ("Ada Lovelace", "any", ["ada lovelace", '"Ada Lovelace."'], ["Ada", "Lovelace Ada"]),
        ("[1,2]", "set", ["[2, 1, 1]"], ["[1]"]),
        ("3 km", "quantity", ["3000 m"], ["3 m"]),
    ],
)
def test_right_is_what_is_equal_in_the_normal_form(
    answer: str, kind: Any, right: list[str], wrong: list[str]
) -> None:
    found = read_known(line(question="?", answer=answer), kind)
    assert all(map(found.right, right)) and not any(map(found.right, wrong))


def test_what_else_a_line_has_is_passed_over_and_a_long_name_is_cut() -> None:
    found = read_known(line(question=" How many? ", answer="7", level={"hard": [1]}, id="x" * 200))
    assert (found.problem, found.id) == ("How many?", "x" * 100)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "not a line of a problem with its answer"),
        ("[]", "not a line of a problem with its answer"),
        ('"text"', "not a line of a problem with its answer"),
        (b"\xff", "not a line of a problem with its answer"),
        ("[" * 10_000, "not a line of a problem with its answer"),
        (line(question="?"), "answer"),
        (line(answer="7"), "question"),
        (line(question="?", answer=7), "answer: Input should be a valid string"),
        ('{"question": "?", "answer": "7", "answer": "8"}', "answer: given twice"),
        ('{"question": "\\ud800", "answer": "7"}', "not a line of a problem with its answer"),
        (line(question=" \n", answer="7"), "a question is a text of 1 to 100,000 characters"),
        (line(question="x" * 100_001, answer="7"), "a question is a text of 1 to 100,000 characters"),
        (line(question="?", answer=" "), "the answer ' ' is none of kind 'any'"),
    ],
)
def test_a_line_that_is_none_is_refused_in_a_sentence(given: str | bytes, why: str) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        read_known(given)
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


def test_an_answer_that_is_not_of_its_kind_is_refused() -> None:
    with pytest.raises(BadInput, match="the answer 'many' is none of kind 'number'"):
        read_known(line(question="?", answer="many"), "number")


@pytest.mark.parametrize(
    "shape",
    ["Multiply the following numbers:\n1", "Sort the following list of integers in ascending order[", "1 ", " \n", "[1, "],
    ids=repr,
)  # fmt: skip
def test_reading_takes_linear_time(shape: str, slope: Callable[..., float]) -> None:
    assert slope(in_plain_words, lambda size: shape * (size // len(shape))) <= 1.15


def test_a_line_of_many_fields_is_read_in_linear_time(slope: Callable[..., float]) -> None:
    def read(text: str) -> None:
        with pytest.raises(BadInput, match="given twice"):
            read_known(text)

    def made(size: int) -> str:
        more = ", ".join(f'"{number}": 1' for number in range(size // 20))
        return f'{{"question": "?", "answer": "7", "id": "a", "id": "b", {more}}}'

    assert slope(read, made) <= 1.15
