"""Every control of thinking over its settings, on the micro reasoning model, beside the model left alone.

python bench/thinking.py [--problems 1000] [--only trim exit] [--difficulties chain6] [--results bench/results]

The same problems and seeds for every setting, and every control really runs; but a stream that two of them would draw alike
(prompt, prefill, seed, temperature, bias) is drawn once and then heard from memory, so that differences are due to the
control alone (`--fresh` draws everything anew).  Each finished setting is a line of out/thinking.jsonl, and is not run again: delete the
file to begin anew.  Needs the `plot` extra.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

from pages import options, origin, shown, write
from rich.console import Console
from thinking_controls import settings
from thinking_laboratory import ANSWER_TOKENS, LIKELIEST, Laboratory, Setting
from thinking_page import COLUMNS, PLAIN, Findings, image, page
from thinking_plot import plot
from thinking_replay import Replay
from thinking_stats import Run

from surefoot.agents.reasoning.exit_calibration import TooFewUnsafeExits
from surefoot.models.base import Ask, Model
from surefoot.models.connect import open_model
from surefoot.models.embedded.llama_cpp import MODELS, weights
from surefoot.models.gather import in_order
from surefoot.models.streaming import Streaming, whole_stream
from surefoot.training.ponder.problems import DIFFICULTIES, TrainingProblem, answer_of, several
from surefoot.voting.samples import Sample

DIARY = Path("out/thinking.jsonl")
AGAIN = 100
"""Streams that are drawn a second time."""
SEEDS = 64
"""Seeds of a problem: more than any setting draws samples."""
CALIBRATION = 500
"""Problems at most, beside those that are measured, for controls that are calibrated on known answers."""


class Diary:
    """What has been run, a line each; a line counts only for exactly the same conditions."""

    def __init__(self, path: Path, conditions: Mapping[str, Any]) -> None:
        self._path = path
        self._conditions = dict(conditions)

    def find(self, difficulty: str, setting: Setting) -> Run | None:
        if not self._path.exists():
            return None
        found = None
        for line in self._path.read_text().splitlines():
            run = json.loads(line)
            same = run.pop("conditions") == self._conditions and run["difficulty"] == difficulty
            if same and (run["control"], run["setting"]) == (setting.control, setting.name):
                found = Run(**run)
        return found

    def add(self, run: Run) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({"conditions": self._conditions, **asdict(run)}) + "\n")


class Bench:
    """The problems of one difficulty, and one setting after the other on them."""

    def __init__(self, given: argparse.Namespace, model: Streaming, difficulty: str) -> None:
        self._given = given
        self._difficulty = difficulty
        self._model = model
        self._replay = None if given.fresh else Replay(model, LIKELIEST)
        rng = random.Random(f"bench/thinking {difficulty}")
        drawn = several(difficulty, given.problems + min(CALIBRATION, 2 * given.problems), rng)
        self._problems, calibration = drawn[: given.problems], drawn[given.problems :]
        self._laboratory = Laboratory(self._replay or model, calibration, given.temperature, given.slots)

    async def run(self, setting: Setting) -> Run:
        began = time.monotonic()
        built = await setting.build(self._laboratory)
        meter = self._laboratory.meter
        meter.tokens = 0
        samples = await self._drawn(built.model)
        right = [
            answer_of(sample.text) == problem.answer
            for sample, problem in zip(samples, self._problems, strict=True)
        ]
        usages = [sample.usage for sample in samples]
        count = len(samples)
        return Run(
            self._difficulty,
            setting.control,
            setting.name,
            "".join("01"[hit] for hit in right),
            thinking=meter.tokens / count,
            output=sum(usage.completion for usage in usages) / count,
            input=sum(usage.prompt for usage in usages) / count,
            seconds=time.monotonic() - began,
            note=built.note(),
        )

    async def memory(self) -> str:
        """Say how much came from memory, and draw some streams again: would the model have told the same?"""
        if self._replay is None or not self._replay.drawn:
            return ""
        made, replayed = self._replay.drawn, self._replay.replayed
        reasoner = self._laboratory.reasoner()
        draws = [reasoner.draw(self._ask(*pair)) for pair in enumerate(self._problems[:AGAIN])]
        pairs = await asyncio.gather(
            *(
                asyncio.gather(whole_stream(self._replay, draw), whole_stream(self._model, draw))
                for draw in draws
            )
        )
        same = sum((one.thought, one.text) == (other.thought, other.text) for one, other in pairs)
        return (
            f"{self._difficulty}: the model made {made:,} tokens, {replayed:,} came from memory; of {len(draws)} streams drawn "
            f"again {same} were the same to the letter"
        )

    def _ask(self, number: int, problem: TrainingProblem) -> Ask:
        return Ask(problem.prompt, self._given.temperature, ANSWER_TOKENS, number * SEEDS)

    async def _drawn(self, model: Model) -> list[Sample]:
        slots = asyncio.Semaphore(self._given.slots)

        async def one(number: int, problem: TrainingProblem) -> Sample:
            async with slots:
                (sample,) = await in_order(model, [self._ask(number, problem)])
                return sample

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(*pair)) for pair in enumerate(self._problems)]
        return [task.result() for task in tasks]


async def measure(given: argparse.Namespace, console: Console) -> tuple[list[Findings], list[str]]:
    chosen = [
        setting
        for setting in settings()
        if setting.control == PLAIN or not given.only or setting.control.split()[0] in given.only
    ]
    diary = Diary(DIARY, conditions(given))
    found, notes = [], []
    async with open_model(given.model) as model:
        for difficulty in given.difficulties:
            bench = Bench(given, cast(Streaming, model), difficulty)
            runs = []
            for setting in chosen:
                run = diary.find(difficulty, setting)
                if run is None:
                    try:
                        run = await bench.run(setting)
                    except TooFewUnsafeExits as error:
                        notes.append(f"{difficulty}, {setting.control} {setting.name} was not run: {error}")
                        continue
                    diary.add(run)
                    console.print(
                        f"{difficulty}  {run.name}: {run.accuracy:.1%}, {run.output:.0f} tokens, {run.seconds:.0f} s"
                    )
                runs.append(run)
            found.append(Findings(runs))
            notes += filter(None, [await bench.memory()])
    return found, notes


def conditions(given: argparse.Namespace) -> dict[str, Any]:
    """Return what a result depends on besides difficulty and setting: the model's weights among it."""
    files = [weights(given.model)] if given.model in MODELS else []
    prints = [blake2b(path.read_bytes(), digest_size=8).hexdigest() for path in files]
    return {
        "model": given.model,
        "weights": prints,
        "problems": given.problems,
        "temperature": given.temperature,
        "fresh": given.fresh,
    }


