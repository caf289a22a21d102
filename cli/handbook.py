"""`surefoot handbook`: the behaviours in a Redis, listed, shown, edited, deleted, and carried elsewhere as lines of JSON."""

import codecs
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from redis.asyncio import Redis
from rich.console import Group, RenderableType
from rich.padding import Padding

from surefoot.agents.handbook import Behaviour
from surefoot.agents.handbook.behaviour import read_line, written_line
from surefoot.errors import BadInput
from surefoot.orchestration.handbook import Handbook
from surefoot.printable import printable
from surefoot.private_files import check_target, replacement

from .cleanup import Yes, confirm
from .common import INTERRUPTED, go, look_up, print_result
from .options import AsJson, RedisUrl
from .terminal import fail, styled

MOST_BYTES = 64 * 2**20
"""Of a file to import; a behaviour takes about a KiB at most."""

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

TaskName = Annotated[str, typer.Argument(metavar="TASK", help="The name of the tasks that it is for.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as behavior_check_the_carry.")]
OfTask = Annotated[str | None, typer.Option("--task", metavar="TASK", help="Those for this task alone.")]


@app.callback()
def handbook() -> None:
    """List, edit and carry the behaviours that earlier runs have taught."""


@app.command("list")
def list_(task: OfTask = None, redis: RedisUrl = None, as_json: AsJson = False) -> None:
    """List behaviours, with how often they were used and how often that led to a solved job."""
    found = _found(task, redis, as_json)
    shown = Group(*(line for each in found for line in _lines(each))) if found else "no behaviours yet"
    print_result([asdict(each) for each in found], shown, as_json)


@app.command()
def show(task: TaskName, name: Name, redis: RedisUrl = None, as_json: AsJson = False) -> None:
    """Show one behaviour."""
    found = look_up(lambda store: Handbook(store).get(task, name), as_json, redis)
    _print(found, as_json)


@app.command()
def edit(
    task: TaskName,
    name: Name,
    instruction: Annotated[
        str, typer.Argument(metavar="INSTRUCTION", help="The new sentence; the counts begin again.")
    ],
    redis: RedisUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give a behaviour another instruction."""
    found = look_up(lambda store: Handbook(store).edit(task, name, instruction), as_json, redis)
    _print(found, as_json)


@app.command()
def delete(
    task: TaskName, name: Name, yes: Yes = False, redis: RedisUrl = None, as_json: AsJson = False
) -> None:
    """Delete a behaviour; jobs that have begun with it keep it."""
    look_up(lambda store: Handbook(store).get(task, name), as_json, redis)
    confirm([name], yes, as_json)
    look_up(lambda store: Handbook(store).delete(task, name), as_json, redis)
    print_result({"task": task, "deleted": name}, f"deleted: {name}", as_json)


@app.command()
def export(
    task: OfTask = None,
    out: Annotated[Path | None, typer.Option(help="Write them here; to standard output if absent.")] = None,
    redis: RedisUrl = None,
) -> None:
    """Write behaviours as lines of JSON, which `import` reads."""
    lines = "".join(f"{written_line(each)}\n" for each in _found(task, redis, as_json=False))
    if out is None:
        # Whatever the terminal's encoding is: `import` reads UTF-8.
        sys.stdout.buffer.write(lines.encode())
        sys.stdout.buffer.flush()
        return

    async def write() -> None:
        try:
            check_target(out)
            with replacement(out) as file:
                file.write(lines)
        except OSError as error:
            raise BadInput(f"{str(out)!r} cannot be written ({error.strerror})") from None

    go(write(), as_json=False)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Lines of JSON; - is standard input.")],
    redis: RedisUrl = None,
    as_json: AsJson = False,
) -> None:
    """Read behaviours from lines of JSON; each takes the place of one of the same task and name.

    Nothing is imported from a file with a bad line.
    """

    found = _given(file, as_json)
    look_up(lambda store: Handbook(store).put(*found), as_json, redis)
    count = f"{len(found):,} behaviour{'' if len(found) == 1 else 's'}"
    print_result({"imported": len(found)}, f"imported: {count}", as_json)


def _found(task: str | None, redis: str | None, as_json: bool) -> list[Behaviour]:
    async def ask(store: Redis) -> list[Behaviour]:
        return await (Handbook(store).every() if task is None else Handbook(store).find(task))

    return look_up(ask, as_json, redis)


def _given(file: Path, as_json: bool) -> list[Behaviour]:
    """Read before there is an event loop, whose handlers would keep Ctrl-C from what waits for a pipe."""
    try:
        return _read(file)
    except BadInput as error:
        fail(error.sentence, as_json, error.exit_code)
    except KeyboardInterrupt:
        fail("interrupted", as_json, INTERRUPTED)


def _read(file: Path) -> list[Behaviour]:
    try:
        if str(file) == "-":
            raw = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with file.open("rb") as opened:
                raw = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{str(file)!r} cannot be read ({error.strerror})") from None
    if len(raw) > MOST_BYTES:
        raise BadInput(f"{str(file)!r} has more than {MOST_BYTES >> 20} MiB: import it in parts")
    found = []
    for number, line in enumerate(raw.removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        try:
            if line.strip():
                found.append(read_line(line))
        except BadInput as error:
            raise BadInput(f"{printable(str(file))}, line {number}: {error}") from None
    return found


def _print(found: Behaviour, as_json: bool) -> None:
    print_result(asdict(found), Group(*_lines(found)), as_json)


def _lines(each: Behaviour) -> Sequence[RenderableType]:
    learnt = f"   learnt from {each.job}" if each.job else ""
    used = f"{each.task}   {each.successes:,} of {each.uses:,} uses solved{learnt}"
    return styled(each.name, "bold"), Padding.indent(each.instruction, 2), Padding.indent(used, 2)
