"""The client against a real server on loopback, well behaved and not."""

import asyncio
import email.utils
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiohttp import web

import surefoot
from surefoot.agents.tasks.task import Task, Value
from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message, ModelUnavailable, Prompt
from surefoot.models.doubles import towers_double
from surefoot.models.doubles.server import DoubleServer, Fault
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.exchange import RequestRefused
from surefoot.models.openai.options import Options, Wait
from surefoot.models.openai.probe import ServerLacks
from surefoot.voting.samples import Sample, Usage

FIRST = "---;AabcBC>"
SECOND = "aAB;AbcBaC>"
THIRD = "---;AabBC>"
KEY = "sk-very-secret-0123456789"


def ask(prompt: str = FIRST, temperature: float = 0.1, seed: int = 0, max_tokens: int = 50) -> Ask:
    return Ask(prompt, temperature, max_tokens, seed)


def chat(text: str = FIRST, seed: int = 0) -> Ask:
    return Ask((Message("user", text),), 0.1, 50, seed)


async def drawn(model: OpenAIModel, asks: Sequence[Ask]) -> list[Sample]:
    """All samples, by position; every position exactly once."""
    found: dict[int, Sample] = {}
    async with aclosing(model.sample(asks)) as samples:
        async for position, sample in samples:
            assert position not in found
            found[position] = sample
    return [found[position] for position in range(len(asks))]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never happened")


def asked(server: DoubleServer) -> list[dict[str, object]]:
    """The requests since the last look."""
    bodies = list(server.bodies)
    server.bodies.clear()
    return bodies


# --- the happy path ---


async def test_every_ask_gets_its_own_answer_whatever_travels_together() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        asks = [
            ask(FIRST),
            ask(SECOND),
            ask(FIRST),
            ask(THIRD, 0.0),
            ask(FIRST, 0.0),
            chat(SECOND),
            ask(SECOND),
        ]
        texts = [sample.text for sample in await drawn(model, asks)]
    double = towers_double()
    assert texts[:5] == [double.draw(a).text for a in asks[:5]]
    assert texts[5] == "bAC;AcBaCb"


async def test_the_only_model_is_taken_when_none_is_named() -> None:
    async with DoubleServer(towers_double(name="lonely")) as server, OpenAIModel(server.url) as model:
        await model.ready()
        assert model.name == "lonely"


async def test_the_base_url_may_end_in_v1_or_not() -> None:
    async with DoubleServer(towers_double()) as server:
        for url in (
            server.url,
            server.url + "/",
            server.url.removesuffix("/v1"),
            server.url.removesuffix("v1"),
        ):
            async with OpenAIModel(url) as model:
                assert (await drawn(model, [ask()]))[0].text == "aAB;AbcBaC"


async def test_a_callers_client_is_used_and_left_open() -> None:
    async with DoubleServer(towers_double(), api_key=KEY) as server, httpx.AsyncClient() as client:
        model = OpenAIModel(server.url, client=client, options=Options(api_key=KEY))
        await drawn(model, [ask()])
        await model.aclose()
        assert not client.is_closed


async def test_a_callers_client_sends_its_own_headers() -> None:
    """Gateways want the key, a session or a tenant in headers of their own."""
    async with (
        DoubleServer(towers_double(), api_key=KEY) as server,
        httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}) as client,
        OpenAIModel(server.url, client=client) as model,
    ):
        assert (await drawn(model, [ask()]))[0].text == "aAB;AbcBaC"


async def test_a_transport_handed_in_is_used() -> None:
    transport = httpx.AsyncHTTPTransport()
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url, transport=transport) as model:
        assert (await drawn(model, [ask()]))[0].text == "aAB;AbcBaC"


async def test_extra_fields_and_stop_strings_reach_the_server() -> None:
    options = Options(extra={"top_k": 0, "min_p": 0.0}, stop=("\n",))
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url, options=options) as model:
        await model.ready()
        asked(server)
        await drawn(model, [ask()])
        (body,) = asked(server)
    assert (body["top_k"], body["min_p"], body["stop"]) == (0, 0.0, ["\n"])


async def test_the_chat_limit_can_go_by_its_newer_name() -> None:
    options = Options(chat_limit="max_completion_tokens")
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url, options=options) as model:
        await model.ready()
        asked(server)
        await drawn(model, [chat()])
        (body,) = asked(server)
    assert body["max_completion_tokens"] == 50
    assert "max_tokens" not in body


