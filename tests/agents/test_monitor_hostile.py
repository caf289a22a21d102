"""Hostile logs: odd types everywhere, endless lines, a hundred thousand turns, and texts made for patterns."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.agents.monitor.excerpt import excerpt
from surefoot.agents.monitor.judge import NoJudgment, read_judgment
from surefoot.agents.monitor.kinds import action_kind, hides
from surefoot.agents.monitor.readers.files import MOST_BRACKETS, MOST_BYTES, MOST_COMMAS
from surefoot.agents.monitor.readers.formats import parse, read
from surefoot.agents.monitor.signals import Signals, readings
from surefoot.agents.monitor.trajectory import Trajectory, Turn, action, turn
from surefoot.errors import BadInput
from surefoot.voting.samples import NOTHING, Sample

NAMES = [
    "role",
    "type",
    "content",
    "text",
    "thinking",
    "reasoning",
    "reasoning_content",
    "summary",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "args",
    "input",
    "custom",
    "messages",
    "extra",
    "actions",
    "command",
    "response",
    "choices",
    "message",
    "usage",
    "output",
    "object",
    "interrupt_type",
    "model_response",
    "returncode",
    "raw_output",
    "trajectory",
    "history",
    "action",
    "observation",
    "thought",
    "query",
    "info",
    "exit_status",
    "is_demo",
    "thinking_blocks",
    "interactions",
    "initial_issue",
    "final_response",
    "final_finish_reason",
    "attempts",
    "values",
    "data",
    "kwargs",
    "additional_kwargs",
    "response_metadata",
    "usage_metadata",
    "invalid_tool_calls",
    "status",
    "completion_tokens_details",
    "reasoning_tokens",
    "finish_reason",
    "incomplete_details",
    "id",
]
WORDS = [
    "assistant",
    "user",
    "tool",
    "system",
    "ai",
    "human",
    "AIMessageChunk",
    "constructor",
    "chat",
    "response",
    "FormatError",
]
WORDS += [
    "tool_use",
    "redacted_thinking",
    "<function=ls>",
    "```bash\nls\n```",
    "\ud800",
    "\nFunction: ls(",
    "stop",
    "length",
    "ls",
]
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=25,
)
MESSAGE = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES[:30], VALUES))


def told(role: str, message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "role": role}


def typed(kind: str, message: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "role"} | {"type": kind}


MESSAGES = st.lists(
    st.builds(told, st.sampled_from(["assistant", "user", "tool"]), MESSAGE), min_size=1, max_size=4
)
TYPED = st.lists(
    st.builds(typed, st.sampled_from(["ai", "human", "tool", "chat"]), MESSAGE), min_size=1, max_size=4
)
STEP = st.fixed_dictionaries(
    {"action": LEAVES, "observation": VALUES},
    optional={"response": LEAVES, "thought": LEAVES, "thinking_blocks": VALUES},
)
LOGS = st.one_of(
    VALUES,
    MESSAGES,
    TYPED,
    st.fixed_dictionaries(
        {
            "messages": MESSAGES,
            "trajectory_format": st.just("mini-swe-agent-1.1"),
            "info": st.dictionaries(st.sampled_from(NAMES), VALUES),
        }
    ),
    st.fixed_dictionaries(
        {"trajectory": st.lists(STEP, max_size=3), "history": MESSAGES | VALUES, "info": VALUES}
    ),
    st.fixed_dictionaries({"history": MESSAGES | VALUES}),
    st.fixed_dictionaries(
        {
            "initial_issue": VALUES,
            "interactions": st.lists(
                st.fixed_dictionaries({"response": LEAVES, "observation": VALUES}), max_size=3
            ),
            "final_response": VALUES,
        }
    ),
    st.fixed_dictionaries({"values": st.fixed_dictionaries({"messages": TYPED})}),
)


@settings(max_examples=400)
@given(LOGS)
def test_only_one_kind_of_error_comes_out_of_a_reader(log: Any) -> None:
    try:
        found = parse(log)
    except BadInput as refused:
        assert str(refused).startswith(("expected ", "it is one logged call"))
        return
    assert isinstance(found.issue, str) and found.passed_over >= 0
    for reading in readings(found.turns):
        assert 0 <= reading.score <= 10


def deep(depth: int, inner: Any, key: str | None) -> Any:
    for _ in range(depth):
        inner = [inner] if key is None else {key: inner}
    return inner


@pytest.mark.parametrize("key", [None, "content", "text", "messages", "values", "summary"])
@pytest.mark.parametrize("depth", [20, 900, 10_000])
def test_nesting_costs_no_more_than_the_part_that_is_nested(key: str | None, depth: int) -> None:
    nested = deep(depth, "x", key)
    call = {"function": {"name": "ls", "arguments": nested}}
    log = [
        {"role": "user", "content": nested},
        {"role": "assistant", "content": nested, "reasoning": nested, "tool_calls": [call]},
    ]
    try:
        assert len(parse(log).turns) == 1
    except BadInput as refused:
        assert "nested too deeply" in str(refused)
    with pytest.raises(BadInput):
        parse(nested)
    with pytest.raises(BadInput):
        parse({"attempts": [nested]})


def many(turns: int) -> list[dict[str, Any]]:
    call = {"function": {"name": "bash", "arguments": '{"command": "ls"}'}}
    said = {"role": "assistant", "content": "Look.", "tool_calls": [call]}
    return [
        {"role": "user", "content": "?"},
        *[message for _ in range(turns) for message in (said, {"role": "tool", "content": "a.py"})],
    ]


def scored(log: Any) -> int:
    return sum(reading.turn > 0 for reading in readings(parse(log).turns))


def test_a_hundred_thousand_turns_are_read_in_time_that_grows_with_them(slope: Any) -> None:
    assert slope(scored, many, sizes=(250, 1000, 4000)) <= 1.1
    assert scored(many(100_000)) == 100_000


PIECES = {
    "white space": " ", "newlines": "\n", "a line's end": "\r\n", "brackets": "[", "braces": "{", "tags": "<think>", "closing tags": "</think>",
    "half tags": "<", "quotes": '"', "apostrophes": "'", "backticks": "`", "fences": "```", "fenced": "```bash\n", "underscores": "_", "functions": "<function=a>",
    "parameters": "<function=a><parameter=b>", "calls": "\nFunction: a(", "lookalikes": "\u1438th\u0456nk\u1433", "marks": "a\u0301", "here-documents": "<<E\n",
    "here": "<<E ", "escapes": "\\", "pipes": "a | b; ", "digits": "1", "times": "1:", "durations": "1.", "hex": "0x", "objects": '{"a":', "colours": "\x1b[",
    "comments": " #", "shells": "sh -c '", "one letter": "a", "words": "error ", "colons": ": ", "errors": "error: ", "raised": "a(Error", "counted": "1 failed ", "codes": "exit code ",
    "refused": "x: not found", "failed": "FAIL", "comments of go": "# a\n", "lines of code": "a:1:1: ", "tap": "not ok 1", "links": "\x1b]",
}  # fmt: skip
SIZES = (1 << 10, 1 << 14, 1 << 18)
LARGER = (1 << 10, 1 << 16, 1 << 22)
COMMONEST = (
    "white space",
    "newlines",
    "brackets",
    "tags",
    "quotes",
    "backticks",
    "underscores",
    "lookalikes",
)
OTHERS = [name for name in PIECES if name not in COMMONEST]
ALONG = [OTHERS[begin::9] for begin in range(9)]
"""Four at a time, in texts of megabytes."""
FILED = {name: PIECES[name] for name in (*COMMONEST, "braces", "escapes", "lookalikes")} | {"commas": ","}
LIMITS = {"brackets": MOST_BRACKETS, "braces": MOST_BRACKETS, "commas": MOST_COMMAS}
"""Of a file, in bytes: what holds more of these is refused before it is parsed."""


def repeated(piece: str) -> Callable[[int], str]:
    return lambda size: (piece * (size // len(piece) + 1))[:size]


def read_and_watched(text: str) -> None:
    """Everything that looks at the text of a log, in every format that holds text in a way of its own."""
    said = {"role": "assistant", "content": text, "action": text}
    parse([{"role": "user", "content": text}, said, {"role": "user", "content": text}])
    parse({"initial_issue": text, "interactions": [{"response": text, "observation": text}]})
    parse({"trajectory": [{"action": text, "observation": text, "response": text}], "history": [said]})
    Signals().see(turn(text, [action("bash", text)], text))
    hides(text)
    action_kind(text, text)
    with contextlib.suppress(NoJudgment):
        read_judgment(Sample(text, "stop", NOTHING), 1)


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES.keys())
def test_time_grows_with_a_text_and_no_faster(piece: str, slope: Any) -> None:
    assert slope(read_and_watched, repeated(piece), sizes=SIZES) <= 1.1


@pytest.mark.parametrize("name", COMMONEST)
def test_time_grows_with_a_text_of_megabytes_and_no_faster(name: str, slope: Any) -> None:
    assert slope(read_and_watched, repeated(PIECES[name]), sizes=LARGER) <= 1.1


@pytest.mark.parametrize("names", ALONG, ids=" + ".join)
def test_time_grows_with_long_runs_in_one_text_of_megabytes(names: list[str], slope: Any) -> None:
    """Four runs share a text, for each alone would take minutes; what is quadratic in one of them shows in the whole."""

    def runs(size: int) -> str:
        return "".join(repeated(PIECES[name])(size // len(names)) for name in names)

    assert slope(read_and_watched, runs, sizes=LARGER) <= 1.1


@pytest.mark.parametrize("name", FILED)
def test_a_file_is_read_in_time_that_grows_with_it_or_refused_by_its_size(
    name: str, slope: Any, tmp_path: Path
) -> None:
    def written(size: int) -> Path:
        path = tmp_path / f"{size}.json"
        text = repeated(FILED[name])(size)
        path.write_text(
            json.dumps([{"role": "user", "content": "?"}, {"role": "assistant", "content": text}])
        )
        return path

    def read_it(path: Path) -> None:
        too_many = path.stat().st_size > LIMITS.get(name, MOST_BYTES)
        refused = pytest.raises(BadInput, match="at most 1,048,576 lists and objects and 4,194,304 commas")
        with refused if too_many else contextlib.nullcontext():
            read(path)

    assert slope(read_it, written, sizes=LARGER) <= 1.1


@pytest.mark.parametrize("name", COMMONEST[:2])
def test_an_excerpt_takes_time_that_grows_with_the_run(name: str, slope: Any) -> None:
    def told(text: str) -> None:
        excerpt(Trajectory(text, tuple(Turn(text, (), text) for _ in range(4))), 50_000)

    assert slope(told, repeated(PIECES[name]), sizes=LARGER) <= 1.1
