"""The command line: it parses, calls, prints."""

import typer

from . import calibrate, cleanup, jobs, judge
from .score import score
from .serve import serve

app = typer.Typer(
    help="Agents that take a million steps without a stumble.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    jobs.run,
    jobs.plan,
    jobs.resume,
    jobs.jobs,
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


def main() -> None:
    """Run the command line."""
    app()
