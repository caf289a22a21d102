"""Log-probabilities of samples: told where they are asked for, the server's numbers not trusted, the samples the same."""

import json
import math
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

import surefoot
from surefoot import Ask, BadInput, Message, OpenAIModel, Towers
from surefoot.models.connect import open_model
from surefoot.models.doubles import DoubleServer, towers_double
from surefoot.models.doubles.faults import Fault
from surefoot.models.doubles.response_shapes import Manner
from surefoot.models.embedded.inference import Network
from surefoot.models.openai.batches import Capabilities, Endpoint, batches
from surefoot.models.openai.limits import MOST_VALUES
from surefoot.models.openai.logprobs import MeanLogprob
from surefoot.models.openai.options import Options
from surefoot.models.openai.wire import read_reply
from surefoot.training.pebble import data
from surefoot.voting import PAPER, LogprobEvidence, Sample, Unsure

PROMPT = "---;AabcBC>"
TELLING = Options(logprobs=True)
DOUBLE = partial(towers_double, error=0.3, auc=0.9)


async def drawn(model: OpenAIModel, chat: bool, count: int = 3) -> list[Sample]:
    prompt = (Message("user", PROMPT),) if chat else PROMPT
    async with aclosing(model.sample([Ask(prompt, 0.7, 50, seed) for seed in range(count)])) as samples:
        found = [pair async for pair in samples]
    return [sample for _, sample in sorted(found)]


@asynccontextmanager
async def served(options: Options, **server: Any) -> AsyncIterator[tuple[OpenAIModel, DoubleServer]]:
    async with DoubleServer(DOUBLE(), **server) as double, OpenAIModel(double.url, options=options) as model:
        yield model, double


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("chat", [False, True])
async def test_a_sample_has_the_mean_that_the_server_tells(chat: bool, stream: bool) -> None:
    seeded = Options(logprobs=True, stream=stream, seeded=True)
    async with served(seeded) as (model, _):
        found = await drawn(model, chat, 8)
    prompt = (Message("user", PROMPT),) if chat else PROMPT
    expected = [DOUBLE().draw(Ask(prompt, 0.7, 50, seed)) for seed in range(8)]
    assert [sample.text for sample in found] == [sample.text for sample in expected]
    assert [sample.logprob for sample in found] == [pytest.approx(sample.logprob) for sample in expected]


@pytest.mark.parametrize("chat", [False, True])
async def test_nothing_is_asked_for_and_nothing_known_unless_wanted(chat: bool) -> None:
    async with served(Options()) as (model, server):
        found = await drawn(model, chat)
        assert not any("logprobs" in body for body in server.bodies)
    assert [sample.logprob for sample in found] == [None] * 3


@pytest.mark.parametrize("chat", [False, True])
async def test_a_server_that_refuses_them_answers_without(chat: bool) -> None:
    told: list[str] = []
    options = Options(logprobs=True, on_notice=told.append)
    async with served(options, manner=Manner(frozenset({"no logprobs"}))) as (model, server):
        assert [sample.logprob for sample in await drawn(model, chat)] == [None] * 3
        requests = server.stats.requests
        await drawn(model, chat)
        assert server.stats.requests == requests + 1, "what was learnt is not learnt again"
    assert [notice for notice in told if "log-probabilities" in notice] == [told[-1]]
    assert "refuses log-probabilities" in told[-1]


async def test_a_server_that_keeps_them_to_itself_is_told_of_once() -> None:
    told: list[str] = []
    async with (
        DoubleServer(towers_double()) as server,
        OpenAIModel(server.url, options=Options(logprobs=True, on_notice=told.append)) as model,
    ):
        await drawn(model, False)
        found = await drawn(model, False)
    assert [sample.logprob for sample in found] == [None] * 3
    assert len([notice for notice in told if "sends none" in notice]) == 1


ENTRY = {"token": "4", "logprob": -1.0}


