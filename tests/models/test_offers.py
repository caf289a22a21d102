"""The one form of calls in a text."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.models import Call, read_calls, without_thoughts, write_calls
from surefoot.models.offers import arguments_of

PLAIN = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=8,
)


@given(
    prose=st.sampled_from(["", "I look.", "a\n\nb"]),
    made=st.lists(st.dictionaries(PLAIN, JSON, max_size=3), max_size=4),
)
def test_what_is_written_is_read_again(prose: str, made: list[dict[str, object]]) -> None:
    calls = tuple(Call(f"tool_{number}", arguments_of(each)) for number, each in enumerate(made))
    found = read_calls(write_calls(prose, calls))
    assert (found[0].strip(), found[1]) == (prose, calls)


def test_half_a_character_in_arguments_stays_json() -> None:
    assert arguments_of({"text": "\ud800"}) == '{"text":"\\ud800"}'
    (call,) = read_calls('```tool_call\n{"name": "a", "arguments": {"text": "\\ud800"}}\n```')[1]
    assert call.name in ("a", "")  # pydantic_core refuses to read it: then it is told back as no call


@pytest.mark.parametrize("piece", ["```\n", "```tool_call\n", "<think>", "</think>\n", "~~~~\n", "{", "\n "])
def test_reading_takes_linear_time(piece: str, slope: Callable[..., float]) -> None:
    def work(text: str) -> None:
        read_calls(without_thoughts(text, "<think>", "</think>"))

    assert slope(work, lambda size: "```tool_call\n{}\n```\n" + piece * (size // len(piece))) <= 1.1
