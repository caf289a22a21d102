"""What the client relies on, asked of a real vLLM that serves pebble."""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

import httpx
import pytest

from surefoot.agents.tasks.towers import Towers
from surefoot.models.base import Ask, Message, Model, Prompt
from surefoot.models.connect import open_model
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.exchange import RequestRefused
from surefoot.models.openai.options import Options
from surefoot.models.vllm.launch import MICRO
from surefoot.voting.samples import Sample

pytestmark = pytest.mark.vllm

PROMPT = "---;AabcBC>"
ANSWER = "aAB;AbcBaC"
NONSENSE = "what is this?"
"""Pebble has never seen the like, and so goes on in many ways."""
ENDLESS = Options(extra={"ignore_eos": True})


async def drawn(model: Model, asks: Sequence[Ask]) -> list[Sample]:
    """All samples, by position; every position exactly once."""
    found: dict[int, Sample] = {}
    async with aclosing(model.sample(asks)) as samples:
        async for position, sample in samples:
            assert position not in found
            found[position] = sample
    return [found[position] for position in range(len(asks))]


def greedy(prompt: Prompt, max_tokens: int = 60) -> Ask:
    return Ask(prompt, 0.0, max_tokens, 0)


def steps(count: int) -> list[str]:
    """Prompts for different steps of towers of 3 to 10 disks, in every view."""
    rng = random.Random(7)
    prompts: set[str] = set()
    while len(prompts) < count:
        task = Towers(rng.randint(3, 10), "compact")
        prompt = task.ask(task.case(rng).state, rng.randrange(task.views))
        assert isinstance(prompt, str)
        prompts.add(prompt)
    return sorted(prompts)


async def metric(url: str, name: str) -> float:
    async with httpx.AsyncClient() as client:
        text = (await client.get(url.removesuffix("/v1") + "/metrics")).text
    values = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(f"vllm:{name}" + "{")]
    assert values, f"vLLM has no metric {name}"
    return sum(map(float, values))


async def test_the_server_is_recognised_with_all_that_it_can_do(model: OpenAIModel) -> None:
    can = await model.ready()
    assert can.server.startswith("vLLM 0.")
    assert can.models == ("pebble",)
    assert can.text.works
    assert can.text.n
    assert can.text.lists
    assert can.text.counts_all
    assert can.chat.works
    assert can.chat.n
    assert can.context == MICRO["pebble"].context
    assert model.name == "pebble"


async def test_several_samples_of_one_prompt_are_independent_draws(url: str) -> None:
    async with OpenAIModel(url, options=ENDLESS) as model:
        for prompt in (NONSENSE, (Message("user", NONSENSE),)):
            # Hot, for at T = 1 the model is so sure of itself that two honest draws may agree on all 60 tokens.
            samples = await drawn(model, [Ask(prompt, 2.0, 60, seed) for seed in range(8)])
            assert len({sample.text for sample in samples}) == 8
            assert {sample.finish for sample in samples} == {"length"}


async def test_answers_to_a_list_of_prompts_come_back_to_their_own_prompts(model: OpenAIModel) -> None:
    prompts = steps(20)
    alone = [(await drawn(model, [greedy(prompt)]))[0].text for prompt in prompts]
    together = await drawn(model, [greedy(prompt) for prompt in prompts])
    assert [sample.text for sample in together] == alone
    assert len(set(alone)) > 15
    threefold = await drawn(model, [Ask(prompt, 0.05, 60, seed) for seed in range(3) for prompt in prompts])
    assert [sample.text for sample in threefold] == alone * 3


async def test_a_chat_goes_through_the_models_own_template(model: OpenAIModel) -> None:
    (sample,) = await drawn(model, [greedy((Message("system", PROMPT[:4]), Message("user", PROMPT[4:])))])
    assert (sample.text, sample.finish) == (ANSWER, "stop")


async def test_a_sample_says_whether_it_ended_by_itself_or_was_cut_off(model: OpenAIModel) -> None:
    whole, cut = await drawn(model, [greedy(PROMPT), greedy(PROMPT, 3)])
    assert (whole.text, whole.finish) == (ANSWER, "stop")
    assert (cut.text, cut.finish, cut.tokens) == (ANSWER[:3], "length", 3)


