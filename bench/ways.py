"""What benches of speculation share: a stretch of a long job, ways to decide its steps, and their table."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, harmonic_mean, median
from typing import Any, NamedTuple, NoReturn

from pages import origin, shown, table, write
from redis.asyncio import Redis
from rich.console import Console

import surefoot
from surefoot.agents.tasks.towers import TowersState
from surefoot.models.base import Ask, Model
from surefoot.orchestration.engine.drafts import Draft
from surefoot.tools.towers import board

K = 3
COLUMNS = (
    "setting",
    "way",
    "steps run",
    "seconds",
    "steps/s",
    "serial / this",
    "parallel / this",
    "this / bound",
    "samples a step",
    "accepted",
    "depth",
    "waste",
    "right",
    "note",
)


class Stretch(surefoot.Towers):
    """`length` steps of the optimal sequence of a tall tower, from step `first` on.

    A path of so many moves between these two boards is unique: who arrives after `length` steps made none wrong.
    """

    name = "towers-stretch"

    def __init__(self, disks: int, first: int, length: int, form: str = "full") -> None:
        super().__init__(disks, "compact", form)  # type: ignore[arg-type]
        self.first = first
        self.length = length
        self._end = board.optimal_state(disks, first + length)

    def spec(self) -> Mapping[str, Any]:
        return {"disks": self.disks, "first": self.first, "length": self.length, "form": self.form}

    def start(self) -> TowersState:
        previous = board.optimal_move(self.disks, self.first - 1) if self.first else None
        return previous, board.optimal_state(self.disks, self.first)

    def finished(self, state: TowersState) -> bool:
        return state[1] == self._end

    def solved(self, state: TowersState) -> bool:
        return self.finished(state)

    def steps(self) -> int:
        return self.length

    def short(self) -> "Stretch":
        return Stretch(self.disks, self.first, self.length, "move")


class Measured(NamedTuple):
    """One way, once."""

    steps: int
    """Steps that were really run."""
    seconds: float
    """For all steps, extrapolated if fewer were run."""
    rate: float
    """Steps a second."""
    samples: float
    """Committed samples a step."""
    right: bool
    speculation: Mapping[str, Any] | None = None
    note: str = ""


async def serial(task: Stretch, model: Model, steps: int, of: int | None = None) -> Measured:
    """Decide `steps` steps as the paper's notebook does: one vote after the other until one is K ahead.

    `of` is the number of steps that the time is extrapolated to, all of the task's if absent.
    """
    state, samples = task.start(), 0
    began = time.perf_counter()
    for _ in range(steps):
        votes: Counter[Any] = Counter()
        while True:
            ask = Ask(task.ask(state), 0.1, task.sampling.max_tokens, samples)
            samples += 1
            async with aclosing(model.sample([ask])) as drawn:
                _, sample = await anext(drawn)
            try:
                ballot = task.read(sample.text, state)
            except surefoot.NotAnAnswer:
                continue
            votes[ballot] += 1
            if ahead(votes, ballot):
                break
        state = task.advance(state, ballot)
    taken = time.perf_counter() - began
    right = state[1] == board.optimal_state(task.disks, task.first + steps)
    return Measured(steps, taken * (of or task.length) / steps, steps / taken, samples / steps, right)


def ahead(votes: Counter[Any], ballot: Any) -> bool:
    """Whether a ballot leads every other by K."""
    return votes[ballot] >= K + max((count for other, count in votes.items() if other != ballot), default=0)


async def engine(
    task: Stretch, model: Model, redis: Redis, job: str, speculate: surefoot.Speculation | None, of: int
) -> Measured:
    """Run `task` as a job; `of` is the number of steps that the time is extrapolated to."""
    began = time.perf_counter()
    report = await surefoot.run(
        task, surefoot.Settings(k=K), model=model, redis=redis, job=job, speculate=speculate
    )
    taken = time.perf_counter() - began
    told = None if report.speculation is None else report.speculation.model_dump()
    right = report.solved and report.steps == task.length
    steps = report.steps
    return Measured(steps, taken * of / steps, steps / taken, report.samples / steps, right, told)


def together(strands: Sequence[Measured]) -> Measured:
    """Return as one what was measured on several stretches of the same length."""
    told = [strand.speculation for strand in strands if strand.speculation is not None]
    ahead = {name: fmean(each[name] for each in told) for name in ("acceptance", "depth", "waste") if told}
    return Measured(
        sum(strand.steps for strand in strands),
        fmean(strand.seconds for strand in strands),
        harmonic_mean(strand.rate for strand in strands),
        fmean(strand.samples for strand in strands),
        all(strand.right for strand in strands),
        ahead or None,
    )


async def draft_s(task: Stretch, draft: Draft[TowersState], steps: int) -> float:
    """Return the seconds that a draft takes for a step when nothing else is done."""
    done, began = 0, time.perf_counter()
    async with aclosing(draft.propose([task.start()])) as states:
        async for _ in states:
            done += 1
            if done == steps:
                break
    if not done:
        raise SystemExit(f"the draft {draft.name!r} proposes nothing at the start of the stretch")
    return (time.perf_counter() - began) / done


@dataclass
class Board:
    """Everything that was measured, round by round; ratios are taken within a round."""

    title: str
    found: dict[tuple[str, str], list[Measured]] = field(default_factory=dict)
    """(setting, way) to one entry a round."""
    bounds: dict[str, float] = field(default_factory=dict)
    """Setting to the physical bound in seconds."""
    notes: list[str] = field(default_factory=list)

    def add(self, setting: str, way: str, measured: Measured) -> None:
        self.found.setdefault((setting, way), []).append(measured)

    @property
    def right(self) -> bool:
        return all(measured.right for rounds in self.found.values() for measured in rounds)

    def rows(self) -> Iterable[list[str]]:
        settings = list(dict.fromkeys(setting for setting, _ in self.found))
        for (setting, way), rounds in sorted(
            self.found.items(), key=lambda entry: settings.index(entry[0][0])
        ):
            seconds = [measured.seconds for measured in rounds]
            last = rounds[-1]
            over = self.bounds.get(setting)
            yield [
                setting,
                way,
                f"{last.steps:,}",
                f"{median(seconds):,.1f}"
                + (f" ({min(seconds):,.1f} to {max(seconds):,.1f})" * (len(rounds) > 1)),
                f"{median(measured.rate for measured in rounds):,.1f}",
                self._ratio(setting, "serial", seconds),
                self._ratio(setting, "parallel votes", seconds),
                "" if over is None else f"{median(seconds) / over:.2f}",
                f"{last.samples:.2f}",
                *_told(last.speculation),
                "all" if all(measured.right for measured in rounds) else "NOT ALL",
                last.note,
            ]

    def _ratio(self, setting: str, other: str, seconds: Sequence[float]) -> str:
        theirs = self.found.get((setting, other), [])
        if len(theirs) != len(seconds):
            return ""
        return f"{median(slow.seconds / ours for slow, ours in zip(theirs, seconds, strict=True)):.2f}"

    def publish(self, bench: str, results: Path | None) -> NoReturn:
        """Print the table of bench/`bench`.py, write its page into `results`, and exit: 1 if a step is wrong."""
        caption = "\n".join(self.notes)
        Console(width=200).print(
            shown(self.title, COLUMNS, self.rows(), caption=caption, caption_justify="left")
        )
        notes = "".join(f"\n- {note}" for note in self.notes)
        text = f"# {self.title}\n\n{origin(bench, results)}\n\n{table(COLUMNS, self.rows())}\n{notes}\n"
        write(results, f"{bench}.md", text)
        sys.exit(0 if self.right else 1)


def _told(speculation: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if speculation is None:
        return "", "", ""
    accepted, depth, waste = (speculation[name] for name in ("acceptance", "depth", "waste"))
    return _figure(accepted, 4), _figure(depth, 1), _figure(waste, 3)


def _figure(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"
