"""Laws of a draft's acceptance, and what a tuner makes of them: micro drafts of ponder, and llama.cpp.

python bench/draft_laws.py [--problems 60] [--rounds 5] [--work out/draft-laws] [--results bench/results]

    drafts     35 networks, 16 to 128 wide, trained on 65,536 to 524,288 tokens by ponder's loop
    laws       fitted on every second of them, which chooses the form; the others are foretold
    lengths    what the tuner chooses for llama.cpp, beside all lengths from 0 to 8 as measured

Needs the extra `train` (`make draft-laws`).  What is there in `--work` is not made again.  Times are CPU seconds of one process with one computing thread: lengths take
turns, and medians count.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from draft_laws_page import LawCase, LengthCase, page
from draft_laws_sweep import LENGTHS, SweepLoad, alone_s, draft_file, sweep, target_file
from pages import options, write

from surefoot.models.draft_laws import DraftPoint
from surefoot.training.drafts.acceptance import acceptance, draft, hardest, logits, ponder, traces
from surefoot.training.drafts.family import FAMILY, DraftSpec, make_all

TEMPERATURES = (1.0, 0.6, 0.0)
LAYERS = (3, 24)
"""Of ponder as it is served: its own three, and with idle ones."""
WIDTHS = (32, 64)
"""Of the drafts that are served: llama.cpp's q8_0 wants whole blocks of 32."""
BATCHES = (2, 4, 8)
FEW = (1, 2, 4, 8)
"""Lengths that are measured in batches."""


def measured(family: Sequence[DraftSpec], work: Path, problems: int) -> dict[LawCase, list[DraftPoint]]:
    """Return the acceptance of each draft, in the order of the family."""
    kept = work / f"acceptance-{problems}.json"
    known: dict[str, list[float]] = json.loads(kept.read_text()) if kept.exists() else {}
    for temperature in TEMPERATURES:
        missing = [spec for spec in family if f"{spec.identity.name} {temperature}" not in known]
        if not missing:
            continue
        given = traces(temperature, problems)
        target = logits(ponder(), given)
        hard = hardest(target, temperature)
        for spec in missing:
            found = acceptance(
                target, logits(draft(spec, work / spec.identity.name), given), temperature, hard
            )
            known[f"{spec.identity.name} {temperature}"] = list(found)
        kept.write_text(json.dumps(known))
    return {
        LawCase(temperature, hard): [
            DraftPoint(spec.parameters, spec.tokens, known[f"{spec.identity.name} {temperature}"][hard])
            for spec in family
        ]
        for temperature in TEMPERATURES
        for hard in (False, True)
    }


def halves(family: Sequence[DraftSpec]) -> list[bool]:
    """Return which drafts a law is fitted on: every second one, as on a chessboard of sizes and budgets."""
    sizes = sorted({(spec.layers, spec.width) for spec in family})
    budgets = sorted({spec.tokens for spec in family})
    return [(sizes.index(spec[:2]) + budgets.index(spec.tokens)) % 2 == 0 for spec in family]


def lengths(family: Sequence[DraftSpec], work: Path, given: argparse.Namespace) -> Iterator[LengthCase]:
    """Yield all lengths measured one text at a time, and some in batches on the dearest target."""
    largest = max(spec.tokens for spec in family)
    served = [spec for spec in family if spec.layers == 1 and spec.width in WIDTHS and spec.tokens == largest]
    pairs: list[tuple[int, DraftSpec, int, tuple[int, ...]]] = [
        (layers, spec, 1, LENGTHS) for layers in LAYERS for spec in served
    ]
    pairs += [(LAYERS[-1], served[-1], batch, FEW) for batch in BATCHES]
    for layers, spec, batch, tried in pairs:
        load = SweepLoad(batch, max(given.texts, batch), given.tokens, given.rounds)
        target, drafted = target_file(layers, work), draft_file(spec, work)
        swept = sweep(target, drafted, load, tried)
        yield LengthCase(layers, spec, batch, swept, alone_s(drafted, load))


def main() -> None:
    parser = options(__doc__, "draft-laws.md")
    parser.add_argument("--problems", type=int, default=60, help="of each difficulty")
    parser.add_argument("--texts", type=int, default=2, help="that llama.cpp writes at each length")
    parser.add_argument("--tokens", type=int, default=150, help="of each text")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--widths", type=int, nargs="*", help="of one layer, instead of the whole family")
    parser.add_argument("--budgets", type=int, nargs="*", help="of tokens, with --widths")
    parser.add_argument("--work", type=Path, default=Path("out/draft-laws"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    family = [DraftSpec(1, w, t) for w in given.widths for t in given.budgets] if given.widths else FAMILY
    make_all(family, given.work)
    found = measured(family, given.work, given.problems)
    swept = list(lengths(family, given.work, given)) if given.rounds else []
    text = page(given.results, family, halves(family), found, swept)
    write(given.results, "draft-laws.md", text)
    print(text)


if __name__ == "__main__":
    main()
