"""Calls in pieces become the same calls, however a server cuts and numbers them."""

import json

from hypothesis import given
from hypothesis import strategies as st

from surefoot.models.offers import Call
from surefoot.models.openai.call_deltas import CallsSoFar, calls_of, deltas_in

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('a"\\{}[]é\n', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a{", max_size=2), inner, max_size=3),
    max_leaves=6,
)
CALLS = st.lists(
    st.builds(
        lambda name, arguments: Call(name, json.dumps(arguments)),
        st.sampled_from("ab"),
        st.dictionaries(st.text("x}", max_size=2), VALUES, max_size=3),
    ),
    max_size=4,
)


@given(
    calls=CALLS,
    size=st.integers(1, 12),
    number=st.sampled_from(["own", "none", "zero", "text"]),
    ids=st.sampled_from(["first", "each", "last", "none", "empty"]),
    names=st.sampled_from(["first", "each", "empty later"]),
    together=st.booleans(),
)
def test_pieces_become_the_calls_that_they_are_of(
    calls: list[Call], size: int, number: str, ids: str, names: str, together: bool
) -> None:
    entries = [
        entry for place, call in enumerate(calls) for entry in cut_up(call, place, size, number, ids, names)
    ]
    so_far = CallsSoFar()
    for chunk in [entries] if together and names == "first" else [[entry] for entry in entries]:
        so_far.add(deltas_in({"tool_calls": chunk}, whole=False))
    assert calls_of(so_far.whole()) == tuple(calls)


def cut_up(call: Call, place: int, size: int, number: str, ids: str, names: str) -> list[dict[str, object]]:
    parts = [call.arguments[at : at + size] for at in range(0, len(call.arguments), size)]
    entries = []
    for at, part in enumerate(parts):
        entry: dict[str, object] = {}
        if number != "none":
            entry["index"] = {"own": place, "zero": 0, "text": str(place)}[number]
        first, last = at == 0, at == len(parts) - 1
        if ids == "empty":
            entry["id"] = ""
        elif ids == "each" or (ids == "first" and first) or (ids == "last" and last):
            entry["id"] = f"id{place}"
        function: dict[str, object] = {"arguments": part}
        if first or names == "each":
            function["name"] = call.name
        elif names == "empty later":
            function["name"] = ""
        entries.append({**entry, "function": function})
    return entries


@given(
    st.lists(VALUES | st.dictionaries(st.sampled_from(["index", "id", "function"]), VALUES), max_size=5),
    st.booleans(),
)
def test_what_is_no_call_does_no_harm(entries: list[object], whole: bool) -> None:
    so_far = CallsSoFar()
    so_far.add(deltas_in({"tool_calls": entries, "function_call": entries}, whole))
    assert len(calls_of(so_far.whole())) <= len(entries) + 1
