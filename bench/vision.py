"""From pixels to decisions: towers, videos and charts that somebody has to look at, and how fast that goes.

python bench/vision.py --results bench/results

Everything is drawn here, so that the truth is known; whoever looks sees pixels alone.  glance is the micro model that comes with the package,
ocr is rapidocr; pebble, the embedded model, decides the moves of the towers.  Exits 1 if a voted tower or video
goes wrong.
"""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from pages import options, origin, table, write
from PIL import Image
from pydantic_core import to_json
from servers import redis_server

import surefoot
from surefoot import Message, Picture, Sample, Sampling, Settings, Stalled
from surefoot.agents.perception import Looking, SeenTowers, Track
from surefoot.agents.perception.looking import MOST_ROUNDS
from surefoot.agents.perception.prompts import MOST_IN_A_ROUND
from surefoot.agents.perception.seen_towers import Part, SeenAnswer, SeenState
from surefoot.models import Ask, Model, Prompt, open_model
from surefoot.models.doubles import Double, looking_double
from surefoot.models.doubles.looking import chart_answer, chart_problem
from surefoot.models.perceivers import GlanceModel, OcrReader, Sighted
from surefoot.tools.drawing import draw_bars, draw_scene, draw_towers, scene
from surefoot.tools.pictures.pixels import encoded
from surefoot.tools.videoreason.asked import Video
from surefoot.tools.videoreason.episode import Episode
from surefoot.tools.videoreason.frames import draw_operation, draw_state
from surefoot.tools.videoreason.questions import questions_about, video_of

PAGE, SHEET = "vision.md", "vision.png"
DISKS = 5
LIMIT = 60
WAYS = ((1.0, 1), (2.0, 1), (2.0, 3), (2.0, 5))
"""Temperatures and k: glance as it is, and heated, so that it errs as a worse model does."""
LEVELS = {
    "order_operation": 1,
    "counting_operation": 1,
    "order_state": 2,
    "counting_state": 2,
    "comparison_state": 2,
    "prediction_state": 3,
    "prediction_operation": 3,
}
GLANCED = ("number", "circle", "cup", "cards", "chips")
"""The demos that glance can look at."""
PAGE_TEXT = """\
# Looking

{origin}

## Towers of Hanoi from pixels

{disks} disks, {steps} decisions: before each move the three pegs are looked at, one picture each, and pebble moves on what was seen. A wrong look counts
once, however late it is noticed.

{towers}

![What is looked at](vision.png)

## Videos, one operation a frame

VideoReasonBench (arXiv 2505.23359), regenerated: the state is shown at the start, and then hidden; an operation is one frame. glance looks, and
the rules work out the state. At temperature 1 glance hardly errs on these frames; at 2 it errs as a worse perceiver would, which is where votes show. k = 1 is
one look a frame. An operation that is impossible in the state as it was tracked is no ballot.

{videos}

The benchmark's own questions, about {episodes} videos of {length} operations for each of the demos that glance can look at: order and number of operations (level 1), states and
how they differ (2), what follows (3). glance at temperature 2. Right by exact scorers; the answers are worked out by the rules from what was tracked.

{levels}

A single pass, the whole question with all frames, cannot be asked of glance: its question is at most 46 characters, and it sees one picture.

## Charts: where to look, and how often

{charts} charts with 3 to 7 bars; a planner, a double that is wrong in one call of ten, has to add up two or three of them and multiply. It never gets the picture.

{ablation}

## Speed

{speed}
"""


class Towers(SeenTowers):
    """Counts what was seen wrongly."""

    name = "seen-towers-bench"

    def __init__(self, disks: int, look: Part, readers: tuple[str, ...] = ()) -> None:
        super().__init__(disks, look, readers)
        self.looks: set[SeenState] = set()
        self.wrong: set[SeenState] = set()

    def advance(self, state: SeenState, answer: SeenAnswer) -> SeenState:
        """Take note of a look."""
        _, pegs, seen = state
        if answer[0] == "peg":
            self.looks.add(state)
            if pegs[len(seen)] != answer[1]:
                self.wrong.add(state)
        return super().advance(state, answer)