# --- what travels together ---


async def test_samples_of_one_prompt_are_one_request_with_n() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        await model.ready()
        asked(server)
        await drawn(model, [ask(seed=seed) for seed in range(3)])
        await drawn(model, [chat(seed=seed) for seed in range(3)])
        text, conversation = asked(server)
    assert text["n"] == conversation["n"] == 3
    assert "seed" not in text


async def test_different_prompts_are_one_request_with_a_list() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        await model.ready()
        asked(server)
        await drawn(model, [ask(p, seed=s) for s in range(2) for p in (FIRST, SECOND, THIRD)])
        (body,) = asked(server)
    assert body["prompt"] == [FIRST, SECOND, THIRD]
    assert body["n"] == 2


async def test_the_first_ballot_at_temperature_0_travels_alone() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        await model.ready()
        asked(server)
        await drawn(model, [ask(temperature=0.0), ask(seed=1), ask(seed=2)])
        bodies = asked(server)
    # Each request has a temperature of its own, too near to the wanted one to be told from it.
    temperatures = sorted((b["temperature"], b.get("n", 1)) for b in bodies)
    assert temperatures == [(0.0, 1), (pytest.approx(0.1, rel=1e-6), 2)]
    assert temperatures[1][0] != 0.1


async def test_greedy_samples_never_use_n_which_vllm_refuses() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        await model.ready()
        asked(server)
        await drawn(model, [ask(temperature=0.0, seed=s) for s in range(3)])
        assert [(b["prompt"], b.get("n")) for b in asked(server)] == [([FIRST] * 3, None)]


async def test_requests_are_no_larger_than_allowed() -> None:
    options = Options(max_n=2, max_batch=4)
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url, options=options) as model:
        await model.ready()
        asked(server)
        asks = [ask(p, seed=s) for s in range(5) for p in (FIRST, SECOND, THIRD)]
        double = towers_double()
        assert [s.text for s in await drawn(model, asks)] == [double.draw(a).text for a in asks]
        for body in asked(server):
            prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
            assert body.get("n", 1) <= 2  # type: ignore[operator]
            assert len(prompts) * body.get("n", 1) <= 4  # type: ignore[operator]


async def test_seeds_are_sent_on_request_each_with_a_request_of_its_own() -> None:
    double = towers_double(error=0.5)
    asks = [ask(FIRST, seed=s) for s in range(20)] + [chat(SECOND, seed=s) for s in range(3)]
    async with DoubleServer(double) as server, OpenAIModel(server.url, options=Options(seeded=True)) as model:
        await model.ready()
        asked(server)
        samples = await drawn(model, asks)
        bodies = asked(server)
    assert [s.text for s in samples[:20]] == [double.draw(a).text for a in asks[:20]]
    assert sorted(b["seed"] for b in bodies) == sorted(a.seed for a in asks)  # type: ignore[type-var]
    assert all("n" not in b for b in bodies)
    assert len({s.text for s in samples[:20]}) > 1


# --- usage ---


async def test_tokens_of_one_sample_are_its_own_and_those_of_several_are_booked_once() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        (alone,) = await drawn(model, [ask()])
        several = await drawn(model, [ask(seed=s) for s in range(3)])
        assert alone.tokens == 3
        assert alone.usage == Usage(prompt=3, completion=3)
        assert [s.tokens for s in several] == [None] * 3
        assert sum(s.usage.completion for s in several) == 9
        assert sum(s.usage.prompt for s in several) == 3
        assert model.usage == Usage(prompt=6, completion=12)


async def test_samples_cut_off_at_the_limit_say_so() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        (sample,) = await drawn(model, [ask(max_tokens=1)])
    assert (sample.finish, sample.text) == ("length", "aAB;")


# --- streaming ---


@pytest.mark.parametrize("make", [ask, chat])
async def test_streams_are_put_together(make: Callable[..., Ask]) -> None:
    options = Options(stream=True)
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url, options=options) as model:
        (alone,) = await drawn(model, [make(FIRST)])
        several = await drawn(model, [make(FIRST, seed=1), make(SECOND, seed=2), make(FIRST, seed=3)])
    assert (alone.text, alone.finish, alone.tokens) == ("aAB;AbcBaC", "stop", 3)
    assert [s.text for s in several] == ["aAB;AbcBaC", "bAC;AcBaCb", "aAB;AbcBaC"]
    assert sum(s.usage.completion for s in several) == 9


