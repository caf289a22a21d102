"""Tasks of asyncio that work in the background, and whose failure must not be lost."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from surefoot.models.base import ModelUnavailable

Failed = Callable[[BaseException], None]
"""Called with what a task in the background has raised."""


def background(work: Coroutine[Any, Any, None], failed: Failed) -> asyncio.Task[None]:
    """Start a task; one that was cancelled from outside, by its `cancel`, has not failed."""

    def ended(task: asyncio.Task[None]) -> None:
        if task.cancelled():
            if not task.cancelling():
                failed(asyncio.CancelledError())
        elif failure := task.exception():
            failed(failure)

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    return task


def cancel_once(task: asyncio.Task[None]) -> None:
    """Cancel a task unless that was done before, which would cut off what it awaits in a `finally`."""
    if not task.cancelling():
        task.cancel()


def failure_of(error: Exception | asyncio.CancelledError, whose: str) -> Exception:
    """Return the failure that an error is; raises it again if it says that this very task has been cancelled.

    A model or a draft may pass on that something of its own was cancelled, which is a failure like any other.
    """
    if not isinstance(error, asyncio.CancelledError):
        return error
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise error
    return ModelUnavailable(f"{whose} was cancelled from inside, and not by surefoot: start again")
