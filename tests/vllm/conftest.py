"""One real vLLM on the CPU, serving pebble, for all tests of this folder (`make test-vllm`)."""

import time
from collections.abc import AsyncIterator

import pytest

from surefoot.models.openai import OpenAIModel
from surefoot.models.vllm.launch import Serving
from surefoot.models.vllm.serve import serving

START_S = 400.0
"""Two idle cores need 50 s; a machine with other work to do, several minutes."""
FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> list[str]:
    """Lines for the end of the run: what was measured on the way."""
    return pytestconfig.stash.setdefault(FIGURES, [])


@pytest.fixture(scope="session")
async def url(figures: list[str]) -> AsyncIterator[str]:
    """The address of the one server, started at its first use."""
    begun = time.monotonic()
    async with serving("pebble", Serving(start_s=START_S)) as url:
        figures.append(f"vLLM ready after {time.monotonic() - begun:.1f} s")
        yield url
        begun = time.monotonic()
    figures.append(f"vLLM ended after {time.monotonic() - begun:.1f} s")


@pytest.fixture
async def model(url: str) -> AsyncIterator[OpenAIModel]:
    async with OpenAIModel(url) as model:
        await model.ready()
        yield model


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)
