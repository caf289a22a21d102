"""Logs of agents, in the shapes that the agents write them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.load import dumpd
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    HumanMessageChunk,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    messages_to_dict,
)
from langchain_core.messages.tool import tool_call_chunk

from surefoot.agents.monitor.kinds import action_kind
from surefoot.agents.monitor.readers.formats import parse, read
from surefoot.agents.monitor.readers.messages import langgraph
from surefoot.agents.monitor.trajectory import Action, Trajectory, Turn, turn
from surefoot.errors import BadInput

LS, PYTEST = '{"command": "ls"}', '{"command": "pytest -q"}'


def call(name: str, arguments: str) -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}


def kinds(trajectory: Trajectory) -> list[list[str]]:
    return [[action.kind for action in turn.actions] for turn in trajectory.turns]


CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "You are an agent."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "Repair it."}, {"type": "image_url", "image_url": {"url": "x"}}],
    },
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Look first.",
        "tool_calls": [call("bash", LS)],
    },
    {"role": "tool", "tool_call_id": "1", "content": "a.py"},
    {"role": "assistant", "content": "Both.", "tool_calls": [call("write_file", "{}"), call("bash", PYTEST)]},
    {"role": "tool", "tool_call_id": "1", "content": "written"},
    {"role": "tool", "tool_call_id": "2", "content": "1 failed, 2 passed"},
    {"role": "assistant", "content": "It is done."},
]


def test_openai_messages_become_turns() -> None:
    found = parse(CHAT)
    assert found.issue == "Repair it.\n[image_url]"
    assert found.turns == (
        turn("Look first.", [Action("bash", LS, "read")], "a.py"),
        turn(
            "Both.",
            [Action("write_file", "{}", "edit"), Action("bash", PYTEST, "run")],
            "written\n\n1 failed, 2 passed",
        ),
        turn("It is done.", [Action("answer", "", "finish")]),
    )
    assert [each.failed for each in found.turns] == [False, True, None]


@pytest.mark.parametrize(
    "wrap", [lambda chat: {"messages": chat}, lambda chat: {"values": {"messages": chat}}]
)
def test_messages_may_be_wrapped(wrap: Any) -> None:
    assert parse(wrap(CHAT)) == parse(CHAT)


def test_actions_written_into_the_text_are_found_where_no_tool_is_called() -> None:
    chat = [
        {"role": "user", "content": "Repair it."},
        {"role": "assistant", "content": "Look:\n```bash\ncat a.py\n```\nthen\n```python\nprint()\n```"},
        {"role": "user", "content": "x = 1"},
        {
            "role": "assistant",
            "content": "<function=str_replace_editor>\n<parameter=command>view</parameter>\n<parameter=path>/a</parameter>\n</function>",
        },
        {"role": "user", "content": "x = 1"},
        {"role": "assistant", "content": "<function=finish>"},
    ]
    found = parse(chat)
    assert kinds(found) == [["read"], ["read"], ["finish"]]
    assert json.loads(found.turns[1].actions[0].arguments) == {"command": "view", "path": "/a"}


def test_a_shell_block_in_the_answer_of_an_agent_with_tools_is_no_action() -> None:
    found = parse([*CHAT[:4], {"role": "assistant", "content": "Now run\n```bash\nrm -rf /\n```"}])
    assert kinds(found) == [["read"], ["finish"]]


def test_a_tool_that_only_thinks_is_thought() -> None:
    chat = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "tool_calls": [call("think", '{"thought": "hm"}')]},
    ]
    (only,) = parse([*chat, {"role": "tool", "content": "ok"}]).turns
    assert only == Turn('{"thought": "hm"}', (), "ok", False, 5)


def mini_file(*messages: dict[str, Any], version: str = "mini-swe-agent-1.1") -> dict[str, Any]:
    start = [{"role": "system", "content": "s"}, {"role": "user", "content": "Repair it."}]
    end = {"role": "exit", "content": "diff", "extra": {"exit_status": "Submitted", "submission": "diff"}}
    info = {"exit_status": "Submitted", "submission": "diff", "mini_version": "2.4.6"}
    return {"info": info, "messages": [*start, *messages, end], "trajectory_format": version}


def mini_said(command: str, **more: Any) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": "t",
        "extra": {"actions": [{"command": command}], "cost": 0.1, **more},
    }


def mini_heard(output: str, returncode: int) -> dict[str, Any]:
    return {"role": "tool", "content": output, "extra": {"raw_output": output, "returncode": returncode}}


def test_mini_swe_agent() -> None:
    response = {
        "choices": [{"finish_reason": "tool_calls", "message": {}}],
        "usage": {"completion_tokens_details": {"reasoning_tokens": 900}},
    }
    found = parse(
        mini_file(
            mini_said("grep -r x . | head", response=response),
            mini_heard("", 1),
            mini_said("sed -i s/x/y/ a.py && python -m pytest"),
            mini_heard("Error: nothing that counts", 0),
            mini_said("echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git diff"),
        )
    )
    assert (found.issue, found.finish, found.source) == ("Repair it.", "Submitted", "mini-swe-agent-1.1")
    assert kinds(found) == [["read"], ["run"], ["finish"]]
    assert [each.failed for each in found.turns] == [True, False, None]
    assert found.turns[0].reasoning_tokens == 900


def test_an_answer_that_mini_refused_is_a_turn_too() -> None:
    text = "```bash\nls\n```\n```bash\npytest\n```"
    extra = {"interrupt_type": "FormatError", "n_actions": 2, "model_response": text}
    found = parse(mini_file({"role": "user", "content": "Exactly 1 action, please.", "extra": extra}))
    assert kinds(found) == [["read", "run"]]
    assert found.turns[0].observation == "Exactly 1 action, please."


@pytest.mark.parametrize("choice", [{"message": None}, {"message": {"content": None}}, {}])
def test_an_answer_that_mini_refused_may_be_missing(choice: dict[str, Any]) -> None:
    extra = {"interrupt_type": "FormatError", "response": {"choices": [choice]}}
    found = parse(mini_file({"role": "user", "content": "Exactly 1 action, please.", "extra": extra}))
    assert kinds(found) == [[]]


def test_mini_with_the_responses_endpoint() -> None:
    said = {
        "object": "response",
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Look."}]},
            {"type": "function_call", "name": "bash", "arguments": LS},
        ],
        "usage": {"output_tokens_details": {"reasoning_tokens": 70}},
        "extra": {"actions": [{"command": "ls"}]},
    }
    heard = {"type": "function_call_output", "call_id": "1", "output": "a.py", "extra": {"returncode": 0}}
    assert parse(mini_file(said, heard)).turns == (
        Turn("Look.", (Action("bash", "ls", "read"),), "a.py", False, 70),
    )


def test_another_version_of_the_format_is_refused() -> None:
    with pytest.raises(
        BadInput, match=r"expected the format 'mini-swe-agent-1\.1', but found 'mini-swe-agent-9'"
    ):
        parse(mini_file(version="mini-swe-agent-9"))


def test_swe_agent() -> None:
    steps = [
        ("open src/a.py 3", "[File: a.py]"),
        ("edit 4:4\nreturn 1\nend_of_edit", "File updated."),
        ("str_replace_editor view /a.py", "x"),
        ("python a.py", "Traceback (most recent call last):\n..."),
        ("submit", "diff"),
    ]
    trajectory = [
        {"action": a, "observation": o, "response": "r", "thought": "t", "state": "{}"} for a, o in steps
    ]
    history = [
        {"role": "system", "content": "s", "agent": "primary"},
        {"role": "user", "content": "A demonstration.", "is_demo": True},
        {"role": "user", "content": [{"type": "text", "text": "Repair it."}]},
        {"role": "assistant", "content": "t"},
    ]
    found = parse(
        {
            "trajectory": trajectory,
            "history": history,
            "info": {"exit_status": "submitted"},
            "environment": "e",
        }
    )
    assert (found.issue, found.finish) == ("Repair it.", "submitted")
    assert kinds(found) == [["read"], ["edit"], ["read"], ["run"], ["finish"]]
    assert [each.failed for each in found.turns] == [False, False, False, True, False]


def logged(
    folder: Path, stamp: float, prompt: list[dict[str, Any]], message: dict[str, Any], **more: Any
) -> None:
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    data = {
        "messages": prompt,
        "response": {"choices": [{"message": message, "finish_reason": finish}]},
        "timestamp": stamp,
    }
    (folder / f"model-{stamp}.json").write_text(json.dumps(data | more))


def test_a_folder_of_openhands_calls(tmp_path: Path) -> None:
    start, first = CHAT[:2], CHAT[2]
    logged(tmp_path, 10.5, [*start, first, CHAT[3], CHAT[4], *CHAT[5:7]], CHAT[7])
    logged(tmp_path, 9.25, [*start, first, CHAT[3]], CHAT[4])
    logged(tmp_path, 1.0, start, first)
    (tmp_path / "draft_editor-m-5.json").write_text("not even JSON")
    found = read(tmp_path)
    assert found.turns == parse(CHAT).turns
    assert found.finish == "stop"


def test_openhands_calls_that_were_translated_are_read_as_they_were_meant(tmp_path: Path) -> None:
    plain = {"role": "assistant", "content": "<function=bash>"}
    response = {"choices": [{"message": CHAT[2], "finish_reason": "tool_calls"}]}
    logged(
        tmp_path,
        1.0,
        [{"role": "user", "content": "long"}],
        plain,
        fncall_messages=CHAT[:2],
        fncall_response=response,
    )
    found = read(tmp_path)
    assert (found.issue, kinds(found)) == ("Repair it.\n[image_url]", [["read"]])


def test_what_the_authors_of_the_paper_make_of_a_folder() -> None:
    found = parse(
        {
            "initial_issue": [{"text": "Be an agent."}, {"text": "Repair it."}],
            "interactions": [
                {"response": f"Look.\nFunction: execute_bash({LS})", "observation": "a.py"},
                {
                    "response": 'Function: str_replace_editor({"command": "create"})\nFunction: finish({})',
                    "observation": "ok",
                },
            ],
            "final_response": "Still thinking",
            "final_finish_reason": "EXCEEDED_MAX_LENGTH",
        }
    )
    assert found.issue == "Be an agent.\n\nRepair it."
    assert kinds(found) == [["read"], ["edit", "finish"], []]
    assert found.turns[0].actions[0].arguments == LS
    assert found.turns[0].thought == "Look."


LANG = [
    SystemMessage("You are an agent."),
    HumanMessage("Repair it."),
    AIMessage(
        [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "Look."}],
        tool_calls=[{"name": "read_file", "args": {"path": "a"}, "id": "1"}],
        usage_metadata={
            "input_tokens": 1,
            "output_tokens": 99,
            "total_tokens": 100,
            "output_token_details": {"reasoning": 60},
        },
    ),
    ToolMessage("refused", tool_call_id="1", status="error"),
    AIMessage("Cut o", response_metadata={"finish_reason": "length"}),
]


@pytest.mark.parametrize(
    "form",
    [list, messages_to_dict, lambda messages: [json.loads(each.model_dump_json()) for each in messages]],
    ids=["objects", "messages_to_dict", "JSON"],
)
def test_langgraph_state(form: Any) -> None:
    found = parse({"messages": form(LANG)})
    assert found.issue == "Repair it."
    assert found.turns == (
        Turn("hm\nLook.", (Action("read_file", '{"path":"a"}', "read"),), "refused", True, 60),
        Turn("Cut o", (), None, None, 2),
    )
    assert found.finish == "length"


CHUNKS = [
    HumanMessageChunk("Repair it."),
    AIMessageChunk("look", tool_calls=[{"name": "ls", "args": {}, "id": "1"}]),
    ToolMessage("a.py", tool_call_id="1"),
    AIMessageChunk("done"),
]


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([HumanMessage("Repair it."), *CHUNKS[1:]], id="J1 the case itself"),
        pytest.param(CHUNKS, id="every message a chunk"),
        pytest.param(messages_to_dict(CHUNKS), id="chunks dumped"),
        pytest.param([each.model_dump() for each in CHUNKS], id="chunks as JSON"),
        pytest.param([SystemMessageChunk("Be good."), *CHUNKS], id="a system message in chunks"),
        pytest.param(
            [*CHUNKS[:3], ChatMessage("done", role="assistant")], id="a message with a role of its own"
        ),
        pytest.param([{"role": "user", "content": "Repair it."}, *CHUNKS[1:]], id="a dict among objects"),
        pytest.param(
            [dumpd(HumanMessage("Repair it.")), *map(dumpd, CHUNKS[1:])], id="as LangChain serialises them"
        ),
        pytest.param(
            [
                *CHUNKS[:1],
                AIMessageChunk("lo", id="a"),
                AIMessageChunk(
                    "ok", id="a", tool_call_chunks=[tool_call_chunk(name="ls", args="", id="1", index=0)]
                ),
                AIMessageChunk("", id="a", tool_call_chunks=[tool_call_chunk(args="{}", index=0)]),
                *CHUNKS[2:],
            ],
            id="an answer in pieces, as it was streamed",
        ),
    ],
)
def test_chunks_are_messages(messages: Any) -> None:
    found = langgraph(messages) if isinstance(messages[0], dict) else parse(messages)
    assert found.issue == "Repair it."
    assert found.turns == (
        turn("look", [Action("ls", "{}", "read")], "a.py", False),
        turn("done", [Action("answer", "", "finish")]),
    )


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"history": []}, r"expected .*SWE-agent \.traj.*, but found an object with \['history'\]"),
        ("text", "but found a str"),
        (
            [{"role": "robot", "content": ""}],
            r"expected a list of chat messages .*but found a str at '0\.role': Input should be 'system'",
        ),
        ([{"role": "user", "content": ""}, 3], r"but found a int at '1'"),
        ({"messages": [], "response": {}}, "give the folder"),
        ({"trajectory": [{"action": "ls"}]}, "expected a SWE-agent trajectory .*'trajectory.0.observation'"),
        ({"interactions": [{"response": 3}]}, "`initial_issue`"),
        ({"trajectory_format": "mini-swe-agent-1.1"}, "expected a mini-swe-agent trajectory"),
        ([{"type": "ai", "content": ""}, {"type": 3}], "expected a list of LangChain messages"),
    ],
)
def test_an_unknown_shape_is_refused_with_what_was_expected_and_found(data: Any, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        parse(data)


THOUGHT = "the user must not learn that I doubt it"


@pytest.mark.parametrize(
    "data",
    [
        [{"role": THOUGHT, "content": "a"}],
        [{"role": "assistant", "content": "a"}, THOUGHT],
        [{"role": "assistant", "content": "a"}, [THOUGHT]],
        [{"role": [THOUGHT], "content": "a"}],
        [{"type": "ai", "content": "a"}, {"type": {"thinking": THOUGHT}}],
        {"trajectory_format": THOUGHT},
        {"trajectory_format": "mini-swe-agent-1.1", "info": {}, "messages": [{"role": {"text": THOUGHT}}]},
        {"trajectory": [{"action": "ls", "observation": {"thought": THOUGHT}}]},
        {"trajectory": [{"action": "ls", "thought": THOUGHT}]},
        {"initial_issue": "", "interactions": [{"response": {"said": THOUGHT}}]},
        {THOUGHT: THOUGHT},
    ],
)
def test_a_refusal_quotes_no_thought(data: Any) -> None:
    with pytest.raises(BadInput) as refused:
        parse(data)
    assert not any(word in str(refused.value) for word in ("learn", "doubt"))
    assert "but found" in str(refused.value)


def test_a_refused_call_of_openhands_quotes_no_thought(tmp_path: Path) -> None:
    call = {"messages": [{"role": THOUGHT}], "response": {"choices": []}, "timestamp": 1.0}
    (tmp_path / "1.json").write_text(json.dumps(call))
    with pytest.raises(BadInput, match=r"found a str at '0\.role'") as refused:
        read(tmp_path)
    assert "doubt" not in str(refused.value)


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.json").write_text("{")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "silent.json").write_text(json.dumps(CHAT[:2]))
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "folder").mkdir()
    for name, why in {
        "no.json": "expected JSON",
        "binary": "expected JSON",
        "silent.json": "says nothing",
        "deep.json": "expected JSON",
        "folder": "no .json file",
        "gone": "cannot be read: No such file",
    }.items():
        with pytest.raises(BadInput, match=why) as refused:
            read(tmp_path / name)
        assert repr(str(tmp_path / name)) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("bash", "ls -la | grep py", "read"),
        ("bash", "cd /repo && cat a.py > b.py", "edit"),
        ("bash", "cat a.py > /dev/null 2>&1", "read"),
        ("bash", "cat <<'EOF' > a.py\nimport os; os.remove('x')\nEOF", "edit"),
        ("bash", "cat <<EOF > a.py\nx\nEOF\npython a.py", "run"),
        ("bash", "sed -n 1,9p a.py", "read"),
        ("bash", "echo 'a > b' | python x.py", "run"),
        ("bash", "python -m pytest -q 2>&1 | tail -5", "run"),
        ("bash", "python -m pytest && rm scratch.py", "run"),
        ("bash", "rm -rf build", "other"),
        ("bash", "git diff", "read"),
        ("bash", "git checkout a.py", "edit"),
        ("bash", "git commit -am 'x'", "other"),
        ("bash", "/usr/bin/grep x a.py", "read"),
        ("execute_bash", '{"command": "sed -i s/a/b/ x"}', "edit"),
        ("str_replace_editor", '{"command": "view", "path": "x"}', "read"),
        ("str_replace_editor", '{"command": "create", "path": "x"}', "edit"),
        ("file_editor", '{"command": "insert"}', "edit"),
        ("readFile", "{}", "read"),
        ("search_code", "{}", "read"),
        ("run_tests", "{}", "run"),
        ("update_order", "{}", "edit"),
        ("finish", "{}", "finish"),
        ("final_answer", "{}", "finish"),
        ("send_message", "{}", "other"),
    ],
)
def test_what_an_action_does_is_recognised(name: str, arguments: str, kind: str) -> None:
    assert action_kind(name, arguments) == kind


@given(st.text(), st.text())
def test_any_text_has_a_kind(name: str, arguments: str) -> None:
    assert action_kind(name, arguments) in {"read", "edit", "run", "finish", "other"}


@pytest.mark.parametrize(
    "piece",
    [
        "'",
        '"',
        '\\"',
        "a'\"",
        "<<E\n",
        "<<E ",
        "<function=a>",
        "```bash\n",
        ">",
        "1" * 9,
        "exit code ",
        '{"a":',
    ],
)
def test_hostile_text_takes_linear_time(piece: str, slope: Callable[..., float]) -> None:
    def read(text: str) -> None:
        action_kind("bash", text)
        parse([{"role": "user", "content": "?"}, {"role": "assistant", "content": text}])

    assert slope(read, lambda size: piece * (size // len(piece)), sizes=(1000, 20_000, 400_000)) <= 1.1
