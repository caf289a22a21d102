"""Streams of llama.cpp, as the embedded server sends them (T1 to T6)."""

import struct
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import aiohttp
import httpx
import pytest

from surefoot.models.base import Ask
from surefoot.models.embedded.llama_cpp import EmbeddedServer, embedded_options, weights
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.connections import Connections
from surefoot.models.openai.options import Options, Wait
from surefoot.models.streaming import Draw, whole_stream
from surefoot.voting.samples import Sample

PROMPT = "---;AabcBC>"
CONTROL = 3


def streaming(waits: list[Wait], name: str = "pebble") -> Options:
    return replace(embedded_options(name), stream=True, on_wait=waits.append)


async def drawn(model: OpenAIModel, asks: list[Ask]) -> list[Sample]:
    async with aclosing(model.sample(asks)) as samples:
        found = {position: sample async for position, sample in samples}
    return [found[position] for position in sorted(found)]


async def test_t1_t2_streamed_asks_wait_for_nothing_and_lists_are_found_out() -> None:
    waits: list[Wait] = []
    with EmbeddedServer() as server:
        async with OpenAIModel(server.url, options=streaming(waits)) as model:
            can = await model.ready()
            for seed in range(12):
                (sample,) = await drawn(model, [Ask(PROMPT, 0.0, 40, seed)])
                assert sample.text == "aAB;AbcBaC"
    assert waits == []
    assert (can.text.n, can.text.lists, can.text.counts_all) == (True, True, True)


async def test_no_ask_goes_over_the_connection_of_a_stream_which_llama_cpp_closes() -> None:
    reused: list[object] = []

    async def note(*what: object) -> None:
        reused.append(what)

    class Watched(Connections):
        def get_client(self) -> aiohttp.ClientSession:
            client, trace = super().get_client(), aiohttp.TraceConfig()
            trace.on_connection_reuseconn.append(note)
            trace.freeze()
            client.trace_configs.append(trace)
            return client

    with EmbeddedServer() as server:
        transport = Watched(httpx.URL(server.url), streaming([]))
        async with OpenAIModel(server.url, transport=transport, options=streaming([])) as model:
            await drawn(model, [Ask(PROMPT, 0.0, 40, 0)])
            before = len(reused)
            for seed in range(10):
                await drawn(model, [Ask(PROMPT, 0.0, 40, seed)])
    assert before > 0, "connections of other answers are kept"
    assert len(reused) == before


async def test_t3_the_bill_of_many_streamed_samples_is_what_was_made() -> None:
    waits: list[Wait] = []
    with EmbeddedServer() as server:
        async with OpenAIModel(server.url, options=streaming(waits)) as model:
            samples = await drawn(model, [Ask("ABC", 5.0, 30, seed) for seed in range(40)])
            bill = model.usage
    assert waits == []
    assert all(sample.tokens is not None and sample.tokens <= 30 for sample in samples)
    assert bill.completion == sum(sample.tokens or 0 for sample in samples)
    assert len({sample.tokens for sample in samples}) > 1, "samples of several lengths"
    assert bill.uncounted == 0


async def test_t5_tokens_held_back_for_a_stop_string_keep_their_names() -> None:
    with EmbeddedServer() as server:
        async with OpenAIModel(server.url, options=embedded_options()) as model:
            draw = Draw(prompt=PROMPT, temperature=0.0, max_tokens=11, seed=0, top_logprobs=2)
            free = await whole_stream(model, draw)
            held = await whole_stream(model, replace(draw, stop=("BcXX", "ab;AQ", "aAX")))
    assert [token.text for token in held.tokens] == [token.text for token in free.tokens]
    assert "".join(token.text for token in held.tokens).startswith("aAB;AbcBaC")


@pytest.fixture
def controlled(tmp_path: Path) -> Path:
    """Ponder's weights with tags of thinking that are control tokens."""
    data = bytearray(weights("ponder").read_bytes())
    at = data.index(b"tokenizer.ggml.token_type") + len(b"tokenizer.ggml.token_type")
    array, item, count = struct.unpack_from("<IIQ", data, at)
    assert (array, item) == (9, 5), "an array of 32-bit integers"
    for tag in (257, 258):
        assert tag < count
        struct.pack_into("<i", data, at + 16 + 4 * tag, CONTROL)
    path = tmp_path / "controlled.gguf"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("stream", [False, True])
async def test_t6_tags_that_are_control_tokens_are_seen(controlled: Path, stream: bool) -> None:
    found = []
    for file in (None, controlled):
        with EmbeddedServer(file, name="ponder") as server:
            own = replace(embedded_options("ponder"), stream=stream)
            async with OpenAIModel(server.url, options=own) as model:
                samples = await drawn(model, [Ask(f"{left}+18=", 0.0, 300, 0) for left in range(27, 31)])
                draw = Draw(prompt="27+18=", temperature=0.0, max_tokens=300, seed=0)
                drawn_one = await whole_stream(model, draw)
                found.append(([sample.text for sample in samples], drawn_one.thought, drawn_one.text))
    usual, with_control_tokens = found
    assert usual == with_control_tokens
    assert usual[1]
