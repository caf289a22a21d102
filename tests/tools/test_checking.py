"""What a model writes for arguments: valid, or told back in one sentence; and when two calls are equal."""

import json
from collections.abc import Callable
from enum import Enum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, field_validator

import surefoot
from surefoot.tools import ToolFailed, checked_call, normalised, read_file, shell


class Deep(BaseModel):
    below: "Deep | None" = None


class Fragile(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def check(cls, n: int) -> int:
        return {}[n]  # type: ignore[no-any-return]


class Colour(Enum):
    RED = "red"


@surefoot.tool
def paint(
    colour: Colour = Colour.RED,
    tags: frozenset[str] = frozenset(),
    at: float = 0.0,
    mode: Literal["fast", "slow"] = "fast",
    numbers: list[int] | None = None,
    deep: Deep | None = None,
    table: dict[int, str] | None = None,
) -> None: ...


@surefoot.tool
def fragile(value: Fragile) -> None: ...


@surefoot.tool
def secret(key: SecretStr) -> None: ...


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "The arguments of paint are not JSON (EOF while parsing an object at line 1 column 1): '{'; write one JSON object"),
        ("[1]", "The arguments of paint must be one JSON object, not [1]"),
        ("null", "The arguments of paint must be one JSON object, not None"),
        ('{"at": NaN}', "The arguments of paint are not JSON"),
        ("\ud800", "The arguments of paint are not JSON (half of a surrogate pair): '\\ud800'; write one JSON object"),
        ('{"at": "\\ud800"}', "The arguments of paint are not JSON"),
        ("[" * 100_000, "The arguments of paint are not JSON"),
        ('{"deep": ' + '{"below": ' * 5_000, "The arguments of paint are not JSON"),
        ('{"at": "x"}', "The arguments of paint are wrong: at: input should be a valid number, unable to parse string as a number, not 'x'"),
        ('{"color": "red"}', "The arguments of paint are wrong: there is no argument 'color', only colour, tags, at"),
        ('{"mode": "\x1b"}', "The arguments of paint are not JSON"),
        ('{"mode": "\\u001b"}', "The arguments of paint are wrong: mode: input should be 'fast' or 'slow', not '\\x1b'"),
        ('{"numbers": ["a", "b", "c", "d", "e"]}', "The arguments of paint are wrong: numbers.0: input"),
        ('{"a\\nb\\u202e": 1}', "The arguments of paint are wrong: there is no argument 'a b\\\\u202e', only"),
    ],
)  # fmt: skip
def test_bad_arguments_are_told_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ToolFailed) as told:
        checked_call(paint, text)
    assert str(told.value).startswith(sentence)
    assert len(str(told.value)) < 1_500
    assert "\n" not in str(told.value)


def test_more_mistakes_than_a_sentence_holds_are_counted() -> None:
    with pytest.raises(ToolFailed, match=r"numbers\.2: .*; and 97 more mistakes$"):
        checked_call(paint, json.dumps({"numbers": ["x"] * 100}))


def test_a_validator_that_breaks_is_told_of() -> None:
    with pytest.raises(
        ToolFailed, match="The arguments of fragile cannot be checked: KeyError: 3; try others"
    ):
        checked_call(fragile, '{"value": {"n": 3}}')


def test_too_many_characters_are_not_read() -> None:
    with pytest.raises(ToolFailed, match="are 4,000,001 characters long; at most 4,000,000 are read"):
        checked_call(paint, " " * 4_000_001)


@pytest.mark.parametrize("text", ["", " \n", "{}"])
def test_no_text_means_no_arguments(text: str) -> None:
    assert checked_call(paint, text) == paint.arguments()


def test_of_very_many_mistakes_the_number_is_told() -> None:
    with pytest.raises(ToolFailed, match="The arguments of paint are wrong in 10,001 places: too many"):
        checked_call(paint, '{"numbers": [' + ",".join(['"x"'] * 10_001) + "]}")


def refused(text: str) -> None:
    with pytest.raises(ToolFailed):
        checked_call(paint, text)


@pytest.mark.parametrize(
    "of",
    [
        lambda size: "[" * size,
        lambda size: '{"numbers": [' + '"",' * (size // 3) + '""]}',
        lambda size: '{"' + "k" * size + '": 1}',
        lambda size: '{"at": "' + "\\u202e" * (size // 6) + '"}',
        lambda size: '{"numbers": ' + json.dumps({str(n): n for n in range(size // 16)}) + "}",
    ],
)
def test_refusing_takes_time_linear_in_the_text(
    of: Callable[[int], str], slope: Callable[..., float]
) -> None:
    assert slope(refused, of, [16_384, 65_536, 262_144, 1_048_576]) <= 1.2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"at": 1, "mode": "fast"}', '{\n "mode": "fast", "at": 1.0}'),
        ("{}", '{"colour": "red", "tags": []}'),
        ('{"tags": ["a", "b", "c", "d", "e"]}', '{"tags": ["e", "d", "c", "b", "a", "a"]}'),
        ('{"numbers": ["1"]}', '{"numbers": [1]}'),
        ('{"table": {"1": "a", "2": "b"}}', '{"table": {"2": "b", "1": "a"}}'),
        ("", "{}"),
    ],
)
def test_equal_calls_are_equal(one: str, other: str) -> None:
    assert normalised(paint, one) == normalised(paint, other)


def test_what_means_the_same_is_written_in_order_and_with_what_was_left_out() -> None:
    text = normalised(paint, '{"tags": ["b", "a"], "numbers": [2, 1]}')
    assert text == (
        '{"at":0.0,"colour":"red","deep":null,"mode":"fast","numbers":[2,1],"table":null,"tags":["a","b"]}'
    )
    assert checked_call(paint, text) == checked_call(paint, '{"tags": ["a", "b"], "numbers": [2, 1]}')


@pytest.mark.parametrize("text", ["{", '{"at": "x"}', "[]", "\ud800"])
def test_invalid_arguments_stay_as_they_are(text: str) -> None:
    assert normalised(paint, text) == text


def test_a_value_that_is_lost_in_writing_is_kept_as_it_was_written() -> None:
    assert normalised(secret, '{ "key": "abc"}') == '{"key":"abc"}'


def test_paths_and_commands_are_compared_in_their_normal_form() -> None:
    assert normalised(read_file, '{"path": "/w/a/../b.py"}', "/w") == normalised(
        read_file, '{"path": "./b.py"}', "/w"
    )
    assert normalised(shell, '{"command": "ls   -l "}') == normalised(shell, '{"command": "ls -l"}')
    assert normalised(shell, '{"command": "echo \'a  b\'"}') == '{"command":"echo \'a  b\'"}'


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["colour", "tags", "at", "mode", "numbers", "deep", "table", "x"]), JSON)
)
def test_any_object_is_valid_or_refused_and_its_normal_form_stays(value: dict[str, Any]) -> None:
    text = json.dumps(value)
    try:
        arguments = checked_call(paint, text)
    except ToolFailed as told:
        assert "\n" not in str(told) and len(str(told)) < 2_000
        assert normalised(paint, text) == text
    else:
        normal = normalised(paint, text)
        assert checked_call(paint, normal) == arguments
        assert normalised(paint, normal) == normal


@given(st.text())
def test_any_text_is_valid_or_refused(text: str) -> None:
    try:
        checked_call(paint, text)
    except ToolFailed as told:
        assert "\n" not in str(told)
    assert isinstance(normalised(paint, text), str)
