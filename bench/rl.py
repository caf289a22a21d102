"""What reinforcement learning does to ponder: each recipe beside its ablations and the simple rival, several seeds, on held-out problems.

python bench/rl.py [--seeds 3] [--problems 200] [--only NAME...] [--results bench/results]

Needs the extra `train` (`make rl` has a virtual environment with it).  Every model is trained in a process of its own and measured through
llama.cpp at its own limit of 480 tokens; what is there in `--work` is not made again.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from pages import options, origin, table, write
from thinking_stats import wilson

from surefoot.models.embedded import WEIGHTS
from surefoot.training.ponder.problems import DIFFICULTIES
from surefoot.training.rl.measure import MeasuredCell, measured
from surefoot.training.rl.recipes import DLER, RECIPES

PAGE = "rl.md"
PLAIN, RIVAL, MERGED = "plain", "sft-shortest", "dler-merged"
BEHAVIOURS, OWN = "sft-behaviours", "sft-own"
MODULES = {
    RIVAL: ["fine_tuning"],
    MERGED: ["merging"],
    BEHAVIOURS: ["behaviours"],
    OWN: ["behaviours", "--no-hints"],
}
"""What is trained by none of the recipes, and by which command."""
TEMPERATURES = (0.6, 1.0)
BUDGET = 40
DEADLINE_S = 120.0
TIMES = 1.5
"""TRL's own `generate`, for the rollouts."""


class Trained(NamedTuple):
    """One kind of model: what was measured of each of its seeds, and what each run said of itself."""

    name: str
    cells: list[list[MeasuredCell]]
    runs: list[dict[str, Any]]

    def at(self, difficulty: str, temperature: float) -> list[MeasuredCell]:
        return [
            cell
            for cells in self.cells
            for cell in cells
            if (cell.difficulty, cell.temperature) == (difficulty, temperature)
        ]


def made(
    name: str, seed: int, work: Path, problems: int, rounds: int | None
) -> tuple[list[MeasuredCell], dict[str, Any]]:
    """Train a model and measure it, unless that has been done."""
    folder = work / f"{name}-{seed}"
    gguf = WEIGHTS / "ponder" / "ponder.gguf" if name == PLAIN else folder / "ponder.gguf"
    folder.mkdir(parents=True, exist_ok=True)
    run: dict[str, Any] = {}
    if name != PLAIN:
        if not (folder / "run.json").exists():
            _trained(name, seed, folder, problems, rounds)
        run = json.loads((folder / "run.json").read_text())
    kept = folder / f"measured-{problems}.json"
    if not kept.exists():
        cells = measured(
            gguf,
            difficulties=DIFFICULTIES,
            temperatures=TEMPERATURES,
            problems=problems,
            budget=BUDGET,
            marks=name in RECIPES and RECIPES[name].warm_up == "actions",
        )
        kept.write_text(json.dumps(cells))
    return [MeasuredCell(*cell) for cell in json.loads(kept.read_text())], run


def _trained(name: str, seed: int, folder: Path, problems: int, rounds: int | None) -> None:
    module, *more = MODULES.get(name, ["train", name])
    command = [sys.executable, "-m", f"surefoot.training.rl.{module}", *more, "--out", str(folder)]
    if name == MERGED:
        command.append(str(folder.with_name(f"{DLER.name}-{seed}")))
    else:
        command += ["--seed", str(seed)]
    if rounds and name in RECIPES:
        command += ["--rounds", str(rounds)]
    elif rounds and name != MERGED:
        command += ["--problems", str(16 * rounds)]
    with (folder / "log.txt").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)


def share(cells: Sequence[MeasuredCell], right: Sequence[int]) -> str:
    """Return a share right over all seeds, with the least and the most of the seeds where there are several."""
    hits, trials = sum(right), sum(cell.problems for cell in cells)
    each = [found / cell.problems for found, cell in zip(right, cells, strict=True)]
    if len(cells) == 1:
        low, high = wilson(hits, trials)
    else:
        low, high = min(each), max(each)
    return f"{hits / trials:.1%} ({low:.0%} to {high:.0%})"


def line(trained: Trained, temperature: float) -> list[str]:
    """Return a row: right and tokens at each difficulty."""
    row = [trained.name]
    unfinished = 0
    for difficulty in DIFFICULTIES:
        cells = trained.at(difficulty, temperature)
        row += [share(cells, [cell.right for cell in cells]), f"{fmean(cell.tokens for cell in cells):.0f}"]
        unfinished += sum(cell.unfinished for cell in cells)
    total = sum(cell.problems for d in DIFFICULTIES for cell in trained.at(d, temperature))
    return [*row, f"{unfinished / total:.1%}"]


