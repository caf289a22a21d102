"""`--out`: the decided answers in a file, one a line."""

from pathlib import Path
from typing import Any

from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput
from surefoot.orchestration.journal.jobs import load
from surefoot.orchestration.journal.stitched import find
from surefoot.orchestration.redis.open import open_redis
from surefoot.orchestration.reporting import answer_line, records
from surefoot.orchestration.task_of_job import task_known
from surefoot.printable import printable
from surefoot.private_files import check_target, replacement

from . import common


def check_out(out: Path | None) -> None:
    """Refuse a file that cannot be written before anything is spent on its content."""
    if out is None:
        return
    try:
        check_target(out)
    except OSError as error:
        raise BadInput(f"the answers cannot be written to {str(out)!r}: {error.strerror}") from None


async def write(
    out: Path | None, redis: Any, job: str, task: Task[Any, Any] | type[Task[Any, Any]] | None
) -> None:
    """Write the decided answers, one a line; the file appears as a whole or not at all.

    Where the task is not given and cannot be made, they are written as the journal has them.
    """
    if out is None:
        return
    try:
        async with open_redis(redis) as store:
            whole = await find(store, job)
            parts = [await load(store, name) for name in ([job] if whole is None else whole.names)]
            words = task_known(parts[0], task)
            check_target(out)
            with replacement(out) as file:
                for known in parts:
                    async for record in records(store, known):
                        file.write(printable(answer_line(words, record.answer)) + "\n")
    except OSError as error:
        raise BadInput(
            f"the answers cannot be written to {str(out)!r}: {error.strerror}; they are safe, and "
            f"`{common.job_command('show', job, None)} --out FILE` writes them"
        ) from None
