"""A real vLLM that was started elsewhere: with a model's own sampling, tags that are control tokens, speculation."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from surefoot.agents.reasoning.budget import Elastic
from surefoot.agents.reasoning.reasoner import Reasoner
from surefoot.models.base import Ask, Message, Prompt
from surefoot.models.embedded import WEIGHTS
from surefoot.models.gather import in_order
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.exchange import RequestRefused
from surefoot.models.openai.options import Options
from surefoot.models.vllm.launch import MICRO, Serving
from surefoot.models.vllm.serve import serving

pytestmark = pytest.mark.vllm

START_S = 600.0
PROMPT, ANSWER = "48+67=", "115"
PROMPTS: list[Prompt] = [PROMPT, (Message("user", PROMPT),)]
SPECULATION = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4, "prompt_lookup_min": 2}


@asynccontextmanager
async def served(folder: Path, *more: str) -> AsyncIterator[str]:
    settings = Serving(
        start_s=START_S,
        dtype="float32",
        cpu_cache_gib=1,
        max_model_len=MICRO["ponder"].context,
        more=more,
    )
    async with serving(str(folder), settings) as url:
        yield url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ponder with tags that are control tokens of its tokenizer, and a file that leaves one token to sample from."""
    folder = tmp_path_factory.mktemp("models") / "odd"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer_config.json"):
        shutil.copy(str((WEIGHTS / "ponder") / name), folder)
    tokenizer = json.loads(((WEIGHTS / "ponder") / "tokenizer.json").read_text())
    for token in tokenizer["added_tokens"]:
        token["special"] = True
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "generation_config.json").write_text(json.dumps({"top_k": 1, "eos_token_id": 256}))
    return folder


@pytest.fixture(scope="module")
async def odd(folder: Path) -> AsyncIterator[str]:
    """As vLLM is when it is started by hand: the folder's own sampling."""
    async with served(folder, "--generation-config", "auto") as url:
        yield url


async def test_votes_are_drawn_from_the_whole_distribution_whatever_the_models_folder_says(odd: str) -> None:
    """W4: eight asks at T = 2 had one answer."""
    async with httpx.AsyncClient(timeout=120) as client:
        body = {"model": "odd", "prompt": PROMPT, "temperature": 2, "n": 8, "max_tokens": 60}
        raw = (await client.post(f"{odd}/completions", json=body)).json()["choices"]
    assert len({choice["text"] for choice in raw}) == 1, "vLLM truncates unasked"
    for prompt in PROMPTS:
        asks = [Ask(prompt, 2.0, 400, seed) for seed in range(8)]
        for options in (Options(), Options(stream=True), Options(seeded=True)):
            async with OpenAIModel(odd, options=options) as model:
                assert len({(each.text, each.tokens) for each in await in_order(model, asks)}) > 1
        async with OpenAIModel(odd) as model:
            reasoned = await in_order(Reasoner(model, Elastic(40, 50)), asks)
            assert len({sample.text for sample in reasoned}) > 1


async def test_tags_that_are_control_tokens_still_part_thoughts_from_answers(odd: str) -> None:
    """T6 on vLLM: raw thoughts became the answer."""
    for prompt in PROMPTS:
        ask = Ask(prompt, 0.0, 50, 1)
        for options in (Options(), Options(stop=("\n\n",)), Options(stream=True)):
            async with OpenAIModel(odd, options=options) as model:
                (sample,) = await in_order(Reasoner(model, Elastic(40, 50)), [ask])
                assert (sample.text, sample.finish) == (ANSWER, "stop")
                (cut,) = await in_order(model, [ask])
                assert (cut.text, cut.finish) == ("", "length"), "a thought that was cut off is no answer"


async def test_what_is_served_to_vote_is_not_truncated_by_its_folder(folder: Path) -> None:
    """W4 by `surefoot serve`; and n-grams on the CPU (W5), which sample what the model takes for impossible."""
    async with served(folder, "--speculative-config", json.dumps(SPECULATION)) as url:
        async with httpx.AsyncClient(timeout=120) as client:
            body = {"model": "odd", "prompt": PROMPT, "temperature": 2, "n": 8, "max_tokens": 60}
            raw = (await client.post(f"{url}/completions", json=body)).json()["choices"]
        assert len({choice["text"] for choice in raw}) > 1
        async with OpenAIModel(url) as model:
            with pytest.raises(RequestRefused, match=r"takes for impossible.*without --speculative-config"):
                await model.ready()