# --- thoughts, on a server that leaves their tags in the text ---

CANARY = "canary-91b7e2"


class Aloud:
    """A model that thinks aloud."""

    name = "aloud"

    def __init__(self, text: str, finish: str = "stop") -> None:
        self.text, self.finish = text, finish

    def draw(self, ask: Ask) -> Sample:
        tokens = min(9, ask.max_tokens)
        return Sample(self.text, self.finish, tokens, Usage(prompt=5, completion=tokens))

    def delay(self, _: Ask) -> float:
        return 0.0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("make", [ask, chat])
@pytest.mark.parametrize(
    ("text", "finish", "answer"),
    [
        (f"<think>{CANARY} is 5</think>\n\n4", "stop", "4"),
        (f"{CANARY} is 5</think>4", "stop", "4"),
        (f"<think>{CANARY}</think>4<think>{CANARY}</think>2", "stop", "42"),
        (f"<think>{CANARY} is", "length", ""),
        (f"<think>{CANARY}</think>4<think>{CANARY}", "stop", ""),
        (f"<think>{CANARY}</thi", "length", ""),
        ("<think></think>", "stop", ""),
        (" 3 < 4 <thi\n", "stop", " 3 < 4 <thi\n"),
    ],
)
async def test_a_sample_is_what_comes_after_the_thoughts(
    make: Callable[..., Ask], stream: bool, text: str, finish: str, answer: str
) -> None:
    async with (
        DoubleServer(Aloud(text, finish)) as server,
        OpenAIModel(server.url, options=Options(stream=stream)) as model,
    ):
        (alone,) = await drawn(model, [make()])
        several = await drawn(model, [make(seed=seed) for seed in range(3)])
    assert alone == Sample(answer, finish, 9, Usage(prompt=5, completion=9), 5)
    assert [(sample.text, sample.finish) for sample in several] == [(answer, finish)] * 3
    assert sum(sample.usage.completion for sample in several) == 27


@pytest.mark.parametrize(("text", "answer"), [(f"{CANARY}</think>4", "4"), (CANARY, "")])
async def test_a_prompt_that_ends_in_a_thought_makes_a_thought_of_what_comes_next(
    text: str, answer: str
) -> None:
    begun = "2 + 2?<think>Okay, so "
    prefilled = Ask((Message("user", "2 + 2?"), Message("assistant", begun)), 0.1, 50, 0)
    async with DoubleServer(Aloud(text)) as server, OpenAIModel(server.url) as model:
        samples = await drawn(model, [ask(begun), ask(begun, seed=1), ask(begun + "4</think>"), prefilled])
        (user,) = await drawn(model, [chat(begun)])
    closed = answer or text
    assert [sample.text for sample in samples] == [answer, answer, closed, answer]
    assert user.text == closed, "what a user says is no thought of the model"


class Twice(Task[int, int]):
    """Say one number twice."""

    name = "twice"

    def spec(self) -> Mapping[str, Value]:
        return {}

    def start(self) -> int:
        return 2

    def ask(self, state: int, view: int = 0) -> Prompt:
        return (Message("user", f"{state} more"),)

    def read(self, text: str, state: int, view: int = 0) -> int:
        return int(text)

    def advance(self, state: int, answer: int) -> int:
        return state - answer

    def finished(self, state: int) -> bool:
        return state == 0


