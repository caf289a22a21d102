"""Tools of real MCP servers, over stdio and streamable HTTP; and ours as one."""

import asyncio
import importlib.util
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import surefoot
from surefoot.tools import Tool, ToolFailed, checked_call, mcp_tools, normalised, schema_of, serve_mcp, shell
from surefoot.tools.environments import Environment

pytest.importorskip("mcp")
import uvicorn

HERE = Path(__file__).parent
STDIO = [sys.executable, str(HERE / "mcp_double.py")]


@asynccontextmanager
async def over_http(port: int = 0) -> AsyncIterator[str]:
    """Serve the double on a port of loopback, by default a free one; gives its URL."""
    spec = importlib.util.spec_from_file_location("mcp_double", HERE / "mcp_double.py")
    assert spec and spec.loader
    double = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(double)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        config = uvicorn.Config(double.made().streamable_http_app(), log_level="critical", lifespan="on")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        finally:
            server.should_exit = server.force_exit = True
            await serving


@asynccontextmanager
async def connected(transport: str, **options: Any) -> AsyncIterator[dict[str, Tool]]:
    if transport == "stdio":
        async with mcp_tools(STDIO, **options) as tools:
            yield {tool.name: tool for tool in tools}
    else:
        async with over_http() as url, mcp_tools(url, **options) as tools:
            yield {tool.name: tool for tool in tools}


async def call(tool: Tool, world: Environment, **arguments: Any) -> str:
    return (await tool.call(checked_call(tool, json.dumps(arguments)), world)).text


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_a_servers_tools_are_tools(transport: str, world: Environment) -> None:
    async with connected(transport) as tools:
        assert all(isinstance(tool, Tool) for tool in tools.values())
        assert schema_of(tools["add"]) == (
            "add",
            "Do add.",
            '{"additionalProperties":false,"properties":{"a":{"type":"integer"},'
            '"title":{"pattern":"^(x+x+)+y$","type":"string"}},"required":["a"],"type":"object"}',
        )
        assert await call(tools["add"], world, a=2) == "3"
        assert normalised(tools["add"], '{ "title": "xxy", "a": 1}') == '{"a":1,"title":"xxy"}'
        assert await call(tools["blocks"], world) == (
            "text\n[image of type image/png, 4 characters of base64]\n[page is at https://example.org/a]\nheld"
        )
        assert await call(tools["structured"], world) == '{"n":[1]}'
        assert "200,000 characters left out here" in await call(tools["long"], world)
        with pytest.raises(ToolFailed, match=r"^fail failed: no such \\x1b\[31m row$"):
            await call(tools["fail"], world)
        with pytest.raises(ToolFailed, match=r"^break failed with MCPError: (?!.*not for the client)"):
            await call(tools["break"], world)
        answers = await asyncio.gather(*(call(tools["add"], world, a=n) for n in range(20)))
        assert answers == [str(n + 1) for n in range(20)]


async def test_names_and_effects_come_from_the_server(world: Environment) -> None:
    async with connected("stdio", prefix="my ") as tools:
        effects = {name: (tool.effect, tool.repeatable) for name, tool in tools.items()}
        assert effects == {
            "my_add": ("reads", True),
            "my_files_write_all": ("writes", True),
            "my_files_write_all_2": ("writes", False),
            "my_drop": ("irreversible", False),
        } | {f"my_{name}": ("writes", False) for name in ("fail", "break", "blocks", "structured", "long", "wait", "exit", "environment")}  # fmt: skip
        assert await call(tools["my_files_write_all"], world, x=1) == "files.write/all ['x']"
        assert await call(tools["my_files_write_all_2"], world) == "files_write_all []"


BAD = [
    ("{}", "The arguments of add are wrong: 'a' is a required property"),
    ('{"a": "1"}', "The arguments of add are wrong: a: '1' is not of type 'integer'"),
    ('{"a": 1, "b": 2}', "The arguments of add are wrong: there is no argument 'b', only a, title"),
    ('{"a": 1, "title": "' + "x" * 50_000 + '"}', "The arguments of add are wrong: title: 'xxxx"),
    ("[]", "The arguments of add must be one JSON object"),
]


