"""What bench/million.py writes down while it watches, so that it can be ended and started again."""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json
from runners import resident_mb


class Memory(NamedTuple):
    """Resident memory of a runner, and of its worker processes together."""

    runner_mb: float
    workers_mb: float
    workers: tuple[int, ...] = ()

    def still_there(self) -> list[int]:
        """Return the workers that still run."""
        alive = {pid: state for pid, _, state in _processes()}
        return [pid for pid in self.workers if alive.get(pid, "Z") != "Z"]


@dataclass
class Life:
    """One runner."""

    began: float
    ended: float
    """Seconds since the epoch, as `began`; the latest look at it if the bench ended first."""
    first: int
    """Durable steps when it began."""
    last: int
    end: str = "with the bench"
    """`killed`, `done`, `exit N`, or as it stands here."""
    recovery_s: float | None = None
    """From the start of the process to its first durable step."""
    left_over: int = 0
    """Worker processes that outlived a killed runner for long."""
    runner_mb: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Resident memory when warm, at the latest look and at most."""
    workers_mb: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def note(self, seen: Memory) -> None:
        """Take in one more look at its memory, unless it ended meanwhile."""
        if not seen.runner_mb:
            return
        self.runner_mb = _noted(self.runner_mb, seen.runner_mb)
        self.workers_mb = _noted(self.workers_mb, seen.workers_mb)


class Take(NamedTuple):
    """How long a job takes to be taken up again, in the bench's own process."""

    step: int
    acquire_s: float
    """Taking the lease."""
    tail_s: float
    """Reading and verifying the records since the last sealed segment."""
    replay_s: float
    """Going through them to the state."""
    records: int
    remind_s: float = 0.0
    """Telling the draft of the latest segments, where there is one that remembers."""

    @property
    def seconds(self) -> float:
        return self.acquire_s + self.tail_s + self.replay_s + self.remind_s


@dataclass
class Diary:
    """All of it, in one file."""

    path: Path
    about: dict[str, Any]
    targets: list[int] = field(default_factory=list)
    """Steps at which a runner is killed."""
    lives: list[Life] = field(default_factory=list)
    takes: list[Take] = field(default_factory=list)
    curve: list[tuple[float, int, float, float]] = field(default_factory=list)
    """Time, durable steps, memory of the runner and of its workers, about once a minute."""

    @classmethod
    def open(cls, path: Path, about: dict[str, Any]) -> Self:
        """Go on with the diary at `path`, or begin one; refuses a diary about something else."""
        if not path.exists():
            return cls(path, about)
        found: Self = TypeAdapter(cls).validate_python({**from_json(path.read_bytes()), "path": path})
        if found.about != about:
            raise SystemExit(f"{path} is about {found.about}, not {about}: give another --home")
        return found

    def save(self) -> None:
        """Write it down; the file is always whole."""
        part = self.path.with_suffix(".part")
        part.write_bytes(to_json({**asdict(self), "path": None}))
        part.replace(self.path)


def memory(pid: int) -> Memory:
    """Look at a process and at all that it started."""
    known = _processes()
    found, workers = {pid}, []
    for child, parent, _ in sorted(known):
        if parent in found:
            found.add(child)
            workers.append(child)
    return Memory(resident_mb(pid), round(sum(map(resident_mb, workers)), 1), tuple(workers))


def _processes() -> list[tuple[int, int, str]]:
    """Return number, parent and state of every process."""
    found = []
    for folder in os.listdir("/proc"):  # noqa: PTH208 - twice as fast, and this is asked every other second
        if folder.isdigit():
            try:
                stat = Path(f"/proc/{folder}/stat").read_text()
            except OSError:
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            found.append((int(folder), int(parent), state))
    return found


def _noted(before: tuple[float, float, float], now: float) -> tuple[float, float, float]:
    warm, _, most = before
    return warm or now, now, max(most, now)
