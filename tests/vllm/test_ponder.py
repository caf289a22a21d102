"""ponder on a real vLLM with a reasoning parser: thoughts and answer come apart, and a thinking budget is enforced."""

import random
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from surefoot.agents.reasoning.budget import Elastic
from surefoot.agents.reasoning.reasoner import BUDGET, Reasoner
from surefoot.models.base import Ask, Message, Prompt
from surefoot.models.gather import in_order
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.exchange import RequestRefused
from surefoot.models.openai.options import Options
from surefoot.models.streaming import Draw, whole_stream
from surefoot.models.vllm.launch import MICRO, Serving
from surefoot.models.vllm.serve import serving
from surefoot.training.ponder.data import GUIDANCE, tokens
from surefoot.training.ponder.problems import DIFFICULTIES, answer_of, draw

pytestmark = pytest.mark.vllm

START_S = 400.0
PROMPT, ANSWER = "48+67=", "115"
FIRST_PASS = "<think>A8+7=15 B4+6+1=11\nso 115\n"


@pytest.fixture(scope="module")
async def ponder(figures: list[str]) -> AsyncIterator[str]:
    """The address of a vLLM that serves ponder."""
    begun = time.monotonic()
    async with serving("ponder", Serving(start_s=START_S)) as url:
        figures.append(f"vLLM with ponder ready after {time.monotonic() - begun:.1f} s")
        yield url


async def post(url: str, path: str, **body: Any) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=120) as client:
        reply = await client.post(url + path, json={"model": "ponder", "max_tokens": 480, **body})
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def chat(url: str, prompt: str = PROMPT, **more: Any) -> dict[str, Any]:
    """The one choice of a greedy chat."""
    messages = [{"role": "user", "content": prompt}]
    body = {"messages": messages, "temperature": 0, **more}
    choice: dict[str, Any] = (await post(url, "/chat/completions", **body))["choices"][0]
    return choice


