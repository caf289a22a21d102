"""Logs that others stumbled over, by the public thread (docs/robustness.md): read as they were meant, or refused in a sentence."""

import contextlib
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage

from surefoot.agents.monitor.kinds import action_kind
from surefoot.agents.monitor.readers.formats import parse, read
from surefoot.agents.monitor.signals import readings
from surefoot.agents.monitor.trajectory import Trajectory
from surefoot.errors import BadInput

USER = {"role": "user", "content": "Repair it."}
RED = "FAILED test_a.py::test_a - assert 1 == 2\n1 failed in 0.02s"
GREEN = "12 passed in 0.02s"
LOOK, TEST = {"command": "cat log.txt"}, {"command": "pytest -q"}


def score(trajectory: Trajectory) -> float:
    *_, reading = readings(trajectory.turns)
    return round(reading.score, 1)


def openai_call(name: str, arguments: Any, key: str) -> dict[str, Any]:
    return {"id": key, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def chat(results: list[tuple[str, str]]) -> list[Any]:
    calls = [openai_call("bash", LOOK, "a"), openai_call("bash", TEST, "b")]
    told = [{"role": "tool", "tool_call_id": key, "content": text} for key, text in results]
    return [USER, {"role": "assistant", "content": "", "tool_calls": calls}, *told]


def blocks(results: list[tuple[str, str]]) -> list[Any]:
    calls = [
        {"type": "tool_use", "id": key, "name": "bash", "input": given}
        for key, given in (("a", LOOK), ("b", TEST))
    ]
    told = [{"type": "tool_result", "tool_use_id": key, "content": text} for key, text in results]
    return [USER, {"role": "assistant", "content": calls}, {"role": "user", "content": told}]


def langchain(results: list[tuple[str, str]]) -> list[Any]:
    calls = [{"name": "bash", "args": given, "id": key} for key, given in (("a", LOOK), ("b", TEST))]
    told = [{"type": "tool", "tool_call_id": key, "content": text} for key, text in results]
    return [{"type": "human", "content": "?"}, {"type": "ai", "content": "", "tool_calls": calls}, *told]


def items(results: list[tuple[str, str]]) -> list[Any]:
    calls = [
        {
            "type": "function_call",
            "id": f"fc_{key}",
            "call_id": key,
            "name": "bash",
            "arguments": json.dumps(given),
        }
        for key, given in (("a", LOOK), ("b", TEST))
    ]
    told = [{"type": "function_call_output", "call_id": key, "output": text} for key, text in results]
    return [USER, *calls, *told]


@pytest.mark.parametrize("write", [chat, blocks, langchain, items])
@pytest.mark.parametrize(
    ("looked", "tested", "is_failure"),
    [(RED, GREEN, False), (GREEN, RED, True)],
    ids=["an old failure was read", "the test failed"],
)
def test_results_of_parallel_calls_belong_to_their_calls_in_whatever_order_they_came(
    write: Any, looked: str, tested: str, is_failure: bool
) -> None:
    """can1357/oh-my-pi 11179: a failure that was only read in an old log is none, whichever result came first."""
    results = [("a", looked), ("b", tested)]
    assert [parse(write(order)).turns[0].failed for order in (results, results[::-1])] == [is_failure] * 2


def test_results_without_names_belong_to_the_calls_by_place() -> None:
    bare = [{**message, "tool_call_id": None} for message in chat([("a", RED), ("b", GREEN)])]
    assert parse(bare).turns[0].failed is False
    twice = [*bare[:1], {**bare[1], "tool_calls": [openai_call("bash", LOOK, "a")] * 2}, *bare[2:]]
    assert parse(twice).turns[0].failed is False, "two calls of one name"


@pytest.mark.parametrize(
    "result",
    [
        pytest.param({"content": "", "error": {"type": "timeout", "message": "took too long"}}, id="inspect: a field beside the text"),
        pytest.param({"content": "took too long", "error": "took too long"}, id="inspect_ai 2169: an error that is a text"),
        pytest.param({"content": "took too long", "status": "error"}, id="LangChain's status"),
        pytest.param({"content": [{"type": "tool_result", "tool_use_id": "a", "content": "took too long", "is_error": True}]}, id="anthropic"),
        pytest.param({"content": [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "took too long"}], "is_error": True}, {"type": "text", "text": "(said the harness)"}]}, id="anthropic, and words beside it"),
    ],
)  # fmt: skip
def test_a_result_that_says_of_itself_that_it_is_an_error_is_one(result: dict[str, Any]) -> None:
    """UKGovernmentBEIS/inspect_ai 2169: where the log says so, words need not."""
    call = {"role": "assistant", "content": "Go.", "tool_calls": [openai_call("fetch", {}, "a")]}
    (turn,) = parse([USER, call, {"role": "tool", "tool_call_id": "a", **result}]).turns
    assert turn.failed is True and "took too long" in str(turn.observation)
    assert str(turn.observation).count("took too long") == 1


