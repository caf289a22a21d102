"""`serve` starts a server, waits for it, and leaves nothing behind: with a stand-in for vLLM, and with the real one.

The stand-in is a package of the name `vllm` whose server is one of surefoot's own doubles; it starts in a second, and
misbehaves when asked to.  The same tests run on the real vLLM in `make test-vllm`.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from surefoot.errors import BadInput
from surefoot.models.openai import OpenAIModel
from surefoot.models.vllm.launch import (
    PYTHON_VARIABLE,
    Build,
    NoVLLM,
    ServedModel,
    Serving,
    environment,
    find,
    server_command,
    source,
)
from surefoot.models.vllm.serve import ServerFailed, serve_forever, serving
from surefoot.training.ponder.data import CONTEXT

STAND_IN = """
import argparse, asyncio, os, signal, subprocess, sys, time
from surefoot.models.doubles import towers_double
from surefoot.models.doubles.server import DoubleServer, serve

parser = argparse.ArgumentParser()
for name in ("--served-model-name", "--port", "--behave"):
    parser.add_argument(name, default="well")
given, _ = parser.parse_known_args()
if given.behave == "crash":
    print("INFO starting", flush=True)
    raise RuntimeError("the weights are made of stone")
if given.behave == "hang":
    time.sleep(600)
if given.behave == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    subprocess.Popen(["sleep", "600"])
name = "another" if given.behave == "refuse" else given.served_model_name
asyncio.run(serve(DoubleServer(towers_double(name=name), port=int(given.port))))
"""
DRIVER = """
import asyncio, sys
from pathlib import Path
from surefoot.models.vllm.launch import Serving
from surefoot.models.vllm.serve import serve_forever
settings = Serving(python=Path(sys.argv[1]), port=int(sys.argv[2]), grace_s=10)
asyncio.run(serve_forever("pebble", settings, ready=lambda url: print(url, flush=True)))
print("ended", flush=True)
"""
START_S = 400.0
PROMPT, ANSWER = "---;AabcBC>", "aAB;AbcBaC"


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """An interpreter that has the stand-in installed."""
    package = tmp_path / "site" / "vllm"
    for folder in (package, package / "entrypoints", package / "entrypoints" / "openai"):
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    (package / "entrypoints" / "openai" / "api_server.py").write_text(STAND_IN)
    metadata = tmp_path / "site" / "vllm-0.99.0+cpu.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.99.0+cpu\n")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path / "site"} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return python


@pytest.fixture(params=["stand-in", pytest.param("vllm", marks=pytest.mark.vllm)])
def python(request: pytest.FixtureRequest) -> Path:
    """The interpreter of each of the two."""
    if request.param == "stand-in":
        stand_in: Path = request.getfixturevalue("stand_in")
        return stand_in
    return Path(os.environ.get(PYTHON_VARIABLE, sys.executable)).absolute()


@pytest.fixture
def serve(python: Path, tmp_path: Path) -> Iterator[Callable[[], "Served"]]:
    """Starts `serve_forever` in a process of its own."""
    started: list[Served] = []

    def start() -> Served:
        started.append(Served(python, tmp_path))
        return started[-1]

    yield start
    for served in started:
        served.close()


class Served:
    """A process that serves pebble, and the group of processes that does the work."""

    def __init__(self, python: Path, temporary: Path) -> None:
        self.port = free_port()
        self.parent = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(python), str(self.port)],
            stdout=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(temporary)},
            text=True,
        )
        assert self.parent.stdout
        self.url = self.parent.stdout.readline().strip()
        self.group = leader(self.port)

    def close(self) -> None:
        """End whatever a failed test has left."""
        self.parent.kill()
        self.parent.communicate()
        if self.group is not None and members(self.group):
            os.killpg(self.group, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def leader(port: int) -> int | None:
    """The process that was told to listen on this port and leads a group."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--port" in words and words[words.index(b"--port") + 1] == str(port).encode():
            return os.getpgid(int(folder.name))
    return None