def finished(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that came to their end; a few think for longer than there is room."""
    found = [choice for choice in choices if choice["finish_reason"] == "stop"]
    assert len(found) > len(choices) / 2
    return found


async def test_thoughts_and_answer_come_apart(ponder: str) -> None:
    messages = [{"role": "user", "content": PROMPT}]
    reply = await post(ponder, "/chat/completions", messages=messages, temperature=1, n=8)
    for choice in finished(reply["choices"]):
        message = choice["message"]
        assert re.fullmatch(r"\d+", message["content"].strip())
        assert re.search(r"so \d+\n", message["reasoning"])
        assert "think>" not in message["reasoning"] + message["content"]


async def test_a_completion_shows_the_tags(ponder: str) -> None:
    reply = await post(ponder, "/completions", prompt=PROMPT, temperature=1, n=8)
    for choice in finished(reply["choices"]):
        assert choice["text"].startswith("<think>")
        assert choice["text"].count("</think>") == 1
        assert answer_of(choice["text"]) is not None


async def test_tags_are_single_tokens(ponder: str) -> None:
    text = FIRST_PASS + "</think>" + ANSWER
    root = ponder.removesuffix("/v1")
    found = await post(root, "/tokenize", prompt=text, add_special_tokens=False)
    assert found["tokens"] == tokens(text)


@pytest.mark.parametrize("budget", [0, 5, 20])
async def test_a_thinking_budget_is_enforced_to_the_token(ponder: str, budget: int) -> None:
    free = (await chat(ponder))["message"]["reasoning"]
    held = await chat(ponder, thinking_token_budget=budget)
    assert (held["message"]["reasoning"] or "") == free[:budget]
    assert re.fullmatch(r"\d+", held["message"]["content"].strip())
    assert held["finish_reason"] == "stop"


async def test_the_client_finds_out_that_the_budget_is_enforced(ponder: str) -> None:
    async with OpenAIModel(ponder) as model:
        await model.ready()
        assert await model.native_budget()


@pytest.mark.parametrize("closing", ["</think>", f"{GUIDANCE}</think>"])
async def test_closed_thoughts_are_gone_on_from(ponder: str, closing: str) -> None:
    prompt = PROMPT + FIRST_PASS + closing
    (choice,) = (await post(ponder, "/completions", prompt=prompt, temperature=0))["choices"]
    assert choice["text"] == ANSWER


async def test_answers_are_about_as_good_as_the_card_says(ponder: str, figures: list[str]) -> None:
    rng = random.Random(3)
    for difficulty in DIFFICULTIES:
        problems = [draw(difficulty, rng) for _ in range(32)]
        prompts = [problem.prompt for problem in problems]
        found = await post(ponder, "/completions", prompt=prompts, temperature=0.6)
        pairs = zip(problems, found["choices"], strict=True)
        right = sum(answer_of(choice["text"]) == problem.answer for problem, choice in pairs)
        figures.append(f"ponder on vLLM, T=0.6, {difficulty}: {right} of {len(problems)} right")
        assert right >= 0.5 * len(problems)


@pytest.mark.parametrize("native", [True, False], ids=["in one request", "closed by hand"])
async def test_thinking_and_answer_have_budgets_of_their_own(ponder: str, native: bool) -> None:
    free = (await chat(ponder))["message"]["reasoning"]
    async with OpenAIModel(ponder) as model:
        await model.ready()
        reasoner = Reasoner(model, Elastic(thinking=20, solution=8, native=native))
        state = await reasoner.think(Ask((Message("user", PROMPT),), 0.0, 8, 1))
    assert free.startswith(state.thought) and len(state.thought) in (19, 20), (
        "one of the 20 may be the opening tag"
    )
    assert re.fullmatch(r"\d+", state.text.strip())
    assert (state.ended_by, state.finish) == (BUDGET, "stop")


# --- what goes wrong between vLLM and a client that takes it at its word ---

SUMS = ("48+67=", "12+30=", "5+9=", "77+8=", "23+45=", "90+9=", "31+62=", "14+28=")
CONTEXT = MICRO["ponder"].context
WHOLE_THOUGHT = FIRST_PASS + "</think>"


def both_ways(prompt: str, temperature: float, max_tokens: int, seed: int = 1) -> list[Ask]:
    """The same as a text and as a chat."""
    prompts: list[Prompt] = [prompt, (Message("user", prompt),)]
    return [Ask(each, temperature, max_tokens, seed) for each in prompts]


@pytest.mark.parametrize("stop", [("\n\n",), ("\n\n", "never"), ("Observation:",)])
async def test_stop_strings_move_no_thoughts_into_answers(ponder: str, stop: tuple[str, ...]) -> None:
    """W1: vLLM holds text back for them, and its parser of thoughts does not know that: `>115`."""
    asks = [Ask((Message("user", each),), 0.6, 50, seed) for seed, each in enumerate(SUMS)]
    answers = []
    for options in (Options(), Options(stop=stop)):
        async with OpenAIModel(ponder, options=options) as model:
            answers.append([sample.text for sample in await in_order(Reasoner(model, Elastic(40, 50)), asks)])
    assert answers[0] == answers[1]
    assert all(text.isdigit() for text in answers[0])


async def test_stop_strings_move_no_thoughts_into_samples_that_are_streamed(ponder: str) -> None:
    """W1 with `stream=True` alone: `nk>115`."""
    asks = [Ask((Message("user", each),), 0.0, 400, 1) for each in SUMS]
    answers = []
    for stop in ((), ("\n\n",)):
        async with OpenAIModel(ponder, options=Options(stop=stop, stream=True)) as model:
            answers.append([(each.text, each.finish) for each in await in_order(model, asks)])
    assert answers[0] == answers[1]
    assert all(text.isdigit() for text, finish in answers[0] if finish == "stop")


@pytest.mark.parametrize("stop", ["5 ", "wait", "\nwait A", "so 115"])
async def test_a_stop_string_ends_the_thinking_where_it_comes(ponder: str, stop: str) -> None:
    free = (await chat(ponder))["message"]["reasoning"]
    async with OpenAIModel(ponder, options=Options(stop=(stop, "never"))) as model:
        draw = Draw(prompt=(Message("user", PROMPT),), temperature=0.0, max_tokens=480, seed=1)
        found = await whole_stream(model, draw)
    assert (found.thought, found.text, found.finish) == (free[: free.index(stop)], "", "stop")


@pytest.mark.parametrize(
    ("controls", "shares"),
    [
        ((), {"think_tokens": 506}),
        ((), {}),
        ((), {"think_tokens": 400, "answer_tokens": 400}),
        ((), {"think_tokens": 5000, "answer_tokens": 5000}),
        ((Elastic(480, 64),), {}),
        ((Elastic(480, 64, native=False),), {}),
        ((Elastic(2000, 500),), {}),
    ],
)
async def test_thinking_that_would_fill_the_context_is_closed_and_answered(
    ponder: str, controls: tuple[Elastic, ...], shares: dict[str, int]
) -> None:
    """W2: the job ended with a refusal, whose message was empty."""
    async with OpenAIModel(ponder) as model:
        reasoner = Reasoner(model, *controls, **shares)
        for ask in both_ways(PROMPT, 0.0, 600):
            state = await reasoner.think(ask)
            assert (state.text, state.finish) == (ANSWER, "stop")
            assert state.usage.completion < CONTEXT
            assert state.ended_by == BUDGET, "at T = 0 ponder never ends this thought by itself"


async def test_a_sample_without_room_for_an_answer_says_so(ponder: str) -> None:
    async with OpenAIModel(ponder) as model:
        for left in (1, 2, 3):
            for ask in both_ways("4" * (CONTEXT - left - 1) + "+", 1.0, 50):
                (sample,) = await in_order(Reasoner(model), [ask])
                assert sample.finish == "length"


async def test_a_prompt_longer_than_the_context_is_refused_in_the_servers_words(ponder: str) -> None:
    async with OpenAIModel(ponder) as model:
        for ask in both_ways("4" * (CONTEXT + 10), 0.0, 50):
            for thinker in (model, Reasoner(model)):
                with pytest.raises(RequestRefused, match=r"400: .*maximum context length"):
                    await in_order(thinker, [ask])


async def test_a_limit_longer_than_the_context_is_cut_to_it(ponder: str) -> None:
    async with OpenAIModel(ponder) as model:
        samples = await in_order(model, both_ways(PROMPT, 0.0, 10_000))
    assert [(sample.text, sample.finish) for sample in samples] == [("", "length")] * 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("stop", [(), ("\n\n",)])
@pytest.mark.parametrize("closed", [WHOLE_THOUGHT, FIRST_PASS + GUIDANCE + "</think>", "<think></think>"])
async def test_a_chat_that_ends_in_a_closed_thought_is_answered(
    ponder: str, stream: bool, stop: tuple[str, ...], closed: str
) -> None:
    """W3: vLLM put the answer into `reasoning`, unless it was streamed."""
    prompt = (Message("user", PROMPT), Message("assistant", closed))
    raw = (await post(ponder, "/completions", prompt=PROMPT + closed, temperature=0))["choices"][0]["text"]
    async with OpenAIModel(ponder, options=Options(stream=stream, stop=stop)) as model:
        (sample,) = await in_order(model, [Ask(prompt, 0.0, 50, 1)])
        several = await in_order(model, [Ask(prompt, 0.7, 50, seed) for seed in range(4)])
    assert (sample.text, sample.finish) == (raw.strip(), "stop")
    assert all(each.text for each in several)