async def test_arguments_are_checked_against_the_servers_schema() -> None:
    async with connected("stdio") as tools:
        for arguments, sentence in BAD:
            with pytest.raises(ToolFailed) as told:
                checked_call(tools["add"], arguments)
            assert str(told.value).startswith(sentence)
            assert len(str(told.value)) < 600


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_a_call_without_an_end_and_a_cancelled_one_leave_the_rest_alone(
    transport: str, world: Environment
) -> None:
    async with connected(transport, timeout_s=2.0) as tools:
        with pytest.raises(ToolFailed, match=r"^wait failed with "):
            await call(tools["wait"], world)
        waiting = asyncio.create_task(call(tools["wait"], world))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await call(tools["add"], world, a=1) == "2"


async def test_a_server_that_ends_fails_every_call_from_then_on(world: Environment) -> None:
    async with connected("stdio") as tools:
        for name in ("exit", "blocks"):
            with pytest.raises(ToolFailed, match=f"^{name} failed with "):
                await asyncio.wait_for(call(tools[name], world), 30)
    with pytest.raises(ToolFailed, match=r"^add failed with "):
        await call(tools["add"], world, a=1)


async def test_a_server_that_is_away_fails_calls_and_is_found_again(world: Environment) -> None:
    """It ends no one else's task: the official client cancels the one that it was opened in."""
    port = 0
    async with AsyncExitStack() as stack:
        for turn in range(3):
            async with over_http(port) as url:
                if not turn:
                    tools = {tool.name: tool for tool in await stack.enter_async_context(mcp_tools(url))}
                    port = int(url.split(":")[2].split("/")[0])
                assert await call(tools["add"], world, a=turn) == str(turn + 1)
            for _ in range(2):
                with pytest.raises(ToolFailed, match=r"^add failed with "):
                    await asyncio.wait_for(call(tools["add"], world, a=1), 30)


async def test_a_servers_process_sees_little_and_its_errors_can_be_kept(
    world: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET_KEY", "x")
    with (tmp_path / "errors").open("w+") as errors:
        async with connected("stdio", env={"GIVEN": "1"}, stderr=errors) as tools:
            seen = await call(tools["environment"], world)
        errors.seek(0)
        assert errors.read() == "a word on standard error\n"
    assert "GIVEN" in seen and "SECRET_KEY" not in seen


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("mine"),
        ToolFailed("told"),
        asyncio.CancelledError(),
        ExceptionGroup("two", [KeyError(), OSError()]),
    ],
)
async def test_what_the_block_raises_comes_out_as_it_is(transport: str, error: BaseException) -> None:
    with pytest.raises(type(error)) as raised:
        async with connected(transport):
            raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        (["/nowhere/server"], "the MCP server '/nowhere/server' is of no use: FileNotFoundError"),
        ([], "the MCP server '' is of no use: ValueError: no command is given"),
        ("", "the MCP server '' is of no use"),
        ("'open", 'the MCP server "\'open" is of no use: ValueError: No closing quotation'),
        ([sys.executable, "-c", "print('hello')"], "is of no use: "),
        (["cat"], "the MCP server 'cat' is of no use: "),
        ("ftp://x", "ValueError: a URL must begin with http:// or https://"),
        ("http://u:key@127.0.0.1:1/mcp?key=key", "the MCP server at 'http://127.0.0.1:1/mcp' is of no use: "),
    ],
)
async def test_a_server_that_cannot_be_reached_is_bad_input(server: str | list[str], sentence: str) -> None:
    with pytest.raises(surefoot.BadInput) as refused:
        async with mcp_tools(server, timeout_s=5.0):
            pass
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value) and "key=" not in str(refused.value)


async def test_a_url_that_is_no_mcp_server_is_bad_input() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(
            surefoot.BadInput, match=r"is of no use: .*; see whether the URL and the headers are right"
        ):
            async with mcp_tools(f"http://127.0.0.1:{port}/mcp", timeout_s=5.0):
                pass


