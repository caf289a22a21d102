"""bench/vllm.py from its options to its page."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.vllm

SCRIPT = Path(__file__).parents[2] / "bench" / "vllm.py"


def test_every_way_decides_the_same_few_steps(url: str, tmp_path: Path) -> None:
    options = ["--url", url, "--disks", "5", "--first", "3", "--steps", "8", "--serial", "4"]
    command = [sys.executable, str(SCRIPT), *options, "--results", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "vllm.md").read_text()
    assert page.startswith("# 8 chained steps, real vLLM") and "draft: recall" in page
