"""The plots of bench/thinking.py; needs the `plot` extra."""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from thinking_page import PLAIN, Findings
from thinking_stats import Run, wilson

MARKERS = "osD^v<>Ph"


def plot(findings: Findings, path: Path) -> None:
    """Draw accuracy against thinking tokens and, with the front, against all output tokens."""
    figure = Figure(figsize=(13, 6), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(left, findings, "thinking tokens", lambda run: run.thinking)
    _panel(right, findings, "all output tokens", lambda run: run.output)
    front = sorted(findings.front, key=lambda run: run.output)
    steps = [run.output for run in front], [run.accuracy for run in front]
    right.step(*steps, where="post", color="0.7", linewidth=4, zorder=0, label="front")
    left.set_ylabel("right")
    right.legend(loc="lower right", fontsize="small")
    figure.suptitle(f"{findings.difficulty}: {findings.plain.problems:,} problems, 95 % intervals")
    figure.savefig(path)


def _panel(axes: Axes, findings: Findings, cost: str, at: Callable[[Run], float]) -> None:
    for number, (control, runs) in enumerate(groupby(findings.runs, key=lambda run: run.control)):
        own = sorted(runs, key=at)
        shares = [run.accuracy for run in own]
        ends = [wilson(run.hits, run.problems) for run in own]
        # At 0 and 1 an interval ends where the share lies, but for rounding.
        below = [max(share - low, 0) for share, (low, _) in zip(shares, ends, strict=True)]
        above = [max(high - share, 0) for share, (_, high) in zip(shares, ends, strict=True)]
        plain = control == PLAIN
        axes.errorbar(
            [at(run) for run in own],
            shares,
            [below, above],
            label=control,
            marker="*" if plain else MARKERS[number % len(MARKERS)],
            markersize=16 if plain else 5,
            color="black" if plain else f"C{number - 1}",
            linewidth=1,
            elinewidth=0.5,
        )
    axes.set_xlabel(f"mean {cost} of a problem")
    # Some settings think not at all, which a plain logarithm cannot show.
    axes.set_xscale("symlog", linthresh=20, linscale=0.3)
    axes.grid(alpha=0.3)
