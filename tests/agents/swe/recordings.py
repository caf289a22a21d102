"""Trajectories of the tests' own, of mini-swe-agent's form and of ours, and a clone for them."""

import json
from pathlib import Path
from typing import Any

from surefoot.agents.monitor.readers.mini import FORMAT
from surefoot.agents.swe.trajectory import TrajectoryLog, convert, ended, observed, said
from surefoot.models.offers import Call
from surefoot.tests.agents.swe.places import sh

MINI = Path(__file__).parents[1] / "golden" / "mini-2.4.6-repair.traj.json"
"""Written by mini-swe-agent's agent with its deterministic model: `python bench/swe_mini.py --write`."""
LOCAL = "minisweagent.environments.local.LocalEnvironment"
FIX = """diff --git a/sums.py b/sums.py
--- a/sums.py
+++ b/sums.py
@@ -1,2 +1,2 @@
 def add(a, b):
-    return a - b
+    return a + b
"""
REPAIR = "sed -i 's/a - b/a + b/' sums.py"


def clone(folder: Path) -> Path:
    """Make the repository that they are about."""
    folder.mkdir()
    (folder / "sums.py").write_text("def add(a, b):\n    return a - b\n")
    sh("git init -q -b main; git add -A; git commit -qm base", folder)
    return folder


def recorded(
    *acts: tuple[str, str | None, int | None],
    submission: str = "",
    environment: dict[str, Any] | None = None,
    kind: str = "",
) -> dict[str, Any]:
    """Return a trajectory as mini-swe-agent writes it; an act is a command, its output and its exit code."""
    messages: list[dict[str, Any]] = []
    for number, (command, output, code) in enumerate(acts):
        action = {"command": command, "tool_call_id": str(number)}
        messages.append({"role": "assistant", "content": "", "extra": {"actions": [action]}})
        if output is not None:
            extra = {"raw_output": output, "returncode": code, "exception_info": ""}
            messages.append({"role": "tool", "tool_call_id": str(number), "content": "", "extra": extra})
    config = {"environment": {"cwd": "/testbed"} | (environment or {}), "environment_type": kind}
    info = {"config": config, "mini_version": "2.4.6", "exit_status": "Submitted", "submission": submission}
    return {"messages": messages, "info": info, "trajectory_format": FORMAT}


def written(folder: Path, trajectory: object) -> Path:
    """Write a trajectory and return where."""
    path = folder / "x.traj.json"
    path.write_text(json.dumps(trajectory))
    return path


def of_ours(folder: Path, acts: list[tuple[Call, str, int]], submission: str) -> Path:
    """Write a trajectory as our runs do: its outputs are what the model was told."""
    log, out = folder / "ours.traj.jsonl", folder / "ours.traj.json"
    log.unlink(missing_ok=True)
    with TrajectoryLog(log) as lines:
        for number, (call, output, code) in enumerate(acts):
            lines.append(said("", [call], ids=[str(number)], timestamp=0.0))
            lines.append(observed(output, call=str(number), output=output, code=code, timestamp=0.0))
        lines.append(ended("submitted", submission))
    config = {"environment": {"cwd": "/testbed"}}
    convert(log, out, instance_id="a__a-1", config=config, version="surefoot 1.0")
    return out
