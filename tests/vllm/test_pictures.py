"""Pictures as a real vLLM is shown them: one of a tiny model that takes them, and that of pebble, which takes none."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from redis.asyncio import Redis

from surefoot import Message, Picture, Sampling, Settings, Task, read_picture
from surefoot.agents.reasoning.reasoner import Reasoner
from surefoot.agents.tasks.task import Value
from surefoot.models.base import Ask, Prompt
from surefoot.models.connect import open_model
from surefoot.models.gather import in_order
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.exchange import RequestRefused
from surefoot.models.openai.options import Options
from surefoot.models.perceivers import Sighted
from surefoot.models.vllm.launch import PYTHON_VARIABLE, Serving
from surefoot.models.vllm.serve import serving
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.redis import embedded as local_redis
from surefoot.orchestration.reporting import records
from surefoot.orchestration.run import run
from surefoot.voting.flags import Malformed

pytestmark = pytest.mark.vllm

SCRIPT = Path(__file__).with_name("tiny_idefics3.py")
BUILD_S, START_S = 150.0, 400.0
QUESTION = "what?"
TOKENS = 6
WHOLE = Options(extra={"ignore_eos": True})
"""Answers of random weights end where they like: these are all of one length."""
PICTURE_TOKENS = 7
"""Four of what is seen, and three marks around them."""
STEP = "---;AabcBC>"
MOVE = "aAB;AbcBaC"
"""What pebble says to it."""
NEARLY_GREEDY = 0.01
COLOURS = ("red", "blue", "white", "black")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, as the Python of vLLM has written it."""
    folder = tmp_path_factory.mktemp("models") / "tiny-idefics3"
    command = [os.environ.get(PYTHON_VARIABLE, sys.executable), str(SCRIPT), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_S)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
async def looker(folder: Path, figures: list[str]) -> AsyncIterator[str]:
    """The address of a vLLM whose model takes one picture a prompt."""
    one = ("--limit-mm-per-prompt", '{"image": 1}')
    settings = Serving(max_num_seqs=16, cpu_cache_gib=1, dtype="float32", start_s=START_S, more=one)
    begun = time.monotonic()
    async with serving(str(folder), settings) as url:
        figures.append(f"vLLM with a model that takes pictures ready after {time.monotonic() - begun:.1f} s")
        yield url


def picture(colour: str, kind: str = "PNG") -> Picture:
    """A plain one, as it is sent where a file of that kind was handed in."""
    file = BytesIO()
    Image.new("RGB", (40, 60), colour).save(file, kind)
    return read_picture(file.getvalue())


def look(*pictures: Picture, temperature: float = 0.0, seed: int = 0) -> Ask:
    return Ask((Message("user", QUESTION, pictures),), temperature, TOKENS, seed)


async def said_of(url: str, *asks: Ask, options: Options = WHOLE) -> list[str]:
    async with OpenAIModel(url, options=options) as model:
        return [sample.text for sample in await in_order(model, asks)]


async def test_a_picture_is_looked_at(looker: str) -> None:
    red, blue, nothing, again = await said_of(
        looker, look(picture("red")), look(picture("blue")), look(), look(picture("red"))
    )
    assert red == again
    assert len({red, blue, nothing}) == 3


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP"])
async def test_a_picture_is_the_same_in_every_format(looker: str, kind: str) -> None:
    """White, which JPEG and lossy WebP keep as it is."""
    png, other = await said_of(looker, look(picture("white")), look(picture("white", kind)))
    assert png == other


async def test_a_picture_needs_no_words(looker: str) -> None:
    mute = look(picture("red"))._replace(prompt=(Message("user", "", (picture("red"),)),))
    alone, asked = await said_of(looker, mute, look(picture("red")))
    assert alone != asked


async def test_the_tokens_of_a_picture_are_counted(looker: str) -> None:
    async with OpenAIModel(looker) as model:
        blind, seeing = await in_order(model, [look(), look(picture("red"))])
    assert blind.usage.prompt == len(f"user: {QUESTION}\nassistant: ")
    assert seeing.usage.prompt == blind.usage.prompt + PICTURE_TOKENS


async def test_votes_on_a_picture_are_one_request_and_independent_draws(looker: str) -> None:
    asks = [look(picture("red"), temperature=2.0, seed=seed) for seed in range(8)]
    async with OpenAIModel(looker, options=WHOLE) as model:
        samples = await in_order(model, asks)
    assert len({sample.text for sample in samples}) == 8
    assert {sample.finish for sample in samples} == {"length"}
    assert sum(sample.usage.completion for sample in samples) == 8 * TOKENS
    in_one = len(f"user: {QUESTION}\nassistant: ") + PICTURE_TOKENS
    assert sum(sample.usage.prompt for sample in samples) == in_one


async def test_votes_come_back_to_their_own_pictures(looker: str) -> None:
    pictures = [picture(colour) for colour in COLOURS]
    alone = await said_of(looker, *map(look, pictures))
    assert len({*alone}) == 4
    asks = [look(each, temperature=NEARLY_GREEDY, seed=seed) for seed in range(3) for each in pictures]
    assert await said_of(looker, *asks) == alone * 3


