"""Logs as frameworks of today write them: what a reader does not know costs no more than itself."""

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage

from surefoot.agents.monitor.readers.formats import parse, read
from surefoot.agents.monitor.readers.text_actions import without_thoughts, written_actions
from surefoot.agents.monitor.signals import SignalReading, readings
from surefoot.agents.monitor.trajectory import Action, Trajectory
from surefoot.errors import BadInput

GOLDEN = Path(__file__).parent / "golden"
USER = {"role": "user", "content": "Repair it."}
LS = {"name": "ls", "arguments": "{}"}


def last(trajectory: Trajectory) -> SignalReading:
    *_, reading = readings(trajectory.turns)
    return reading


def done(trajectory: Trajectory) -> list[list[tuple[str, str]]]:
    return [[(call.name, call.kind) for call in turn.actions] for turn in trajectory.turns]


def chat(**message: Any) -> list[dict[str, Any]]:
    return [USER, {"role": "assistant", **message}, {"role": "tool", "content": "a.py"}]


NATIVE = {"tool_calls": [{"id": "1", "type": "function", "function": LS}]}


@pytest.mark.parametrize(
    ("message", "thought", "passed_over"),
    [
        pytest.param(
            {
                "content": [{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "Look."}],
                **NATIVE,
            },
            "Look.",
            1,
            id="P1 a part that is encrypted",
        ),
        pytest.param(
            {
                "content": "Look.",
                "tool_calls": [{"id": "1", "type": "custom", "custom": {"name": "ls", "input": "x"}}],
            },
            "Look.",
            0,
            id="P1 a call of another type",
        ),
        pytest.param(
            {
                "content": "Look.",
                "tool_calls": [{"type": "function", "function": {"name": "ls", "arguments": None}}],
            },
            "Look.",
            0,
            id="P1 arguments null",
        ),
        ({"content": "Look.", "tool_calls": [{"name": "ls", "args": {}}]}, "Look.", 0),
        (
            {"content": [{"type": "text", "text": "Look."}, {"type": "tool_use", "name": "ls", "input": {}}]},
            "Look.",
            0,
        ),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "x"},
                    {"type": "text", "text": "Look."},
                ],
                **NATIVE,
            },
            "Hm.\nLook.",
            0,
        ),
        (
            {"content": "Look.", "reasoning": [{"type": "reasoning.text", "text": "Hm."}], **NATIVE},
            "Hm.\n\nLook.",
            0,
        ),
        ({"content": "Look.", "reasoning": {"content": "Hm."}, **NATIVE}, "Hm.\n\nLook.", 0),
        (
            {
                "content": "Look.",
                "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}],
                **NATIVE,
            },
            "Look.",
            1,
        ),
        (
            {
                "content": {"type": "text", "text": "Look."},
                "reasoning": None,
                "reasoning_content": "",
                **NATIVE,
            },
            "Look.",
            0,
        ),
        ({"content": [None, 3, {"type": "server_tool_use", "name": "x"}, {}, "Look."], **NATIVE}, "Look.", 2),
        (
            {
                "content": "Look.",
                "tool_calls": [*NATIVE["tool_calls"], None, {"function": None}, {"function": {"name": 3}}],
            },
            "Look.",
            3,
        ),
        ({"content": 7, "reasoning": True, "tool_calls": NATIVE["tool_calls"]}, "", 2),
        ({"content": "Look.", "tool_calls": None, "function_call": LS}, "Look.", 0),
    ],
)
def test_an_odd_part_costs_no_more_than_itself(
    message: dict[str, Any], thought: str, passed_over: int
) -> None:
    found = parse(chat(**message))
    assert done(found) == [[("ls", "read")]]
    assert (found.turns[0].thought, found.passed_over) == (thought, passed_over)
    assert found.turns[0].observation == "a.py"


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(
            {"type": "ai", "content": None, "tool_calls": [{"name": "ls", "args": {}}]}, id="P1 content null"
        ),
        {
            "type": "ai",
            "tool_calls": [{"name": "ls", "args": None}],
            "additional_kwargs": None,
            "usage_metadata": None,
        },
        {
            "type": "ai",
            "content": [{"type": "redacted_thinking", "data": "x"}],
            "tool_calls": [{"name": "ls", "args": {}}],
        },
        {
            "type": "ai",
            "content": "",
            "invalid_tool_calls": [{"name": "ls", "args": "{", "error": "no JSON"}],
        },
        {"type": "ai", "content": [{"type": "tool_use", "name": "ls", "input": {}, "id": "1"}]},
        {"type": "ai", "content": "", "additional_kwargs": {"tool_calls": [{"function": LS}]}},
        {
            "type": "ai",
            "content": "",
            "tool_calls": [{"name": "ls", "args": {}}],
            "usage_metadata": {"output_token_details": None},
        },
    ],
)
def test_an_odd_value_in_a_langgraph_message_costs_no_more_than_itself(message: dict[str, Any]) -> None:
    found = parse([{"type": "human", "content": "Repair it."}, message, {"type": "tool", "content": "a.py"}])
    assert done(found) == [[("ls", "read")]]