async def test_thoughts_in_the_text_get_into_no_report_and_no_stall(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUREFOOT_HOME", str(tmp_path))
    caplog.set_level("INFO")
    double = Aloud(f"<think>{CANARY}</think>1")
    async with DoubleServer(double) as server, OpenAIModel(server.url) as model:
        report = await surefoot.run(Twice(), surefoot.Settings(k=2), model=model)
        double.text, double.finish = f"<think>{CANARY}", "length"
        with pytest.raises(surefoot.Stalled) as stalled:
            await surefoot.run(Twice(), surefoot.Settings(k=2, limit=8), model=model)
        bodies = list(server.bodies)
    assert (report.solved, report.steps) == (True, 2)
    assert stalled.value.examples
    shown = [
        report.model_dump(),
        stalled.value.examples,
        str(stalled.value),
        bodies,
        repr(model),
        caplog.text,
    ]
    assert [each for each in shown if CANARY in repr(each)] == []


# --- what goes wrong and passes ---


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", status=500),
        Fault("status", status=503),
        Fault("status", status=408),
        Fault("status", status=429),
        Fault("cut"),
        Fault("malformed"),
        Fault("page"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}" if fault.kind == "status" else fault.kind,
)
async def test_a_passing_fault_is_tried_again_and_never_becomes_a_sample(fault: Fault, stream: bool) -> None:
    waits: list[Wait] = []
    back: list[bool] = []
    options = Options(stream=stream, on_wait=waits.append, on_back=lambda: back.append(True))
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url, options=options) as model:
        await model.ready()
        server.fail(fault, times=2)
        (sample,) = await drawn(model, [ask()])
    assert sample.text == "aAB;AbcBaC"
    assert server.stats.failed == 2
    assert [wait.attempt for wait in waits] == [1, 2]
    assert all(wait.next_try_s > 0 and wait.error for wait in waits)
    assert back == [True]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_new_connection_that_is_closed_without_an_answer_is_an_outage(stream: bool) -> None:
    waits: list[Wait] = []
    options = Options(stream=stream, on_wait=waits.append)
    unkept = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))
    async with (
        DoubleServer(towers_double()) as server,
        OpenAIModel(server.url, options=options, transport=unkept) as model,
    ):
        await model.ready()
        server.fail(Fault("drop"), times=2)
        (sample,) = await drawn(model, [ask()])
    assert sample.text == "aAB;AbcBaC"
    assert server.stats.failed == 2
    assert [wait.attempt for wait in waits] == [1, 2]


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_honoured_in_both_forms(form: str) -> None:
    tried_again: list[float] = []
    options = Options(on_wait=lambda wait: tried_again.append(time.time() + wait.next_try_s))
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url, options=options) as model:
        await model.ready()
        due = time.time() + 0.7 if form == "seconds" else int(time.time() + 2)
        when = "0.7" if form == "seconds" else email.utils.formatdate(due, usegmt=True)
        server.fail(Fault("status", status=429, retry_after=when))
        await drawn(model, [ask()])
        assert time.time() >= due
    assert len(tried_again) == 1
    assert tried_again[0] >= due


async def test_a_server_cannot_ask_for_more_than_a_minute() -> None:
    waits: list[Wait] = []
    options = Options(on_wait=waits.append)
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url, options=options) as model:
        await model.ready()
        server.fail(Fault("status", status=503, retry_after="86400"))
        drawing = asyncio.create_task(drawn(model, [ask()]))
        await until(lambda: bool(waits))
        drawing.cancel()
    assert waits[0].next_try_s == 60


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_other_client_errors_are_never_tried_again(status: int) -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        await model.ready()
        before = server.stats.requests
        server.fail(Fault("status", status=status, message="prompt is 9999 tokens too long"))
        with pytest.raises(RequestRefused, match=f"{status}: prompt is 9999 tokens too long"):
            await drawn(model, [ask()])
        assert server.stats.requests == before + 1


async def test_a_hanging_request_times_out_and_is_tried_again() -> None:
    waits: list[Wait] = []
    options = Options(total_s=0.2, on_wait=waits.append)
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url, options=options) as model:
        await model.ready()
        server.fail(Fault("hang"))
        (sample,) = await drawn(model, [ask()])
        await until(lambda: server.stats.aborted == 1)
    assert sample.text == "aAB;AbcBaC"
    assert waits[0].error == "no answer within 0.2 s"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_late_first_token_times_out(stream: bool) -> None:
    waits: list[Wait] = []
    options = Options(stream=stream, first_token_s=0.2, on_wait=waits.append)
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url, options=options) as model:
        await model.ready()
        server.fail(Fault("hang"))
        await drawn(model, [ask()])
    assert waits[0].error == "no first token within 0.2 s"


async def test_a_model_that_has_begun_may_take_longer_than_its_first_token() -> None:
    waits: list[Wait] = []
    options = Options(stream=True, first_token_s=0.15, on_wait=waits.append)
    async with slow_stream(pause_s=0.3) as url, OpenAIModel(url, options=options) as model:
        (sample,) = await drawn(model, [ask()])
    assert sample.text == "ab"
    assert not waits


