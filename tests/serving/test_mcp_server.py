"""surefoot as an MCP server, asked by the SDK's own client: over a child's standard streams, and over HTTP on loopback."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent

import surefoot
from surefoot import BadInput, Settings, Towers
from surefoot.models.base import Ask
from surefoot.models.doubles import Double, towers_double
from surefoot.models.doubles.server import DoubleServer
from surefoot.orchestration.redis.embedded import server_binary
from surefoot.orchestration.workers import stitch
from surefoot.serving.mcp_server import McpSettings, serve_on_http
from surefoot.voting import Sample

FOUR = {"disks": 4, "style": "compact"}
TOKEN = "correct-horse-battery"


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    """The address of a Valkey of these tests' own."""
    with tempfile.TemporaryDirectory(prefix="sf-") as folder:
        socket = Path(folder) / "s"
        command = [
            str(server_binary()),
            "--port",
            "0",
            "--unixsocket",
            str(socket),
            "--dir",
            folder,
            "--save",
            "",
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while not socket.exists():
                assert process.poll() is None
            yield f"unix://{socket}"
            process.terminate()


@pytest.fixture
async def model() -> AsyncIterator[str]:
    """The address of a server whose model is wrong now and then."""
    async with DoubleServer(towers_double(error=0.1)) as server:
        yield server.url


@asynccontextmanager
async def served(settings: McpSettings, **given: Any) -> AsyncGenerator[str, None]:
    """Serve over HTTP on loopback, in this process, for as long as the block lasts."""
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    serving = asyncio.create_task(serve_on_http(settings, port=0, ready=url.set_result, stop=stop, **given))
    await asyncio.wait({serving, url}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield url.result()
    finally:
        stop.set()
        await serving


@asynccontextmanager
async def client(settings: McpSettings) -> AsyncGenerator[Client, None]:
    async with served(settings) as url, Client(url) as asking:
        yield asking


def text(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def found(result: CallToolResult) -> Any:
    """Return what a call that went well has found, which the text and the structured content both say."""
    assert not result.is_error, text(result)
    assert json.loads(text(result)) == result.structured_content
    return result.structured_content


async def test_a_client_over_standard_streams_runs_a_job_and_looks_at_it(model: str, redis: str) -> None:
    arguments = ["-m", "surefoot.cli", "mcp", "--model", model, "--redis", redis]
    child = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
    async with Client(child) as asking:
        tools = {tool.name: tool for tool in (await asking.list_tools()).tools}
        assert set(tools) == {"plan", "run", "show", "score", "vote"}
        assert "towers(disks" in (tools["run"].description or "")
        report = found(
            await asking.call_tool("run", {"task": "towers", "arguments": FOUR, "k": 3, "job": "stdio"})
        )
        assert (report["job"], report["status"], report["solved"], report["steps"]) == (
            "stdio",
            "done",
            True,
            15,
        )
        again = found(await asking.call_tool("show", {"job": "stdio"}))
        assert again["head"] == report["head"]
    direct = await surefoot.report("stdio", redis=redis)
    assert direct.head == report["head"] and direct.models == [model]


async def test_a_plan_says_what_a_job_takes(model: str, redis: str) -> None:
    async with client(McpSettings(model=model, redis=redis)) as asking:
        plan = found(
            await asking.call_tool("plan", {"task": "towers", "arguments": FOUR, "reliability": 0.9})
        )
    assert plan["steps"] == 15 and plan["choice"]["k"] >= 2 and 0 < plan["risk"] <= 0.1
    assert f"k = {plan['choice']['k']}" in plan["why"]


async def test_a_step_is_shown_with_its_tally(model: str, redis: str) -> None:
    task = Towers(6, "compact")
    report = await surefoot.run(task, Settings(k=3), model=towers_double(error=0.2), redis=redis, job="steps")
    contested = report.contested_steps[0]
    async with client(McpSettings(model=model, redis=redis)) as asking:
        step = found(await asking.call_tool("show", {"job": "steps", "step": contested.step}))
        listed = found(await asking.call_tool("show", {}))
        beyond = await asking.call_tool("show", {"job": "steps", "step": 63})
    assert step["votes"] == contested.votes
    assert sum(votes for _, votes in step["others"]) == sum(contested.against.values())
    assert len(step["samples"]) >= step["votes"]
    assert {"job": "steps", "task": "towers", "status": "done", "steps": 63, "steps_expected": 63} in listed[
        "jobs"
    ]
    assert beyond.is_error and "has decided steps 0 to 62, not 63" in text(beyond)


async def test_a_stitched_job_is_shown_with_its_parts(redis: str) -> None:
    await stitch(
        Towers(5, "compact"), Settings(k=2), parts=3, model=towers_double(), redis=redis, job="parts"
    )
    async with client(McpSettings(redis=redis)) as asking:
        shown = found(await asking.call_tool("show", {"job": "parts"}))
    assert (shown["kind"], shown["solved"], len(shown["parts"])) == ("stitched", True, 3)


async def test_a_job_that_takes_longer_than_a_call_is_gone_on_with(redis: str) -> None:
    arguments = {"task": "towers", "arguments": {"disks": 6, "style": "compact"}, "k": 1, "job": "long"}
    reports = []
    for latency, seconds in ((0.3, 5.0), (0.0, 50.0)):  # 63 steps take 19 s, and then next to nothing
        async with (
            DoubleServer(towers_double(latency=latency)) as server,
            client(McpSettings(model=server.url, redis=redis, seconds=seconds)) as asking,
        ):
            reports.append(found(await asking.call_tool("run", arguments)))
    first, last = reports
    assert (first["status"], first["job"]) == ("stopped", "long") and first["steps"] < 63
    assert (last["status"], last["steps"], last["solved"]) == ("done", 63, True)


async def test_progress_is_told_while_a_job_runs(redis: str) -> None:
    told: list[tuple[float, float | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total))

    async with (
        DoubleServer(towers_double(latency=0.05)) as server,
        client(McpSettings(model=server.url, redis=redis)) as asking,
    ):
        arguments = {"task": "towers", "arguments": {"disks": 5, "style": "compact"}, "k": 1}
        found(await asking.call_tool("run", arguments, progress_callback=note))
    assert told and told[-1][1] == 31 and told == sorted(told)


class Capitals:
    """Says a capital in one of several wordings, and now and then another one."""

    name = "capitals"

    def draw(self, ask: Ask) -> Sample:
        if "Give the answer alone" not in str(ask.prompt):
            return Sample(f"{ask.seed}", tokens=1)  # a probe of the client
        says = ("Paris", "<think>Lyon? No.</think>paris ", '"Paris"', "Lyon")
        return Sample(says[ask.seed % 4], tokens=1)

    def delay(self, ask: Ask) -> float:
        return 0.0


async def test_a_question_is_put_to_the_vote(redis: str) -> None:
    async with (
        DoubleServer(Capitals()) as server,
        client(McpSettings(model=server.url, redis=redis)) as asking,
    ):
        decided = found(await asking.call_tool("vote", {"question": "The capital of France?", "k": 3}))
        undecided = await asking.call_tool("vote", {"question": "The capital of France?", "k": 9, "limit": 9})
        refused = await asking.call_tool("vote", {"question": "?", "limit": 10_000})
    assert (decided["answer"], decided["votes"] - decided["against"]) == ("paris", 3)
    assert sum(line["votes"] for line in decided["tally"]) == decided["votes"] + decided["against"]
    assert undecided.is_error and "no ballot" in text(undecided) and "paris" in text(undecided)
    assert refused.is_error and "at most 200 samples, not 10000" in text(refused)


def by_command_line(file: Path) -> Any:
    command = [sys.executable, "-m", "surefoot.cli", "score", str(file), "--json"]
    (row,) = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    return row


async def test_a_log_is_scored_as_the_command_line_scores_it(redis: str, tmp_path: Path) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "bash", "arguments": '{"command":"ls"}'}}
    thinks = [{"role": "assistant", "content": "I am sure it works. " * 200} for _ in range(4)]
    log = [
        {"role": "user", "content": "Mend it."},
        {"role": "assistant", "content": "I look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "a.py"},
        *thinks,
    ]
    file = tmp_path / "log.json"
    file.write_text(json.dumps(log))
    row = by_command_line(file)
    async with client(McpSettings(redis=redis)) as asking:
        scored = found(await asking.call_tool("score", {"log": log}))
        as_text = found(await asking.call_tool("score", {"log": json.dumps(log)}))
        empty = await asking.call_tool("score", {"log": []})
    assert (
        scored == as_text == {name: row[name] for name in ("source", "turns", "score", "signals", "scores")}
    )
    assert empty.is_error and "the model says nothing in it" in text(empty)


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("run", {"task": "os:system"}, "task 'os:system' is not part of surefoot"),
        ("run", {"task": "towers", "arguments": {"disks": 0}}, "disks"),
        ("run", {"task": "towers", "arguments": {"plates": 3}}, "cannot be made from"),
        ("run", {"task": "towers", "arguments": FOUR, "k": -1}, "k"),
        ("plan", {"task": "towers", "arguments": FOUR, "reliability": 2}, "reliability"),
        ("show", {"job": "none"}, "there is no job 'none' here"),
        ("vote", {"question": "?", "kind": "poem"}, "kind"),
        ("fly", {}, "Unknown tool"),
    ],
)
async def test_what_cannot_be_is_said_in_a_sentence(
    model: str, redis: str, tool: str, arguments: dict[str, Any], sentence: str
) -> None:
    async with client(McpSettings(model=model, redis=redis)) as asking:
        result = await asking.call_tool(tool, arguments)
    assert result.is_error and sentence in text(result)


