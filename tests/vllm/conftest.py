"""One real vLLM on the CPU, serving pebble, for all tests of this folder (`make test-vllm`)."""

import time
from collections.abc import AsyncIterator

import pytest
from surefoot.agents.local_vllm import Serving
from surefoot.agents.openai import OpenAIModel
from surefoot.agents.serve import serving

START_S = 400.0
"""Two idle cores need 50 s; a machine with other work to do, several minutes."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def url() -> AsyncIterator[str]:
    begun = time.monotonic()

    def say(sentence: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {sentence}", flush=True)

    async with serving("pebble", Serving(start_s=START_S), say=say) as url:
        say(f"ready at {url}")
        yield url


@pytest.fixture
async def model(url: str) -> AsyncIterator[OpenAIModel]:
    async with OpenAIModel(url) as model:
        await model.ready()
        yield model
