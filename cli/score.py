"""`surefoot score`: how far runs preferred their own thoughts to the environment, by signals and without a model."""

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.table import Table

from surefoot.agents.monitor.readers.formats import read_each
from surefoot.agents.monitor.signals import FLAGGED, MOST, Pattern, Signal, SignalReading, readings
from surefoot.errors import BadInput
from surefoot.printable import printable
from surefoot.private_files import check_target, replacement

from .terminal import Terminal, complain, to_json

PICTURES = (".png", ".svg")
NAMES: dict[Pattern, str] = {
    "analysis_paralysis": "analysis paralysis",
    "rogue_actions": "rogue actions",
    "premature_disengagement": "premature disengagement",
    "loops": "loops",
}


class Scored(NamedTuple):
    """One run, read and scored."""

    file: str
    source: str
    finish: str | None
    passed_over: int
    readings: tuple[SignalReading, ...]
    """One a turn."""

    @property
    def last(self) -> SignalReading:
        """What is known at the end."""
        return self.readings[-1]

    def record(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "file": self.file,
            "source": self.source,
            "turns": len(self.readings),
            "finish": self.finish,
            "passed_over": self.passed_over,
            "score": round(self.last.score, 1),
            "signals": {signal.pattern: _record(signal) for signal in self.last.signals},
            "scores": [round(reading.score, 1) for reading in self.readings],
        }


def _record(signal: Signal) -> dict[str, Any]:
    return {"peak": round(signal.peak, 1), "flagged": signal.flagged, "turns": signal.turns}


def score(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Trajectories, folders of OpenHands' logged calls, logs of Inspect (a run a sample; FILE.eval#NAME is one).",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Write the JSON here as well.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw by turn, as .png or .svg: the signals' levels of one run, or the scores of several."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score the logs of agents: 0 stays with the environment, 10 relies on its own thoughts."""
    scored, rows, problems = _all(files)
    if as_json:
        sys.stdout.write(_json(rows))
    elif scored:
        Terminal().page(score_table(scored))
    for write in (partial(_write, out, rows), partial(_picture, plot, scored)):
        try:
            write()
        except BadInput as error:
            problems.append(error)
    for problem in problems:
        complain(str(problem))
    if problems:
        raise typer.Exit(BadInput.exit_code)


def _all(files: Sequence[Path]) -> tuple[list[Scored], list[dict[str, Any]], list[BadInput]]:
    """Score every run that can be read: what came of them, a row for each run, and what is wrong with the others."""
    scored: list[Scored] = []
    rows: list[dict[str, Any]] = []
    problems: list[BadInput] = []
    for name, found in chain.from_iterable(map(read_each, files)):
        if isinstance(found, BadInput):
            problems.append(found)
            rows.append({"file": name, "error": str(found)})
        else:
            # Without its turns: a log may hold thousands of runs.
            levels = tuple(readings(found.turns))
            scored.append(Scored(name, found.source, found.finish, found.passed_over, levels))
            rows.append(scored[-1].record())
    return scored, rows, problems


def score_table(scored: Sequence[Scored]) -> Table:
    """Return what a person sees: a line a run."""
    made = Table("file", "source", box=None)
    made.add_column("turns", justify="right")
    made.add_column("score", justify="right")
    made.add_column("patterns, and the turns that show them")
    for each in scored:
        told = [_told(signal) for signal in each.last.flagged]
        if each.passed_over:
            told.append(f"passed over: {each.passed_over} unknown parts")
        turns, score = str(len(each.readings)), f"{each.last.score:.1f}"
        made.add_row(each.file, each.source, turns, score, "; ".join(told) or "-")
    return made


def _told(signal: Signal) -> str:
    return f"{NAMES[signal.pattern]} ({', '.join(map(str, signal.turns))})"


def _json(rows: Sequence[dict[str, Any]]) -> str:
    """Return a JSON list with a row a line."""
    return "[\n" + ",\n".join(map(to_json, rows)) + "\n]\n"


def _write(path: Path | None, rows: Sequence[dict[str, Any]]) -> None:
    """Write the JSON; the file appears as a whole or not at all."""
    if path is None:
        return
    try:
        check_target(path)
        with replacement(path) as file:
            file.write(_json(rows))
    except OSError as error:
        raise BadInput(f"the scores cannot be written to {str(path)!r}: {error.strerror}") from None


def _picture(path: Path | None, scored: Sequence[Scored]) -> None:
    """Draw the levels by turn: every signal of one run, or the score of each of several."""
    if path is None or not scored:
        return
    if path.suffix not in PICTURES:
        raise BadInput(f"a plot is written as {' or '.join(PICTURES)}, not as {path.name!r}")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BadInput("a plot needs matplotlib: pip install 'surefoot[plot]'") from None
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for label, levels in _lines(scored):
        axes.plot(range(1, len(levels) + 1), levels, label=label, drawstyle="steps-mid")
    axes.axhline(FLAGGED, color="grey", linewidth=0.8, linestyle="--")
    axes.set(xlabel="turn", ylabel="level" if len(scored) == 1 else "score", ylim=(-0.3, MOST + 0.3))
    axes.legend(fontsize="small")
    try:
        figure.savefig(path)
    except OSError as error:
        raise BadInput(f"the plot cannot be written to {str(path)!r}: {error.strerror}") from None


def _lines(scored: Sequence[Scored]) -> Iterator[tuple[str, list[float]]]:
    if len(scored) > 1:
        yield from ((_label(each.file), [reading.score for reading in each.readings]) for each in scored)
        return
    for place, name in enumerate(NAMES.values()):
        yield name, [reading.signals[place].level for reading in scored[0].readings]


def _label(text: str) -> str:
    """Return a text as a plot shows it: between dollars matplotlib would read a formula."""
    return printable(text).replace("$", r"\$")
