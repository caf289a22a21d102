"""A proxy over a server whose model is wrong in one sample of five, on loopback in a thread of its own: clients may block.

With SUREFOOT_TRANSCRIPTS=FILE what each client sent and got is written at the end of it, for a person to read.
"""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from surefoot.models.base import Ask
from surefoot.models.doubles import Double, DoubleServer
from surefoot.models.offers import Call, write_calls
from surefoot.models.openai import OpenAIModel
from surefoot.serving.proxy import ProxySettings, proxy_app
from surefoot.voting.samples import Sample

PERSON = '{"name": "Ada", "age": 36}'
NOBODY = '{"name": "Nobody", "age": 0}'
SUBMIT = '{"command": "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && echo done"}'
ARGUMENTS = {
    "weather": ('{"town": "Paris"}', '{"town": "Rome"}'),
    "bash": (SUBMIT, '{"command": "echo wrong"}'),
}
"""Of the right call and of a wrong one, by the tool's name; all other tools take a person."""
LONGEST_SHOWN = 1500
MOST_SHOWN = 8
"""Exchanges of a client in its transcript."""
HEAD = f"""\
# What clients send to the voting proxy, and what they get

By `make test-clients`: other people's clients, unchanged, against the proxy around a double that is wrong in one sample of five, with `votes=8`. The first {MOST_SHOWN} requests of each
client, cut after {LONGEST_SHOWN:,} characters. 42, Ada and Paris are right.
"""
PACKAGES = {"langchain": "langchain-openai", "pydantic_ai": "pydantic-ai-slim"}
"""Of clients that are not called as their tests are."""


class Worker(Double):
    """Calls the first tool that it is offered until it sees a result, fills in what it is asked for as JSON, and knows a product."""

    def draw(self, ask: Ask) -> Sample:
        told = str(ask.prompt)
        right, wrong = (PERSON, NOBODY) if "JSON" in told else ("42", "41")
        if "sunny" in told:
            right = wrong = "It is sunny there."  # what is said in place of a call is not voted on
        elif ask.offer is not None:
            name = ask.offer.tools[0].name
            right, wrong = (
                write_calls("", [Call(name, each)]) for each in ARGUMENTS.get(name, (PERSON, NOBODY))
            )
        sample = super().draw(ask)
        return sample._replace(text=right if sample.text == "right" else wrong)


@dataclass
class Exchange:
    """What a client sent, and what it got."""

    client: str
    path: str
    sent: bytes = b""
    status: int = 0
    headers: list[str] = field(default_factory=list)
    got: bytes = b""


class Recorder:
    """The proxy's application, and what went in and out of it."""

    def __init__(self, app: ASGIApp) -> None:
        self.client = ""
        self.exchanges: list[Exchange] = []
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(self.client, scope.get("path", ""))
        self.exchanges.append(exchange)

        async def received() -> Message:
            message = await receive()
            exchange.sent += message.get("body", b"")
            return message

        async def sent(message: Message) -> None:
            exchange.status = message.get("status", exchange.status)
            headers = [(name.decode(), value.decode()) for name, value in message.get("headers", ())]
            exchange.headers += [
                f"{name}: {value}" for name, value in headers if name.startswith("x-surefoot")
            ]
            exchange.got += message.get("body", b"")
            await send(message)

        await self._app(scope, received, sent)


def page(exchanges: list[Exchange]) -> str:
    """Return the transcripts, client by client."""
    found = []
    for client in dict.fromkeys(each.client for each in exchanges):
        package = PACKAGES.get(client, client)
        found.append(f"## {package} {version(package)}\n")
        for each in [each for each in exchanges if each.client == client][:MOST_SHOWN]:
            sent = json.dumps(json.loads(each.sent), ensure_ascii=False) if each.sent else ""
            got = each.got.decode()
            found.append(f"    POST {each.path}\n    {sent[:LONGEST_SHOWN]}\n")
            lines = [str(each.status), *each.headers, *got[:LONGEST_SHOWN].split("\n")]
            found.append("\n".join(f"    {line}".rstrip() for line in lines) + "\n")
    return "\n".join(found)


@dataclass
class Place:
    """Where clients ask."""

    url: str
    behind: str
    """The server of the model, without the proxy."""
    recorder: Recorder


@pytest.fixture(scope="session")
def served() -> Iterator[Place]:
    found: list[Place] = []
    up, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        double = Worker(lambda prompt: "right", lambda prompt, which: "wrong", error=0.2, seed=1)
        async with DoubleServer(double) as behind, OpenAIModel(behind.url) as model:
            await model.ready()
            recorder = Recorder(proxy_app(model, ProxySettings(votes=8, limit=100)))
            server = uvicorn.Server(uvicorn.Config(recorder, port=0, lifespan="off", log_level="error"))
            serving = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            found.append(Place(f"http://127.0.0.1:{port}/v1", behind.url, recorder))
            up.set()
            await stop.wait()
            server.should_exit = True
            await serving

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert up.wait(60)
    yield found[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(60)
    if file := os.environ.get("SUREFOOT_TRANSCRIPTS"):
        exchanges = [each for each in found[0].recorder.exchanges if each.client]
        with Path(file).open("a") as transcripts:
            if not transcripts.tell():
                transcripts.write(HEAD)
            transcripts.write("\n" + page(exchanges))


@pytest.fixture
def place(served: Place, request: Any) -> Place:
    """Return where to ask; what is asked from here on is this test's client's."""
    served.recorder.client = request.node.name.removeprefix("test_")
    return served
