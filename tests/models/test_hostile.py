"""Servers that mean harm: each ends within a limit, in a sentence, and takes little memory and no orders to a terminal."""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Literal, get_args

import pytest

from surefoot.models.doubles.hostile import Harm, HostileServer

MOST_MB = 300
ASK = """
import asyncio, json, re, sys
from contextlib import aclosing
from surefoot.models.base import Ask, Message
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.options import Options
from surefoot.models.streaming import Draw, whole_stream
from surefoot.errors import SurefootError

async def main(stream, urls):
    said = {url: await ask(url, stream) for url in urls}
    # Not from getrusage: a process begins with the peak of the one that it was forked from.
    print(json.dumps([said, int(re.search("VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])]))

async def ask(url, stream):
    said = []
    options = Options(stream=stream, patience_s=0, total_s=60)
    try:
        async with OpenAIModel(url, options=options) as model:
            await model.ready()
            asks = [Ask("a", 0.7, 50, 0), Ask((Message("user", "a"),), 0.7, 50, 0)]
            async with aclosing(model.sample(asks)) as samples:
                said += [repr(sample) async for _, sample in samples]
            said.append(repr(await whole_stream(model, Draw(prompt="a", temperature=0.7, max_tokens=50, seed=0))))
    except SurefootError as error:
        said.append(str(error))
    return said

asyncio.run(main(sys.argv[1] == "True", sys.argv[2:]))
"""
WORDS = {
    "endless events": "lines",
    "endless comments": "lines",
    "endless blanks": "MB",
    "unknown compression": "compressed",
    "many values": "values",
    "many objects": "values",
    "inflating body": "MB",
    "inflating stream": "MB",
}


async def asked(servers: Sequence[HostileServer], stream: bool) -> tuple[dict[str, list[str]], float, str]:
    """What the client says to each in a process of its own, and the most memory that it took in MB."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ASK, str(stream), *(server.url for server in servers), stdout=-1, stderr=-1
    )
    out, err = await process.communicate()
    assert out, err.decode()
    said, kilobytes = json.loads(out)
    return said, kilobytes / 1024, err.decode()


@pytest.mark.parametrize(("at", "stream"), [("samples", False), ("samples", True), ("models", False)])
async def test_harm_ends_in_a_sentence(at: Literal["samples", "models"], stream: bool) -> None:
    """Z3, Z5: also where the harm is in a stream, or in one piece although a stream was asked for."""
    harms = get_args(Harm)
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(HostileServer(harm, at=at)) for harm in harms]
        said, megabytes, err = await asked(servers, stream)
        found = {harm: said[server.url] for harm, server in zip(harms, servers, strict=True)}
    assert "Traceback" not in err
    assert megabytes < MOST_MB
    for harm, sentences in found.items():
        assert sentences, harm
        for sentence in sentences:
            assert sentence.isprintable(), harm
            assert len(sentence) < 1500, harm
        if at == "samples" and (words := WORDS.get(harm)):
            assert words in sentences[-1], harm
