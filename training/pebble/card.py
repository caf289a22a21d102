"""Render the measured tables of pebble's card from `card.json`; needs nothing beyond Python.

`python -m surefoot.training.pebble.card` puts them between the two marks of CARD.md.
"""

import json
from typing import Any

from surefoot.models.embedded import WEIGHTS

HERE = WEIGHTS / "pebble"
CARD, MEASURED = HERE / "CARD.md", HERE / "card.json"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

SHOWN = 20
"""The number of disks whose distribution is shown."""

Row = dict[str, Any]


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, numbers to the right."""
    lines = [header, ["---:"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def number(value: float) -> str:
    """Write a share or a probability of error: `0`, or two significant digits."""
    return "0" if value == 0 else f"{value:.1e}" if value < 0.001 else f"{value:.2g}"


def error_table(rows: list[Row], temperatures: list[float]) -> str:
    """One line per number of disks: hard states by view, and the error of one sample by temperature."""
    header = ["disks", "steps", "hard, view 0", "view 1", "view 2", "hard in 2+ views"]
    header += [f"error at T={t:g}" for t in temperatures] + ["lowest P at T=1"]
    return table(header, [error_line(row, len(header) - 1) for row in rows])


def error_line(row: Row, columns: int) -> list[str]:
    """Return the cells of one line of `error_table`; `columns` counts those before the last."""
    which = f"all {row['steps']:,}" if row["exhaustive"] else f"{row['steps']:,} at random"
    cells = [str(row["disks"]), which, *(f"{n:,}" for n in row["hard_by_view"])]
    cells.append(f"{row['hard_in_two_views']:,}")
    cells += [number(error) for error in row["error_by_temperature"]]
    cells += [""] * (columns - len(cells))
    return [*cells, f"{row['lowest']:.4f}"]


def share_table(row: Row, temperatures: list[float], thresholds: list[float]) -> str:
    """How many of a row's states (all views) are below each probability, by temperature."""
    header = ["temperature", *(f"P < {threshold:g}" for threshold in thresholds)]
    states = 3 * row["steps"]
    lines = [
        [f"{t:g}", *(number(count / states) for count in counts)]
        for t, counts in zip(temperatures, row["below"], strict=True)
    ]
    return table(header, lines)


def render(measured: Row) -> str:
    """Return every measured table as Markdown."""
    temperatures = measured["temperatures"]
    full = measured["full"]
    shown = next(row for row in full if row["disks"] == SHOWN and len(row["below"]) == len(temperatures))
    return "\n\n".join(
        [
            f"Measured on `{measured['file']}` ({measured['bytes']:,} bytes, sha256 `{measured['sha256']}`), "
            f"{measured['parameters']:,} parameters.",
            "Full answers (the move and the board after it):",
            error_table(full, temperatures),
            f"Share of those {shown['steps']:,} steps of {SHOWN} disks, in all views, whose right answer has a probability below:",
            share_table(shown, temperatures, measured["thresholds"]),
            "Move-only answers:",
            error_table(measured["move_only"], temperatures),
        ]
    )


def between_marks(card: str) -> str:
    """Return what stands between the marks of a card."""
    return card.partition(BEGIN)[2].partition(END)[0].strip()


def main() -> None:
    """Rewrite the measured part of CARD.md."""
    card = CARD.read_text()
    before, _, rest = card.partition(BEGIN)
    after = rest.partition(END)[2]
    CARD.write_text(f"{before}{BEGIN}\n\n{render(json.loads(MEASURED.read_text()))}\n\n{END}{after}")


if __name__ == "__main__":
    main()