@pytest.mark.parametrize(
    ("logprobs", "mean"),
    [
        ({"content": [ENTRY, {**ENTRY, "logprob": -3}]}, -2.0),
        ({"content": [{**ENTRY, "logprob": 1e-7}]}, 0.0),
        ({"token_logprobs": [-1.0, -2.0], "tokens": ["4", "2"]}, -1.5),
        ({"content": [ENTRY, {"token": "2"}]}, None),
        ({"content": [ENTRY, None, 3, "x"]}, None),
        ({"content": [{**ENTRY, "logprob": 0.9}]}, None),
        ({"content": [{**ENTRY, "logprob": -9999.0}]}, None),
        ({"content": [{**ENTRY, "logprob": math.nan}]}, None),
        ({"content": [{**ENTRY, "logprob": math.inf}]}, None),
        ({"content": [{**ENTRY, "logprob": -math.inf}]}, None),
        ({"content": [{**ENTRY, "logprob": True}]}, None),
        ({"content": [{**ENTRY, "logprob": "-1"}]}, None),
        ({"content": [{**ENTRY, "logprob": 10**400}]}, None),
        ({"content": [{**ENTRY, "logprob": -(10**400)}]}, None),
        ({"content": []}, None),
        ({"content": None, "token_logprobs": 5}, None),
        ({"token_logprobs": [None, -1.0]}, None),
        ([], None),
        ("x", None),
        (7, None),
        ({}, None),
    ],
)
def test_what_is_no_log_probability_is_none(logprobs: object, mean: float | None) -> None:
    found = MeanLogprob()
    found.add(logprobs)
    assert found.value == mean


@pytest.mark.parametrize("odd", [5, "x", {"content": [{"logprob": "x"}]}, {"content": {"a": 1}}])
async def test_odd_ones_cost_no_answer(odd: object) -> None:
    body = {
        "choices": [{"index": 0, "text": "aAB;AbcBaC", "finish_reason": "stop", "logprobs": odd}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3},
    }
    async with served(TELLING) as (model, server):
        await model.ready()
        server.fail(Fault("answer", body=json.dumps(body)))
        (sample,) = await drawn(model, False, 1)
    assert (sample.text, sample.logprob) == ("aAB;AbcBaC", None)


@pytest.mark.parametrize(("second", "mean"), [({"token_logprobs": [-3.0]}, -2.0), (None, None), ("x", None)])
async def test_a_stream_that_tells_them_of_some_pieces_tells_no_mean(
    second: object, mean: float | None
) -> None:
    async def stream() -> AsyncGenerator[bytes, None]:
        for text, finish, told in (
            ("4", None, {"token_logprobs": [-1.0]}),
            ("2", None, second),
            ("", "stop", None),
        ):
            choice = {"index": 0, "text": text, "finish_reason": finish, "logprobs": told}
            yield b"data: %b\n\n" % json.dumps({"choices": [choice]}).encode()
        yield b"data: [DONE]\n\n"

    (choice,) = (await read_reply(stream(), lambda: None)).choices
    assert (choice.text, choice.logprob) == ("42", mean)


def test_requests_with_them_are_small_enough_to_be_read_in_one_piece() -> None:
    endpoint = Endpoint(n=True, lists=True)
    can = Capabilities(server="s", models=("m",), text=endpoint, chat=endpoint)
    for limit in (50, 3000, 1_000_000):
        asks = [Ask(prompt, 0.7, limit, seed) for seed in range(200) for prompt in ("a", "b")]
        plain, telling = (batches(asks, can, options) for options in (Options(), TELLING))
        assert max(len(batch.positions) for batch in plain) == 128
        assert sum(len(batch.positions) for batch in telling) == len(asks)
        for batch in telling:
            assert len(batch.positions) == 1 or 16 * limit * len(batch.positions) <= MOST_VALUES


# --- pebble ---


