"""What all commands share: run, print, fail in one sentence."""

import asyncio
import gc
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, NoReturn, TypeVar

from redis.asyncio import Redis
from rich.console import RenderableType

from surefoot.errors import BadInput, SurefootError
from surefoot.orchestration.progress import Progress, ProgressOfSeveral
from surefoot.orchestration.redis.client import without_password
from surefoot.orchestration.redis.open import open_redis
from surefoot.voting.election import Stalled

from .display import ProgressDisplay, sample_lines
from .terminal import Terminal, fail, to_json

T = TypeVar("T")


INTERRUPTED = 130
DRAIN_S = 5.0
"""An interrupted run has so long to make durable what it has decided; Redis may be away, and the person may not wait."""
LOOK_UP_S = 10.0
"""A command that only reads waits so long for a Redis that is gone; a run waits longer."""


class _Typed(NamedTuple):
    """What the user gave on the command line that other commands about the same job need, too."""

    redis: str | None
    task: str | None
    named: bool
    """Whether the same command finds the same jobs, as it does where the user has named them."""


def go(
    work: Coroutine[Any, Any, T],
    as_json: bool,
    progress: Progress | None = None,
    redis: str | None = None,
    task: str | None = None,
    live: bool = True,
    samples: bool = True,
    named: bool = False,
) -> T:
    """Run a coroutine to its end, showing a job's progress; an error becomes one sentence and an exit code.

    Without `live` its progress is shown in lines even on a terminal, without `samples` a stall does not print its last ones on standard output.
    `redis` and `task` are the addresses that the user gave: the commands that a sentence names need them too.
    With `named` the same command goes on with the same jobs, and needs no `--job`.
    """
    if not gc.get_freeze_count():
        gc.freeze()  # the modules stay, so that the garbage collector need not go through them again and again
    try:
        if progress is None:
            return asyncio.run(_interruptible(work))
        with ProgressDisplay(progress, live=live):
            return asyncio.run(_interruptible(work))
    except SurefootError as error:
        _failed(error, progress, as_json, _Typed(redis, task, named), samples)
    except (KeyboardInterrupt, asyncio.CancelledError):
        more = {"job": progress.job} if progress and progress.job else {}
        typed = _Typed(redis, task, named)
        fail(_there(_interrupted(progress, typed), typed), as_json, INTERRUPTED, more)


def look_up(ask: Callable[[Redis], Coroutine[Any, Any, T]], as_json: bool, redis: str | None) -> T:
    """Ask a Redis with little patience; after a second a line names the server that has not answered yet."""
    where = "the embedded Redis" if redis is None else f"Redis at {without_password(redis)!r}"
    progress = Progress(doing=f"asking {where}")

    async def work() -> T:
        async with open_redis(redis, progress.listen, LOOK_UP_S) as store:
            return await ask(store)

    return go(work(), as_json, progress, redis, live=False)


def print_result(data: Any, shown: RenderableType, as_json: bool) -> None:
    """Print for a person, or as JSON."""
    if as_json:
        sys.stdout.write(to_json(data, indent=2) + "\n")
    else:
        Terminal().page(shown)


def print_line(data: Any, line: str, as_json: bool) -> None:
    """Print a text for a person or a program, never folded to a terminal's width, or data as JSON."""
    sys.stdout.write((to_json(data, indent=2) if as_json else line) + "\n")


def print_url(url: str, as_json: bool = False) -> None:
    """Print where a server listens, on a line of its own."""
    sys.stdout.write((to_json({"url": url}) if as_json else url) + "\n")
    sys.stdout.flush()  # a program that waits for this line reads it through a pipe, which stays open


def job_command(verb: str, job: str, redis: str | None, *options: str) -> str:
    """Return the command that does this with a job, ready to be typed."""
    return f"surefoot {verb} {shlex.join([job, *options])}{_elsewhere(redis)}"


def task_option(address: str | None) -> list[str]:
    """Return the option for a task that the next command would not know by its name in the journal."""
    return [] if address is None or ":" not in address else ["--task", address]


def _failed(
    error: SurefootError, progress: Progress | None, as_json: bool, typed: _Typed, samples: bool
) -> NoReturn:
    """End with what happened, and with what a person needs next: the job's name, and the samples behind a stall."""
    job = error.job or (progress.job if progress else "")
    more: dict[str, Any] = {"job": job} if job else {}
    if isinstance(error, Stalled):
        more |= _stalled(error)
        if error.examples and samples and not as_json:
            # On standard output, as in a report: standard error has the one sentence.
            Terminal().print(*sample_lines(more["examples"]), sep="\n", soft_wrap=True)
    if isinstance(progress, ProgressOfSeveral) and not error.job:
        hint = _again(error, progress, typed)
    else:
        hint = _hint(error.sentence, job)
    fail(_there(error.sentence + hint, typed), as_json, error.exit_code, more)


def _stalled(stall: Stalled) -> dict[str, Any]:
    return {
        "tally": {repr(ballot): votes for ballot, votes in stall.tally.items()},
        "red_flags": dict(stall.flags),
        "examples": [sample.text for sample in stall.examples],
    }


def _hint(sentence: str, job: str) -> str:
    """Name the job, whose id may not have been shown before; a sentence about the job says itself what to do with it."""
    if not job or f"job {job!r}" in sentence or f"`surefoot show {job} " in sentence:
        return ""
    return f"; `{job_command('show', job, None)}` shows the job, `{job_command('resume', job, None)}` goes on"


def _again(error: SurefootError, progress: Progress, typed: _Typed) -> str:
    """Say how several jobs go on; nothing where something was refused, for there may be no job."""
    return "" if not progress.job or isinstance(error, BadInput) else f"; {_same_command(progress, typed)}"


def _same_command(progress: Progress, typed: _Typed) -> str:
    named = "" if typed.named else f" with `--job {shlex.quote(progress.job)}`"
    return f"the same command{named} goes on"


def _interrupted(progress: Progress | None, typed: _Typed) -> str:
    if progress is None or not progress.job:
        return "interrupted"
    if isinstance(progress, ProgressOfSeveral):
        return f"interrupted; what was decided is safe; {_same_command(progress, typed)}"
    return f"interrupted; what was decided is safe; `{job_command('resume', progress.job, None)}` goes on"


def _there(sentence: str, typed: _Typed) -> str:
    """Let the commands that a sentence names find the job and its task: only the command line knows what was typed."""
    return re.sub(
        r"`(surefoot (show|resume|worker|run|jobs|cancel|decide|delete)(?: [^`]+)?)`",
        lambda found: (
            f"`{found[1]}{_options(typed.task if found[2] in ('resume', 'worker') else None)}{_elsewhere(typed.redis)}`"
        ),
        sentence,
    )


def _options(task: str | None) -> str:
    return "".join(f" {shlex.quote(part)}" for part in task_option(task))


def _elsewhere(redis: str | None) -> str:
    """Return the option for a Redis that the next command would not find by itself, without its passwords."""
    if redis is None or redis == os.environ.get("SUREFOOT_REDIS"):
        return ""
    scheme, mark, rest = redis.partition("://") if "://" in redis else ("", "", redis)
    rest = re.sub(r"^([^:@]*):.*@", r"\1:PASSWORD@", rest, flags=re.DOTALL)
    shown = re.sub(r"(password=)[^&#]*", r"\1PASSWORD", scheme + mark + rest)
    return f" --redis {shlex.quote(shown)}"


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