@dataclass(frozen=True)
class Ran:
    """What became of a job."""

    solved: bool
    steps: int
    votes: int
    contested: int
    seconds: float


async def ran(task: Any, settings: Settings, model: Model, redis: str, job: str) -> Ran:
    """Run a job; a stall is no solution."""
    began = time.monotonic()
    try:
        report = await surefoot.run(task, settings, model=model, redis=redis, job=job)
    except Stalled:
        report = await surefoot.report(job, task=task, redis=redis)
    return Ran(report.solved, report.steps, report.votes, report.contested, time.monotonic() - began)


@asynccontextmanager
async def sighted(perceiver: Model) -> AsyncIterator[Model]:
    """Yield pebble and a perceiver."""
    async with open_model("pebble") as pebble:
        yield Sighted(pebble, perceiver)


async def towers(perceivers: dict[str, Model], redis: str) -> tuple[list[list[str]], bool]:
    """Solve towers by each perceiver, with and without votes."""
    rows, fine = [], True
    ways = [("glance", k) for k in (1, 3)] + [("ocr", k) for k in (1, 2) if "ocr" in perceivers]
    for name, k in ways:
        task = Towers(DISKS, "labels" if name == "ocr" else "peg")
        async with sighted(perceivers[name]) as model:
            found = await ran(task, Settings(k=k, limit=LIMIT), model, redis, f"towers {name} {k}")
        fine = fine and (found.solved or k == 1)
        rows.append(
            [name, str(k), "yes" if found.solved else f"no, at step {found.steps}", f"{len(task.looks)}", f"{len(task.wrong)}",
             f"{found.votes / max(1, found.steps):.2f}", f"{found.contested}", f"{found.seconds:.1f}"]
        )  # fmt: skip
    return rows, fine


def at(heat: float) -> Sampling:
    """Draw every sample at a temperature; otherwise each first look would be the likeliest answer."""
    return Sampling(temperature=heat, first_temperature=None, max_tokens=32)


async def videos(glance: Model, operations: int, redis: str) -> tuple[list[list[str]], bool]:
    """Track long videos, by one look and by vote."""
    rows, fine = [], True
    for demo, size in (("number", 4), ("cup", 4)):
        for heat, k in WAYS:
            task, job = Track(demo, size, operations, seed=7), f"{demo} {heat} {k}"
            found = await ran(task, Settings(k=k, limit=LIMIT, sampling=at(heat)), glance, redis, job)
            reached = await surefoot.state(job, task=task, redis=redis)
            state = (
                "the right one" if reached == (operations, task.episode.state(operations)) else "a wrong one"
            )
            fine = fine and (found.solved or k < 5)
            rows.append(
                [f"{demo}, {size} x {size}", f"{heat:g}", str(k), f"{found.steps:,} of {operations:,}", state if found.steps == operations else "none",
                 f"{found.votes / max(1, found.steps):.2f}", f"{found.contested:,}", f"{found.seconds:.1f}"]
            )  # fmt: skip
    return rows, fine


async def tracked(
    task: Track, heat: float, k: int, glance: Model, redis: str, job: str
) -> Video[Any, Any] | None:
    """Return a video as it was seen; None if it stalled."""
    answers: dict[int, str] = {}

    class Noting(Track):
        name = "track-bench"

        def advance(self, state: Any, answer: str) -> Any:
            answers[state[0]] = answer
            return super().advance(state, answer)

    noting = Noting(**task.spec())  # type: ignore[arg-type]
    found = await ran(noting, Settings(k=k, limit=LIMIT, sampling=at(heat)), glance, redis, job)
    if found.steps < task.episode.operations:
        return None
    operations = [task.demo.read_operation(answers[number]) for number in range(len(answers))]
    states = [task.episode.state(0)]
    for operation in operations:
        states.append(task.demo.after(states[-1], operation))
    return Video(task.demo, states, operations, "start")


