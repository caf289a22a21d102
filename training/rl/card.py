"""What a run says of itself."""

from collections.abc import Mapping
from typing import Any

COLUMNS = ("right", "cut", "tokens", "telling", "draws")


def render(run: Mapping[str, Any]) -> str:
    """Return the card of a run: its recipe, what it took, and what its responses were like on the way."""
    recipe, history = run["recipe"], run["rounds"]
    fields = "\n".join(f"| `{name}` | {value} |" for name, value in recipe.items())
    drawn = sum(line["drawn tokens"] for line in history)
    shown = sorted({*range(0, len(history), max(1, len(history) // 8)), len(history) - 1})
    lines = "\n".join(_line(number + 1, history[number]) for number in shown)
    return f"""# {recipe["name"]}, seed {run["seed"]}

Trained by `python -m surefoot.training.rl.train {recipe["name"]} --seed {run["seed"]}`: {len(history)} rounds, {drawn:,.0f} tokens drawn,
{run["cpu_seconds"]:.0f} s of CPU, {run["seconds"]:.0f} s by the clock, since it was last taken up. What the model is worth on problems that training
never drew is not said here: `make rl` measures it.

![Curves](curves.png)

Of the responses that it was trained on, cut at {recipe["limit"]} tokens:

| round | {" | ".join(COLUMNS)} |
| --- | {" | ".join("---" for _ in COLUMNS)} |
{lines}

| field | value |
| --- | --- |
{fields}
"""


def _line(number: int, line: Mapping[str, float]) -> str:
    return f"| {number} | {' | '.join(f'{line[name]:.3g}' for name in COLUMNS)} |"