async def test_patience_ends_with_a_sentence() -> None:
    options = Options(patience_s=0.5)
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url, options=options) as model:
        await model.ready()
        server.fail(Fault("status", status=500, message="out of memory"), times=100)
        with pytest.raises(ModelUnavailable, match=r"0\.5 s \(500: out of memory\)") as caught:
            await drawn(model, [ask()])
        assert not isinstance(caught.value, RequestRefused)
        assert server.stats.failed > 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_server_killed_and_started_again_is_waited_for(stream: bool) -> None:
    waits: list[Wait] = []
    back: list[bool] = []
    options = Options(stream=stream, on_wait=waits.append, on_back=lambda: back.append(True))
    server, url = served()
    try:
        async with OpenAIModel(url, options=options) as model, httpx.AsyncClient() as client:
            await model.ready()
            await client.post(url.removesuffix("/v1") + "/faults", json=[{"kind": "hang"}] * 2)
            drawing = asyncio.create_task(drawn(model, [ask(FIRST), ask(SECOND, 0.0)]))
            await served_requests(client, url, in_flight=2)
            server.kill()
            server.wait()
            await until(lambda: bool(waits))
            server, again = served("--port", url.rsplit(":", 1)[1].removesuffix("/v1"))
            assert again == url
            samples = await drawing
    finally:
        server.kill()
        server.wait()
    assert [sample.text for sample in samples] == ["aAB;AbcBaC", "bAC;AcBaCb"]
    assert back == [True]
    assert all(wait.server == f"the model server at {url.removesuffix('/v1')}" for wait in waits)


# --- what goes wrong and stays wrong ---


async def test_an_unreachable_server_is_reported_within_seconds() -> None:
    started = time.monotonic()
    async with OpenAIModel(f"http://127.0.0.1:{free_port()}") as model:
        with pytest.raises(ModelUnavailable, match="check its address"):
            await model.ready()
    assert time.monotonic() - started < 8


async def test_an_unknown_model_is_answered_with_those_that_exist() -> None:
    async with (
        DoubleServer(towers_double(name="pebble")) as server,
        OpenAIModel(server.url, "llama") as model,
    ):
        with pytest.raises(RequestRefused, match="no model 'llama'; those that exist: 'pebble'"):
            await drawn(model, [ask()])


async def test_a_wrong_path_is_reported() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url + "/elsewhere") as model:
        with pytest.raises(RequestRefused, match=r"no OpenAI-compatible API.*404"):
            await model.ready()


async def test_a_web_page_is_no_model_server() -> None:
    async with web_page() as url, OpenAIModel(url) as model:
        with pytest.raises(RequestRefused, match="web page"):
            await model.ready()


@pytest.mark.parametrize("url", ["gpu:8000", "ftp://gpu/v1", "http://", "", "//gpu", "http://gpu:port"])
def test_what_is_no_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(BadInput, match="address"):
        OpenAIModel(url)


async def test_a_missing_endpoint_is_named_when_it_is_needed() -> None:
    async with DoubleServer(towers_double(), without=["chat"]) as server, OpenAIModel(server.url) as model:
        await drawn(model, [ask()])
        with pytest.raises(ServerLacks, match="no /chat/completions"):
            await drawn(model, [chat()])


# --- the key ---


async def test_the_key_is_sent_and_never_shown() -> None:
    waits: list[Wait] = []
    options = Options(api_key=KEY, on_wait=waits.append, patience_s=0.3)
    async with DoubleServer(towers_double(), api_key=KEY) as server:
        async with OpenAIModel(server.url, options=options) as model:
            await drawn(model, [ask()])
            server.fail(Fault("status", status=500, message=f"worker died on key {KEY}"), times=50)
            with pytest.raises(ModelUnavailable) as gone:
                await drawn(model, [ask()])
            shown = [str(model), str(gone.value), *map(repr, (model, options, gone.value.__cause__, *waits))]
        async with OpenAIModel(server.url, options=Options(api_key=KEY + "x")) as model:
            with pytest.raises(
                RequestRefused, match=r"does not accept the API key \(401: Incorrect .* \*\*\*"
            ) as refused:
                await model.ready()
            shown.append(str(refused.value))
    assert waits
    assert not [text for text in shown if KEY in text]


