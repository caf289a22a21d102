"""A run's curves as a picture."""

from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path

from matplotlib.figure import Figure

SHARES = ("right", "cut", "telling")
PARTS = ("think rate", "right from")
"""Shares that some recipes have besides, of a part of the responses."""


def draw_curves(history: Sequence[Mapping[str, float]], title: str, path: Path) -> None:
    """Draw shares and tokens over the rounds of a run, one point for each line of its history that has them."""
    figure = Figure(figsize=(10, 4), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2)
    rounds = range(1, len(history) + 1)
    names = sorted({name for line in history for name in line})
    for name in (*SHARES, *(name for name in names if name.startswith(PARTS))):
        left.plot(rounds, [line.get(name, nan) for line in history], marker=".", label=name)
    for name in ("tokens", *(name for name in names if name.startswith("tokens "))):
        colour = "black" if name == "tokens" else None
        right.plot(rounds, [line[name] for line in history], marker=".", color=colour, label=name)
    right.set_ylabel("tokens a response")
    left.set_ylim(-0.03, 1.03)
    left.set_ylabel("share of the responses; telling: of the problems")
    for axes in (left, right):
        axes.set_xlabel("round")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    right.set_ylim(bottom=0)
    figure.suptitle(title)
    figure.savefig(path)
