"""The command line: it parses, calls, prints."""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Annotated

import typer
from typer.core import TyperGroup
from typer.main import get_command

from .lazy_command import LazyCommand

FAILED = 1
COMMANDS = {
    "run": ("jobs:run", "Do a job, one voted step at a time."),
    "solve": ("solve:solve", "Solve a problem in plain words that is too large for one call."),
    "outline": ("outline:outline", "Decide by vote how a problem is made smaller, and write that to a file."),
    "plan": (
        "jobs:plan",
        "Calibrate, then say k, votes, tokens, cost, time and risk before anything is spent.",
    ),
    "resume": ("jobs:resume", "Take a job up where it stands."),
    "worker": ("worker:worker", "Work on the parts of stitched jobs that nobody holds, until none is left."),
    "jobs": ("job_list:jobs", "List the jobs, those worked on last first."),
    "show": (
        "show:show",
        "Show a job's report, one of its steps, its state, or how its problem was made smaller.",
    ),
    "export": (
        "export:export",
        "Write jobs as tables for pandas and the like, or as a log that `inspect view` opens.",
    ),
    "decide": ("show:decide", "Answer what a job asks before it can go on."),
    "suspend": (
        "show:suspend",
        "Let a job stand still before its next step, while its runner keeps it; --off lets it go on.",
    ),
    "cancel": ("show:cancel", "Stop a job for good, even while it runs."),
    "delete": ("cleanup:delete", "Delete jobs for good: records, samples, checkpoints."),
    "prune": (
        "cleanup:prune",
        "Delete jobs that are finished and old; a running one is never touched.",
    ),
    "serve": ("serve:serve", "Start a local vLLM with the flags that suit this toolkit, and end it cleanly."),
    "proxy": (
        "proxy:proxy",
        "Answer OpenAI's API with answers that are elected among samples of the server behind.",
    ),
    "dashboard": (
        "dashboard:dashboard",
        "Show jobs in a browser while they run and after, from what is in Redis: progress, votes, risk, every step.",
    ),
    "mcp": (
        "mcp:mcp",
        "Be an MCP server: plan, run, show, score and vote as tools, over standard input and output or HTTP.",
    ),
    "score": (
        "score:score",
        "Score the logs of agents: 0 stays with the environment, 10 relies on its own thoughts.",
    ),
    "handbook": ("handbook:app", "List, edit and carry the behaviours that earlier runs have taught."),
    "preferences": ("preferences:app", "Show, edit and delete what is known of users' tastes."),
    "swe": ("swe:app", "Work on the issues of SWE-bench, or of a set in its form."),
    "judge": ("judge:app", "Let a model score how far runs think instead of acting."),
    "calibrate": ("calibrate:app", "Learn from problems with known answers when less is enough."),
}
"""Where each command is, and what it says of itself; its room is loaded when it is used."""

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # a page of help needs neither this nor rich

        typer.echo(f"surefoot {version('surefoot')}")
        raise typer.Exit


@app.callback()
def surefoot(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Agents that take a million steps without a stumble."""


def group() -> TyperGroup:
    """Return the whole command line."""
    made = get_command(app)
    assert isinstance(made, TyperGroup)
    for name, (place, said) in COMMANDS.items():
        made.add_command(LazyCommand(name, place, said))
    return made


def main() -> None:
    """Run the command line."""
    _fill_in_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what the encoding lacks is written as an escape
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run()
        sys.stdout.flush()
    except OSError as error:
        if _takes_output():
            raise
        # The reader has gone, or the disk is full.  What is still buffered goes nowhere, or the interpreter complains of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            from .terminal import complain

            complain(f"the output cannot be written ({error.strerror})")
        code = FAILED
    sys.exit(code)


def _fill_in_streams() -> None:
    """Put the null device in the place of standard streams that are closed: no file or socket of ours may be taken for one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # It gets the lowest free number, which is that of the closed one.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _takes_output() -> bool:
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _run() -> int:
    try:
        return int(group()(standalone_mode=False) or 0)
    except typer.Abort:
        return FAILED
    except typer.TyperException as error:
        return _misused(error)


def _misused(error: typer.TyperException) -> int:
    """Answer a wrong use of the command line like any other bad input."""
    said, where = error.format_message().replace(": Value error, ", ": "), getattr(error, "ctx", None)
    if where and said == where.get_help():  # nothing at all was asked for
        typer.echo(said)
    else:
        from .terminal import fail

        sentence = said[:1].lower() + said[1:].removesuffix(".") + (" " if said.endswith("?") else "; ")
        sentence += f"`{where.command_path if where else 'surefoot'} --help` says more"
        with suppress(typer.Exit):
            fail(sentence, "--json" in sys.argv, error.exit_code)
    return error.exit_code
