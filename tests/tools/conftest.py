"""A folder of this machine as an environment."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from surefoot.tools.environments import Environment, Local


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Environment]:
    folder = tmp_path / "workspace"
    folder.mkdir()
    environment = Local(folder, trusted=True)
    await environment.start()
    yield environment
    await environment.stop()
