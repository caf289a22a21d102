"""`surefoot export`: jobs as tables, for pandas, polars, DuckDB and the like, and as logs for `inspect view`."""

from pathlib import Path
from typing import Annotated

import typer

from surefoot.orchestration import exports
from surefoot.orchestration.progress import Progress
from surefoot.orchestration.redis.open import open_redis
from surefoot.printable import printable

from . import common
from .options import AsJson, RedisUrl, TaskAddress
from .tasks import at_address


def export(
    jobs: Annotated[
        list[str], typer.Argument(metavar="JOB...", help="Jobs' ids, as `surefoot jobs` lists them.")
    ],
    to: Annotated[
        Path,
        typer.Option(
            metavar="FILE.jsonl|FILE.parquet|FILE.eval",
            help="Where to: lines of JSON, Parquet (surefoot[parquet]), or a log for `inspect view` (surefoot[inspect]).",
        ),
    ],
    table: Annotated[
        exports.ExportTable,
        typer.Option(
            help="Decided steps, jobs as a whole, turns of agents, the raw samples that were kept, or prompts with their elected answers, to train on."
        ),
    ] = "steps",
    task: TaskAddress = None,
    redis: RedisUrl = None,
    as_json: AsJson = False,
) -> None:
    """Write jobs as tables for pandas and the like, or as a log that `inspect view` opens."""
    progress = Progress(doing=f"writing {printable(str(to))}")

    async def write() -> int:
        async with open_redis(redis, progress.listen, common.LOOK_UP_S) as store:
            return await exports.export(jobs, to, table=table, task=at_address(task), redis=store)

    rows = common.go(write(), as_json, progress, redis, live=False)
    log = to.suffix == ".eval"
    many = "" if rows == 1 else "s"
    said = f"{rows:,} sample{many} in {to}" if log else f"{rows:,} row{many} of {table} in {to}"
    made = {"jobs": jobs, "table": None if log else table, "file": str(to), "rows": rows}
    common.print_result(made, said, as_json)
