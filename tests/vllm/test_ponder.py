"""ponder on a real vLLM with a reasoning parser: thoughts and answer come apart, and a thinking budget is enforced."""

import random
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from surefoot.agents.local_vllm import Serving
from surefoot.agents.model import Ask, Message
from surefoot.agents.openai import OpenAIModel
from surefoot.agents.ponder.data import GUIDANCE, tokens
from surefoot.agents.ponder.problems import DIFFICULTIES, answer_of, draw
from surefoot.agents.serve import serving
from surefoot.agents.thinking.budget import Elastic
from surefoot.agents.thinking.reasoner import BUDGET, Reasoner

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
        mind = await reasoner.think(reasoner.draw(Ask((Message("user", PROMPT),), 0.0, 8, 1)))
    assert free.startswith(mind.thought) and len(mind.thought) in (19, 20), (
        "one of the 20 may be the opening tag"
    )
    assert re.fullmatch(r"\d+", mind.text.strip())
    assert (mind.ended_by, mind.finish) == (BUDGET, "stop")
