"""Sums over charts, answered in several ways: in a single pass, from a caption, and by a planner that asks; by one look and by vote."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import surefoot
from surefoot import Message, Picture, Settings, Stalled, Task
from surefoot.agents.perception import Looking
from surefoot.agents.perception.looking import FRAMINGS
from surefoot.models import Model, Prompt
from surefoot.models.doubles import looking_double
from surefoot.models.doubles.looking import chart_answer, chart_problem
from surefoot.models.perceivers import GlanceModel, OcrReader, Sighted
from surefoot.tools.answers import normal
from surefoot.tools.drawing import draw_bars
from surefoot.tools.pictures.crops import framed
from surefoot.tools.pictures.pixels import encoded

LIMIT = 60
"""Samples of a step."""
ERROR = 0.1
"""Of the planner, a call."""
PERCEIVERS: Mapping[str, Callable[[], Model]] = {"glance": GlanceModel, "ocr": OcrReader}


class SinglePass(Task[str, str]):
    """Whoever looks is given the question and the whole picture, and says the answer."""

    name = "single-pass-bench"
    views = len(FRAMINGS)
    sampling = Looking.sampling

    def __init__(self, question: str, picture: str) -> None:
        self._question, self._url, self._picture = question, picture, Picture.of_url(picture)

    def spec(self) -> Mapping[str, Any]:
        return {"question": self._question, "picture": self._url}

    def start(self) -> str:
        return ""

    def ask(self, state: str, view: int = 0) -> Prompt:
        return (Message("user", self._question, (framed(self._picture, FRAMINGS[view % self.views]),)),)

    def read(self, text: str, state: str, view: int = 0) -> str:
        return normal(text, "number")

    def advance(self, state: str, answer: str) -> str:
        return answer

    def finished(self, state: str) -> bool:
        return bool(state)


@dataclass(frozen=True, kw_only=True)
class ChartWay:
    """One way to a chart's answer."""

    said: str
    perceiver: str = "glance"
    votes: int = 1
    focus: bool = True
    """Whether the planner asks about a part of the picture, or the whole."""
    caption: str = ""
    """With one the planner may ask nothing itself."""
    single: bool = False

    def task(self, problem: str, picture: str) -> Task[Any, Any]:
        """Return a chart's task; a single pass gets the last sentence alone: with the first, glance has no room for it."""
        if self.single:
            return SinglePass(problem.rpartition(". ")[2], picture)
        rounds = 0 if self.caption else 3
        return Looking(problem, (picture,), "number", self.votes, rounds, caption=self.caption)


CAPTIONS = {"glance": "tallest?", "ocr": "What is written here?"}
"""Of what glance may be asked about a whole chart the only thing that it mostly knows; ocr reads all text, whatever the question."""


def _glanced(votes: int) -> Iterator[ChartWay]:
    often = "one look" if votes == 1 else "voted"
    yield ChartWay(said=f"single pass; {often}", votes=votes, single=True)
    yield ChartWay(said=f"caption, then reason; {often}", votes=votes, caption=CAPTIONS["glance"])
    yield ChartWay(said=f"the whole picture, bars by name; {often}", votes=votes, focus=False)
    yield ChartWay(said=f"a part of the picture; {often}", votes=votes)


WAYS = (
    *(way for pair in zip(_glanced(1), _glanced(3), strict=True) for way in pair),
    ChartWay(said="single pass; one look", perceiver="ocr", single=True),
    ChartWay(said="caption, then reason; one look", perceiver="ocr", caption=CAPTIONS["ocr"]),
    ChartWay(said="a part of the picture; one look", perceiver="ocr"),
)


async def charts(names: Collection[str], count: int, read: int, redis: str) -> list[list[str]]:
    """Answer `count` charts in every way, and `read` of them where ocr looks; `names` are those of perceivers that are installed."""
    rows = []
    for place, way in enumerate(WAYS):
        if way.perceiver in names:
            some = count if way.perceiver == "glance" else min(read, count)
            # One of its own each time: they remember what they have seen, and the row after would take no time.
            rows.append(await _row(way, PERCEIVERS[way.perceiver](), some, redis, f"chart {place}"))
    return rows


async def _row(way: ChartWay, perceiver: Model, count: int, redis: str, job: str) -> list[str]:
    right = samples = tokens = 0
    began = time.monotonic()
    for seed in range(count):
        rng = Random(seed)
        values = tuple(rng.sample(range(1, 1000), rng.randint(3, 7)))
        names = [chr(ord("A") + place) for place in range(len(values))]
        terms, times = " + ".join(rng.sample(names, rng.randint(2, 3))), rng.randint(2, 99)
        picture = encoded(draw_bars(values).image)
        task = way.task(chart_problem(len(values), terms, times), picture.url)
        model = Sighted(looking_double(focus=way.focus, error=ERROR, seed=seed), perceiver)
        settings, name = Settings(k=way.votes if way.single else 1, limit=LIMIT), f"{job} {seed}"
        try:
            report = await surefoot.run(task, settings, model=model, redis=redis, job=name)
        except Stalled:
            report = await surefoot.report(name, task=task, redis=redis)
        reached = await surefoot.state(name, task=task, redis=redis)
        said = reached if way.single else reached.answer
        right += said == str(chart_answer(terms, times, dict(zip(names, values, strict=True))))
        undecided = sum(report.stall["tally"].values()) if report.stall else 0
        samples += report.samples + undecided
        tokens += report.tokens.total or 0
    seconds = (time.monotonic() - began) / count
    return [way.perceiver, way.said, f"{right} of {count}", f"{samples / count:.1f}", f"{tokens / count:,.0f}", f"{seconds:.3f}"]  # fmt: skip
