"""What all commands share: run, print, fail in one sentence."""

import asyncio
import json
import signal
import sys
from collections.abc import Coroutine, Mapping
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console, RenderableType

from ..errors import SurefootError
from ..orchestration.progress import Progress
from .display import Watch

T = TypeVar("T")

INTERRUPTED = 130
DRAIN_S = 5.0
"""An interrupted run has so long to make durable what it has decided; Redis may be away, and who interrupts may not wait."""


def go(work: Coroutine[Any, Any, T], as_json: bool, progress: Progress | None = None) -> T:
    """Run a coroutine to its end, showing a job's progress; an error becomes one sentence and an exit code."""
    try:
        if progress is None:
            return asyncio.run(_interruptible(work))
        with Watch(progress):
            return asyncio.run(_interruptible(work))
    except SurefootError as error:
        fail(str(error), as_json, error.exit_code)
    except (KeyboardInterrupt, asyncio.CancelledError):
        fail(_interrupted(progress), as_json, INTERRUPTED)


def show(data: Any, shown: RenderableType | None, as_json: bool) -> None:
    """Print for a person, or as JSON, which is all there is if nothing is `shown`."""
    if as_json or shown is None:
        sys.stdout.write(json.dumps(data, indent=2, default=_plain) + "\n")
    else:
        Console().print(shown)


def fail(sentence: str, as_json: bool, code: int) -> NoReturn:
    """End with a sentence on standard error, and in JSON on standard output if that is wanted."""
    if as_json:
        sys.stdout.write(json.dumps({"error": sentence}) + "\n")
    complain(sentence)
    raise typer.Exit(code)


def complain(sentence: str) -> None:
    """Say on standard error what is wrong."""
    Console(stderr=True).print(
        f"surefoot: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True
    )


def address(model: str, name: str | None) -> str:
    """Return a model's address with its name on the server, see `open_model`."""
    return model if name is None else f"{model}#{name}"


def _interrupted(progress: Progress | None) -> str:
    if progress is None:
        return "interrupted"
    hint = f"; `surefoot resume {progress.job}` goes on" if progress.job else ""
    return f"interrupted; what was decided is safe{hint}"


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    """End in order on SIGINT and SIGTERM: what is decided is committed, the lease is given back; a second one ends at once."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        task.cancel()
        loop.call_later(DRAIN_S, task.cancel)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    return await task


def _plain(value: Any) -> Any:
    """JSON for what json does not know: a mapping that is no dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} cannot be written as JSON")