def test_inspects_calls_name_their_function_and_are_no_turns_without_action() -> None:
    """UKGovernmentBEIS/inspect_ai 2169: `function` is a text there, not an object."""
    call = {"id": "a", "type": "function", "function": "bash", "arguments": {"cmd": "ls"}}
    found = parse(
        [USER, {"role": "assistant", "content": "Go.", "tool_calls": [call]}, {"role": "tool", "content": ""}]
    )
    assert [(each.name, each.kind) for each in found.turns[0].actions] == [("bash", "read")]
    assert (found.passed_over, score(found)) == (0, 0.0)


@pytest.mark.parametrize("more", ['""', " ", '"', "{}"])
def test_what_a_call_does_is_recognised_though_more_stands_behind_its_arguments(more: str) -> None:
    """UKGovernmentBEIS/inspect_ai 4822."""
    assert action_kind("bash", json.dumps(LOOK) + more) == "read"
    assert action_kind("bash", "{ ls; }") != "edit", "a group of commands is no object"


CHUNKS = [
    AIMessageChunk([{"type": "thinking", "thinking": "Let ", "index": 0}], id="r1"),
    AIMessageChunk([{"type": "thinking", "thinking": "me see.", "index": 0}], id="r1"),
    AIMessageChunk([], id="r1", tool_call_chunks=[{"name": "bash", "args": '{"comm', "id": "1", "index": 1}]),
    AIMessageChunk(
        [], id="r1", tool_call_chunks=[{"name": None, "args": 'and":"ls"}', "id": None, "index": 1}]
    ),
    AIMessageChunk("", id="r1", response_metadata={"finish_reason": "stop"}),
]


def test_chunks_of_one_answer_that_were_dumped_one_by_one_are_one_turn() -> None:
    """getagentseal/codeburn PR 201: one id several times is one answer, and its calls stand in the last pieces."""
    messages = [HumanMessage("Repair it."), *CHUNKS[:4], ToolMessage("a.py", tool_call_id="1")]
    whole, dumped = parse(messages), parse(json.loads(json.dumps([each.model_dump() for each in messages])))
    assert dumped.turns == whole.turns and len(whole.turns) == 1
    (turn,) = dumped.turns
    assert turn.thought == "Let me see." and turn.actions[0].kind == "read" and score(dumped) == 0.0
    other = [each.model_dump() for each in CHUNKS[:2]] + [
        CHUNKS[1].model_copy(update={"id": "r2"}).model_dump()
    ]
    assert len(parse(other).turns) == 2


def test_pieces_of_an_answer_are_added_up_in_time_that_grows_with_them(slope: Any) -> None:
    def log(size: int) -> list[dict[str, Any]]:
        piece = {"type": "AIMessageChunk", "id": "r", "content": [{"type": "text", "text": "a"}], "more": "b"}
        return [{**piece, f"key{place}": place} for place in range(size)]

    assert slope(parse, log, [1 << power for power in range(8, 14)]) <= 1.3


ITEMS = [
    USER,
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Look."}]},
    {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "bash", "arguments": '{"command":"ls"}'},
    {"type": "function_call_output", "call_id": "c", "output": "a.py"},
    {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA"},
    {"type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Done."}]},
]  # fmt: skip


