"""Every bench runs from its options to its table or page, at the smallest sizes: what it measures there means nothing."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
LONGEST_S = 240.0

WHOLE = {
    "actions.py": ("--runs 2 --results .", "# Continue, reflect, explore"),
    "agent.py": ("--pairs 1 --whole-pairs 0", "# What a turn of an agent costs"),
    "beside.py": ("HEAD --disks 3 --rounds 1", "with a listener"),
    "busy.py": ("--pairs 1 --busy 1 --disks 3 --k 2", "ratio: median"),
    "cancel.py": ("--times 4", "leases left behind: 0"),
    "chaos.py": ("--rounds 1 --disks 3", "1 identical, 0 differing"),
    "conformal.py": ("--splits 20", "# Conformal exits"),
    "conformance.py": ("", "level"),
    "risk.py": ("--jobs 5 --million 2 --learned 1 --states 300 --disks 4 --results .", "risk budget"),
    "difficulty.py": ("--problems 8 --ponder 8 --results .", "The product beside"),
    "domains.py": ("--small --runs 1 --states 60", "# Jobs beside the towers"),
    "equivalence.py": ("--runs 3 --results .", "# Answers in words"),
    "exports.py": ("--disks 3 4 --results .", "Every file has every step: yes"),
    "flat.py": ("--disks 6 --latency 0.1", "the same final hash"),
    "handbook.py": ("--rounds 1 --ponder 20", "# A handbook, off and on"),
    "ladder.py": ("--disks 8 --hard 0.01 --results .", "| solved, 0 wrong |"),
    "latency.py": (
        "--disks 6 --steps 10 --serial 5 --few 5 --draft 0.001 --only '100 ms, 0.2'",
        "10 chained steps",
    ),
    "logprobs.py": ("--states 60 --results .", "What throwing away mends"),
    "long.py": ("--disks 4 --k 2", "wrong moves"),
    "million.py": ("--disks 7 --kills 1 --k 2 --home home", "127 chained steps, 0 wrong"),
    "overhead.py": ("--disks 4 --rounds 1", "in memory"),
    "patterns.py": ("--states 20", "# Patterns of reasoning, off and on"),
    "planner.py": ("--small --runs 1", "# Problems made smaller"),
    "precision.py": ("--asks 96 --nonsense 24 --results .", "Bfloat16 beside float32"),
    "preferences.py": ("--users 2", "# Preferences, off and on"),
    "replicas.py": ("--disks 3 --latency 0.01 --slots 4 --results .", "Replicas: 7 steps"),
    "scale.py": (
        "--steps 100000 --parts 200 --workers 8 --replicas 2 --seeds 1 --no-real --results .",
        "100,000 steps over 8 workers",
    ),
    "streamed.py": ("--asks 1 --rounds 1", "streamed / unstreamed"),
    "swe_decomposed.py": ("--repositories 1 --rounds 1 --real 1", "real run 1 of 1: as the table says"),
    "swe_grading.py": ("--logs 20", "20 "),
    "swe_mini.py": ("", "mini-swe-agent"),
    "swe_run.py": (
        "--instances 1 --kills 1 --doubles deletes --env local",
        "| deletes | lost_workspace | 3 |",
    ),
    "swe_selection.py": ("--repositories 1 --attempts 2", "# Choosing among attempts"),
    "swe_set.py": ("out", "17 instances in out/instances.jsonl"),
    "telemetry.py": ("--disks 7 --k 2 --rounds 1 --results .", "every span that was sent: yes"),
    "vision.py": ("--towers --results .", "| glance |"),
    "workers.py": (
        "--workers 1 2 --steps 4 --latency 0.01 --repeat 1 --jobs 2 --job-disks 3 --rounds 1 --chaos-workers 2 --chaos-disks 5 --chaos-parts 3 --results .",
        "1 identical, 0 differing",
    ),
    "thinking.py": ("--problems 2 --difficulties sum2 --results .", "Plain is right"),
}
"""Options, and what the output has to say, of benches whose exit code is 0 if all that was done is right."""

TIMED = {
    "dashboard.py": (
        "--disks 18 --pairs 2 --window 0.5 --browsers 2 --load-disks 4",
        "A finished job of 15 steps is opened",
    ),
    "growth.py": ("--jobs 2 3 --disks 3 4", "# How the commands grow"),
    "monitor.py": ("--rounds 1 --trajectories 100 --seeds 1", "# The monitor: what it costs, what it finds"),
    "proxy.py": ("--problems 3 --requests 5 --at-once 5 --total 10", "# The voting proxy"),
    "sandbox.py": ("--commands 3 --files 3", "# What a sandbox costs"),
}
"""Benches whose exit code also says whether a time was met: that is for a quiet machine to say."""


def run(script: str, options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a bench in a folder of its own."""
    command: Sequence[str] = [sys.executable, str(BENCH / script), *shlex.split(options)]
    environment = {**os.environ, "SUREFOOT_HOME": str(folder / "state")}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LONGEST_S
    )


@pytest.mark.parametrize("script", WHOLE)
def test_a_bench_runs_to_its_end(script: str, tmp_path: Path) -> None:
    options, said = WHOLE[script]
    done = run(script, options, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout


def test_swe_run_writes_its_part_of_a_page_and_leaves_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "swe.md").write_text("# Old\n\n<!-- the set -->\n\nthe set\n\n<!-- slots -->\n\nold slots\n")
    options = f"--slots 2 --latency 0.01 --instances 4 --env local --results {folder}"
    done = run("swe_run.py", options, tmp_path)
    assert not done.stderr
    page = (folder / "swe.md").read_text()
    assert "<!-- the set -->\n\nthe set\n\n<!-- slots -->\n\n2" in page and "old slots" not in page
    assert page.count("python bench/swe_run.py --slots 2") == 1


@pytest.mark.parametrize("script", TIMED)
def test_a_bench_that_judges_times_runs_to_its_page(script: str, tmp_path: Path) -> None:
    options, said = TIMED[script]
    done = run(script, f"{options} --results .", tmp_path)
    assert done.returncode in (0, 1) and not done.stderr
    assert said in done.stdout
    assert (tmp_path / script).with_suffix(".md").read_text() in done.stdout


def test_the_picture_shows_the_display_and_the_report(tmp_path: Path) -> None:
    done = run("picture.py", "--disks 3 --states 10 --out towers.svg", tmp_path)
    assert done.returncode == 0, done.stderr
    shown = (tmp_path / "towers.svg").read_text()
    assert shown.startswith("<svg") and "contested" in shown and "SOLVED" in shown


def test_every_script_is_run_here_or_on_a_real_vllm() -> None:
    scripts = {path.name for path in BENCH.glob("*.py") if "__main__" in path.read_text()}
    # inside.py needs torch and has a test of its own, as quixbugs.py has with a checkout to work on; beside.py and scale.py run their jobs, proxy.py
    # its servers; distil.py, draft_laws.py and rl.py need torch or TRL, and inspect_votes.py inspect_ai: tests/inspect_logs runs it
    assert scripts == {
        *WHOLE,
        *TIMED,
        "beside_job.py",
        "distil.py",
        "draft_laws.py",
        "inside.py",
        "inspect_votes.py",
        "picture.py",
        "proxy_server.py",
        "quixbugs.py",
        "rl.py",
        "scale_real.py",
        "vllm.py",
    }
