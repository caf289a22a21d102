"""Jobs written to a file, or read row by row."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from redis.asyncio import Redis

from surefoot.agents.tasks.guarded import guarded
from surefoot.errors import BadInput
from surefoot.orchestration.redis.open import open_redis
from surefoot.orchestration.task_of_job import Given, task_known
from surefoot.private_files import check_target, replacement
from surefoot.typed_input import checked

from . import tables
from .files import EVAL, check_form, written_rows
from .inspect_log import write_inspect_log
from .rows import KINDS, ExportedRow, ExportTable


@checked
async def export(
    jobs: str | Sequence[str],
    to: str | Path,
    *,
    table: ExportTable = "steps",
    task: Given = None,
    redis: str | Redis | None = None,
) -> int:
    """Write a table of one or several jobs to a file, or a log of inspect_ai, and return the number of rows or of samples.

        await export("tall", "steps.jsonl")                                  # lines of JSON
        await export("tall", "examples.jsonl", table="examples")             # prompts with their elected answers
        await export(["a", "b"], "results.parquet", table="results")         # Parquet, `surefoot[parquet]`
        await export("agent-1", "agent-1.eval")                              # a log for `inspect view`, `surefoot[inspect]`

    The file appears as a whole or not at all.  Memory is bounded by a segment and 16 MiB, however long the jobs are.  What is read is
    verified link by link along the hash chain.  `task` as for `surefoot.report`: with it answers are shown in the task's words.
    Raises `BadInput`, `NoSuchJob`, `CorruptJournal`, `NewerJournal` or `RedisUnavailable`.
    """
    target, names = Path(to), [jobs] if isinstance(jobs, str) else [*jobs]
    check_form(target)
    if not names:
        raise BadInput("nothing is to be exported: name a job at least")
    if target.suffix == EVAL and table != "steps":
        raise BadInput("a log of inspect_ai has no tables: leave the table out")
    count = 0
    async with open_redis(redis) as store:
        try:
            check_target(target)
            if target.suffix == EVAL:
                return await write_inspect_log(store, names, target, task)
            with (
                replacement(target) as file,
                written_rows(file.buffer, target.suffix, KINDS[table]) as put,
            ):
                for job in names:
                    async for row in _rows(store, job, table, task):
                        put(row)
                        count += 1
        except OSError as error:
            raise BadInput(f"the export cannot be written to {str(target)!r}: {error.strerror}") from None
    return count


@checked
async def exported(
    job: str, table: ExportTable = "steps", *, task: Given = None, redis: str | Redis | None = None
) -> AsyncIterator[ExportedRow]:
    """Yield the rows of a job's table one by one, as `export` writes them; arguments and errors are those of `export`."""
    async with open_redis(redis) as store:
        async for row in _rows(store, job, table, task):
            yield row


async def _rows(redis: Redis, job: str, table: ExportTable, task: Given) -> AsyncIterator[ExportedRow]:
    if table == "results":
        yield await tables.result_of(redis, job)
        return
    words = None
    for piece in await tables.pieces(redis, job):
        if table == "turns":
            async for turn in tables.turns(redis, piece.job):
                yield turn
        elif table == "samples":
            async for sample in tables.samples(redis, piece):
                yield sample
        else:
            if words is None and (known := task_known(piece.job, task)) is not None:
                words = guarded(known)
            if table == "steps":
                async for step in tables.steps(redis, piece, words):
                    yield step
            elif words is None:
                raise BadInput(
                    f"what job {job!r} was asked only its task {piece.job.task!r} knows: give it, on the command line by --task"
                )
            else:
                async for example in tables.examples(redis, piece, words):
                    yield example
