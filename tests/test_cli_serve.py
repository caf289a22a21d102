"""`surefoot serve` as a program meets it: with a stand-in for vLLM, a package of its name around one of the doubles."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from surefoot.models.vllm.launch import PYTHON_VARIABLE

PATIENCE_S = 60.0
STAND_IN = """
import argparse, asyncio
from surefoot.models.doubles import towers_double
from surefoot.models.doubles.server import DoubleServer, serve

parser = argparse.ArgumentParser()
for name in ("--served-model-name", "--port"):
    parser.add_argument(name)
given, _ = parser.parse_known_args()
asyncio.run(serve(DoubleServer(towers_double(name=given.served_model_name), port=int(given.port))))
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """An interpreter that has the stand-in installed."""
    folder = tmp_path / "site" / "vllm" / "entrypoints" / "openai"
    folder.mkdir(parents=True)
    (folder / "api_server.py").write_text(STAND_IN)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path / "site"} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return python


@contextmanager
def serve(python: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "surefoot.cli", "serve", *arguments]
    environment = {**os.environ, PYTHON_VARIABLE: str(python), "TMPDIR": str(python.parent)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_server_that_is_ready_says_so_in_json(stand_in: Path, tmp_path: Path) -> None:
    # A folder, whose name is what the server calls the model; this one is markup to the terminal.
    weights = tmp_path / "[bold]weights[" / "x]"
    weights.mkdir(parents=True)
    with serve(stand_in, str(weights), "--port", "0", "--json") as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert set(told) == {"url", "model"}
        assert told["url"].startswith("http://127.0.0.1:")
        assert told["model"] == "x]"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, "")
    assert repr(str(weights)) in err


def test_a_server_that_is_ready_says_its_url(stand_in: Path) -> None:
    with serve(stand_in, "pebble", "--port", "0") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


def test_what_cannot_be_served_is_said_in_json(stand_in: Path) -> None:
    with serve(stand_in, "no such/model?", "--port", "0", "--json") as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    said = err.strip().removeprefix("surefoot: ")
    assert "not 'no such/model?'" in said
    assert json.loads(out) == {"error": said}
