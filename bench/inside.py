"""Inside the model: LYNX, SEAL and RLKV on ponder, beside what can be done from outside, with their controls.

python bench/inside.py [--problems 1000] [--calibration 500] [--study 400] [--difficulties chain3] [--temperatures 1 0.6] [--seeds 1] [--results bench/results]

    exits     by hidden states before a cue, at it, where the answer begins; together with the forced answer; and by that alone
    vectors   execution minus reflection, beside a random one of the same length and a bias on cue letters
    heads     the cache compressed where generated answers say that it may be, beside the wrong heads and all of them

The same problems and seeds for every setting.  What is chosen, calibrated or learned comes from other problems: exits from those of the same difficulty and temperature;
the vector, its strength and the heads once, from a mixture of all difficulties at temperature 1.  A text whose thinking ran into its limit is closed,
answered, and counted as unfinished.  Needs the `local` extra (`make inside`).
"""

import argparse
import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack

from inside_laboratory import AT_ONCE, InsideBench, InsideReplay, InsideRun, kind, thinker
from inside_page import page
from pages import options, write
from rich.console import Console
from thinking_laboratory import ANSWER_TOKENS, CUES, PROBING, SteerLetters

from surefoot.agents.reasoning import (
    Conformal,
    Direction,
    Exit,
    ProbeExit,
    StatesAt,
    SteeringVector,
    ThoughtStates,
    TooFewUnsafeExits,
    best_steering,
)
from surefoot.agents.reasoning.exit_calibration import ExitCalibration
from surefoot.errors import BadInput
from surefoot.models import Ask
from surefoot.models.embedded import WEIGHTS
from surefoot.models.local import CompressedKV, HeadStudy, LocalModel, Trial, study_heads
from surefoot.training.ponder.problems import DIFFICULTIES, TrainingProblem, several

DELTAS = (0.1, 0.3)
PLACES = (
    ("before, layer 3", StatesAt("before", (3,))),
    ("at the cue, layers 1 to 3", StatesAt("cue", (1, 2, 3))),
    ("at the close, layer 3", StatesAt("close", (3,))),
    ("before, layer 3, and text", StatesAt("before", (3,), answer=True)),
    ("at the cue, layers 1 to 3, and text", StatesAt("cue", (1, 2, 3), answer=True)),
)
LAYERS = (1, 2, 3)
STRENGTHS = (0.15, 0.25, 0.35, 0.5)
BIASES = (-1.0, -2.0)
TOLERATED = 0.02
"""Share of right answers that a choice may lose on the problems that it is made by."""