# --- what is refused ---


async def test_a_model_without_eyes_says_so(url: str) -> None:
    with pytest.raises(
        RequestRefused, match=r"refuses the request \(400: pebble is not a multimodal model\)$"
    ):
        await said_of(url, look(picture("red")))


async def test_more_pictures_than_the_server_takes_are_refused_in_its_words(looker: str) -> None:
    with pytest.raises(
        RequestRefused,
        match=r"refuses the request \(400: At most 1 image\(s\) may be provided in one prompt\.",
    ):
        await said_of(looker, look(picture("red"), picture("blue")))


async def test_a_damaged_picture_is_refused_in_the_servers_words(looker: str) -> None:
    with pytest.raises(RequestRefused, match=r"refuses the request \(400: Failed to load image: .*truncated"):
        await said_of(looker, look(Picture(picture("red").data[:-40])))


# --- streams ---


async def test_streamed_looks_are_the_same(looker: str) -> None:
    asks = [look(picture(colour)) for colour in ("red", "blue")]
    streamed = await said_of(looker, *asks, options=replace(WHOLE, stream=True))
    assert streamed == await said_of(looker, *asks)


async def thought_about(url: str, think_tokens: int) -> list[str]:
    """What a `Reasoner` says of a red and of a blue picture."""
    async with OpenAIModel(url, options=WHOLE) as model:
        reasoner = Reasoner(model, think_tokens=think_tokens, answer_tokens=TOKENS)
        asks = [look(picture(colour)) for colour in ("red", "blue")]
        return [sample.text[:TOKENS] for sample in await in_order(reasoner, asks)]


async def test_a_reasoner_looks(looker: str) -> None:
    whole = await said_of(looker, look(picture("red")), look(picture("blue")))
    assert await thought_about(looker, 10 * TOKENS) == whole


async def test_a_reasoner_that_goes_on_in_a_second_request_still_looks(looker: str) -> None:
    """With the conversation rendered to tokens for /completions it went on blind, and nobody said so."""
    whole = await said_of(looker, look(picture("red")), look(picture("blue")))
    assert await thought_about(looker, 1) == whole


# --- a planner that reasons and a perceiver that looks ---


@pytest.mark.parametrize("way", ["two models", "an address"])
async def test_pictures_go_to_the_perceiver_and_all_else_to_the_planner(
    url: str, looker: str, way: str
) -> None:
    red, blue = look(picture("red")), look(picture("blue"))
    thinks = [Ask(STEP, 0.0, 60, 0), Ask((Message("user", STEP),), 0.0, 60, 0)]
    async with AsyncExitStack() as opened:
        if way == "an address":
            both = await opened.enter_async_context(open_model(f"{url} + {looker}"))
        else:
            planner, perceiver = [
                await opened.enter_async_context(OpenAIModel(each)) for each in (url, looker)
            ]
            await asyncio.gather(planner.ready(), perceiver.ready())
            both = Sighted(planner, perceiver)
        assert both.name == "pebble + tiny-idefics3"
        asks = [thinks[0], red, thinks[1], blue]
        first, seen, second, other = [sample.text for sample in await in_order(both, asks)]
    assert first == second == MOVE
    assert [seen, other] == await said_of(looker, red, blue, options=Options())


class Looks(Task[tuple[str, ...], str]):
    """A step of towers, and then a look at every picture."""

    name = "looks"
    views = 2
    flags = Malformed()
    """Random weights hardly ever end by themselves."""
    sampling = Sampling(temperature=NEARLY_GREEDY, max_tokens=TOKENS)

    def spec(self) -> Mapping[str, Value]:
        return {}

    def start(self) -> tuple[str, ...]:
        return ()

    def ask(self, state: tuple[str, ...], view: int = 0) -> Prompt:
        return look(picture(COLOURS[len(state) - 1])).prompt if state else STEP

    def read(self, text: str, state: tuple[str, ...], view: int = 0) -> str:
        return text

    def advance(self, state: tuple[str, ...], answer: str) -> tuple[str, ...]:
        return (*state, answer)

    def finished(self, state: tuple[str, ...]) -> bool:
        return len(state) == 1 + len(COLOURS)


async def test_looks_are_voted_on_in_one_job_with_the_steps_of_a_planner(
    url: str, looker: str, tmp_path: Path
) -> None:
    redis = Redis.from_url(await local_redis.start_server(tmp_path))
    try:
        await redis.ping()
        settings = Settings(k=3)
        report = await run(Looks(), settings, model=f"{url} + {looker}", redis=redis)
        answers = [record.answer async for record in records(redis, await jobs.load(redis, report.job))]
    finally:
        await redis.aclose()
    assert report.solved
    assert (report.models, report.steps) == ([f"{url} + {looker}"], 1 + len(COLOURS))
    seen = await said_of(looker, *(look(picture(colour)) for colour in COLOURS), options=Options())
    assert answers == [MOVE[:TOKENS], *seen]
