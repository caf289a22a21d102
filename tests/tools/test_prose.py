"""Where a text says its answer, which answers are words, and which numbers stand in them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.tools.answers.prose import answer_span, in_words, numbers_in


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("answer = It is Paris", "It is Paris"),
        ("I think.\n\n  **Answer =  It is Paris**  \n```\n", "It is Paris"),
        ("answer = `It is Paris`.", "`It is Paris`."),
        ("`answer = It is Paris`", "It is Paris"),
        ("answer = ` It is Paris `", "It is Paris"),
        ("answer = a\u2028answer = b\r\n", "b"),
        ("answer = a*", "a*"),
        ("answer = a\nanswer = b", "b"),
    ],
)
def test_the_answer_is_found_where_it_stands(text: str, said: str) -> None:
    span = answer_span(text)
    assert span is not None and text[slice(*span)] == said


@pytest.mark.parametrize("text", ["", "Paris", "answer =", "answer = a\nNo, b", "the answer = a", "***"])
def test_a_text_that_ends_otherwise_says_none(text: str) -> None:
    assert answer_span(text) is None


def test_a_hostile_text_takes_time_in_proportion_to_its_length() -> None:
    began = time.monotonic()
    stars = "*" * 1_000_000
    assert answer_span(f"{stars}answer = x{stars}\n{stars}") is not None
    assert answer_span(f"answer = {' ' * 1_000_000}\n" * 2 + "`\n" * 1_000_000) is None
    for hostile in ("1,", "1,222", "-1", "1e", "1**", "-.", "1.e-"):
        assert numbers_in(f"{hostile * 100_000}1")
    assert time.monotonic() - began < 10


@given(st.text())
def test_what_is_put_in_its_place_is_found_there_again(text: str) -> None:
    for framed in (f"Well.\nanswer = {text}", f"**answer = {text}**"):
        if span := answer_span(framed):
            again = f"{framed[: span[0]]}It is Paris{framed[span[1] :]}"
            found = answer_span(again)
            assert found is not None and again[slice(*found)] == "It is Paris"


@pytest.mark.parametrize(
    "said",
    [
        "12", "1,200.5", '"12"', "5 km", "$5", "30 November 2026", "2026-11-30", "007", "[1, 2]", '{"a": 1}', "[1, 2", "", ".", "\udc80",
        "(1, 2)", "≤ 5", "-∞", "+", "½", "Ⅳ", "五", "１２", "192.168.0.1", "`", "\u200b",
        "true", "null",
    ],
)  # fmt: skip
def test_what_is_exact_or_nothing_is_no_words(said: str) -> None:
    assert in_words(said) is None


@pytest.mark.parametrize(
    ("said", "form"),
    [("It is Paris.", "it is paris"), (' "Paris" ', "paris"), ("about 5 MW", "about 5 MW"), ("twelve", "twelve"), ("π", "π"), ("第五", "第五")],
)  # fmt: skip
def test_words_have_their_normal_form(said: str, form: str) -> None:
    assert in_words(said) == form


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("it is 12", "12 of them", True),
        ("it is 12", "it is 13", False),
        ("about 1,200", "1200 or so", True),
        ("it is -5", "it is 5", False),
        ("it is −5", "it is -5", True),
        ("the peace of 1648", "the peace", False),
        ("from 3 to 5", "from 5 to 3", True),
        ("half", "½", False),
        ("no number", "none", True),
        ("it is –5", "it is 5", False),
        ("it is －5", "it is -5", True),
        ("about .5", "about 5", False),
        ("about 1,5", "about 15", False),
        ("the point (1,2)", "the number 12", False),
        ("the list 1,2,3", "the list 123", False),
        ("about -1,200.5", "-1200.5 or so", True),
        ("about 1/2", "about 2/1", False),
        ("about 1e5", "about 5e1", False),
        ("about 5e-3", "about 5e3", False),
        ("about 2^3", "about 3^2", False),
        ("Alba won 3–1", "Alba won 1–3", False),
        ("Alba won 3–1", "it was Alba, 3-1", True),
        ("it is 11/12/2026", "it is 12/11/2026", False),
        ("on 2026-11-12", "on 2026-12-11", False),
        ("at 5:30", "at 30:5", False),
        ("No.5", "number 5", True),
    ],
)
def test_answers_with_other_numbers_are_told_apart(one: str, other: str, same: bool) -> None:
    assert (numbers_in(one) == numbers_in(other)) is same
