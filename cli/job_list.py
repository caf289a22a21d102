"""`surefoot jobs`: what is there, the latest work first."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table

from surefoot.orchestration.journal.jobs import UnreadableJob
from surefoot.orchestration.workers.listing import ListedJob, Stitched, listing
from surefoot.tools.pictures.picture import without_bytes

from .common import look_up, print_result
from .display import arguments
from .options import AsJson, RedisUrl
from .terminal import UNBOUNDED, styled

COLUMNS = ("job", "outcome", "steps", "last work", "created", "model", "task", "held by")
UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def jobs(
    last: Annotated[int | None, typer.Option(min=1, help="Only so many, the latest; all if absent.")] = None,
    redis: RedisUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the jobs, those worked on last first."""
    found = sorted(look_up(listing, as_json, redis), key=_updated, reverse=True)[:last]
    now = time.time()
    print_result([_row(job) for job in found], Listing([cells(job, now) for job in found]), as_json)


class Listing:
    """Jobs in a table as long as nothing has to be cut for it, else each on lines of its own: an id is always whole."""

    def __init__(self, rows: Sequence[tuple[str, ...]]) -> None:
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self._rows:
            yield "no jobs yet"
            return
        table = Table(*COLUMNS, box=None, pad_edge=False)
        for row in self._rows:
            table.add_row(*row)
        if Measurement.get(console, options.update(max_width=UNBOUNDED), table).maximum <= options.max_width:
            yield table
            return
        for name, *cells in self._rows:
            yield styled(name, "bold")
            yield Padding("   ".join(filter(None, cells)), (0, 0, 0, 2))


def _updated(job: ListedJob) -> float:
    if isinstance(job, Stitched):
        job = job.whole
    return 0.0 if isinstance(job, UnreadableJob) else job.updated


def cells(job: ListedJob, now: float) -> tuple[str, ...]:
    """Return what a line of the list says of a job, by `COLUMNS`; `now` in seconds since 1970."""
    if isinstance(job, Stitched):
        name, _, *others, task, holder = cells(job.whole, now)
        # Whether ends meet is only looked at for the report.
        return (name, job.whole.status, *others, f"{task}, stitched of {job.parts:,} parts", holder)
    if isinstance(job, UnreadableJob):
        return (job.id, "unreadable", "", "", "", "", job.why, "")
    expected = job.steps
    return (
        job.id,
        "solved" if job.status == "done" else job.status,
        f"{job.step:,}" if expected is None else f"{job.step:,} of {expected:,}",
        f"{_age(now - job.updated)} ago",
        datetime.fromtimestamp(job.created).strftime("%Y-%m-%d %H:%M"),
        job.models[-1],
        f"{job.task} {arguments(without_bytes(dict(job.spec)))}".rstrip(),
        job.holder or "",
    )


def _row(job: ListedJob) -> dict[str, Any]:
    """Return a job as JSON has it."""
    if isinstance(job, Stitched):
        return {**_row(job.whole), "solved": None, "kind": "stitched", "parts": job.parts}
    if isinstance(job, UnreadableJob):
        return {"job": job.id, "task": None, "status": "unreadable", "step": None, "why": job.why}
    return {
        "job": job.id,
        "task": job.task,
        "spec": without_bytes(dict(job.spec)),
        "status": job.status,
        "solved": job.status == "done",
        "step": job.step,
        "steps_expected": job.steps,
        "created": _instant(job.created),
        "updated": _instant(job.updated),
        "models": job.models,
        "held_by": job.holder,
        "k": job.k,
        "reliability": job.reliability,
        "risk": job.risk,
        "votes": job.counters.get("votes", 0),
        "contested": job.counters.get("contested", 0),
        "repairs": job.counters.get("repairs", 0),
        "red_flags": job.flags,
        "tokens": job.usage.known_all(),
        "wall_s": round(job.wall_s, 3),
        "head": job.head,
    }


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _age(seconds: float) -> str:
    """Return a time span in its largest unit."""
    for size, unit in UNITS:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{max(0, seconds):.0f} s"
