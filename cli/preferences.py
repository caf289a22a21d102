"""`surefoot preferences`: what is known of a user's tastes, for the user to read, edit, delete and carry away."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding

from surefoot.agents.preferences import ChoiceSignal, Preference
from surefoot.orchestration.preferences import Known, Preferences

from .cleanup import Yes, confirm
from .common import look_up, print_result
from .files import put
from .options import AsJson, RedisUrl
from .terminal import styled, to_json

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

User = Annotated[str, typer.Argument(metavar="USER", help="As the program that adds signals names them.")]


@app.callback()
def preferences() -> None:
    """Show, edit and delete what is known of users' tastes."""


@app.command()
def show(user: User, redis: RedisUrl = None, as_json: AsJson = False) -> None:
    """Show a user's description."""
    _print(_known(user, redis, as_json).preference, as_json)


@app.command()
def edit(
    user: User,
    description: Annotated[
        str, typer.Argument(metavar="DESCRIPTION", help="One line; it takes the place of the old one.")
    ],
    redis: RedisUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give a user another description; it is taken as it is."""
    _print(look_up(lambda store: Preferences(store).edit(user, description), as_json, redis), as_json)


@app.command()
def delete(user: User, yes: Yes = False, redis: RedisUrl = None, as_json: AsJson = False) -> None:
    """Delete a user's description and signals; jobs that have begun with the description keep it."""
    look_up(lambda store: Preferences(store).check_kept(user), as_json, redis)
    confirm([user], yes, as_json)
    look_up(lambda store: Preferences(store).delete(user), as_json, redis)
    print_result({"deleted": user}, f"deleted: {user}", as_json)


@app.command()
def signals(user: User, redis: RedisUrl = None, as_json: AsJson = False) -> None:
    """Show the choices that are kept of a user, the oldest first."""
    found = _known(user, redis, as_json)
    shown = Group(*(line for each in found.signals for line in _lines(each)))
    print_result([_of(each) for each in found.signals], shown if found.signals else "no signals yet", as_json)


@app.command()
def export(
    user: User,
    out: Annotated[Path | None, typer.Option(help="Write it here; to standard output if absent.")] = None,
    redis: RedisUrl = None,
) -> None:
    """Write all that is kept of a user as one line of JSON."""
    found = _known(user, redis, as_json=False)
    kept = [_of(each) for each in found.signals]
    put(to_json({**asdict(found.preference), "kept": kept}) + "\n", out)


def _known(user: str, redis: str | None, as_json: bool) -> Known:
    return look_up(lambda store: Preferences(store).read(user), as_json, redis)


def _print(found: Preference, as_json: bool) -> None:
    rests = f"version {found.version:,}, from {found.signals:,} signal{'' if found.signals == 1 else 's'}"
    lines = (found.description, Padding.indent(rests, 2)) if found.description else ("no description yet",)
    print_result(asdict(found), Group(*lines), as_json)


def _of(signal: ChoiceSignal) -> dict[str, Any]:
    """Return a signal, and whether it is held out to judge by."""
    return {**asdict(signal), "held_out": signal.held_out}


def _lines(signal: ChoiceSignal) -> Iterator[RenderableType]:
    yield styled(" ".join(signal.post.split()), "bold")
    for what, text in (("chosen", signal.chosen), ("rejected", signal.rejected)):
        yield Padding.indent(f"{what}: {' '.join(text.split())}", 2)
    if signal.held_out:
        yield Padding.indent("held out, to judge descriptions by", 2)