def langchain_openai(version: str) -> dict[str, Any]:
    """An answer of the responses endpoint as langchain-openai 1.7.0 keeps it, by `output_version`."""
    found: dict[str, Any] = json.loads((GOLDEN / "langchain-openai-1.7.0.json").read_text())[version]
    return found


@pytest.mark.parametrize("version", ["v0", "responses/v1", "v1"])
def test_the_summary_of_a_responses_endpoint_s_reasoning_is_thought(version: str) -> None:
    """Q8."""
    human = {"type": "human", "content": "Repair it."}
    found = parse([human, langchain_openai(version), {"type": "tool", "content": "x"}])
    (only,) = found.turns
    assert [part for part in only.thought.split("\n") if part] == ["Look first.", "Then act.", "Let me see."]
    assert only.actions == (Action("read_file", '{"path":"a"}', "read"),)
    assert (only.reasoning_tokens, found.passed_over) == (60, 0)
    objects = [
        HumanMessage("Repair it."),
        AIMessage(**langchain_openai(version)),
        ToolMessage("x", tool_call_id="c"),
    ]
    assert parse(objects).turns == found.turns


@pytest.mark.parametrize(
    ("block", "thought"),
    [
        pytest.param(
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
            "Hm.",
            id="Q8 summary",
        ),
        ({"type": "reasoning", "reasoning": "Hm."}, "Hm."),
        ({"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm."}], "summary": []}, "Hm."),
        ({"type": "reasoning", "summary": [], "encrypted_content": "x"}, ""),
        ({"type": "non_standard", "value": {"type": "reasoning", "summary": [{"text": "Hm."}]}}, "Hm."),
    ],
)
def test_reasoning_blocks_are_read(block: dict[str, Any], thought: str) -> None:
    found = parse(
        [HumanMessage("?"), AIMessageChunk([block], tool_calls=[{"name": "ls", "args": {}, "id": "1"}])]
    )
    assert (found.turns[0].thought, found.passed_over) == (thought, 0)


MUSES = "<think>I could run\n```bash\nls\n```\n</think> Let me think further."


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(
            "<think>I could run ```bash ls``` </think> Let me think further.", id="K1 the case itself"
        ),
        pytest.param(MUSES, id="K1 with line breaks"),
        "I could run\n```bash\nls\n```\n</think> Let me think further.",
        "<think>Perhaps\n```bash\nrm -rf x\n```\nor perhaps not",
        "<think>\n<function=execute_bash>\n<parameter=command>ls</parameter>\n</function>\n</think>\nHm.",
        "<thinking>Then\n```sh\nls\n```</thinking>Not yet.",
        "Inline ```bash ls``` is no block.",
        "```python\nprint()\n```\nand text",
    ],
)
def test_what_is_only_thought_of_is_no_action(content: str) -> None:
    log = [
        USER,
        *[
            message
            for _ in range(5)
            for message in ({"role": "assistant", "content": content}, {"role": "user", "content": "Go on."})
        ],
    ]
    found = parse(log)
    assert done(found) == [[]] * 5
    assert last(found).signals[0].peak == 10.0


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("<think>Not `rm`.</think>\n```bash\nls\n```", ["ls"]),
        ("Close it with `</think>` at the end.\n```bash\nls\n```", ["ls"]),
        (
            "```bash\ncat a.md <<'E'\n```python\nE\n```\n```bash\nls\n```",
            ["cat a.md <<'E'\n```python\nE", "ls"],
        ),
        ("First.\n```bash\nls", ["ls"]),
    ],
)
def test_commands_outside_of_thoughts_are_found(content: str, names: list[str]) -> None:
    assert [call.arguments for call in written_actions(content).actions] == names


def test_tags_in_a_text_whose_thoughts_came_apart_are_quotations() -> None:
    message = {"role": "assistant", "reasoning": "Hm.", "content": "Remove </think> first:\n```bash\nls\n```"}
    assert done(parse([USER, message])) == [[("bash", "read")]]
    assert without_thoughts("a <think>b</think> c <think>d</think> e </think> f") == "a  c  e  f"


