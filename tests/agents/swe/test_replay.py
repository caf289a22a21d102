"""A trajectory made again in a workspace of its own."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from surefoot import BadInput
from surefoot.agents.swe.recorded import parse_recording, read_recording
from surefoot.agents.swe.replay import LEAST_OUTPUT, MOST_OUTPUT, Replay, output_bytes, replay
from surefoot.agents.swe.repository import find_commit, prepare_workspace
from surefoot.models.offers import Call
from surefoot.tests.agents.swe.places import sh
from surefoot.tests.agents.swe.recordings import FIX, LOCAL, MINI, REPAIR, clone, of_ours, recorded
from surefoot.tools.environments import Limits, Local

SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git add -A && git diff --cached"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return clone(tmp_path / "clone")


def again(trajectory: dict[str, Any] | Path, source: Path, *, timeout_s: float = 60.0) -> Replay:
    recording = read_recording(trajectory) if isinstance(trajectory, Path) else parse_recording(trajectory)

    async def work() -> Replay:
        commit = await find_commit(source)
        workspace = source.parent / "workspace"
        await prepare_workspace(source, commit, workspace)
        limits = Limits(timeout_s=timeout_s, output_bytes=output_bytes(recording))
        world = Local(workspace, trusted=True, limits=limits)
        await world.start()
        try:
            return await replay(recording, source, commit, world)
        finally:
            await world.stop()

    return asyncio.run(work())


def test_what_mini_recorded_comes_out_as_recorded(source: Path) -> None:
    found = again(MINI, source)
    # Its last turn calls for three commands, the second of which ends the run: of both, mini records no output.
    assert found.acts.kinds == {"same": 5, "alike": 1, "unrecorded": 2}
    assert found.patch.verdict == "identical" and found.faithful


def test_another_commit_gives_another_patch(source: Path) -> None:
    sh("printf 'def add(a, b):\\n    return a - b - 1\\n' > sums.py; git commit -qam other", source)
    found = again(MINI, source)
    assert found.acts.kinds["differs"] == 1 and found.acts.differing[0].number == 1
    # The recorded patch does not apply there.
    assert found.patch.verdict == "refused" and found.patch.why.startswith("the recorded submission: ")
    assert not found.faithful


def test_a_patch_is_compared_by_what_it_changes(source: Path) -> None:
    bare = FIX.replace("@@ -1,2 +1,2 @@", "@@ -1,2 +1,2 @@ another heading")
    assert again(recorded((REPAIR, "", 0), (SUBMIT, None, None), submission=bare), source).faithful


def test_a_patch_that_differs_says_where(source: Path) -> None:
    other = "sed -i 's/a - b/b + a/' sums.py; echo 1 > one.txt"
    found = again(recorded((other, "", 0), (SUBMIT, None, None), submission=FIX), source)
    assert found.acts.faithful and not found.faithful
    assert found.patch.verdict == "differs" and found.patch.why == "only this one has 'one.txt' added"
    assert "a/sums.py" in found.patch.expected and "a/one.txt" in found.patch.seen


def test_a_submission_is_no_patch(source: Path) -> None:
    found = again(recorded(("true", "", 0), submission="I have repaired it."), source)
    assert found.patch.verdict == "refused" and "the recorded submission" in found.patch.why
    sh("rm -rf workspace", source.parent)
    assert again(recorded(("true", "", 0), submission="\ud83d"), source).patch.verdict == "refused"


def test_where_nothing_was_handed_in_there_is_nothing_to_compare(source: Path) -> None:
    assert again(recorded((REPAIR, "", 0)), source).faithful


def test_the_workspace_counts_where_no_command_hands_in(source: Path) -> None:
    assert again(recorded((REPAIR, "", 0), submission=FIX), source).faithful


def test_commands_that_mini_gave_to_sh_are_given_to_sh(source: Path) -> None:
    assert again(recorded(('echo $0; x="it\'s"; echo $x', "/bin/sh\nit's\n", 0), kind=LOCAL), source).faithful


def test_other_environments_of_its_have_bash(source: Path) -> None:
    found = again(recorded(("[[ a == a ]] && echo ${BASH_VERSION:+yes}", "yes\n", 0)), source)
    assert found.faithful


def test_the_workspace_goes_by_its_recorded_name(source: Path) -> None:
    assert again(recorded(("pwd", "/testbed\n", 0)), source).acts.kinds == {"same": 1}


def test_a_command_that_hangs_ends_with_its_time(source: Path) -> None:
    hanging = "echo begun; sleep 1000"
    found = again(recorded((hanging, "begun\n", -1), (hanging, "begun\n", 0)), source, timeout_s=1.0)
    assert found.acts.kinds == {"same": 1, "code": 1}
    assert found.acts.differing[0].seen_code is None


def test_what_no_shell_can_be_given_came_to_nothing_then_as_now(source: Path) -> None:
    found = again(recorded((f"echo {'x' * (1 << 18)}", "", -1), ("echo a\0b", "", -1)), source)
    assert found.acts.kinds == {"same": 2}


def test_an_output_is_not_cut_before_it_is_compared(source: Path) -> None:
    long = "x" * 300_000 + "\n"
    command = "head -c 300000 /dev/zero | tr '\\0' x; echo"
    assert again(recorded((command, long, 0)), source).acts.kinds == {"same": 1}
    assert output_bytes(parse_recording(recorded(("true", "é" * 10, 0)))) == 20 + LEAST_OUTPUT
    assert output_bytes(parse_recording(recorded(("true", "x" * MOST_OUTPUT, 0)))) == MOST_OUTPUT


def test_a_submission_that_was_cut_is_not_taken_for_one(source: Path) -> None:
    flood = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT; head -c 1000000 /dev/zero | tr '\\0' x"
    found = again(recorded((REPAIR, "", 0), (flood, None, None), submission=FIX), source)
    assert found.patch.verdict == "identical"  # that of the workspace


def test_calls_of_our_tools_are_made_by_them(source: Path) -> None:
    edit = {"path": "sums.py", "old": "a - b", "new": "a + b"}
    look = Call("read_file", '{"path":"sums.py"}')
    first = again_ours(source, [(look, "?", 0)], "")
    shown = first.acts.differing[0].seen
    assert "return a - b" in shown
    acts = [
        (Call("bash", '{"command":"echo hm; exit 3"}'), "hm\n[exit code 3]", 3),
        (Call("edit_file", json.dumps(edit)), "?", 0),
        (Call("bash", '{"command":"cat sums.py"}'), "def add(a, b):\n    return a + b", 0),
        (Call("bash", '{"command":"pwd"}'), "/testbed", 0),
        (Call("no_such_tool", "{}"), "?", 1),
        (Call("read_file", "no object"), "?", 1),
        (Call("read_file", '{"path":"../clone/sums.py"}'), "?", 1),
        (Call("submit", '{"text":"Done."}'), "Done.", 0),
    ]
    found = again_ours(source, acts, FIX)
    # The words of the tools are not this test's matter, their codes are.
    assert found.acts.kinds == {"same": 4, "differs": 4}
    assert [each.number for each in found.acts.differing] == [2, 5, 6, 7]
    assert found.patch.verdict == "identical"


def again_ours(source: Path, acts: list[tuple[Call, str, int]], submission: str) -> Replay:
    sh("rm -rf workspace", source.parent)
    return again(of_ours(source.parent, acts, submission), source)


def test_commands_may_not_change_the_folder_that_they_once_ran_in(source: Path, tmp_path: Path) -> None:
    theirs = clone(tmp_path / "theirs")
    command = f"sed -i 's/a - b/a + b/' {theirs}/sums.py"
    with pytest.raises(BadInput, match=f"name '{theirs}'"):
        again(recorded((command, "", 0), environment={"cwd": f"{theirs}/"}), source)
    assert "a - b" in (theirs / "sums.py").read_text()


def test_a_trajectory_without_an_act_is_refused(source: Path) -> None:
    with pytest.raises(BadInput, match="no act"):
        again(recorded(), source)


@pytest.mark.parametrize(
    "info",
    [
        None,
        [],
        {"config": 3},
        {"config": {"environment": []}},
        {"config": {"environment": {"cwd": 3, "timeout": "x"}, "environment_type": {}}},
        {"config": {"environment": {"cwd": "\ud800", "timeout": True}}},
        {"config": {"environment": {"timeout": 1e300}}},
        {"config": {"environment": {"timeout": -1}}},
        {"mini_version": 2.4, "submission": None},
    ],
)
def test_what_a_trajectory_does_not_say_is_unknown(info: object, source: Path) -> None:
    trajectory = recorded(("echo hi", "hi\n", 0)) | {"info": info}
    place = parse_recording(trajectory).place
    assert (place.folder, place.timeout_s) == ("", None)
    assert again(trajectory, source).faithful


def test_a_commit_is_known_by_any_of_its_names(source: Path) -> None:
    full = sh("git rev-parse HEAD", source).decode().strip()
    for name in ("HEAD", "main", full, full[:10]):
        assert asyncio.run(find_commit(source, name)) == full
    for name in ("--help", "nothing", "", "a\0b", "HEAD:sums.py"):
        with pytest.raises(BadInput, match="has no commit"):
            asyncio.run(find_commit(source, name))
    with pytest.raises(BadInput, match="no git repository"):
        asyncio.run(find_commit(source.parent))