async def levels(glance: Model, episodes: int, length: int, redis: str) -> list[list[str]]:
    """Answer the benchmark's questions from what was tracked."""
    rows = []
    for demo in GLANCED:
        for heat, k in WAYS[1:]:
            right, asked = dict.fromkeys((1, 2, 3), 0), dict.fromkeys((1, 2, 3), 0)
            for seed in range(episodes):
                size = 3 if demo in ("number", "circle", "cup") else 2
                task = Track(demo, size, length, seed=seed)
                seen = await tracked(task, heat, k, glance, redis, f"levels {demo} {k} {seed}")
                truth = questions_about(video_of(task.episode, "start"), seed)
                said = questions_about(seen, seed) if seen else [None] * len(truth)
                for question, own in zip(truth, said, strict=True):
                    level = LEVELS[question.dim]
                    asked[level] += 1
                    right[level] += own is not None and question.right(f"Final Answer: {own.answer}")
            rows.append([demo, str(k), *(f"{right[level]} of {asked[level]}" for level in (1, 2, 3))])
    return rows


async def charts(glance: Model, count: int, redis: str) -> list[list[str]]:
    """Answer sums over charts in several ways."""
    ways = {
        "the whole picture, bars by name; one look": (False, 1),
        "the whole picture, bars by name; voted": (False, 3),
        "a part of the picture; one look": (True, 1),
        "a part of the picture; voted": (True, 3),
    }
    rows = []
    for way, (focus, votes) in ways.items():
        right = samples = tokens = 0
        began = time.monotonic()
        for seed in range(count):
            rng = Random(seed)
            values = tuple(rng.sample(range(1, 1000), rng.randint(3, 7)))
            names = [chr(ord("A") + place) for place in range(len(values))]
            terms, times = " + ".join(rng.sample(names, rng.randint(2, 3))), rng.randint(2, 99)
            picture = encoded(draw_bars(values).image)
            task = Looking(
                chart_problem(len(values), terms, times), (picture.url,), "number", votes, rounds=3
            )
            model = Sighted(looking_double(focus=focus, error=0.1, seed=seed), glance)
            job = f"chart {focus} {votes} {seed}"
            try:
                report = await surefoot.run(
                    task, Settings(k=1, limit=LIMIT), model=model, redis=redis, job=job
                )
            except Stalled:
                report = await surefoot.report(job, task=task, redis=redis)
            reached = await surefoot.state(job, task=task, redis=redis)
            right += reached.answer == str(chart_answer(terms, times, dict(zip(names, values, strict=True))))
            samples += report.samples
            tokens += report.tokens.total or 0
        seconds = (time.monotonic() - began) / count
        rows.append(
            [way, f"{right} of {count}", f"{samples / count:.1f}", f"{tokens / count:,.0f}", f"{seconds:.3f}"]
        )
    return rows


async def looked(model: Model, frames: Sequence[Picture], question: str, seed: int = 0) -> tuple[float, int]:
    """Return the seconds that looking at frames takes, and how many were answered."""
    asks = [Ask((Message("user", question, (frame,)),), 0.0, 32, seed) for frame in frames]
    began, answered = time.perf_counter(), 0
    async for _, sample in model.sample(asks):
        answered += bool(sample.text)
    return time.perf_counter() - began, answered


async def speed(perceivers: dict[str, Model], frames: int, read: int, redis: str) -> list[list[str]]:
    """Time looks, looks that are known, and the graph around one."""
    episode = Episode("number", 4, frames, 3)
    shown = [encoded(draw_state(episode.demo, episode.state(number))) for number in range(frames)]
    rows = []
    fast, _ = await looked(perceivers["glance"], shown, "op?")
    rows.append([f"glance, {frames:,} frames in batches", f"{1000 * fast / frames:.2f} ms a frame"])
    known, _ = await looked(perceivers["glance"], shown[-100:], "op?")
    rows.append(["glance, a look that is known", f"{1000 * known / 100:.3f} ms"])
    if "ocr" in perceivers:
        slow, _ = await looked(perceivers["ocr"], shown[:read], "What is written here?")
        rows.append(
            [
                f"ocr, {read} of the same frames",
                f"{1000 * slow / read:.0f} ms a frame, {slow / read / (fast / frames):.0f} times glance",
            ]
        )
    task = Looking("How many?", (shown[0].url,), "number", 1, rounds=MOST_ROUNDS)
    found = await ran(task, Settings(k=1), Sighted(Double(curious, curious), Always("5")), redis, "routed")
    took = f"{1000 * found.seconds / found.steps:.2f} ms"
    rows.append(
        [
            f"a step that is routed, cut out, voted on and written down, of {found.steps}, where models answer at once",
            took,
        ]
    )
    return rows


