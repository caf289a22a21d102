"""A run's curves as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

SHARES, RATES = ("right", "cut", "telling"), "think rate"


def draw_curves(history: Sequence[Mapping[str, float]], title: str, path: Path) -> None:
    """Draw shares and tokens over the rounds of a run, one point for each line of its history that has them."""
    figure = Figure(figsize=(10, 4), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2)
    rounds = range(1, len(history) + 1)
    rates = sorted({name for line in history for name in line if name.startswith(RATES)})
    for name in (*SHARES, *rates):
        left.plot(rounds, [line[name] for line in history], marker=".", label=name)
    right.plot(
        rounds, [line["tokens"] for line in history], marker=".", color="black", label="tokens a response"
    )
    left.set_ylim(-0.03, 1.03)
    left.set_ylabel("share of the responses; telling: of the problems")
    for axes in (left, right):
        axes.set_xlabel("round")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    right.set_ylim(bottom=0)
    figure.suptitle(title)
    figure.savefig(path)