async def test_our_tools_are_offered_to_others(tmp_path: Path, world: Environment) -> None:
    ours = [sys.executable, str(HERE / "mcp_ours.py"), str(tmp_path)]
    async with mcp_tools(ours) as offered:
        tools = {tool.name: tool for tool in offered}
        assert {name: (tool.effect, tool.repeatable) for name, tool in tools.items()} == {
            "shell": ("writes", False),
            "read_file": ("reads", True),
            "edit_file": ("writes", False),
            "shout": ("irreversible", True),
        }
        assert schema_of(tools["shell"]) == schema_of(shell)
        assert await call(tools["shell"], world, command="echo a > f; cat f; exit 3") == "a\n[exit code 3]"
        assert await call(tools["edit_file"], world, path="f", old="a", new="b") == "[f edited]\n     1\tb"
        assert await call(tools["shout"], world, word="ah") == "AH in local"
        with pytest.raises(ToolFailed, match=r"read_file failed: 'g' cannot be opened"):
            await call(tools["read_file"], world, path="g")
        with pytest.raises(ToolFailed, match="first_line: 0 is less than the minimum of 1"):
            checked_call(tools["read_file"], '{"path": "f", "first_line": 0}')
    assert (tmp_path / "f").read_text() == "b\n"


def test_our_server_tells_of_bad_calls_that_a_client_lets_through(tmp_path: Path) -> None:
    """By hand: what a client without checks sends, and an input that ends."""
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "0"}}
    sent = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {
            "jsonrpc": "2.0",
            "id": 2,
            "method": "tools/call",
            "params": {"name": "shout", "arguments": {"word": 3}},
        },
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "nothing"}},
        {
            "jsonrpc": "2.0",
            "id": 4,
            "method": "tools/call",
            "params": {"name": "shout", "arguments": {"word": "a"}},
        },
    ]
    process = subprocess.Popen(
        [sys.executable, str(HERE / "mcp_ours.py"), str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin and process.stdout
    answers: dict[int, Any] = {}
    for message in sent:
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
        if "id" in message:
            answer = json.loads(process.stdout.readline())
            answers[answer["id"]] = answer["result"]
    # mcp 2.3.0 may end before it answers a call that was sent with the end of its input: each answer is waited for.
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    # What a tool prints is no message: neither while it serves nor afterwards.
    assert sorted(answers) == [1, 2, 3, 4] and rest == ""
    assert answers[2]["isError"] is True
    assert answers[2]["content"][0]["text"].startswith(
        "The arguments of shout are wrong: word: input should be"
    )
    assert answers[3]["content"][0]["text"] == "there is no tool 'nothing'"


WITHOUT = """
import asyncio, sys
for name in {missing!r}: sys.modules[name] = None
import surefoot
from surefoot.tools import mcp_tools, serve_mcp
from surefoot.tools.json_schema import arguments_by_schema
async def connect():
    async with mcp_tools("x"): pass
for ask in (connect, lambda: serve_mcp([], None)):
    try: asyncio.run(ask())
    except surefoot.BadInput as error: print(error)
try: arguments_by_schema("x", {{}})
except surefoot.BadInput as error: print(error)
"""


def test_without_the_extra_only_these_are_refused_and_in_one_sentence() -> None:
    for missing, lines in ((["mcp"], 2), (["mcp", "jsonschema"], 3)):
        code = WITHOUT.format(missing=missing)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
        )
        said = done.stdout.splitlines()
        assert len(said) == lines
        assert all(line.endswith("install surefoot[mcp]") for line in said)


async def test_two_tools_of_one_name_are_refused(world: Environment) -> None:
    with pytest.raises(surefoot.BadInput, match="two of the tools are called 'shell'"):
        await serve_mcp([shell, shell], world)


async def test_work_that_was_done_is_not_told_as_undone(tmp_path: Path, world: Environment) -> None:
    """A float that is no number is against the schema that the server publishes for it, and the client raises: after the call."""
    done = tmp_path / "done"
    async with mcp_tools([sys.executable, str(HERE / "mcp_measures.py"), str(done)]) as tools:
        named = {tool.name: tool for tool in tools}
        assert await call(named["measure"], world, value="1.5") == "1.5"
        with pytest.raises(
            ToolFailed,
            match=r"^measure was called, and may have done its work, but its result cannot be taken: ",
        ):
            await call(named["measure"], world, value="nan")
    assert done.read_text() == "1.5\nnan\n"


async def test_a_list_is_told_with_its_brackets(tmp_path: Path, world: Environment) -> None:
    """The text that servers make of it has none: nested lists are one after the other, and what is empty is nothing."""
    async with mcp_tools([sys.executable, str(HERE / "mcp_measures.py"), str(tmp_path / "done")]) as tools:
        named = {tool.name: tool for tool in tools}
        assert await call(named["table"], world) == "[[1,null],[2,3]]"
        assert await call(named["rows"], world, kind="text") == "two\nlines"