async def test_every_token_is_counted_once(model: OpenAIModel) -> None:
    (alone,) = await drawn(model, [greedy(PROMPT)])
    # One token a byte, and one more for the end.
    assert (alone.usage.prompt, alone.usage.completion, alone.tokens) == (
        len(PROMPT),
        len(ANSWER) + 1,
        len(ANSWER) + 1,
    )
    before = model.usage
    samples = await drawn(model, [Ask(PROMPT, 0.05, 60, seed) for seed in range(3)])
    assert [sample.text for sample in samples] == [ANSWER] * 3
    assert sum(sample.usage.completion for sample in samples) == 3 * (len(ANSWER) + 1)
    assert model.usage.completion - before.completion == 3 * (len(ANSWER) + 1)


async def test_streamed_samples_are_the_same(url: str) -> None:
    asks = [greedy(PROMPT), greedy((Message("user", PROMPT),)), greedy(PROMPT, 3)]
    async with OpenAIModel(url, options=Options(stream=True, first_token_s=60)) as model:
        samples = await drawn(model, asks)
    assert [(s.text, s.finish, s.tokens) for s in samples] == [
        (ANSWER, "stop", len(ANSWER) + 1),
        (ANSWER, "stop", len(ANSWER) + 1),
        (ANSWER[:3], "length", 3),
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_server_stops_working_on_abandoned_samples(url: str, stream: bool) -> None:
    asks = [Ask(f"{number} is?", 1.0, 200, number) for number in range(3000)]
    written = await metric(url, "generation_tokens_total")
    async with OpenAIModel(url, options=replace(ENDLESS, stream=stream)) as model:
        drawing = asyncio.create_task(drawn(model, asks))
        deadline = time.monotonic() + 60
        while await metric(url, "num_requests_running") < 100:
            assert time.monotonic() < deadline
            assert not drawing.done()
        drawing.cancel()
        await asyncio.gather(drawing, return_exceptions=True)
    assert drawing.cancelled()
    deadline = time.monotonic() + 10
    while await metric(url, "num_requests_running") + await metric(url, "num_requests_waiting"):
        assert time.monotonic() < deadline, "vLLM works on"
    assert await metric(url, "generation_tokens_total") - written < len(asks) * 200 / 2


async def test_an_unknown_model_is_refused_with_the_names_of_those_that_exist(url: str) -> None:
    async with OpenAIModel(url, "boulder") as model:
        with pytest.raises(RequestRefused, match="serves no model 'boulder'; those that exist: 'pebble'"):
            await model.ready()


async def test_a_prompt_that_is_too_long_is_refused_in_the_servers_words(model: OpenAIModel) -> None:
    for prompt in ("a" * 300, (Message("user", "a" * 300),)):
        with pytest.raises(RequestRefused, match=r"400: .*maximum context length"):
            await drawn(model, [greedy(prompt)])


async def test_a_field_that_vllm_does_not_know_changes_nothing_and_is_no_error(url: str) -> None:
    """Why the client probes for effects: a 200 says nothing."""
    async with OpenAIModel(url, options=Options(extra={"guided_choice": ["no"], "n_of": 7})) as model:
        (sample,) = await drawn(model, [greedy(PROMPT)])
    assert sample.text == ANSWER


async def test_a_seed_is_probed_for_and_kept(url: str) -> None:
    asks = [Ask(NONSENSE, 1.0, 60, seed) for seed in range(4)]
    async with OpenAIModel(url, options=replace(ENDLESS, seeded=True)) as model:
        first, second = await drawn(model, asks), await drawn(model, asks)
    assert [sample.text for sample in first] == [sample.text for sample in second]
    assert len({sample.text for sample in first}) == 4


async def test_greedy_answers_are_those_of_the_embedded_server(model: OpenAIModel) -> None:
    asks = [greedy(prompt) for prompt in steps(80)]
    async with open_model("pebble") as embedded:
        expected = [sample.text for sample in await drawn(embedded, asks)]
    assert [sample.text for sample in await drawn(model, asks)] == expected


async def test_many_votes_at_once_are_what_vllm_is_for(model: OpenAIModel, figures: list[str]) -> None:
    """Prints a figure; and every vote must come back and be well formed."""
    task = Towers(20, "compact")
    rng = random.Random(5)
    cases = [task.case(rng) for _ in range(128)]
    asks = [Ask(task.ask(case.state), 0.3, 36, seed) for case in cases for seed in range(3)]
    await drawn(model, asks)
    begun = time.monotonic()
    samples = await drawn(model, asks)
    seconds = time.monotonic() - begun
    figures.append(
        f"20 disks: {len(asks)} votes of {len(cases)} steps at once: {len(asks) / seconds:.0f} votes/s"
    )
    right = [
        task.read(sample.text, cases[place // 3].state) == cases[place // 3].answer
        for place, sample in enumerate(samples)
    ]
    assert sum(right) / len(right) > 0.9