def steps(temperature: float, guessed: bool) -> list[Ask]:
    dice = random.Random(5)
    examples = [data.path_example(11, dice.randrange(2**11 - 1), number % 3) for number in range(48)]
    guesses = [example.answer if guessed else None for example in examples]
    return [
        Ask(example.prompt, temperature, 27, dice.randrange(2**63), guess)
        for example, guess in zip(examples, guesses, strict=True)
    ]


@pytest.mark.parametrize("temperature", [0.0, 1.0, 2.5])
def test_pebble_draws_the_same_samples_and_says_how_likely_they_are(temperature: float) -> None:
    with threadpool_limits(1):
        plain, telling = Network(), Network(logprobs=True)
        asks = steps(temperature, guessed=True)
        found = telling.complete(asks)
        assert [sample._replace(logprob=None) for sample in found] == plain.complete(asks)
        unguessed = telling.complete(steps(temperature, guessed=False))
    for sample, alone in zip(found, unguessed, strict=True):
        assert sample.logprob is not None
        assert alone.logprob is not None
        assert sample.logprob <= 0
        assert (sample.text, alone.logprob) == (alone.text, pytest.approx(sample.logprob, abs=1e-3))


def test_what_pebble_says_is_the_chance_of_its_samples() -> None:
    """At temperature 1 an answer comes as often as exp(sum of its log-probabilities) says."""
    with threadpool_limits(1):
        network = Network(logprobs=True)
        found = [
            sample
            for first in range(0, 4000, 400)
            for sample in network.complete([Ask("ABC", 1.0, 1, seed) for seed in range(first, first + 400)])
        ]
    chances = {sample.text: math.exp(sample.logprob or 0.0) for sample in found}
    for text, times in Counter(sample.text for sample in found).most_common(4):
        spread = math.sqrt(chances[text] * (1 - chances[text]) / len(found))
        assert abs(times / len(found) - chances[text]) < 5 * spread


async def test_pebble_in_its_processes_tells_what_the_network_does() -> None:
    asks = steps(1.0, guessed=True)[:6]
    with threadpool_limits(1):
        expected = Network(logprobs=True).complete(asks)
    async with (
        open_model("pebble-numpy", options=TELLING) as model,
        aclosing(model.sample(asks)) as samples,
    ):
        found = dict([pair async for pair in samples])
    assert [found[place].text for place in range(6)] == [sample.text for sample in expected]
    told = [found[place].logprob for place in range(6)]
    assert told == [pytest.approx(sample.logprob, abs=1e-4) for sample in expected]


# --- the double, and a whole job ---


def test_a_double_is_the_same_with_log_probabilities_and_as_telling_as_said() -> None:
    plain, telling = towers_double(error=0.2, seed=4), towers_double(error=0.2, seed=4, auc=0.8)
    asks = [
        Ask(Towers(8, "compact").ask(Towers(8, "compact").boundary(n % 255)), 0.1, 60, n) for n in range(2000)
    ]
    found = [telling.draw(ask) for ask in asks]
    assert [sample._replace(logprob=None) for sample in found] == [plain.draw(ask) for ask in asks]
    right = [towers_double().draw(ask).text for ask in asks]
    evidence = LogprobEvidence.of(
        [(sample.logprob, sample.text == answer)] for sample, answer in zip(found, right, strict=True)
    )
    assert evidence.auc_low <= 0.8 <= evidence.auc_high


@pytest.mark.parametrize("auc", [0.0, 1.0, -1.0, math.nan])
def test_an_area_that_no_double_can_have_is_refused(auc: float) -> None:
    with pytest.raises(BadInput, match="auc"):
        towers_double(auc=auc)


async def test_a_job_counts_what_it_throws_away_as_unsure() -> None:
    task = Towers(5, "compact")
    task.flags = PAPER | Unsure(-0.5)
    async with DoubleServer(towers_double(error=0.2, auc=0.95)) as server:
        settings = surefoot.Settings(k=3)
        report = await surefoot.run(task, settings, model=server.url, options=TELLING)
    assert report.solved
    assert report.red_flags["unsure"] > 0