def curious(prompt: Prompt, _: int = 0) -> str:
    """Ask three new questions as long as that is allowed."""
    assert not isinstance(prompt, str)
    if "There are no questions left" in prompt[0].content:
        return "answer = 5"
    seen = prompt[-1].content.count("\n- picture")
    asked = [
        {"question": f"part {seen + each}?", "region": [0, 0, 80, 80]} for each in range(MOST_IN_A_ROUND)
    ]
    return to_json({"ask": asked}).decode()


class Always:
    """A perceiver that takes no time."""

    def __init__(self, text: str) -> None:
        self.name, self._text = "always", text

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Say it."""
        for position, _ in enumerate(asks):
            yield position, Sample(self._text, "stop", 1)


def sheet() -> Image.Image:
    """Return a contact sheet of what is looked at."""
    shown: list[Image.Image] = [
        draw_towers(((5, 3), (4, 1), (2,))),
        draw_bars((120, 999, 340, 77)).image,
        draw_scene(scene(7, 1)),
    ]
    for demo in ("number", "circle", "cup", "cards", "chips", "files"):
        episode = Episode(demo, 2 if demo in ("cards", "chips", "files") else 4, 9, 1)
        shown += [draw_state(episode.demo, episode.state(3)), draw_operation(episode.demo, *episode.step(3))]
    side, across = 180, 5
    page = Image.new("RGB", (across * side, -(-len(shown) // across) * side), "white")
    for number, image in enumerate(shown):
        image.thumbnail((side - 10, side - 10))
        page.paste(image, (number % across * side + 5, number // across * side + 5))
    return page


def perceivers_here() -> dict[str, Model]:
    """Return those whose libraries are installed."""
    found: dict[str, Model] = {"glance": GlanceModel()}
    try:
        found["ocr"] = OcrReader()
    except surefoot.BadInput as error:
        print(f"without ocr: {error}", file=sys.stderr)
    return found


async def measured(arguments: Any, redis: str) -> tuple[dict[str, str], bool]:
    """Measure everything."""
    eyes = perceivers_here()
    boards, fine = await towers(eyes, redis)
    said = {
        "towers": table(
            ("perceiver", "k", "solved", "looks", "wrong looks", "votes a step", "contested", "seconds"),
            boards,
        )
    }
    if arguments.towers:
        return said, fine
    long, right = await videos(eyes["glance"], arguments.operations, redis)
    said["videos"] = table(
        ("video", "temperature", "k", "frames", "state at the end", "votes a frame", "contested", "seconds"),
        long,
    )
    answered = await levels(eyes["glance"], arguments.episodes, arguments.length, redis)
    said["levels"] = table(("demo", "k", "level 1", "level 2", "level 3"), answered)
    said["ablation"] = table(
        ("looks", "right", "samples", "tokens", "seconds"),
        await charts(eyes["glance"], arguments.charts, redis),
    )
    said["speed"] = table(("what", "time"), await speed(eyes, arguments.frames, arguments.read, redis))
    return said, fine and right


def main() -> int:
    """Measure and print."""
    parser = options(__doc__, PAGE)
    parser.add_argument("--operations", type=int, default=1000)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--length", type=int, default=10)
    parser.add_argument("--charts", type=int, default=100)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--read", type=int, default=20, help="frames that ocr reads")
    parser.add_argument("--towers", action="store_true", help="the towers alone")
    arguments = parser.parse_args()
    with redis_server() as redis:
        said, fine = asyncio.run(measured(arguments, redis))
    if arguments.results:
        arguments.results.mkdir(parents=True, exist_ok=True)
        sheet().save(arguments.results / SHEET)
    if arguments.towers:
        print(said["towers"])
        return int(not fine)
    page = PAGE_TEXT.format(
        origin=origin("vision", arguments.results),
        disks=DISKS,
        steps=4 * (2**DISKS - 1),
        episodes=arguments.episodes,
        length=arguments.length,
        charts=arguments.charts,
        **said,
    )
    print(page)
    write(arguments.results, PAGE, page)
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
