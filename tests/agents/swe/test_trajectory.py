"""Trajectories: written line by line, converted once, read as mini-swe-agent's are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from surefoot.agents.agent.exit_status import ExitStatus
from surefoot.agents.monitor.readers.formats import read
from surefoot.agents.swe.recorded import RecordedAct, parse_recording, read_recording
from surefoot.agents.swe.trajectory import (
    ChatMessage,
    Cost,
    TrajectoryLog,
    convert,
    ended,
    messages,
    observed,
    said,
    told,
)
from surefoot.cli.score import score
from surefoot.errors import BadInput
from surefoot.models.offers import Call

GOLDEN = Path(__file__).parents[1] / "golden"


def bash(command: str) -> Call:
    return Call("bash", json.dumps({"command": command}, separators=(",", ":")))


LOOK, EDIT = bash("cat a.py"), Call("edit_file", '{"path":"a.py"}')
RUN: list[ChatMessage] = [
    told("system", "You repair."),
    told("user", "It fails."),
    said(
        "I look.",
        [LOOK, bash("false")],
        ids=["1", "2"],
        reasoning="Hm.",
        reasoning_tokens=70,
        cost=0.25,
        timestamp=1.0,
    ),
    observed("x\n", call="1", output="x\n", code=0, timestamp=2.0),
    observed("<code>1", call="2", output="", code=1, timestamp=2.0),
    said("I edit.", [EDIT], ids=["3"], cost=0.5, timestamp=3.0),
    observed("edited", call="3", output="edited", code=None, problem="", timestamp=4.0),
    said("It is done.", timestamp=5.0),
    ended(ExitStatus.SUBMITTED, "diff --git a/a.py b/a.py\n"),
]


def written(folder: Path, run: list[ChatMessage] = RUN) -> Path:
    with TrajectoryLog(folder / "x.traj.jsonl") as log:
        for message in run:
            log.append(message)
    convert(
        folder / "x.traj.jsonl",
        folder / "x.traj.json",
        instance_id="a__a-1",
        config={"model": {"name": "m"}},
        version="1",
    )
    return folder / "x.traj.json"


def test_a_run_becomes_a_file_of_minis_form(tmp_path: Path) -> None:
    data = json.loads(written(tmp_path).read_bytes())
    assert data["messages"] == RUN
    assert data["trajectory_format"] == "mini-swe-agent-1.1" and data["instance_id"] == "a__a-1"
    assert data["info"] == {
        "model_stats": {"instance_cost": 0.75, "api_calls": 3},
        "config": {"model": {"name": "m"}},
        "mini_version": "1",
        "exit_status": "submitted",
        "submission": "diff --git a/a.py b/a.py\n",
    }


def keys(value: Any) -> Any:
    """Return the shape of a value: its keys, and the types of what they hold."""
    return (
        {key: keys(each) for key, each in value.items()} if isinstance(value, dict) else type(value).__name__
    )


def test_a_message_has_what_mini_writes_in_one() -> None:
    """Beside a file that mini-swe-agent 2.4.6 wrote itself."""
    theirs = json.loads((GOLDEN / "mini-2.4.6-chat.traj.json").read_text())["messages"]
    answer = next(message for message in theirs if message.get("tool_calls"))
    seen = next(message for message in theirs if message["role"] == "tool")
    ours = keys(RUN[2])
    for key in ("role", "content", "tool_calls"):
        assert ours[key] == keys(answer)[key]
    assert {*answer["extra"], "timestamp"} >= set(RUN[2]["extra"])  # the file was made without its times
    assert keys(RUN[2]["extra"]["actions"][0]) == keys(answer["extra"]["actions"][0])
    assert keys(RUN[3]) | {"extra": {}} == keys(seen) | {"extra": {}}
    assert set(RUN[3]["extra"]) == {*seen["extra"], "timestamp"}
    assert set(theirs[-1]["extra"]) == set(RUN[-1]["extra"])


def test_the_monitor_reads_it(tmp_path: Path) -> None:
    found = read(written(tmp_path))
    assert (found.issue, found.finish, found.passed_over) == ("It fails.", "submitted", 0)
    assert [[action.name for action in turn.actions] for turn in found.turns] == [
        ["bash", "bash"],
        ["edit_file"],
        ["answer"],
    ]
    assert found.turns[0].thought == "Hm.\n\nI look." and found.turns[0].failed
    assert found.turns[0].reasoning_tokens == 70


def test_surefoot_score_scores_it(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(score)
    done = CliRunner().invoke(app, [str(written(tmp_path)), "--json"])
    (scored,) = json.loads(done.stdout)
    assert scored["turns"] == 3 and scored["source"] == "mini-swe-agent-1.1" and scored["passed_over"] == 0


def test_what_was_done_can_be_done_again(tmp_path: Path) -> None:
    found = read_recording(written(tmp_path))
    assert found.acts == (
        RecordedAct(LOOK, "x\n", 0, ""),
        RecordedAct(bash("false"), "", 1, ""),
        RecordedAct(EDIT, "edited", -1, ""),
    )
    assert (found.instance_id, found.exit_status) == ("a__a-1", "submitted")
    assert found.submission.startswith("diff --git")


@pytest.mark.parametrize("form", ["chat", "responses", "text"])
def test_what_mini_did_can_be_done_again(form: str) -> None:
    """Files that mini-swe-agent 2.4.6 wrote itself."""
    path = GOLDEN / f"mini-2.4.6-{form}.traj.json"
    data, found = json.loads(path.read_text()), read_recording(path)
    commands = [
        action["command"]
        for message in data["messages"]
        for action in message.get("extra", {}).get("actions", [])
    ]
    assert [json.loads(act.call.arguments)["command"] for act in found.acts] == commands != []
    outputs = [
        message["extra"]["raw_output"]
        for message in data["messages"]
        if "raw_output" in message.get("extra", {})
    ]
    assert [act.output for act in found.acts if act.output is not None] == outputs != []
    assert found.exit_status == data["info"]["exit_status"]


def test_observations_are_paired_by_their_calls_not_by_their_order() -> None:
    swapped = [*RUN[:3], RUN[4], RUN[3], *RUN[5:]]
    data = {"messages": swapped, "info": {}, "trajectory_format": "mini-swe-agent-1.1"}
    assert [act.code for act in parse_recording(data).acts] == [0, 1, -1]


def test_a_call_without_an_observation_does_not_take_anothers() -> None:
    data = {"messages": [*RUN[:3], RUN[4]], "info": {}, "trajectory_format": "mini-swe-agent-1.1"}
    assert [(act.output, act.code) for act in parse_recording(data).acts] == [(None, None), ("", 1)]


@pytest.mark.parametrize(
    "data",
    [[], None, {"messages": []}, {"trajectory_format": "mini-swe-agent-2", "messages": []}]
    + [
        {"trajectory_format": "mini-swe-agent-1.1", "messages": messages}
        for messages in (None, 5, [5], {"a": 1})
    ],
)
def test_what_is_no_trajectory_is_refused(data: Any, tmp_path: Path) -> None:
    (tmp_path / "x.traj.json").write_text(json.dumps(data))
    with pytest.raises(BadInput, match=r"x\.traj\.json' is no trajectory that can be replayed"):
        read_recording(tmp_path / "x.traj.json")


@pytest.mark.parametrize(
    "odd", [None, 5, "x", [], {}, [5], [{}], {"actions": 5}, {"actions": [{"command": 5}]}]
)
def test_odd_values_in_messages_cost_no_more_than_themselves(odd: Any) -> None:
    more = [
        {"role": "assistant", "extra": odd, "tool_calls": odd},
        {"role": "tool", "extra": odd, "tool_call_id": odd},
        {"role": odd},
    ]
    data = {
        "messages": [*RUN[:5], *more],
        "info": odd,
        "instance_id": odd,
        "trajectory_format": "mini-swe-agent-1.1",
    }
    assert [act.code for act in parse_recording(data).acts] == [0, 1]


def test_a_killed_run_goes_on_behind_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "x.traj.jsonl"
    with TrajectoryLog(path) as log:
        for message in RUN[:4]:
            log.append(message)
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with TrajectoryLog(path) as log:
            assert log.written == whole[:cut].count(b"\n")
            for message in RUN[log.written :]:
                log.append(message)
        assert list(messages(path)) == RUN


def test_a_run_that_still_goes_on_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.traj.jsonl"
    with TrajectoryLog(path) as log:
        log.append(RUN[0])
        log.append(RUN[1])
        assert list(messages(path)) == RUN[:2]
        assert convert(path, tmp_path / "x.traj.json", instance_id="a") == Cost(0, 0.0)
        assert read_recording(tmp_path / "x.traj.json").acts == ()


def test_an_empty_log_is_converted_to_an_empty_trajectory(tmp_path: Path) -> None:
    assert json.loads(written(tmp_path, []).read_text())["messages"] == []


@pytest.mark.parametrize(
    "line",
    [
        b"{\n",
        b"[]\n",
        b"null\n",
        b'{"a": 1}\n',
        b'{"role": 5}\n',
        b"\n",
        b'{"role": "x\n',
        b'{"role": "\xff"}\n',
    ],
)
def test_a_line_that_is_no_message_is_named_and_nothing_is_written(line: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.traj.jsonl").write_bytes(b'{"role":"user","content":""}\n' + line)
    with pytest.raises(BadInput, match=r"x\.traj\.jsonl', line 2, is no message"):
        convert(tmp_path / "x.traj.jsonl", tmp_path / "x.traj.json", instance_id="a")
    assert not (tmp_path / "x.traj.json").exists()


def test_another_programs_file_is_not_cut(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine\nhalf")
    with pytest.raises(BadInput, match="is no log of messages"), TrajectoryLog(tmp_path / "notes.txt"):
        pass
    assert (tmp_path / "notes.txt").read_text() == "mine\nhalf"
    (tmp_path / "link").symlink_to(tmp_path / "x")
    with pytest.raises(BadInput, match="cannot be written"), TrajectoryLog(tmp_path / "link"):
        pass


def test_hostile_text_survives(tmp_path: Path) -> None:
    odd = '\x00\x1b[2J\u2028\u202e\U0001f600\ud83d\r\n"\\'
    path = written(tmp_path, [told("user", odd), said(odd, [bash(odd)], ids=["1"], timestamp=0.0)])
    assert json.loads(read_recording(path).acts[0].call.arguments) == {"command": odd}
    assert json.loads(path.read_text())["messages"][0]["content"] == odd


def test_converting_and_reading_take_time_linear_in_the_turns(
    slope: Callable[..., float], tmp_path: Path
) -> None:
    def made(size: int) -> Path:
        path = tmp_path / str(size)
        with TrajectoryLog(path) as log:
            for _ in range(size // 2048):
                for message in RUN[2:5]:
                    log.append(message)
        return path

    def work(path: Path) -> None:
        convert(path, path.with_suffix(".traj.json"), instance_id="a")
        read_recording(path.with_suffix(".traj.json"))

    assert slope(work, made) <= 1.1


def test_each_exit_status_has_a_sentence_and_a_name_for_files() -> None:
    assert len({status.sentence for status in ExitStatus}) == len(ExitStatus)
    for status in ExitStatus:
        assert (
            status.sentence.endswith(".")
            and status == status.name.lower()
            and ExitStatus(str(status)) is status
        )
    assert json.dumps(ExitStatus.TURN_LIMIT) == '"turn_limit"'
    assert ExitStatus.ASKING.resumable and not ExitStatus.SUBMITTED.resumable
