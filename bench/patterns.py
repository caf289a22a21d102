"""Patterns of reasoning on ponder, the only model that comes along and thinks in writing: errors and tokens without a pattern, and with each.

python bench/patterns.py --states 200 --results bench/results

ponder was trained on bare sums alone, so this shows what a pattern costs a model that knows no instructions, and no more.  The doubles have nothing to
show: their skill is set.
"""

import asyncio
import sys
from typing import Any

from handbook import Sums
from pages import options, origin, table, write

import surefoot
from surefoot.agents.patterns import PATTERNS, WithPattern
from surefoot.models import open_model
from surefoot.orchestration.calibrate import calibrate

PAGE = "patterns.md"
PAGE_TEXT = """\
# Patterns of reasoning, off and on

{origin}

The embedded reasoning model ponder on sums of two numbers of two digits, {states} states, {samples} samples each way at temperature 0.6. Invalid is what cannot be read, and
errors hold it.

{table}

ponder knows bare sums and no instructions: with anything before a sum it is always wrong, whatever that says. So this says nothing of models that follow
instructions. Nothing that comes along does: pebble reads one form of prompt, and a double has a skill that is set. `surefoot plan TASK --pattern NAME` measures a
pattern on a model of yours, beside `surefoot plan TASK`.
"""


async def measured(states: int) -> tuple[int, list[tuple[str, ...]]]:
    """Return how many samples each way took, and a row a way."""
    rows: list[tuple[str, ...]] = []
    samples = 0
    async with open_model("ponder") as model:
        for name in ("", *PATTERNS):
            task: surefoot.Task[Any, Any] = WithPattern(Sums(), name) if name else Sums()
            found = await calibrate(task, model, surefoot.Settings(states=states))
            samples, tokens = found.samples, (found.usage.completion, found.usage.prompt)
            out, into = (f"{each / samples:.0f}" for each in tokens)
            rows.append((name or "none", f"{found.error_rate:.1%}", f"{1 - found.valid_rate:.1%}", out, into))
    return samples, rows


def main() -> int:
    """Measure and print."""
    parser = options(__doc__, PAGE)
    parser.add_argument("--states", type=int, default=200)
    arguments = parser.parse_args()
    samples, rows = asyncio.run(measured(arguments.states))
    columns = ("pattern", "errors", "invalid", "tokens out", "tokens in")
    page = PAGE_TEXT.format(
        origin=origin("patterns", arguments.results),
        states=arguments.states,
        samples=samples,
        table=table(columns, rows),
    )
    print(page)
    write(arguments.results, PAGE, page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