def results(models: Sequence[Trained]) -> Iterator[str]:
    """Yield a table a temperature."""
    columns = ["model", *(name for d in DIFFICULTIES for name in (f"{d} right", "tokens")), "unfinished"]
    for temperature in TEMPERATURES:
        yield f"Temperature {temperature:g}:"
        yield table(columns, [line(model, temperature) for model in models])


def costs(models: Sequence[Trained]) -> str:
    """Return what a training took."""
    rows = []
    for model in models:
        if not model.runs[0]:
            continue
        tokens = [_drawn(run) for run in model.runs]
        telling = [fmean(each["telling"] for each in run["rounds"]) for run in model.runs if "rounds" in run]
        rows.append(
            [
                model.name,
                f"{fmean(tokens):,.0f}",
                f"{fmean(run['cpu_seconds'] for run in model.runs):.0f}",
                f"{fmean(run['seconds'] for run in model.runs):.0f}",
                f"{fmean(telling):.0%}" if telling else "",
            ]
        )
    return table(["model", "tokens drawn", "CPU s", "s by the clock", "problems that tell"], rows)


def _drawn(run: dict[str, Any]) -> float:
    """Return how many tokens were drawn for a training."""
    return float(
        run["drawn tokens"] if "drawn tokens" in run else sum(each["drawn tokens"] for each in run["rounds"])
    )


def budgets(models: Sequence[Trained], temperature: float = 1.0) -> str:
    """Return what is right where thoughts are closed after BUDGET tokens."""
    rows = []
    for model in models:
        row = [model.name]
        for difficulty in DIFFICULTIES:
            cells = model.at(difficulty, temperature)
            row.append(share(cells, [cell.cut_right or 0 for cell in cells]))
        rows.append(row)
    return table(["model", *DIFFICULTIES], rows)


def rates(models: Sequence[Trained], temperature: float = 1.0) -> str:
    """Return the share of responses that have thoughts."""
    rows = [
        [
            model.name,
            *(f"{fmean(cell.thinking for cell in model.at(d, temperature)):.0%}" for d in DIFFICULTIES),
        ]
        for model in models
    ]
    return table(["model", *DIFFICULTIES], rows)


def repairs(models: Sequence[Trained], temperature: float = 1.0) -> str:
    """Return what is right where thoughts go on from a wrong first pass, and from a right one."""
    rows = []
    for model in models:
        row = [model.name]
        for difficulty in DIFFICULTIES:
            cells = model.at(difficulty, temperature)
            for trials, hits in (("begun_wrong", "repaired"), ("begun_right", "kept")):
                tried, right = (sum(getattr(cell, name) for cell in cells) for name in (trials, hits))
                row.append(f"{right / tried:.0%} of {tried}" if tried else "")
        rows.append(row)
    columns = ["model", *(f"{d} {kind}" for d in DIFFICULTIES for kind in ("repaired", "kept"))]
    return table(columns, rows)


