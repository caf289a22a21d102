"""From pixels to decisions: towers, videos and charts that somebody has to look at, and how fast that goes.

python bench/vision.py --results bench/results

Everything is drawn here, so that the truth is known; whoever looks sees pixels alone.  glance is the micro model that comes with the package,
ocr is rapidocr; pebble, the embedded model, decides the moves of the towers.  Exits 1 if a voted tower or video
goes wrong.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pages import options, origin, table, write
from PIL import Image
from pydantic_core import to_json
from servers import redis_server
from vision_charts import LIMIT, charts

import surefoot
from surefoot import Message, Picture, Sample, Sampling, Settings, Stalled
from surefoot.agents.perception import Looking, SeenTowers, Track
from surefoot.agents.perception.looking import MOST_ROUNDS
from surefoot.agents.perception.prompts import MOST_IN_A_ROUND
from surefoot.agents.perception.seen_towers import Part, SeenAnswer, SeenState
from surefoot.models import Ask, Model, Prompt, open_model
from surefoot.models.doubles import Double
from surefoot.models.embedded.glance import ROOM
from surefoot.models.perceivers import GlanceModel, OcrReader, Sighted
from surefoot.tools.drawing import draw_bars, draw_scene, draw_towers, scene
from surefoot.tools.pictures.pixels import encoded
from surefoot.tools.videoreason.asked import ASKED, Video
from surefoot.tools.videoreason.episode import Episode
from surefoot.tools.videoreason.frames import draw_operation, draw_state
from surefoot.tools.videoreason.questions import questions_about, video_of

PAGE, SHEET = "vision.md", "vision.png"
DISKS = 5
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
CUT = ROOM // 2
"""Characters of a question of which glance gets the beginning: it has room for `ROOM`, the answer included."""
ACROSS = 4
"""Frames in a row, where all of a video are one picture."""
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

"Single pass": glance is shown the state at the start and all operations as one picture, at temperature 0, with the benchmark's question, and its answer is the
answer. It has room for {room} characters, question and answer together, so it is asked the first {cut} of what is a paragraph: what is measured is that this cannot
be asked of it. The other rows look at each frame.

## Charts: where to look, and how often

{charts} charts with 3 to 7 bars, {read} where ocr looks; two or three of them have to be added up and multiplied. Who does that is a planner, a double that is
wrong in one call of ten and never gets the picture; but for the single pass, where the perceiver is given the question ("What is (A + C) * 3?", its first sentence
left out, for glance has room for {room} characters, answer included) and the whole picture, and what it says is the answer. glance has not learned to calculate, nor ocr: an answer that
is no number is thrown away, and counts as wrong. "Caption, then reason": the whole picture is described once, and the planner may ask nothing. glance knows two
questions about whole charts, and is asked `tallest?`; the caption of ocr is all text, from top to bottom, so that it tells the numbers and not which bar is whose:
the planner takes them in that order, and is right where the bars happen to stand in it. Samples are those of stalls, too; tokens those of decided steps.

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


async def single_pass(glance: Model, demo: str, size: int, episodes: int, length: int) -> list[str]:
    """Ask the benchmark's questions about videos that are one picture."""
    asks, truth = [], []
    for seed in range(episodes):
        episode = Episode(demo, size, length, seed)
        video = video_of(episode, "start")
        frames = [draw_operation(video.demo, *episode.step(number)) for number in range(length)]
        shown = encoded(tiled([draw_state(video.demo, video.visible), *frames], ACROSS))
        for question in questions_about(video, seed):
            asked = question.text.removesuffix(ASKED).rpartition("question:\n\n")[2][:CUT]
            asks.append(Ask((Message("user", asked, (shown,)),), 0.0, 32, seed))
            truth.append(question)
    right, asked_of = dict.fromkeys((1, 2, 3), 0), Counter(LEVELS[question.dim] for question in truth)
    async for position, sample in glance.sample(asks):
        question = truth[position]
        right[LEVELS[question.dim]] += question.right(f"Final Answer: {sample.text}")
    return [demo, "single pass", *(f"{right[level]} of {asked_of[level]}" for level in (1, 2, 3))]


async def levels(glance: Model, episodes: int, length: int, redis: str) -> list[list[str]]:
    """Answer the benchmark's questions from what was tracked."""
    rows = []
    for demo in GLANCED:
        size = 3 if demo in ("number", "circle", "cup") else 2
        rows.append(await single_pass(glance, demo, size, episodes, length))
        for heat, k in WAYS[1:]:
            right, asked = dict.fromkeys((1, 2, 3), 0), dict.fromkeys((1, 2, 3), 0)
            for seed in range(episodes):
                task = Track(demo, size, length, seed=seed)
                seen = await tracked(task, heat, k, glance, redis, f"levels {demo} {k} {seed}")
                truth = questions_about(video_of(task.episode, "start"), seed)
                said = questions_about(seen, seed) if seen else [None] * len(truth)
                for question, own in zip(truth, said, strict=True):
                    level = LEVELS[question.dim]
                    asked[level] += 1
                    right[level] += own is not None and question.right(f"Final Answer: {own.answer}")
            rows.append(
                [demo, f"each frame, k = {k}", *(f"{right[level]} of {asked[level]}" for level in (1, 2, 3))]
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


def tiled(images: Sequence[Image.Image], across: int, side: int = 180) -> Image.Image:
    """Return images as one, `across` in a row, none larger than `side` pixels."""
    page = Image.new("RGB", (across * side, -(-len(images) // across) * side), "white")
    for number, image in enumerate(images):
        image.thumbnail((side - 10, side - 10))
        page.paste(image, (number % across * side + 5, number // across * side + 5))
    return page


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
    return tiled(shown, 5)


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
    said["levels"] = table(("demo", "looks", "level 1", "level 2", "level 3"), answered)
    said["ablation"] = table(
        ("perceiver", "looks", "right", "samples", "tokens", "seconds"),
        await charts(eyes, arguments.charts, arguments.read, redis),
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
    parser.add_argument("--read", type=int, default=20, help="frames and charts that ocr reads")
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
        read=arguments.read,
        room=ROOM,
        cut=CUT,
        **said,
    )
    print(page)
    write(arguments.results, PAGE, page)
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