def openhands(*responses: str, observation: Any = "a", **more: Any) -> dict[str, Any]:
    interactions = [{"response": response, "observation": observation} for response in responses]
    return {"initial_issue": "x", "interactions": interactions, **more}


@pytest.mark.parametrize(
    ("response", "calls"),
    [
        pytest.param(
            "<function=execute_bash>\n<parameter=command>ls</parameter>\n",
            [("execute_bash", '{"command":"ls"}')],
            id="Q1 the case itself",
        ),
        (
            "I look.\n<function=execute_bash>\n<parameter=command>\nls -la\n</parameter>\n</function>",
            [("execute_bash", '{"command":"ls -la"}')],
        ),
        (
            "Sure! <function=str_replace_editor>\n<parameter=command>view</parameter>\n<parameter=path>/a</parameter>\n</function",
            [("str_replace_editor", '{"command":"view","path":"/a"}')],
        ),
        (
            "<function=str_replace_editor>\n<parameter=command>create</parameter>\n<parameter=file_text>\nSay <function=x> and </function>.\n</parameter>\n</function>",
            [("str_replace_editor", '{"command":"create","file_text":"Say <function=x> and"}')],
        ),
        ("<function=finish>\n<parameter=message>Done.</parameter>", [("finish", '{"message":"Done."}')]),
        (
            "<function=a>\n<parameter=x>1</parameter>\n<function=b>\n<parameter=x>2</parameter>\n</function>",
            [("a", '{"x":"1"}'), ("b", '{"x":"2"}')],
        ),
        ("<think>hm</think><function=ls></function>", [("ls", "")]),
        ("Look.\nFunction: ls({})\nFunction: pwd({})", [("ls", "{}"), ("pwd", "{}")]),
    ],
)
def test_calls_of_models_without_native_ones_are_read(response: str, calls: list[tuple[str, str]]) -> None:
    (only,) = parse(openhands(response)).turns
    assert [(call.name, call.arguments) for call in only.actions] == calls


def test_a_run_of_such_a_model_stays_with_the_environment() -> None:
    """Q1: none of ten real runs had a call read, so all of them scored 10."""
    look = "<function=execute_bash>\n<parameter=command>ls</parameter>\n"
    found = parse(openhands(look))
    assert done(found) == [[("execute_bash", "read")]] and last(found).score == 0
    test = "Now I test.\n<function=execute_bash>\n<parameter=command>pytest</parameter>\n"
    log = openhands(
        look, test, observation=[{"type": "text", "text": "3 passed"}], final_response="<function=finish>\n"
    )
    assert done(parse(log)) == [[("execute_bash", "read")], [("execute_bash", "run")], [("finish", "finish")]]
    assert last(parse(log)).score == 0
    assert parse(log).turns[1].thought == "Now I test."


def golden(name: str) -> Trajectory:
    """A log that mini-swe-agent 2.4.6 itself wrote, its model's answers made up."""
    return read(GOLDEN / f"mini-2.4.6-{name}.traj.json")


def test_answers_that_mini_refused_are_read_from_its_complaint() -> None:
    """Q5, Q6: the first answer was cut off in its thoughts, the second calls a tool that mini does not have."""
    found = golden("chat")
    assert (found.issue, found.finish, found.passed_over) == ("Repair it.", "Submitted", 0)
    assert done(found) == [[], [("str_replace_editor", "read")], [("bash", "run")], [("bash", "finish")]]
    assert len(found.turns[0].thought) > 1000 and found.turns[0].reasoning_tokens > 300
    assert [turn.failed for turn in found.turns] == [True, True, True, None], "the piped tests failed (Q9)"
    text = golden("text")
    assert text.issue == "Repair it." and len(text.turns[0].thought) > 1500
    assert [len(turn.actions) for turn in text.turns] == [2, 1, 1]
    responses = golden("responses")
    assert responses.issue == "Repair it." and responses.turns[0].reasoning_tokens == 900
    assert done(responses) == [[], [("edit", "edit")], [("bash", "read")], [("bash", "finish")]]
    assert len(responses.turns[0].thought) > 1000


def mini(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"trajectory_format": "mini-swe-agent-1.1", "info": {}, "messages": [USER, *messages]}


def complaint(response: Any) -> dict[str, Any]:
    extra = {"interrupt_type": "FormatError", "response": response}
    return {"role": "user", "content": "No tool calls found in the response.", "extra": extra}