async def test_nothing_is_logged_with_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with DoubleServer(towers_double(), api_key=KEY) as server, httpx.AsyncClient() as client:
        await drawn(OpenAIModel(server.url, client=client, options=Options(api_key=KEY)), [ask()])
    assert caplog.records
    assert KEY not in caplog.text


def test_a_password_in_the_address_is_refused_without_quoting_it() -> None:
    with pytest.raises(BadInput, match="api_key") as caught:
        OpenAIModel(f"http://user:{KEY}@gpu:8000")
    assert KEY not in str(caught.value)


# --- losers, crowds, cancellation ---


@pytest.mark.parametrize("stream", [False, True])
async def test_closing_the_iterator_cancels_what_still_runs_on_the_server(stream: bool) -> None:
    options = Options(stream=stream, total_s=10)
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url, options=options) as model:
        await model.ready()
        server.fail(Fault("hang"), times=9)
        async with aclosing(model.sample([ask(temperature=0.1 + t / 100) for t in range(10)])) as samples:
            async for _ in samples:
                break
        await until(lambda: server.stats.aborted == 9)


async def test_cancelling_a_single_request_reaches_the_server() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        await model.ready()
        server.fail(Fault("hang"))
        drawing = asyncio.create_task(drawn(model, [ask()]))
        await until(lambda: server.stats.in_flight == 1)
        drawing.cancel()
        await until(lambda: server.stats.aborted == 1)


async def test_one_failure_ends_the_call_and_cancels_its_siblings() -> None:
    async with (
        DoubleServer(towers_double()) as server,
        OpenAIModel(server.url, options=Options(total_s=10)) as model,
    ):
        await model.ready()
        server.fail(Fault("status", status=400))
        server.fail(Fault("hang"), times=3)
        with pytest.raises(RequestRefused):
            await drawn(model, [ask(temperature=0.1 + t / 100) for t in range(4)])
        await until(lambda: server.stats.in_flight == 0)
        assert server.stats.aborted == 3


async def test_a_crowd_is_served_within_the_ceiling() -> None:
    options = Options(max_in_flight=8)
    async with (
        DoubleServer(towers_double(latency=0.005)) as server,
        OpenAIModel(server.url, options=options) as model,
    ):
        await model.ready()
        await asyncio.gather(*(drawn(model, [ask(seed=s)]) for s in range(100)))
        assert server.stats.most_in_flight == 8
        assert server.stats.samples >= 100


async def test_the_limit_adapts_to_a_server_that_turns_requests_away() -> None:
    double = towers_double(latency=0.04)  # long beside what a busy machine takes to send the requests
    async with DoubleServer(double, slots=4, queue=False) as server, OpenAIModel(server.url) as model:
        await model.ready()
        samples = await asyncio.gather(*(drawn(model, [ask(seed=s)]) for s in range(300)))
        assert len(samples) == 300
        assert model.limit <= 8
        assert 0 < server.stats.failed < 150  # it asked for too much at first, and learned


def served(*arguments: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server in a process of its own."""
    command = [sys.executable, "-m", "surefoot.models.doubles.server", *arguments]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert server.stdout
    return server, json.loads(server.stdout.readline())["url"]


async def served_requests(client: httpx.AsyncClient, url: str, in_flight: int) -> None:
    """Wait until a server in another process is working on so many requests."""
    for _ in range(1000):
        if (await client.get(url.removesuffix("/v1") + "/stats")).json()["in_flight"] == in_flight:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the requests never arrived")


@asynccontextmanager
async def web_page() -> AsyncIterator[str]:
    """Serve a page of HTML under every path."""

    async def page(_: web.BaseRequest) -> web.Response:
        return web.Response(text="<html>Welcome</html>", content_type="text/html")

    runner = web.ServerRunner(web.Server(page))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def slow_stream(pause_s: float) -> AsyncIterator[str]:
    """Serve a model that writes one token at once and the other after a pause."""

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    async def completions(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'data: {"choices": [{"index": 0, "text": "a"}]}\n\n')
        await asyncio.sleep(pause_s)
        await response.write(b'data: {"choices": [{"index": 0, "text": "b", "finish_reason": "stop"}]}\n\n')
        await response.write(b"data: [DONE]\n\n")
        return response

    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/completions", completions)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])
