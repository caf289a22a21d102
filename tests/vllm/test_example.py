"""The example that starts a vLLM of its own, on a real one."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.vllm

EXAMPLE = Path(__file__).parents[2] / "examples" / "08_vllm.py"


def test_the_example_serves_asks_and_ends(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLE)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=700)
    assert done.returncode == 0, done.stderr
    assert "solved: True, 31 steps" in done.stdout