LONG = " ".join(f"I wonder whether case {number} holds." for number in range(1300))
CUT = {"choices": [{"message": {"content": None, "reasoning_content": LONG}, "finish_reason": "length"}]}


@pytest.mark.parametrize(
    ("response", "thought", "calls"),
    [
        pytest.param(CUT, LONG, [], id="Q5 cut off in a thought of 49 kB"),
        pytest.param(
            {"output": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": LONG}]}]},
            LONG,
            [],
            id="Q5 responses endpoint",
        ),
        pytest.param(
            {"choices": [{"message": {"content": "x", "tool_calls": [{"function": LS}]}}]},
            "x",
            ["ls"],
            id="Q5 an unknown tool",
        ),
        (
            {
                "output": [
                    {"type": "function_call", "name": "ls", "arguments": "{}"},
                    {"type": "function_call", "name": "ls", "arguments": None},
                ]
            },
            "",
            ["ls", "ls"],
        ),
        ({"choices": [{"message": {"content": [{"type": "thinking", "thinking": "Hm."}]}}]}, "Hm.", []),
        (
            {
                "choices": [
                    {"message": {"content": "", "thinking_blocks": [{"type": "thinking", "thinking": "Hm."}]}}
                ]
            },
            "Hm.",
            [],
        ),
        ({"choices": []}, "", []),
        ({"choices": [None]}, "", []),
        ("ModelResponse(id=...)", "", []),
        (None, "", []),
    ],
)
def test_a_refused_answer_is_a_turn_with_its_thoughts_and_calls(
    response: Any, thought: str, calls: list[str]
) -> None:
    found = parse(
        mini(
            complaint(response),
            {"role": "assistant", "content": "t", "extra": {"actions": [{"command": "ls"}]}},
        )
    )
    assert found.issue == "Repair it.", "Q6: the complaint is no part of it"
    assert found.turns[0].thought == thought and [call.name for call in found.turns[0].actions] == calls
    assert found.turns[0].observation == "No tool calls found in the response."
    if thought is LONG:
        assert last(found).score == 6.0
        assert "analysis_paralysis" in [signal.pattern for signal in last(found).flagged]


def swe(steps: list[dict[str, Any]], history: list[dict[str, Any]], **info: Any) -> dict[str, Any]:
    return {
        "trajectory": steps,
        "history": [{"role": "user", "content": "Repair it."}, *history],
        "info": info,
    }


def step(action: str, response: str, observation: str = "a", **more: Any) -> dict[str, Any]:
    return {
        "action": action,
        "observation": observation,
        "response": response,
        "thought": response,
        "query": [{}],
        **more,
    }


def thinks(action: str, response: str, thinking: str) -> dict[str, Any]:
    blocks = [{"type": "thinking", "thinking": thinking, "signature": "x"}]
    return {"role": "assistant", "content": response, "action": action, "thinking_blocks": blocks}


CLOSING = step("", "Exit due to cost limit", "Exited (autosubmitted)")


def test_the_thoughts_of_a_swe_agent_run_are_paired_from_its_history() -> None:
    """Q7: an answer that was refused is a step, but stands in no history; two answers may be alike."""
    steps = [
        step("ls", "Look.", reasoning_content=""),
        step("", "No action here."),
        step("ls", "Look."),
        step("make", "Build.", reasoning_content="Own."),
        CLOSING,
    ]
    history = [
        thinks("ls", "Look.", "First."),
        thinks("ls", "Look.", "Second."),
        thinks("make", "Build.", "Third."),
    ]
    found = parse(swe(steps, history, exit_status="submitted (exit_cost)"))
    assert [turn.thought for turn in found.turns] == [
        "First.\n\nLook.",
        "No action here.",
        "Second.\n\nLook.",
        "Own.\n\nBuild.",
    ]
    assert found.finish == "submitted (exit_cost)" and round(last(found).score) == 3, (
        "one turn without action was the model's"
    )


@pytest.mark.parametrize(
    ("thought", "observation"),
    [
        pytest.param("Exit due to cost limit", "Exited (autosubmitted)", id="Q7"),
        ("Exit due to context window", ""),
        ("Exiting due to forfeit", "Exited (autosubmitted)"),
        (
            "Exit due to repeated format/blocklist/bash syntax errors",
            "Environment died unexpectedly. Exited (autosubmitted)",
        ),
        ("Exit due to multiple consecutive command timeouts", "diff --git a/a b/a"),
    ],
)
def test_the_harness_s_closing_words_are_no_turn(thought: str, observation: str) -> None:
    found = parse(swe([step("ls", "Look."), step("", thought, observation)], [thinks("ls", "Look.", "Hm.")]))
    assert done(found) == [[("bash", "read")]] and last(found).score == 0.0
    own = parse(swe([step("ls", "Look."), step("", "I exit due to nothing.", "a")], []))
    assert len(own.turns) == 2


def test_a_demonstration_that_holds_a_history_alone_is_read() -> None:
    """Q4."""
    call = {"function": {"name": "bash", "arguments": '{"command": "pytest"}'}, "type": "function"}
    history = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "Repair it."},
        {
            "role": "assistant",
            "content": "Look.",
            "thought": "Look.",
            "action": "find_file x",
            "message_type": "action",
        },
        {"role": "tool", "content": "x.py", "tool_call_ids": ["1"]},
        {
            "role": "assistant",
            "content": "Test.",
            "action": None,
            "tool_calls": [call],
            "thinking_blocks": [{"thinking": "Hm."}],
        },
        {"role": "tool", "content": [{"type": "text", "text": "3 passed"}]},
        {"role": "assistant", "content": "```bash\nls\n```"},
        {"role": "user", "content": "x.py"},
    ]
    found = parse({"history": history})
    assert (found.issue, found.source) == ("Repair it.", "SWE-agent demonstration")
    assert done(found) == [[("find_file", "read")], [("bash", "run")], [("bash", "read")]]
    assert found.turns[1].thought == "Hm.\n\nTest." and last(found).score == 0
    demo = [{**message, "is_demo": True} for message in history]
    assert parse({"history": demo}).turns == found.turns
    assert (
        parse({"attempts": [{"history": [], "trajectory": [step("ls", "Look.")], "info": {}}]})
        .turns[0]
        .thought
        == "Look."
    )


