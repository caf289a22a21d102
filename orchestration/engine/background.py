"""Tasks of asyncio that work in the background, and whose failure must not be lost."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Failed = Callable[[BaseException], None]
"""Called with what a task in the background has raised."""


def background(work: Coroutine[Any, Any, None], failed: Failed) -> asyncio.Task[None]:
    """Start a task; one that is cancelled has not failed."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()):
            failed(failure)

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    return task