async def test_more_calls_than_there_are_places_are_refused(redis: str) -> None:
    async with DoubleServer(towers_double(latency=0.2)) as server:
        settings = McpSettings(model=server.url, redis=redis, at_once=2)
        ask = {"question": "state?", "k": 1}
        async with client(settings) as asking:
            results = await asyncio.gather(*(asking.call_tool("vote", ask) for _ in range(5)))
    refused = [text(result) for result in results if result.is_error]
    assert 1 <= len(refused) <= 3 and all("2 calls are being worked on" in each for each in refused)


async def status(url: str, **headers: str) -> int:
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    accepting = {"Accept": "application/json, text/event-stream", **headers}
    async with httpx.AsyncClient() as plain:
        return (await plain.post(url, json=body, headers=accepting)).status_code


async def test_pages_of_others_and_large_bodies_are_turned_away(redis: str) -> None:
    async with served(McpSettings(redis=redis)) as url:
        assert await status(url, Host="attacker.example") == 421
        assert await status(url, Origin="http://attacker.example") == 403
        assert await status(url) == 400  # no session, but it was let in
        async with httpx.AsyncClient() as plain:
            large = await plain.post(
                url, content=b"x" * (5 * 2**20), headers={"Content-Type": "application/json"}
            )
            head = await plain.get(url.removesuffix("/mcp"))
        assert large.status_code == 413
        assert "server" not in head.headers