def speed(rounds: int) -> tuple[str, float]:
    """Return a table of tokens a second beside TRL's own generate, and the ratio by the clock.

    In a process of its own: in this one TRL takes the bench beside this for vLLM.
    """
    command = [sys.executable, "-m", "surefoot.training.rl.speed", "--rounds", str(rounds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    best: dict[str, tuple[float, float]] = json.loads(done.stdout.splitlines()[-1])
    theirs = [value for name, value in best.items() if name != "rollouts"]
    by_clock, by_cpu = (best["rollouts"][place] / max(value[place] for value in theirs) for place in (0, 1))
    rows = [[name, f"{clock:,.0f}", f"{cpu:,.0f}"] for name, (clock, cpu) in best.items()]
    said = table(["who draws", "tokens a second", "tokens a second of CPU"], rows)
    return (
        f"{said}\n\n{by_clock:.2f} times as fast by the clock, {by_cpu:.2f} times by CPU, beside the better of TRL's two.",
        by_clock,
    )


PREDICTIONS = """\
Written down before the first run of this page. Known were a trial of another loop (0.86 and 156.7 tokens to 0.94 and 43.1 on chain3), and two of this recipe on one
seed, cut at 90 tokens and at 60: 56.6 and 35.6 tokens, 0.96 and 0.945 right on chain3, but 0.345 and 0.555 on sum4.

- **DLER** on chain3: at most half of the tokens, at least as right at temperature 1; at 0.6, where ponder slips less, no more right. chain6 shorter and no less
  right; sum2 shorter; sum4, which it is not trained on, loses 20 points or more.
- **Ablations**: without dynamic sampling slower, as most problems tell nothing late; group normalisation as short, less steady; the symmetric clip no
  difference that can be told with two updates a round; masked truncation **not** shorter, as being cut then costs nothing.
- **SFT on the shortest right responses**: shorter, too, at a part of the cost; less short than DLER, and no more right than plain.
- **Elastic**: at 40 tokens from 0.82 to 0.95 or more on chain3; left alone as long as before and no less right.
- **Thinkless**: thinks below 0.2 on sum2 and above 0.9 on chain3; without the split normalisation one of the two wins everywhere.
- **Rollouts**: 1.5 times TRL's own generate by the clock on two quiet cores.

Nothing was predicted of merging, which was tried when DLER's losses on sums were known.

Written down before the first run of the four below:

- **AdaThink-Med** on all difficulties: as right as plain or up to 5 points more, 20 to 40 % fewer tokens on sum2, fewer of them saved on chain6; lengths in the order of
  plain's shares wrong, not of steps.
- **PixelThink**: shorter than AdaThink-Med, half of plain's tokens or fewer everywhere, as its budgets are absolute; no less right, since it is trained on all four.
- **COAT**: repairs from a wrong first pass from about 70 % to 80 % or more on chain3, kept from a right one as often; without restarts half of that gain.
- **SFT with behaviours**: first passes right in 95 % or more where plain's are in about 70, no re-checks, so fewer tokens than any other; on ponder's own traces nothing changes.
"""

PAGE_TEXT = """\
# Reinforcement learning on ponder

{origin}

ponder's overthinking was trained into it (its [card](../../models/embedded/weights/ponder/CARD.md)): this shows what a recipe does to a policy that can be measured
in seconds, not what it does to a large model. Seeds of a recipe: {seeds}; {problems} held-out problems of each difficulty, the same for all; training
draws chain3 alone but for Thinkless (sum2 and chain3). Left alone up to 480 tokens; a response that is not finished there is wrong. In brackets the least and the most
of the seeds, where there is one the 95 % interval.

## Predicted

{predictions}
## Left alone

{results}

## What training took

{costs}

## Thoughts closed after {budget} tokens

Right at temperature 1, on the same thoughts:

{budgets}

## Going on from a first pass

Right at temperature 1 where the prompt has a first pass: *repaired* from a wrong one, *kept* from a right one. The same for all models, marked for those that
mark their lines.

{repairs}

## Who thinks

Share of responses with thoughts, at temperature 1:

{rates}
{speed}"""


def main() -> int:
    """Train, measure, print."""
    parser = options(__doc__, PAGE)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--problems", type=int, default=200, help="held-out problems of each difficulty")
    parser.add_argument("--rounds", type=int, help="rounds of training, instead of the recipes'")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[*RECIPES, *MODULES],
        default=[*RECIPES, *MODULES],
    )
    parser.add_argument(
        "--speed-rounds", type=int, default=5, help="of the comparison with TRL's generate; 0: none"
    )
    parser.add_argument("--work", type=Path, default=Path("out/rl"), help="folder of what is trained")
    given = parser.parse_args()
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    models = []
    for name in (PLAIN, *given.only):
        seeds = 1 if name == PLAIN else given.seeds
        each = [made(name, seed, given.work, given.problems, given.rounds) for seed in range(seeds)]
        models.append(Trained(name, [cells for cells, _ in each], [run for _, run in each]))
        print(*line(models[-1], 1.0), sep=" | ", flush=True)
    said, ratio = speed(given.speed_rounds) if given.speed_rounds else ("", TIMES)
    page = PAGE_TEXT.format(
        origin=origin("rl", given.results),
        seeds=given.seeds,
        problems=given.problems,
        predictions=PREDICTIONS,
        results="\n\n".join(results(models)),
        costs=costs(models),
        budget=BUDGET,
        budgets=budgets(models),
        repairs=repairs(models),
        rates=rates(models),
        speed=f"\n## Rollouts beside TRL's own generate\n\n{said}\n" if said else "",
    )
    print(page)
    write(given.results, PAGE, page)
    return int(ratio < TIMES)


if __name__ == "__main__":
    sys.exit(main())
