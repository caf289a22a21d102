"""Whether a job of bench/million.py is right, from outside: the board, the known optimal sequence, the journal."""

import json
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from million_diary import Take
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from runners import wrong_moves

from surefoot import Speculation, Towers
from surefoot.agents.tasks.guarded import guarded
from surefoot.models.doubles import towers_double
from surefoot.orchestration.engine.recall import Recall
from surefoot.orchestration.graph import Runner
from surefoot.orchestration.journal.jobs import load
from surefoot.orchestration.journal.journal import Journal
from surefoot.orchestration.record import Record
from surefoot.orchestration.reporting import records, shown
from surefoot.tools.towers import board
from surefoot.tools.towers.board import IllegalMove, Move

CONTESTS = 1000
"""Contested steps that are written down with their tallies."""


@dataclass
class Found:
    """What the check found, and the job's own report."""

    report: dict[str, Any]
    wrong_moves: int
    """Lines of the move list that differ from the optimal sequence, missing ones included."""
    refused: str | None
    """The first move that the board refused, if any."""
    solved: bool
    """Whether the board, after all lines of the move list, has every disk on the last peg."""
    records: int
    wrong_records: int
    """Records whose move is not the optimal one, or whose board is not the one that it leads to."""
    unled: int
    """Records whose winner does not lead by k votes."""
    votes_per_step: dict[int, int]
    """How many steps took so many votes."""
    contests: list[dict[str, Any]]
    memory_bytes: int
    """What the job's keys take in Valkey's memory."""
    file_bytes: int
    """What the append-only files take on disk."""

    @property
    def right(self) -> bool:
        complete = self.records == self.report["steps"] == self.report["steps_expected"]
        right = not (self.wrong_moves or self.wrong_records or self.unled or self.refused)
        return complete and right and self.solved and self.report["solved"]


async def check(redis: Redis, job: str, disks: int, form: str, home: Path) -> Found:
    """Read everything that a job has left behind."""
    report = json.loads((home / "report.json").read_text())
    moves = home / "moves.txt"
    refused, solved = played(moves, disks)
    found = Found(
        report=report,
        wrong_moves=wrong_moves(moves, disks),
        refused=refused,
        solved=solved,
        records=0,
        wrong_records=0,
        unled=0,
        votes_per_step={},
        contests=[],
        memory_bytes=memory_bytes(redis, job),
        file_bytes=sum(path.stat().st_size for path in (home / "appendonlydir").iterdir()),
    )
    async with aclosing(async_client(redis)) as store:
        await read(store, job, disks, form, found)
    return found


async def read(store: AsyncRedis, job: str, disks: int, form: str, found: Found) -> None:
    """Go through all records of the journal and put what they say into `found`."""
    task = Towers(disks, "compact", form)  # type: ignore[arg-type]
    pegs = board.start(disks)
    votes: Counter[int] = Counter()
    async for record in records(store, await load(store, job)):
        move = board.optimal_move(disks, record.step)
        pegs = board.apply(pegs, move)
        against = [count for _, count in record.others]
        found.records += 1
        found.wrong_records += record.answer != (move, pegs if form == "full" else None)
        found.unled += record.votes - max(against, default=0) < found.report["k"]
        votes[record.votes + sum(against)] += 1
        if record.others and len(found.contests) < CONTESTS:
            found.contests.append(contest(task, record))
    found.votes_per_step = dict(sorted(votes.items()))


def contest(task: Towers, record: Record) -> dict[str, Any]:
    tally = [(record.answer, record.votes), *record.others]
    return {"step": record.step, "tally": {shown(task, answer): votes for answer, votes in tally}}


def played(path: Path, disks: int) -> tuple[str | None, bool]:
    """Play a move list on the board; returns the first move that it refused, and whether the tower stands in the end."""
    pegs = board.start(disks)
    with path.open() as lines:
        for number, line in enumerate(lines):
            try:
                pegs = board.apply(pegs, Move(*map(int, line.split())))
            except (IllegalMove, TypeError, ValueError) as error:
                return f"line {number + 1}: {error}", False
    return None, board.solved(pegs) and board.is_board(pegs, disks)


def memory_bytes(redis: Redis, job: str) -> int:
    """Sum up what the keys of a job take, checkpoints of its graph included."""
    names = redis.scan_iter(match=f"*{{{job}}}*", count=1000)
    return sum(int(redis.memory_usage(name, samples=0) or 0) for name in names)


async def resumed(redis: Redis, job: str, disks: int, form: str) -> Take:
    """Time what a runner does before its first step, without its own start: lease, tail, replay."""
    task = Towers(disks, "compact", form)  # type: ignore[arg-type]
    async with aclosing(async_client(redis)) as store:
        await store.ping()
        began = time.perf_counter()
        async with await Journal.acquire(store, job) as journal:
            taken = time.perf_counter()
            sealed, tail = await journal.tail()
            read = time.perf_counter()
            state = sealed.state
            for record in tail:
                state = task.advance(state, record.answer)
            done = time.perf_counter()
            return Take(journal.step, taken - began, read - taken, done - read, len(tail))


async def reminded(redis: Redis, job: str, disks: int, form: str) -> float:
    """Return the seconds in which a runner then tells `Recall` of the latest segments, before its first step, too."""
    task = Towers(disks, "compact", form)  # type: ignore[arg-type]
    async with (
        aclosing(async_client(redis)) as store,
        await Journal.acquire(store, job) as journal,
    ):
        # The model is never asked.
        runner = Runner(
            guarded(task), towers_double(), journal, journal.job.settings, Speculation(Recall(task))
        )
        began = time.perf_counter()
        await runner._remind()  # the very code that a runner runs, which nothing else has reason to call
        return time.perf_counter() - began


def async_client(redis: Redis) -> AsyncRedis:
    return AsyncRedis(unix_socket_path=redis.connection_pool.connection_kwargs["path"])