class Chosen:
    """What is learned once, from a mixture of problems."""

    def __init__(self, given: argparse.Namespace, model: LocalModel) -> None:
        rng = random.Random("bench/inside study")
        each = max(1, given.study // len(DIFFICULTIES))
        learn = [problem for name in DIFFICULTIES for problem in several(name, each, rng)]
        choose = [problem for name in DIFFICULTIES for problem in several(name, each, rng)]
        self._model = model
        self._learn = InsideBench(model, model.shape, learn, 1.0, 1)
        self._choose = InsideBench(model, model.shape, choose, 1.0, 1)
        self.directions: list[Direction] = []
        self.steering: SteeringVector | None = None
        self.trials: list[tuple[SteeringVector | None, Trial]] = []
        self.study: HeadStudy | None = None

    async def vector(self) -> None:
        learned = ThoughtStates(LAYERS, CUES, kind=kind)
        reasoner = thinker(self._model, learned)
        asks = [Ask(problem.prompt, 1.0, ANSWER_TOKENS, n) for n, problem in enumerate(self._learn.problems)]
        await asyncio.gather(*map(reasoner.think, asks))
        self.directions = [learned.direction(layer) for layer in LAYERS]

        async def evaluate(vector: SteeringVector | None) -> Trial:
            return await self._choose.trial(*([vector] if vector else []))

        self.steering, self.trials = await best_steering(
            self.directions, STRENGTHS, evaluate, tolerated=TOLERATED
        )

    async def heads(self) -> None:
        async def evaluate(kv: CompressedKV | None) -> Trial:
            async with self._model.compressed(kv) as other:
                return await self._choose.trial(model=other)

        self.study = await study_heads(self._model.shape, evaluate, tolerated=TOLERATED)


async def exits(bench: InsideBench, calibration: InsideBench, notes: list[str]) -> list[InsideRun]:
    found = []
    digest = await calibration.model.digest() if isinstance(calibration.model, InsideReplay) else ""
    for label, at in (("text", None), *PLACES):
        forced = await calibration.forced(at or PLACES[0][1])
        for delta in DELTAS:
            try:
                made = ExitCalibration.of(
                    forced, bench.model.name, delta, probing=PROBING, states=at, digest=digest
                )
            except (TooFewUnsafeExits, BadInput) as error:
                notes.append(
                    f"{bench.problems[0].difficulty} at {bench.temperature:g}: exit by {label}, {delta:g}, was not run: {error}"
                )
                continue
            rule = ProbeExit(made) if at else Conformal(made)
            found.append(await bench.run(f"exit by {label}", f"{delta:g}", Exit(rule)))
    return found


async def vectors(bench: InsideBench, model: LocalModel, chosen: Chosen, seeds: int) -> list[InsideRun]:
    found = [await bench.run("bias", f"{bias:g}", SteerLetters(bias), model=model) for bias in BIASES]
    if chosen.steering is None:
        return found
    direction, strength = chosen.steering.direction, chosen.steering.strength
    named = f"{strength:g} after layer {direction.layer}"
    found.append(await bench.run("vector", named, chosen.steering, model=model))
    for seed in range(seeds):
        control = SteeringVector(direction.random(seed), strength)
        found.append(await bench.run(f"random vector {seed}", named, control, model=model))
    return found


async def heads(bench: InsideBench, model: LocalModel, study: HeadStudy) -> list[InsideRun]:
    found = []
    kept = study.chosen
    settings = (
        ("heads that may be", kept),
        ("wrong heads", study.wrong_heads()),
        ("all heads", CompressedKV(model.shape.every, kept.sinks, kept.window)),
    )
    for label, kv in settings:
        async with model.compressed(kv) as other:
            named = f"{len(kv.windowed)} of {len(model.shape.every)} windowed"
            found.append(await bench.run(label, named, model=other, kv=kv))
    return found


async def measure(given: argparse.Namespace, console: Console) -> str:
    found: list[InsideRun] = []
    notes: list[str] = []
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(
            LocalModel(WEIGHTS / "ponder", name="ponder", threads=1, slots=2 * AT_ONCE)
        )
        chosen = Chosen(given, model)
        if "vectors" in given.parts:
            await chosen.vector()
        if "heads" in given.parts:
            await chosen.heads()
        for temperature in given.temperatures:
            for difficulty in given.difficulties:
                rng = random.Random(f"bench/inside {difficulty}")
                drawn = several(difficulty, given.problems + given.calibration, rng)
                runs = await difficulty_runs(given, model, chosen, drawn, temperature, notes)
                found += runs
                for one in runs:
                    console.print(
                        f"{difficulty} at {temperature:g}  {one.run.name}: {one.run.accuracy:.1%}, {one.run.output:.0f} tokens, "
                        f"{one.unfinished} unfinished"
                    )
    return page(given, found, chosen.directions, chosen.trials, chosen.study, notes)


async def difficulty_runs(
    given: argparse.Namespace,
    model: LocalModel,
    chosen: Chosen,
    drawn: Sequence[TrainingProblem],
    temperature: float,
    notes: list[str],
) -> list[InsideRun]:
    """Run every setting on the problems of one difficulty, at one temperature."""
    measured, calibration = drawn[: given.problems], drawn[given.problems :]
    replay = InsideReplay(model)
    bench = InsideBench(replay, model.shape, measured, temperature, given.seeds)
    found = [await bench.run("plain", "")]
    if "exits" in given.parts:
        found += await exits(bench, InsideBench(replay, model.shape, calibration, temperature, 1), notes)
    if "vectors" in given.parts:
        found += await vectors(bench, model, chosen, given.random)
    if "heads" in given.parts and chosen.study:
        found += await heads(bench, model, chosen.study)
    return found


def main() -> None:
    parser = options(__doc__, "inside.md")
    parser.add_argument("--problems", type=int, default=1000, help="measured, of each difficulty")
    parser.add_argument("--calibration", type=int, default=500, help="others of each difficulty, for exits")
    parser.add_argument(
        "--study", type=int, default=400, help="of all difficulties, to learn from, and as many to choose by"
    )
    parser.add_argument("--difficulties", nargs="+", choices=DIFFICULTIES, default=DIFFICULTIES)
    parser.add_argument("--temperatures", nargs="+", type=float, default=[1.0, 0.6])
    parser.add_argument("--seeds", type=int, default=1, help="samples of each problem")
    parser.add_argument("--random", type=int, default=2, help="random vectors beside the chosen one")
    parser.add_argument(
        "--parts", nargs="+", choices=["exits", "vectors", "heads"], default=["exits", "vectors", "heads"]
    )
    given = parser.parse_args()
    console = Console(width=200)
    text = asyncio.run(measure(given, console))
    print(text)
    write(given.results, "inside.md", text)


if __name__ == "__main__":
    main()