def publish(found: Sequence[Findings], notes: Sequence[str], given: argparse.Namespace) -> None:
    """Write the page and a plot per difficulty."""
    about = origin(
        "thinking",
        given.results,
        f" Model {given.model}, {given.problems:,} problems per difficulty, temperature {given.temperature}, the same problems and "
        "seeds for every setting.",
    )
    write(given.results, "thinking.md", page("Controls of thinking", about, found, notes))
    for findings in found:
        plot(findings, given.results / image(findings.difficulty))


def main() -> None:
    parser = options(__doc__, "thinking.md and the plots")
    parser.add_argument("--problems", type=int, default=1000, help="per difficulty")
    parser.add_argument(
        "--only", nargs="+", metavar="CONTROL", help="these controls (by their first word), and plain"
    )
    parser.add_argument("--difficulties", nargs="+", choices=DIFFICULTIES, default=DIFFICULTIES)
    parser.add_argument("--model", default="ponder", help="as for `surefoot run`")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--slots", type=int, default=32, help="problems in flight")
    parser.add_argument("--fresh", action="store_true", help="draw everything anew")
    given = parser.parse_args()
    console = Console(width=200)
    found, notes = asyncio.run(measure(given, console))
    for findings in found:
        console.print(shown(findings.difficulty, COLUMNS, findings.rows()))
        console.print(*findings.conclusion(), sep="\n")
    if given.results:
        publish(found, notes, given)


if __name__ == "__main__":
    main()
