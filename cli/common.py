"""What all commands share: run, print, fail in one sentence."""

import asyncio
import json
import shlex
import signal
import sys
from collections.abc import Coroutine, Mapping
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console, RenderableType

from ..errors import SurefootError
from ..orchestration.progress import Progress
from ..voting.election import Stalled
from .display import Watch, samples

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
        _failed(error, progress, as_json)
    except (KeyboardInterrupt, asyncio.CancelledError):
        fail(_interrupted(progress), as_json, INTERRUPTED)


def show(data: Any, shown: RenderableType | None, as_json: bool) -> None:
    """Print for a person, or as JSON, which is all there is if nothing is `shown`."""
    if as_json or shown is None:
        sys.stdout.write(json.dumps(data, indent=2, default=_plain) + "\n")
    else:
        Console().print(shown)


def fail(sentence: str, as_json: bool, code: int, more: Mapping[str, Any] | None = None) -> NoReturn:
    """End with a sentence on standard error; if JSON is wanted, with the same and `more` on standard output."""
    if as_json:
        sys.stdout.write(json.dumps({"error": sentence, **(more or {})}) + "\n")
    complain(sentence)
    raise typer.Exit(code)


def complain(sentence: str) -> None:
    """Say on standard error what is wrong."""
    Console(stderr=True).print(
        f"surefoot: {sentence}", style="red", markup=False, emoji=False, highlight=False, soft_wrap=True
    )


def address(model: str, name: str | None) -> str:
    """Return a model's address with its name on the server, see `open_model`."""
    return model if name is None else f"{model}#{name}"


def _failed(error: SurefootError, progress: Progress | None, as_json: bool) -> NoReturn:
    """End with what happened, and with what a person needs next: the job's name, and the samples behind a stall."""
    job = progress.job if progress else ""
    more: dict[str, Any] = {"job": job} if job else {}
    if isinstance(error, Stalled):
        more |= _stalled(error)
        if error.examples and not as_json:
            # On standard output, as in a report: standard error has the one sentence.
            Console().print(*samples(more["examples"]), sep="\n", soft_wrap=True)
    fail(str(error) + _hint(str(error), job), as_json, error.exit_code, more)


def _stalled(stall: Stalled) -> dict[str, Any]:
    return {
        "tally": {repr(ballot): votes for ballot, votes in stall.tally.items()},
        "red_flags": dict(stall.flags),
        "examples": [sample.text for sample in stall.examples],
    }


def _hint(sentence: str, job: str) -> str:
    """Name the job, whose id nobody may have seen before; a sentence about the job says itself what to do with it."""
    name = shlex.quote(job)
    if not job or f"job {job!r}" in sentence or f"`surefoot show {job} " in sentence:
        return ""
    return f"; `surefoot show {name}` shows the job, `surefoot resume {name}` goes on"


def _interrupted(progress: Progress | None) -> str:
    if progress is None:
        return "interrupted"
    hint = f"; `surefoot resume {shlex.quote(progress.job)}` goes on" if progress.job else ""
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
