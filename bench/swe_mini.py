"""Trajectories beside mini-swe-agent's own: its agent's are read and replayed, ours open in its inspector.

python bench/swe_mini.py                     exits 1 if one of these fails; `make swe-others` has mini-swe-agent installed
python bench/swe_mini.py --write FILE        keeps its agent's trajectory, its folder renamed /testbed, for the tests
"""

import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pages import options

from surefoot.agents.monitor.readers.formats import read
from surefoot.agents.swe.recorded import Recording, read_recording
from surefoot.agents.swe.replay import Replay, replay
from surefoot.agents.swe.repository import find_commit, prepare_workspace
from surefoot.agents.swe.trajectory import TrajectoryLog, convert, ended, observed, said, told
from surefoot.models.offers import Call
from surefoot.tools.environments import Local

SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git diff --cached"
TURNS = [
    ["cat sums.py", "pwd"],
    ["sed -i 's/a - b/a + b/' sums.py && printf 'caf\\303\\251\\n' > new.txt"],
    ["printf 'one\\r\\ntwo\\n'; exit 3", "date"],
    ["printf 'caf\\351\\n'; test -f no-such-file"],
    ["git add -A", SUBMIT, "git reset -q --hard"],
]
"""What the agent calls, turn by turn; the run is over before the last call is made."""


def repository(folder: Path) -> Path:
    """Make a small repository with a bug."""
    folder.mkdir()
    (folder / "sums.py").write_text("def add(a, b):\n    return a - b\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "base")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def of_mini(folder: Path) -> Path:
    """Let mini-swe-agent's own agent do the commands, with its model that says what it is told to, and return what it wrote."""
    from minisweagent.agents.default import DefaultAgent
    from minisweagent.environments.local import LocalEnvironment
    from minisweagent.models.test_models import DeterministicToolcallModel

    outputs = [_answer(number, commands) for number, commands in enumerate(TURNS)]
    agent = DefaultAgent(
        DeterministicToolcallModel(outputs=outputs),
        LocalEnvironment(cwd=str(repository(folder / "theirs"))),
        system_template="You repair.",
        instance_template="{{task}}",
        cost_limit=0,
        output_path=folder / "theirs.traj.json",
    )
    agent.run("It fails.")
    return folder / "theirs.traj.json"


def _answer(number: int, commands: list[str]) -> Any:
    from minisweagent.models.test_models import make_toolcall_output

    calls, actions = [], []
    for place, command in enumerate(commands):
        arguments = json.dumps({"command": command})
        name = f"{number}-{place}"
        calls.append({"id": name, "type": "function", "function": {"name": "bash", "arguments": arguments}})
        actions.append({"command": command, "tool_call_id": name})
    return make_toolcall_output(f"Step {number}.", calls, actions)


async def replayed(recording: Recording, source: Path, workspace: Path) -> Replay:
    """Make what its agent did again, here: the commands are those above."""
    commit = await find_commit(source)
    await prepare_workspace(source, commit, workspace)
    world = Local(workspace, trusted=True)
    await world.start()
    try:
        return await replay(recording, source, commit, world)
    finally:
        await world.stop()


def of_ours(folder: Path) -> Path:
    """Write one of ours, with a call that is no command, and text that could steer a terminal."""
    edit = Call("edit_file", '{"path":"sums.py"}')
    with TrajectoryLog(folder / "ours.traj.jsonl") as log:
        log.append(told("system", "You repair."))
        log.append(told("user", "It fails."))
        log.append(
            said(
                "I look.",
                [Call("bash", '{"command":"ls"}')],
                ids=["1"],
                reasoning="Hm.",
                cost=0.1,
                timestamp=0.0,
            )
        )
        log.append(observed("sums.py\n", call="1", output="sums.py\n", code=0, timestamp=0.0))
        log.append(said("\x1b[31mI edit.\ud83d", [edit], ids=["2"], timestamp=0.0))
        log.append(observed("edited", call="2", output="edited", code=None, problem="no", timestamp=0.0))
        log.append(ended("submitted", "diff --git a/sums.py b/sums.py\n"))
    convert(folder / "ours.traj.jsonl", folder / "ours.traj.json", instance_id="a__a-1")
    return folder / "ours.traj.json"


async def inspected(path: Path) -> list[str]:
    """Open a trajectory in mini-swe-agent's inspector, go through its steps and return their titles."""
    from minisweagent.run.utilities.inspector import TrajectoryInspector

    app: Any = TrajectoryInspector([path])
    titles = []
    async with app.run_test() as pilot:
        for _ in range(app.n_steps):
            titles.append(app.title)
            await pilot.press("right")
            await pilot.pause()
    return titles


def main() -> int:
    """Say what was read, replayed and opened."""
    parser = options(__doc__)
    parser.add_argument("--write", type=Path, help="where to keep its agent's trajectory")
    given = parser.parse_args()
    if find_spec("minisweagent") is None:
        print("mini-swe-agent is not installed: nothing to read, and no inspector to open ours in")
        return 0
    os.environ["MSWEA_SILENT_STARTUP"] = "1"
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        theirs = of_mini(folder)
        recording, trajectory = read_recording(theirs), read(theirs)
        found = asyncio.run(replayed(recording, repository(folder / "source"), folder / "again"))
        if given.write:
            given.write.write_text(theirs.read_text().replace(str(folder / "theirs"), "/testbed"))
        steps = asyncio.run(inspected(of_ours(folder)))
    print(f"mini-swe-agent {version('mini-swe-agent')}, Python {sys.version.split()[0]}")
    print(
        f"its trajectory: {len(recording.acts)} acts, {len(trajectory.turns)} turns, {trajectory.passed_over} parts passed over"
    )
    print(f"replayed: {found.acts.kinds}, the patch is {found.patch.verdict}")
    for each in found.acts.differing:
        print(each)
    print(f"ours in its inspector: {len(steps)} steps, the last titled {steps[-1]!r}")
    made = sum(map(len, TURNS)) - 1
    return 0 if found.faithful and found.acts.acts == made and len(steps) == 3 else 1


if __name__ == "__main__":
    raise SystemExit(main())
