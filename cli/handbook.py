"""`surefoot handbook`: the behaviours in a Redis, listed, shown, edited, deleted, and carried elsewhere as lines of JSON."""

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
from surefoot.orchestration.handbook import Handbook

from .cleanup import Yes, confirm
from .common import look_up, print_result
from .files import early, lines_of, put
from .options import AsJson, RedisUrl
from .terminal import styled

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
    put("".join(f"{written_line(each)}\n" for each in _found(task, redis, as_json=False)), out)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Lines of JSON; - is standard input.")],
    redis: RedisUrl = None,
    as_json: AsJson = False,
) -> None:
    """Read behaviours from lines of JSON; each takes the place of one of the same task and name.

    Nothing is imported from a file with a bad line.
    """
    found = early(lambda: lines_of(file, read_line), as_json)
    look_up(lambda store: Handbook(store).put(*found), as_json, redis)
    count = f"{len(found):,} behaviour{'' if len(found) == 1 else 's'}"
    print_result({"imported": len(found)}, f"imported: {count}", as_json)


def _found(task: str | None, redis: str | None, as_json: bool) -> list[Behaviour]:
    async def ask(store: Redis) -> list[Behaviour]:
        return await (Handbook(store).every() if task is None else Handbook(store).find(task))

    return look_up(ask, as_json, redis)


def _print(found: Behaviour, as_json: bool) -> None:
    print_result(asdict(found), Group(*_lines(found)), as_json)


def _lines(each: Behaviour) -> Sequence[RenderableType]:
    learnt = f"   learnt from {each.job}" if each.job else ""
    used = f"{each.task}   {each.successes:,} of {each.uses:,} uses solved{learnt}"
    return styled(each.name, "bold"), Padding.indent(each.instruction, 2), Padding.indent(used, 2)