async def test_with_a_token_only_those_who_know_it_are_let_in(redis: str) -> None:
    async with served(McpSettings(redis=redis), token=TOKEN) as url:
        assert await status(url) == 401
        assert await status(url, Authorization="Bearer wrong") == 401
        assert await status(url, Authorization=f"Bearer {TOKEN}") == 400
        assert await status(url, Authorization=f"Bearer {TOKEN}", Host="name.example") == 400
    with pytest.raises(BadInput, match="only with a token"):
        await serve_on_http(McpSettings(redis=redis), host="0.0.0.0", port=0)
    with pytest.raises(BadInput, match="cannot listen"):
        await serve_on_http(McpSettings(redis=redis), host="127.0.0.1", port=99_999)


class Breaking(Double):
    """A double that breaks, in words that are nobody's business."""

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        raise RuntimeError("the key is 1234")
        yield


async def test_an_error_that_nobody_foresaw_tells_the_client_nothing(redis: str) -> None:
    model: Any = Breaking(lambda prompt: "", lambda prompt, which: "")
    settings = McpSettings(redis=redis)
    object.__setattr__(settings, "model", model)
    async with client(settings) as asking:
        result = await asking.call_tool("vote", {"question": "?"})
    assert result.is_error and "1234" not in text(result)


def test_without_the_extra_one_sentence_says_what_to_install() -> None:
    without = "import sys; sys.modules['mcp'] = None; from surefoot.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", without, "mcp"], capture_output=True, text=True, timeout=60)
    assert done.returncode == BadInput.exit_code
    assert "install surefoot[mcp]" in done.stderr and len(done.stderr.splitlines()) == 1


def test_settings_that_cannot_be_are_refused_and_keys_are_not_shown() -> None:
    with pytest.raises(BadInput, match="more than 0"):
        McpSettings(seconds=0)
    assert "1234" not in repr(McpSettings(options=surefoot.Options(api_key="1234")))
