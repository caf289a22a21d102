"""Jobs that are no longer wanted: delete one, or all that are finished and old."""

import re
import sys
from typing import Annotated

import typer
from redis.asyncio import Redis

from surefoot.errors import BadInput
from surefoot.orchestration import deletion
from surefoot.orchestration.journal import jobs, stitched
from surefoot.printable import printable

from . import common
from .common import look_up
from .options import AsJson, RedisUrl
from .terminal import complain, fail

UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def delete(
    job: Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids, as `surefoot jobs` lists them.")],
    yes: Yes = False,
    redis: RedisUrl = None,
    as_json: AsJson = False,
) -> None:
    """Delete jobs for good: records, samples, checkpoints."""
    names = list(dict.fromkeys(job))

    async def check(store: Redis) -> None:
        for name in names:
            if not (await jobs.exists(store, name) or await stitched.exists(store, name)):
                await jobs.load(store, name)

    look_up(check, as_json, redis)
    confirm(names, yes, as_json)
    _delete(names, as_json, redis)


def prune(
    older_than: Annotated[str, typer.Option(help="Not written to for so long: 30d, 12h, 90m, 2w.")],
    unfinished: Annotated[
        bool, typer.Option("--all", help="Unfinished jobs too, not only those that are done or cancelled.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    yes: Yes = False,
    redis: RedisUrl = None,
    as_json: AsJson = False,
) -> None:
    """Delete jobs that are finished and old; a running one is never touched."""

    async def look(store: Redis) -> list[str]:
        age_s = _seconds(older_than)
        old = await deletion.old(store, age_s, unfinished=unfinished)
        whole = await deletion.old_stitched(store, age_s, unfinished=unfinished)
        return [*(found.id for found in old), *(found.id for found in whole)]

    names = look_up(look, as_json, redis)
    if dry_run or not names:
        common.print_result({"would_delete": names}, f"would delete: {_listed(names)}", as_json)
        return
    confirm(names, yes, as_json)
    _delete(names, as_json, redis)


def _delete(names: list[str], as_json: bool, redis: str | None) -> None:
    async def work(store: Redis) -> None:
        for name in names:
            await deletion.delete(store, name)

    look_up(work, as_json, redis)
    common.print_result({"deleted": names}, f"deleted: {_listed(names)}", as_json)


def confirm(names: list[str], yes: bool, as_json: bool) -> None:
    """Ask a person; a program has to say --yes."""
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        fail(f"this would delete {_listed(names)}: add --yes", as_json, BadInput.exit_code)
    complain(f"this deletes for good: {_listed(names)}")
    if not typer.confirm("Go on?", err=True):
        raise typer.Exit(1)


def _listed(names: list[str]) -> str:
    return ", ".join(map(printable, names)) or "nothing"


def _seconds(age: str) -> float:
    found = re.fullmatch(r"(\d{1,9})([smhdw])", age, re.ASCII)
    if found is None:
        raise BadInput(f"an age is a number and one of s, m, h, d, w, such as 30d or 12h, not {age!r}")
    return int(found[1]) * UNIT_S[found[2]]
