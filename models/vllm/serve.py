"""A local vLLM for as long as it is needed: started, waited for, warmed up, and ended with nothing left behind.

async with serving("Qwen/Qwen3-8B", Serving(reasoning_parser="qwen3")) as url:
    report = await surefoot.run(task, model=url)
"""

import asyncio
import os
import re
import signal
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx

from surefoot.errors import BadInput, SurefootError
from surefoot.models.openai.wire_server import message_of

from .launch import ServedModel, Serving, environment, find, free_port, server_command, source

Say = Callable[[str], None]
"""Told in one sentence what is going on."""

POLL_S = 0.25
SAY_EVERY_S = 10.0
COMPLAINT_CHARACTERS = 400

_PREFIX = re.compile(r"^\(\w+ pid=\d+\) ?(ERROR [\d-]+ [\d:]+ \[[^]]*\] ?)?")
_HARMLESS = re.compile(r"\b(DEBUG|INFO|WARNING) \d\d-\d\d ")
_COMPLAINT = re.compile(r"([\w.]+(Error|Exception)|[\w.]+: error): (?!.*See root cause above)")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_LOOPBACK = ("127.", "localhost", "::1")


class ServerFailed(SurefootError):
    """The server did not come up, or ended by itself; the message says why and where its log is."""


class _Running(NamedTuple):
    process: Process
    url: str
    log: Path


@asynccontextmanager
async def serving(
    model: str, settings: Serving | None = None, *, say: Say = lambda _: None
) -> AsyncIterator[str]:
    """Serve `model` (`pebble`, `ponder`, a folder or a Hugging Face id) with vLLM; yields the URL, which ends in /v1.

    Raises `NoVLLM` where none is installed and `ServerFailed` if it does not come up.  However the block is left, the server
    and all its processes have ended before; they also end when this process is killed.
    """
    async with _running(model, settings or Serving(), say) as server:
        yield server.url


async def serve_forever(
    model: str, settings: Serving | None = None, *, ready: Say, say: Say = lambda _: None
) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is told the URL.

    Raises what `serving` raises, and `ServerFailed` should the server end by itself.
    """
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    serve = asyncio.create_task(_serve(model, settings or Serving(), ready, say))
    stop = asyncio.create_task(over.wait())
    try:
        await asyncio.wait((serve, stop), return_when=asyncio.FIRST_COMPLETED)
        if over.is_set():
            say("ending vLLM")
    finally:
        serve.cancel()
        stop.cancel()
        await asyncio.gather(serve, stop, return_exceptions=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    if not over.is_set():
        serve.result()


async def _serve(model: str, settings: Serving, ready: Say, say: Say) -> None:
    async with _running(model, settings, say) as server:
        ready(server.url)
        await server.process.wait()
        raise _failed(server, "ended by itself")


@asynccontextmanager
async def _running(model: str, settings: Serving, say: Say) -> AsyncIterator[_Running]:
    found, build = source(model), await find(settings)
    port = free_port(settings.host, settings.port)
    if not settings.host.startswith(_LOOPBACK) and not os.environ.get("VLLM_API_KEY"):
        say(f"everyone who reaches {settings.host} can use this server: set VLLM_API_KEY")
    log = _log(settings)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *server_command(build, found, settings, port),
            env=environment(build, found, settings),
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    say(f"starting vLLM {build.version} ({build.device.upper()}) with {model!r}, log in {log}")
    server = _Running(process, _url(settings.host, port), log)
    keep_log = settings.log is not None
    try:
        await _come_up(server, found, settings.start_s, say)
        yield server
    except ServerFailed:
        keep_log = True
        raise
    finally:
        await _end(process, settings.grace_s)
        if not keep_log:
            log.unlink()


def _log(settings: Serving) -> Path:
    """Return the file for the log, empty."""
    if settings.log is None:
        number, name = tempfile.mkstemp(prefix="surefoot-vllm-", suffix=".log")
        os.close(number)
        return Path(name)
    try:
        settings.log.write_bytes(b"")
    except OSError as error:
        raise BadInput(f"the log cannot be written to {str(settings.log)!r}: {error.strerror}") from None
    return settings.log


def _url(host: str, port: int) -> str:
    host = _EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


async def _come_up(server: _Running, found: ServedModel, start_s: float, say: Say) -> None:
    key = os.environ.get("VLLM_API_KEY")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        async with (
            asyncio.timeout(start_s),
            httpx.AsyncClient(trust_env=False, headers=headers, timeout=None) as client,
        ):
            await _wait_for_health(server, client, say)
            say("warming up")
            await _warm_up(server, client, found.name)
    except TimeoutError:
        raise _failed(server, f"was not ready within {start_s:g} s") from None


async def _wait_for_health(server: _Running, client: httpx.AsyncClient, say: Say) -> None:
    begun = said = time.monotonic()
    health = server.url.removesuffix("/v1") + "/health"
    while True:
        with suppress(httpx.TransportError):
            if (await client.get(health)).status_code == httpx.codes.OK:
                return
        if server.process.returncode is not None:
            raise _failed(server, "ended before it was ready")
        if time.monotonic() - said >= SAY_EVERY_S:
            said = time.monotonic()
            say(f"loading the model: {said - begun:.0f} s")
        await asyncio.sleep(POLL_S)


async def _warm_up(server: _Running, client: httpx.AsyncClient, name: str) -> None:
    """Ask for several samples with log-probabilities: the first such request makes vLLM compile, which can take 16 s."""
    body = {"model": name, "prompt": ["a", "b"], "n": 2, "temperature": 1.0, "max_tokens": 2, "logprobs": 1}
    try:
        response = await client.post(f"{server.url}/completions", json=body)
    except httpx.TransportError:
        raise _failed(server, "ended at its first request") from None
    if response.status_code != httpx.codes.OK:
        raise _failed(
            server, f"refuses its first request ({response.status_code}: {message_of(response.content)})"
        )


def _failed(server: _Running, what: str) -> ServerFailed:
    complaint = " ".join(_complaint(server.log.read_text(errors="replace")).split())[:COMPLAINT_CHARACTERS]
    return ServerFailed(f"vLLM {what}: {complaint} (the whole log is in {str(server.log)!r})")


def _complaint(log: str) -> str:
    """Return the first error in a log: those after it come from processes that waited for the failed one."""
    lines = [_PREFIX.sub("", line) for line in log.splitlines() if not _HARMLESS.search(line)]
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        if _COMPLAINT.match(line):
            # pydantic says in the first line how many errors there are, and in an indented one which.
            return f"{line} {following}" if following.startswith("  ") else line
    return lines[-1] if lines else "it wrote nothing to its log"


async def _end(process: Process, grace_s: float) -> None:
    """End the process and all that it started; returns when none of them is left."""
    try:
        _signal(process, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await process.wait()
                await _group_ended(process)
    finally:
        # Also when this wait is itself interrupted.
        _signal(process, signal.SIGKILL)
    await process.wait()


async def _group_ended(process: Process) -> None:
    while _signal(process, 0):  # noqa: ASYNC110 - there is no signal for the end of a process that is not our child
        await asyncio.sleep(POLL_S / 5)


def _signal(process: Process, number: int) -> bool:
    """Signal the process's group; return whether a process of it is left."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True
