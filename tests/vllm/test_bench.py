"""bench/vllm.py from its options to its page."""

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

pytestmark = pytest.mark.vllm

SCRIPT = Path(__file__).parents[2] / "bench" / "vllm.py"


async def test_every_way_decides_the_same_few_steps(url: str, tmp_path: Path) -> None:
    options = ["--url", url, "--disks", "5", "--first", "3", "--steps", "8", "--serial", "4"]
    command = [sys.executable, str(SCRIPT), *options, "--results", str(tmp_path)]
    bench = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
    said, _ = await bench.communicate()
    assert bench.returncode == 0, said.decode()
    page = (tmp_path / "vllm.md").read_text()
    assert page.startswith("# 8 chained steps, real vLLM") and "draft: recall" in page
