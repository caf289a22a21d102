"""The command line: it parses, calls, prints."""

import os
import sys
from contextlib import suppress
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer

from . import calibrate, cleanup, jobs, judge, listing
from .common import fail
from .score import score
from .serve import serve
from .terminal import Terminal

FAILED = BROKEN_PIPE = 1

app = typer.Typer(
    help="Agents that take a million steps without a stumble.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
for command in (
    jobs.run,
    jobs.plan,
    jobs.resume,
    listing.jobs,
    jobs.show,
    jobs.cancel,
    cleanup.delete,
    cleanup.prune,
    serve,
    score,
):
    app.command()(command)
app.add_typer(judge.app, name="judge")
app.add_typer(calibrate.app, name="calibrate")


def _version(wanted: bool) -> None:
    if wanted:
        Terminal().page(f"surefoot {version('surefoot')}")
        raise typer.Exit


@app.callback()
def surefoot(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Agents that take a million steps without a stumble."""


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what the encoding lacks is written as an escape
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads any more.  What is still buffered goes nowhere, or the interpreter complains of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    sys.exit(code)


def _run() -> int:
    try:
        return app(standalone_mode=False) or 0
    except typer.Abort:
        return FAILED
    except typer.TyperException as error:
        return _misused(error)


def _misused(error: typer.TyperException) -> int:
    """Answer a wrong use of the command line like any other bad input."""
    said, where = error.format_message(), getattr(error, "ctx", None)
    if said:  # else the help has been printed, as nothing at all was asked for
        more = (
            f"{' ' if said.endswith('?') else '; '}`{where.command_path} --help` says more" if where else ""
        )
        sentence = said[:1].lower() + said[1:].removesuffix(".") + more
        with suppress(typer.Exit):
            fail(sentence, "--json" in sys.argv, error.exit_code)
    return error.exit_code