@pytest.mark.parametrize("wrap", [lambda log: log, lambda log: {"messages": log}])
def test_items_of_the_responses_endpoint_are_turns(wrap: Any) -> None:
    """openai/openai-agents-python 1709: reasoning among messages, calls and results that are no messages."""
    found = parse(wrap(ITEMS))
    assert (found.issue, found.source, found.passed_over) == ("Repair it.", "OpenAI responses", 0)
    assert [turn.thought for turn in found.turns] == ["Hm.\nLook.", "Done."]
    assert [[call.name for call in turn.actions] for turn in found.turns] == [["bash"], ["answer"]]
    assert found.turns[0].observation == "a.py"
    assert parse(ITEMS[1:]).turns == found.turns, "a log that begins with a thought"
    cut = parse([*ITEMS[:-1], {**ITEMS[-1], "status": "incomplete"}])
    assert cut.turns[-1].actions == ()


@pytest.mark.parametrize("odd", [None, {}, [], 7, "\ud800"])
@pytest.mark.parametrize("key", ["role", "type", "output", "call_id", "status", "content", "summary"])
def test_an_odd_value_in_an_item_raises_nothing_but_a_refusal(key: str, odd: Any) -> None:
    for place in range(len(ITEMS)):
        log = [dict(item) for item in ITEMS]
        log[place][key] = odd
        with contextlib.suppress(BadInput):
            parse(log)


def test_records_whose_messages_lie_one_floor_deeper_are_refused_and_not_scored_as_empty_turns() -> None:
    """anthropics/claude-code 5034."""
    lines = [
        {"type": "user", "message": USER},
        {"type": "assistant", "message": {"role": "assistant", "content": [{"type": "text", "text": "Go."}]}},
    ]
    with pytest.raises(BadInput, match="found an answer without `content` at '1'"):
        parse(lines)


LINE = json.dumps(USER)
FILES = {
    "lines.jsonl": (f"{LINE}\n{LINE}\n".encode(), "holds one value a line"),
    "torn.jsonl": (f"{LINE}\n{LINE[:-9]}".encode(), "holds one value a line"),
    "nul.jsonl": (f"{LINE}\n".encode() + b"\0" * 300 + f"\n{LINE}\n".encode(), "holds one value a line"),
    "torn.json": (f"[{LINE}, {LINE[:-9]}".encode(), "breaks off in the middle"),
    "cut.json": (f"[{LINE},\n".encode(), "breaks off in the middle"),
    "empty.json": (b" \n", "the file is empty"),
    "nul.json": (b"\0" * 300, "the file is empty"),
    "run.eval": (b"PK\x03\x04\x14\x00\xff\xfe", "expected a log of Inspect, a ZIP, but it is damaged"),
    "run.zip": (b"PK\x03\x04\x14\x00\xff\xfe", "is packed: unpack it first"),
    "run.json.gz": (gzip.compress(LINE.encode()), "is packed: unpack it first"),
    "latin.json": ('[{"role": "user", "content": "café"}]'.encode("latin-1"), "can't decode byte 0xe9"),
    "bad.json": (b"[{role: 1}]", "Expecting property name"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_off_or_is_of_lines_is_refused_in_words_that_say_so(
    name: str, tmp_path: Path
) -> None:
    """anthropics/claude-code 53821 and 49876: nothing of it is scored as if it were the whole."""
    (tmp_path / name).write_bytes(FILES[name][0])
    with pytest.raises(BadInput, match=FILES[name][1]):
        read(tmp_path / name)


def test_halves_of_pairs_are_read_and_written(tmp_path: Path) -> None:
    """seangalliher/ProbOS 1232."""
    call = openai_call("bash\udc00", {"command": "ls \ud83d"}, "a")
    log = [
        USER,
        {"role": "assistant", "content": "x \ud800 y", "tool_calls": [call]},
        {"role": "tool", "content": "\udfff"},
    ]
    (tmp_path / "a.json").write_text(json.dumps(log))
    command = [sys.executable, "-m", "surefoot", "score", "a.json", "--json", "--out", "o.json"]
    scored = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert scored.returncode == 0 and json.loads((tmp_path / "o.json").read_text())[0]["turns"] == 1