def members(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, process_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(process_group) == group and state != "Z":
            found.append(int(folder.name))
    return found


def none_left(group: int, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while members(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not members(group)


# --- the life of a server ---


def test_serving_until_told_to_end_leaves_no_process_and_no_log(
    serve: Callable[[], Served], tmp_path: Path
) -> None:
    served = serve()
    assert list(tmp_path.glob("surefoot-vllm-*.log"))
    assert served.url == f"http://127.0.0.1:{served.port}/v1"
    body = {"model": "pebble", "prompt": PROMPT, "max_tokens": 30, "temperature": 0}
    answer = httpx.post(f"{served.url}/completions", json=body, timeout=60, trust_env=False).json()
    assert answer["choices"][0]["text"] == ANSWER
    assert served.group
    assert served.group != os.getpgid(served.parent.pid)
    assert members(served.group)
    served.parent.terminate()
    out, _ = served.parent.communicate(timeout=60)
    assert (out, served.parent.returncode) == ("ended\n", 0)
    assert members(served.group) == []
    assert not list(tmp_path.glob("surefoot-vllm-*.log"))


def test_the_server_ends_when_its_parent_is_killed(serve: Callable[[], Served]) -> None:
    served = serve()
    assert served.group
    assert members(served.group)
    served.parent.kill()
    assert none_left(served.group, within_s=30)


async def test_a_model_is_served_for_the_length_of_a_block(stand_in: Path) -> None:
    said: list[str] = []
    async with serving("pebble", Serving(python=stand_in), say=said.append) as url:
        group = leader(int(url.split(":")[2].split("/")[0]))
        assert group
        async with OpenAIModel(url) as model:
            assert (await model.ready()).models == ("pebble",)
    assert members(group) == []
    assert said[0].startswith("starting vLLM 0.99.0+cpu (CPU) with 'pebble', log in ")
    assert said[-1] == "warming up"


async def test_a_block_that_fails_ends_the_server_too(stand_in: Path) -> None:
    groups = []
    with pytest.raises(ZeroDivisionError):
        async with serving("pebble", Serving(python=stand_in)) as url:
            groups.append(leader(int(url.split(":")[2].split("/")[0])))
            raise ZeroDivisionError
    assert groups[0]
    assert members(groups[0]) == []


async def test_a_server_that_will_not_end_is_killed_with_its_children(stand_in: Path) -> None:
    settings = Serving(python=stand_in, more=("--behave", "stubborn"), grace_s=0.5)
    async with serving("pebble", settings) as url:
        group = leader(int(url.split(":")[2].split("/")[0]))
        assert group
        assert len(members(group)) == 2
        begun = time.monotonic()
    assert 0.4 < time.monotonic() - begun < 5
    assert none_left(group, within_s=2)


async def test_a_server_that_ends_by_itself_is_reported(stand_in: Path, tmp_path: Path) -> None:
    port = free_port()

    def ready(_: str) -> None:
        group = leader(port)
        assert group
        os.killpg(group, signal.SIGKILL)

    with pytest.raises(ServerFailed, match="ended by itself"):
        await serve_forever("pebble", Serving(python=stand_in, port=port, log=tmp_path / "log"), ready=ready)


async def test_a_cancelled_start_leaves_nothing(stand_in: Path) -> None:
    port = free_port()
    settings = Serving(python=stand_in, port=port, more=("--behave", "hang"))
    start = asyncio.create_task(serve_forever("pebble", settings, ready=lambda _: None))
    deadline = time.monotonic() + 20
    while (group := leader(port)) is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)
    await start
    assert members(group) == []


# --- starts that fail ---


async def test_a_server_that_crashes_is_quoted_and_its_log_kept(stand_in: Path, tmp_path: Path) -> None:
    settings = Serving(python=stand_in, more=("--behave", "crash"), log=tmp_path / "log")
    with pytest.raises(ServerFailed) as failure:
        async with serving("pebble", settings):
            raise AssertionError("it must not come up")
    assert str(failure.value) == (
        "vLLM ended before it was ready: RuntimeError: the weights are made of stone "
        f"(the whole log is in {str(tmp_path / 'log')!r})"
    )


async def test_a_log_that_cannot_be_written_is_named(stand_in: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"the log cannot be written to '.*/nowhere/log': No such"):
        async with serving("pebble", Serving(python=stand_in, log=tmp_path / "nowhere" / "log")):
            raise AssertionError("it must not come up")


@pytest.mark.vllm
async def test_vllms_own_reason_for_a_failed_start_is_quoted(tmp_path: Path) -> None:
    settings = Serving(max_model_len=100_000, start_s=START_S, log=tmp_path / "log")
    with pytest.raises(ServerFailed, match=r"ended before it was ready: .*max_model_len \(100000\)"):
        async with serving("pebble", settings):
            raise AssertionError("it must not come up")


@pytest.mark.vllm
async def test_an_option_that_vllm_does_not_know_is_quoted(tmp_path: Path) -> None:
    settings = Serving(more=("--surefooted",), start_s=START_S, log=tmp_path / "log")
    with pytest.raises(ServerFailed, match="unrecognized arguments: --surefooted"):
        async with serving("pebble", settings):
            raise AssertionError("it must not come up")


async def test_a_server_that_is_not_ready_in_time_is_ended(stand_in: Path, tmp_path: Path) -> None:
    port = free_port()
    settings = Serving(
        python=stand_in, port=port, more=("--behave", "hang"), start_s=1.5, log=tmp_path / "log"
    )
    with pytest.raises(ServerFailed, match=r"was not ready within 1\.5 s"):
        async with serving("pebble", settings):
            raise AssertionError("it must not come up")
    assert leader(port) is None


async def test_a_server_that_refuses_its_first_request_is_not_ready(stand_in: Path, tmp_path: Path) -> None:
    settings = Serving(python=stand_in, more=("--behave", "refuse"), log=tmp_path / "log")
    with pytest.raises(ServerFailed, match=r"refuses its first request \(404: .*`pebble` does not exist"):
        async with serving("pebble", settings):
            raise AssertionError("it must not come up")


async def test_without_vllm_the_error_says_how_to_install_it() -> None:
    with pytest.raises(NoVLLM, match=r"pip install 'surefoot\[vllm\]'.*make vllm.*SUREFOOT_VLLM_PYTHON"):
        async with serving("pebble", Serving(python=Path(sys.executable))):
            raise AssertionError("it must not come up")


async def test_a_build_for_the_other_device_is_refused(stand_in: Path) -> None:
    with pytest.raises(NoVLLM, match=r"built for the CPU, not the GPU: .*surefoot\[vllm\]"):
        await find(Serving(python=stand_in, device="gpu"))


async def test_an_interpreter_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no Python interpreter at '.*/nowhere'"):
        await find(Serving(python=tmp_path / "nowhere"))
    text = tmp_path / "text"
    text.write_text("not a program")
    with pytest.raises(BadInput, match="text' is not a Python interpreter"):
        await find(Serving(python=text))
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\necho hello\n")
    other.chmod(0o755)
    with pytest.raises(BadInput, match="other' does not work as a Python interpreter"):
        await find(Serving(python=other))


async def test_a_port_that_is_taken_is_named(stand_in: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=f"nothing can listen on '127.0.0.1' port {port}"):
            async with serving("pebble", Serving(python=stand_in, port=port)):
                raise AssertionError("it must not come up")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("port", 70000),
        ("port", -1),
        ("max_model_len", 0),
        ("max_num_seqs", 0),
        ("cpu_cache_gib", 0),
        ("gpu_memory", 0.0),
        ("gpu_memory", 1.5),
        ("device", "tpu"),
        ("dtype", "int3"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(setting: str, value: Any) -> None:
    with pytest.raises(BadInput, match=rf"{setting} .*{value!r}"):
        Serving(**{setting: value})


@pytest.mark.parametrize("model", ["--help", "no such folder/", "/nowhere/at/all", "a/b/c", ""])
def test_what_cannot_be_a_model_is_refused(model: str) -> None:
    with pytest.raises(BadInput, match="a model is 'pebble' or 'ponder', a folder, or an id like"):
        source(model)


# --- the command line ---


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def test_pebble_is_served_in_full_precision_with_its_own_context() -> None:
    build = Build(Path("/usr/bin/python3"), "0.32.0", "cpu")
    words = server_command(build, source("pebble"), Serving(), 8000)
    assert Path(option(words, "--model"), "model.safetensors").exists()
    assert option(words, "--served-model-name") == "pebble"
    assert option(words, "--max-model-len") == "256"
    assert option(words, "--dtype") == "float32"
    assert option(words, "--generation-config") == "vllm", "or the folder's own sampling truncates votes"
    assert option(words, "--host") == "127.0.0.1"
    assert "--enable-prefix-caching" in words
    assert "--enforce-eager" in words
    assert "--gpu-memory-utilization" not in words
    variables = environment(build, source("pebble"), Serving())
    assert variables["HF_HUB_OFFLINE"] == variables["VLLM_CPU_KVCACHE_SPACE"] == "1"


def test_ponder_is_served_whole_and_with_its_thoughts_apart() -> None:
    build = Build(Path("/usr/bin/python3"), "0.32.0", "cpu")
    words = server_command(build, source("ponder"), Serving(), 8000)
    assert option(words, "--max-model-len") == str(CONTEXT)
    assert option(words, "--reasoning-parser") == "deepseek_r1"
    assert option(words, "--dtype") == "float32"
    other = server_command(build, source("ponder"), Serving(reasoning_parser="qwen3"), 8000)
    assert option(other, "--reasoning-parser") == "qwen3"
    assert "--reasoning-parser" not in server_command(build, source("pebble"), Serving(), 8000)


def test_a_users_folder_called_pebble_is_not_taken_for_the_micro_model(tmp_path: Path) -> None:
    folder = tmp_path / "pebble"
    folder.mkdir()
    build = Build(Path("/usr/bin/python3"), "0.32.0", "cpu")
    assert option(server_command(build, source(str(folder)), Serving(), 8000), "--max-model-len") == "auto"


def test_a_gpu_gets_its_memory_limit_and_compiled_code() -> None:
    build = Build(Path("/usr/bin/python3"), "0.32.0", "gpu")
    hub = ServedModel("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", local=False)
    settings = Serving(reasoning_parser="qwen3", gpu_memory=0.8, more=("--tensor-parallel-size", "2"))
    words = server_command(build, hub, settings, 8000)
    assert option(words, "--gpu-memory-utilization") == "0.8"
    assert option(words, "--reasoning-parser") == "qwen3"
    assert option(words, "--max-model-len") == "auto"
    assert option(words, "--dtype") == "auto"
    assert option(words, "--generation-config") == "vllm"
    assert words[-2:] == ["--tensor-parallel-size", "2"]
    assert "--enforce-eager" not in words
    ours = environment(build, hub, settings)
    assert "VLLM_CPU_KVCACHE_SPACE" not in ours or "VLLM_CPU_KVCACHE_SPACE" in os.environ
    assert ours["VLLM_NO_USAGE_STATS"] == "1"


def test_a_folder_goes_by_its_own_name(tmp_path: Path) -> None:
    folder = tmp_path / "granite-7"
    folder.mkdir()
    assert source(str(folder)) == ServedModel(str(folder), "granite-7", local=True)
    assert source("Qwen/Qwen3-8B") == ServedModel("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", local=False)
