"""A job of an agent as a trajectory in mini-swe-agent's format: made of its journal, one message at a time, when it is over."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from surefoot.agents.agent.state import DecidedCalls, Seen
from surefoot.agents.agent.task import AgentTask
from surefoot.agents.swe.trajectory import ChatMessage, TrajectoryLog, convert, ended, observed, said, told
from surefoot.agents.tasks.codec import read_back
from surefoot.agents.tasks.optional import Acts
from surefoot.agents.tasks.task import Task
from surefoot.orchestration.journal.jobs import Job
from surefoot.orchestration.reporting import records
from surefoot.voting.reliability import Price


async def write_trajectory(
    redis: Redis,
    job: Job,
    task: Task[Any, Any],
    out: Path,
    *,
    instance_id: str,
    exit_status: str,
    submission: str,
    price: Price | None,
    environment: Mapping[str, Any],
) -> None:
    """Write `out`, a .traj.json; what it cost is in it if the price of tokens is known.

    `environment` says where commands ran, as mini-swe-agent has it: `cwd`, and `timeout` in seconds.
    """
    log = out.with_suffix(".jsonl")
    log.unlink(missing_ok=True)
    with TrajectoryLog(log) as lines:
        for message in _opening(task):
            lines.append(message)
        async for message in _turns(redis, job, task, price):
            lines.append(message)
        lines.append(ended(exit_status, submission))
    config = {"model": {"model_name": job.models[-1]}, "environment": environment, "job": job.id}
    await asyncio.to_thread(
        convert, log, out, instance_id=instance_id, config=config, version=f"surefoot {version('surefoot')}"
    )
    log.unlink()


def _opening(task: Task[Any, Any]) -> list[ChatMessage]:
    """Return what the model was told before the first turn."""
    if not isinstance(task, AgentTask):
        return []  # the first step is the world's
    first = task.ask(task.start())
    assert not isinstance(first, str)
    return [told(message.role, message.content) for message in first]


async def _turns(
    redis: Redis, job: Job, task: Task[Any, Any], price: Price | None
) -> AsyncIterator[ChatMessage]:
    state = task.start()
    async for record in records(redis, job):
        answer = read_back(task.answer_codec, record.answer)
        usage = record.usage
        cost = 0.0 if price is None else price.of(usage.prompt, usage.completion, usage.cached)
        if isinstance(answer, DecidedCalls):
            names = [_name(state.turn, place) for place in range(len(answer.calls))]
            yield said(
                answer.prose,
                answer.calls,
                ids=names,
                reasoning_tokens=usage.reasoning or 0,
                cost=cost,
            )
        elif isinstance(answer, Seen):
            name = _name(state.turn - 1, len(state.turns[-1].seen))
            problem = answer.text if answer.outcome != "done" else ""
            yield observed(answer.told, call=name, output=answer.text, code=_code(answer), problem=problem)
        elif isinstance(task, Acts) and task.acts(state):
            yield told("user", task.show(answer))
        else:
            yield said(task.show(answer), reasoning_tokens=usage.reasoning or 0, cost=cost)
        state = task.advance(state, answer)


def _name(turn: int, place: int) -> str:
    return f"call-{turn + 1}-{place + 1}"


def _code(seen: Seen) -> int:
    return seen.code if seen.code is not None else 0 if seen.outcome == "done" else 1
