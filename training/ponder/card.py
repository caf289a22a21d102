"""Render the measured tables of ponder's card from `card.json`: `python -m surefoot.training.ponder.card`."""

import json
from typing import Any

from surefoot.models.embedded import WEIGHTS
from surefoot.training.pebble.card import BEGIN, END, table

HERE = WEIGHTS / "ponder"
CARD, MEASURED = HERE / "CARD.md", HERE / "card.json"

Figures = dict[str, Any]


def share(value: float | None) -> str:
    """Write a share to three digits; nothing for None."""
    return "" if value is None else f"{value:.3f}"


def overview(rows: list[Figures]) -> str:
    """One line per difficulty: left alone, and without thoughts."""
    header = ["difficulty", "problems", "accuracy", "tokens", "re-checks", "unfinished", "longest"]
    header += ["without thoughts", "separation", "separation when closed early"]
    return table(header, [overview_line(row) for row in rows])


def overview_line(row: Figures) -> list[str]:
    """Return the cells of one line of `overview`."""
    return [
        row["difficulty"],
        f"{row['problems']:,}",
        share(row["accuracy"]),
        f"{row['tokens']:.0f}",
        f"{row['rechecks']:.1f}",
        str(row["unfinished"]),
        str(row["longest"]),
        share(row["at_once"]),
        share(row["at_once_separation"]),
        share(row["separation"]),
    ]


def by_rechecks(rows: list[Figures], what: str) -> str:
    """One line per difficulty, one column per number of re-checks."""
    numbers = [entry["rechecks"] for entry in rows[0]["by_rechecks"]]
    lines = [[row["difficulty"], *(_cell(entry[what]) for entry in row["by_rechecks"])] for row in rows]
    return table(["difficulty", *map(str, numbers)], lines)


def _cell(value: float | None) -> str:
    return share(value) if value is None or value <= 1 else f"{value:,.0f}"


def render(measured: Figures) -> str:
    """Return every measured table as Markdown."""
    parts = [
        f"Measured on `{measured['file']}` ({measured['bytes']:,} bytes, sha256 `{measured['sha256']}`), "
        f"{measured['parameters']:,} parameters."
    ]
    for temperature in sorted({row["temperature"] for row in measured["rows"]}, reverse=True):
        rows = [row for row in measured["rows"] if row["temperature"] == temperature]
        parts += [f"### T={temperature:g}", overview(rows)]
        parts += [
            "The conclusion is right, by the number of re-checks before it:",
            by_rechecks(rows, "concluded"),
        ]
        parts += ["The answer is right when the thoughts are closed there:", by_rechecks(rows, "answered")]
        parts += ["Tokens of the thoughts up to there:", by_rechecks(rows, "tokens")]
        parts += ["Traces that get there:", by_rechecks(rows, "traces")]
    return "\n\n".join(parts)


def main() -> None:
    """Rewrite the measured part of CARD.md."""
    before, _, rest = CARD.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    CARD.write_text(f"{before}{BEGIN}\n\n{render(json.loads(MEASURED.read_text()))}\n\n{END}{after}")


if __name__ == "__main__":
    main()
