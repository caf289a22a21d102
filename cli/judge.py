"""`surefoot judge`: a model scores logged runs, and is itself compared with labels."""

import asyncio
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter
from rich.console import Group
from rich.table import Table

from surefoot.agents.monitor.agreement import Agreement, read_labels
from surefoot.agents.monitor.judge import Judge, Judged, open_judge
from surefoot.agents.monitor.readers.formats import read, read_each
from surefoot.agents.monitor.rubric import PATTERNS
from surefoot.agents.monitor.trajectory import Trajectory
from surefoot.errors import BadInput

from .common import go, print_result
from .grouped import grouped
from .server_options import ServerOptions
from .terminal import complain

IN_FLIGHT = 16
"""Runs that are judged at a time."""

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

RunFiles = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Logged runs, in any format that is known.")
]
Labels = Annotated[
    Path,
    typer.Argument(
        metavar="LABELS", help='Lines of {"file": path, "score": number}; only their order counts.'
    ),
]
JudgeUrl = Annotated[
    str,
    typer.Option("--model", help="URL of an OpenAI-compatible server; it gets to read the runs' thoughts."),
]
Judgments = Annotated[int, typer.Option(help="Judgments of each run; their median counts.")]
Context = Annotated[
    int | None,
    typer.Option("--context", help="The judge's context in tokens; the server's own word if absent."),
]
AsJsonWithEvidence = Annotated[bool, typer.Option("--json", help="Print JSON, the evidence included.")]


@app.callback()
def judge() -> None:
    """Let a model score how far runs think instead of acting."""


@app.command()
@grouped("chat_limit", "option")
def score(
    files: RunFiles,
    model: JudgeUrl,
    server: ServerOptions,
    votes: Judgments = 1,
    context: Context = None,
    as_json: AsJsonWithEvidence = False,
) -> None:
    """Score runs from 0 (acts and looks) to 10 (only thinks).  Exit code 1 if one could not be scored, 2 if one could not be read."""

    runs = list(chain.from_iterable(map(read_each, files)))
    problems = [run for _, run in runs if isinstance(run, BadInput)]

    async def work() -> list[Judged]:
        async with open_judge(
            server.address(model), options=server.made(), votes=votes, context_tokens=context
        ) as judge:
            return await _judged(judge, [run for _, run in runs if isinstance(run, Trajectory)])

    judged = iter(go(work(), as_json) if len(problems) < len(runs) else ())
    found = [(name, run if isinstance(run, BadInput) else next(judged)) for name, run in runs]
    if as_json or len(problems) < len(runs):
        print_result([_row(file, one) for file, one in found], _table(found), as_json)
    for problem in problems:
        complain(str(problem))
    if problems:
        raise typer.Exit(BadInput.exit_code)
    if any(isinstance(one, Judged) and one.score is None for _, one in found):
        raise typer.Exit(1)


@app.command()
@grouped("chat_limit", "option")
def calibrate(
    labels: Labels,
    model: JudgeUrl,
    server: ServerOptions,
    votes: Judgments = 1,
    context: Context = None,
    as_json: AsJsonWithEvidence = False,
) -> None:
    """Report Spearman's correlation of a judge's scores with labels.  Exit code 1 if there is none to report."""

    async def work() -> tuple[str, list[tuple[Path, float]], list[Judged]]:
        labelled = read_labels(labels)
        runs = [read(file) for file, _ in labelled]
        async with open_judge(
            server.address(model), options=server.made(), votes=votes, context_tokens=context
        ) as judge:
            return judge.name, labelled, await _judged(judge, runs)

    name, labelled, judged = go(work(), as_json)
    pairs = [
        (one.score, label) for one, (_, label) in zip(judged, labelled, strict=True) if one.score is not None
    ]
    found = Agreement.of([mine for mine, _ in pairs], [label for _, label in pairs])
    rows = [
        {"file": str(file), "label": label, "score": one.score, "unread": list(one.unread)}
        for (file, label), one in zip(labelled, judged, strict=True)
    ]
    unscored = len(labelled) - len(pairs)
    data = {"judge": name, **found._asdict(), "unscored": unscored, "verdict": found.verdict, "runs": rows}
    print_result(data, _page(name, found, unscored), as_json)
    if found.rho is None:
        raise typer.Exit(1)


async def _judged(judge: Judge, runs: Sequence[Trajectory]) -> list[Judged]:
    room = asyncio.Semaphore(IN_FLIGHT)

    async def one(run: Trajectory) -> Judged:
        async with room:
            return await judge.score(run)

    return await asyncio.gather(*map(one, runs))


def _row(file: str, judged: Judged | BadInput) -> dict[str, Any]:
    if isinstance(judged, BadInput):
        return {"file": file, "error": str(judged)}
    found: dict[str, Any] = TypeAdapter(Judged).dump_python(judged, mode="json")
    return {"file": file, **found, "usage": judged.usage.known_all()}


def _table(found: Sequence[tuple[str, Judged | BadInput]]) -> Table:
    table = Table("run", "score", "votes", "paralysis", "rogue", "premature", "turns", box=None)
    for file, judged in found:
        if isinstance(judged, BadInput):
            continue  # standard error says why
        if judged.score is None or judged.spread is None:
            table.add_row(file, "none", "", "", "", "", "; ".join(judged.unread))
            continue
        low, high = judged.spread
        turns = {turn for one in judged.judgments for name in PATTERNS for turn in getattr(one, name).turns}
        patterns = [f"{judged.patterns[name]:g}" for name in PATTERNS]
        votes = f"{low}-{high}" if high > low else f"{low}"
        table.add_row(file, f"{judged.score:g}", votes, *patterns, ", ".join(map(str, sorted(turns))))
    return table


def _page(name: str, found: Agreement, unscored: int) -> Group:
    rho = "none" if found.rho is None else f"{found.rho:.2f}"
    interval = "" if found.low is None else f" (95 %: {found.low:.2f} to {found.high:.2f})"
    lines = [f"{name}: Spearman {rho}{interval} over {found.pairs} runs", found.verdict]
    if unscored:
        lines.append(
            f"{unscored} of {found.pairs + unscored} runs got no score and do not count; --json says why"
        )
    return Group(*lines)