CALLED = {
    "role": "assistant",
    "content": "Look.",
    "tool_calls": [{"function": {"name": "ls", "arguments": '{"{"tagIds":'}}],
}
BROKEN = [HumanMessage("?"), AIMessage("Look.", tool_calls=[{"name": "ls", "args": {}, "id": "1"}])]


@pytest.mark.parametrize(
    ("log", "calls"),
    [
        pytest.param([USER, CALLED], [["ls"]], id="openai-agents-js PR 887: arguments that are no JSON"),
        pytest.param([USER, {**CALLED, "tool_calls": [{"function": {"name": "ls", "arguments": '{"path": "a'}}]}], [["ls"]], id="hud-python PR 480: arguments that were cut off"),
        pytest.param(mini(complaint("ModelResponse(id='x')")), [[]], id="mini-swe-agent 727: an answer that could not be written down"),
        pytest.param([{"type": "human", "content": []}, {"type": "ai", "content": [], "contentBlocks": [{"type": "text", "text": "Hi"}], "tool_calls": [{"name": "ls", "args": {}}]}], [["ls"]], id="langgraphjs 1949: content erased"),
        pytest.param([USER, {"role": "assistant", "content": "<think>hm</think>", "tool_calls": CALLED["tool_calls"]}], [["ls"]], id="hermes-agent PR 56621: thoughts within the content"),
        pytest.param(swe([step("ls", "", reasoning_content="Hm.")], []), [["bash"]], id="SWE-agent 1333: reasoning in its own field"),
        pytest.param([USER, CALLED, *[{"role": "tool", "content": "a"}] * 3], [["ls"]], id="OpenHands 4912: more results than calls"),
        pytest.param([USER, CALLED, CALLED, {"role": "tool", "content": "a"}], [["ls"], ["ls"]], id="OpenHands PR 6852: a call without a result"),
        pytest.param([("human", "Repair it."), *BROKEN[1:]], [["ls"]], id="langchain 27052: pairs among messages"),
        pytest.param([*BROKEN, ToolMessage([{"type": "text", "text": "no"}], tool_call_id="1", status="error")], [["ls"]], id="langgraph PR 1636: a result that says it is an error"),
    ],
)  # fmt: skip
def test_what_others_met_in_their_logs_is_read(log: Any, calls: list[list[str]]) -> None:
    assert [[call.name for call in turn.actions] for turn in parse(log).turns] == calls


def test_an_unknown_format_is_refused_in_a_sentence() -> None:
    """bytedance/trae-agent 193: a trajectory of other fields."""
    with pytest.raises(
        BadInput, match=r"but found an object with \['agent_steps', 'llm_interactions', 'task'\]"
    ):
        parse({"task": "x", "llm_interactions": [], "agent_steps": []})
