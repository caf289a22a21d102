"""Render the measured table of glance's card from `card.json`; needs nothing beyond Python.

`python -m surefoot.training.glance.card` puts it between the two marks of CARD.md.
"""

import json
from typing import Any

from surefoot.models.embedded import WEIGHTS
from surefoot.training.pebble.card import number, table

HERE = WEIGHTS / "glance"
CARD, MEASURED = HERE / "CARD.md", HERE / "card.json"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def render(measured: dict[str, Any]) -> str:
    """Return the table, one line for each kind of question."""
    header = ["question", "asked", "wrong at T=0", "wrong at T=1", "all samples wrong alike"]
    lines = [
        [
            f"`{row['question']}`",
            f"{row['asked']:,}",
            *(number(row[name] / row["asked"]) for name in ("wrong_greedy", "wrong_sampled", "wrong_alike")),
        ]
        for row in measured["questions"]
    ]
    return table(header, lines)


def main() -> None:
    """Put the table into the card."""
    text = CARD.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    CARD.write_text(f"{before}{BEGIN}\n{render(json.loads(MEASURED.read_text()))}\n{END}{after}")


if __name__ == "__main__":
    main()
