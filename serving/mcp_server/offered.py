"""The five tools, each thin over the public API: plan, run, show, score, vote.

Model and Redis are those of whoever started the server: a client chooses a task by its name, never an address to connect to, a file to
read or a module to import.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from inspect import signature
from typing import Any

from mcp.server.mcpserver import Context
from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_jsonable_python

import surefoot
from surefoot.agents.monitor.readers.formats import parse
from surefoot.agents.monitor.signals import readings
from surefoot.agents.tasks.catalogue import TASKS, installed, made, task_named
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message, Model
from surefoot.models.connect import open_model
from surefoot.models.gather import in_order
from surefoot.models.offers import without_thoughts
from surefoot.models.tags import THINK
from surefoot.orchestration.journal import jobs, segments, stitched
from surefoot.orchestration.journal.records import frozen
from surefoot.orchestration.redis.open import open_redis
from surefoot.orchestration.workers.stitched import read_stitched
from surefoot.tools.answers.normal_forms import Kind, normal
from surefoot.voting.election import Verdict

from .settings import McpSettings

SHOWN = 20
"""Jobs that are listed, the latest."""
LOG_CHARACTERS = 2_000_000
"""The longest log that is scored, as JSON."""
MOST_SAMPLES = 200
"""The largest limit of a vote."""
TOLD_EVERY_S = 1.0
ANSWER_ALONE = "Give the answer alone, without a word of explanation."


class TallyLine(BaseModel):
    """One answer, and its votes."""

    answer: str
    votes: int


class VoteResult(BaseModel):
    """What a vote has decided."""

    answer: str
    """The winner, in the normal form of its kind."""
    votes: int
    against: int
    tally: list[TallyLine]
    red_flags: dict[str, int]
    """Samples thrown away, by reason."""
    tokens: int | None
    """Of all samples; null where the server did not say."""


class OfferedTools:
    """The tools of one server.  Their docstrings are what a client's model reads."""

    def __init__(self, settings: McpSettings) -> None:
        self._settings = settings
        self._busy = 0

    async def plan(
        self, task: str, arguments: dict[str, Any] | None = None, reliability: float = 0.99
    ) -> dict[str, Any]:
        """Say what a long job would take before anything is spent on it: k (the lead that decides each step), votes, tokens, time, risk.

        Asks the model about some random steps of the task to calibrate.  `task` and `arguments` as for `run`.
        """
        async with self._place(), self._limited("the calibration"):
            found = await surefoot.plan(
                _task(task, arguments),
                surefoot.Settings(reliability=reliability),
                model=self._settings.model,
                options=self._settings.options,
            )
        said: dict[str, Any] = TypeAdapter(surefoot.Plan).dump_python(found, mode="json")
        return {**said, "risk": found.risk, "risk_bound": found.risk_bound, "why": found.why}

    async def run(
        self,
        context: Context[Any, Any],
        task: str,
        arguments: dict[str, Any] | None = None,
        job: str = "",
        k: int = 0,
        reliability: float = 0.99,
    ) -> surefoot.Report:
        """Do a long job one voted step at a time, and return its report: status, steps, votes, red flags, tokens, risk.

        Every decided step is durable.  A call ends after some seconds at the latest with the status `stopped`; the same call with the job's
        name, `report.job`, goes on from there, until the status is `done`.  `k` is the lead that decides each step; 0 lets a calibration
        choose it for the reliability.  `task` is one of those listed at the end of this description, `arguments` are its own.
        """
        made_task = _task(task, arguments)
        settings = surefoot.Settings(k=k) if k else surefoot.Settings(reliability=reliability)
        name = job or jobs.new_id(made_task.name)
        progress = surefoot.Progress()
        async with self._place(), _telling(context, progress):
            try:
                async with asyncio.timeout(self._settings.seconds) as deadline:
                    return await surefoot.run(
                        made_task,
                        settings,
                        model=self._settings.model,
                        redis=self._settings.redis,
                        job=name,
                        options=self._settings.options,
                        on_event=progress.listen,
                    )
            except TimeoutError:
                if not deadline.expired():
                    raise
        if not progress.job:
            raise BadInput(
                f"the calibration took longer than {self._settings.seconds:g} s, and nothing was begun: give k, or let the server "
                "be started with more --seconds"
            )
        return await surefoot.report(name, redis=self._settings.redis)

    async def show(self, job: str = "", step: int = -1) -> dict[str, Any]:
        """Show the report of a job, one of its steps with its tally and samples, or, without a job, the latest jobs."""
        async with open_redis(self._settings.redis) as redis:
            if not job:
                found = [each for each in await jobs.every(redis) if isinstance(each, jobs.Job)]
                latest = sorted(found, key=lambda each: each.updated)[: -SHOWN - 1 : -1]
                rows = [
                    {"job": each.id, "task": each.task, "status": each.status, "steps": each.step, "steps_expected": each.steps}
                    for each in latest
                ]  # fmt: skip
                return {"jobs": rows}
            if step >= 0:
                known = await jobs.load(redis, job)
                record = await segments.record(redis, known, step)
                samples = await segments.kept(redis, known, step)
                plain: dict[str, Any] = to_jsonable_python(record._asdict())
                return {**plain, "usage": record.usage.known_all(), "samples": samples}
            if await stitched.find(redis, job) is not None:
                return (await read_stitched(redis, job)).model_dump(mode="json")
            return (await surefoot.report(job, redis=redis)).model_dump(mode="json")

    async def score(self, log: list[Any] | dict[str, Any]) -> dict[str, Any]:
        """Score how far an agent's run preferred its own thoughts to the environment: 0 stays with the environment, 10 relies on itself.

        `log` is the run: a list of OpenAI messages, a mini-swe-agent or SWE-agent trajectory, a LangGraph state.  No model is asked.
        """
        if len(str(log)) > LOG_CHARACTERS:
            raise BadInput(f"a log has at most {LOG_CHARACTERS:,} characters: score it with `surefoot score`")
        trajectory = parse(log)
        if not trajectory.turns:
            raise BadInput("the log is no trajectory: the model says nothing in it")
        found = [*readings(trajectory.turns)]
        last = found[-1]
        return {
            "source": trajectory.source,
            "turns": len(trajectory.turns),
            "score": round(last.score, 1),
            "signals": {
                each.pattern: {
                    "peak": round(each.peak, 1),
                    "flagged": each.flagged,
                    "turns": list(each.turns),
                }
                for each in last.signals
            },
            "scores": [round(each.score, 1) for each in found],
        }

    async def vote(
        self,
        question: str,
        k: int = 2,
        limit: int = 20,
        kind: Kind = "any",
        temperature: float = 0.7,
        max_tokens: int = 1024,
    ) -> VoteResult:
        """Put one question to a vote among samples of the server's model, and return the answer that is k votes ahead of every other.

        Answers are compared in the normal form of their kind.  An election without a decision is an error with its tally, and never a
        plurality.  Raise `limit` or ask a smaller question then.
        """
        if limit > MOST_SAMPLES:
            raise BadInput(f"a vote draws at most {MOST_SAMPLES} samples, not {limit!r}")
        sampling = surefoot.Sampling(temperature=temperature, max_tokens=max_tokens)
        async with (
            self._place(),
            self._limited("the vote"),
            open_model(self._settings.model, options=self._settings.options) as model,
        ):
            return await _elected(model, question, k, limit, kind, sampling)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Take one of the places for what asks the model; raises `BadInput` where there is none."""
        if self._busy >= self._settings.at_once:
            raise BadInput(
                f"{self._busy} calls are being worked on, as many as may be at once: try again later"
            )
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    @asynccontextmanager
    async def _limited(self, what: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._settings.seconds) as deadline:
                yield
        except TimeoutError:
            if not deadline.expired():
                raise
            raise BadInput(
                f"{what} took longer than {self._settings.seconds:g} s: let the server be started with more --seconds"
            ) from None


async def _elected(
    model: Model, question: str, k: int, limit: int, kind: Kind, sampling: surefoot.Sampling
) -> VoteResult:
    """Vote on a question; raises `Stalled` with the tally if nothing is decided."""
    verdicts: list[Verdict[str]] = []
    tokens: list[int | None] = []
    prompt = (Message("user", f"{question}\n\n{ANSWER_ALONE}"),)

    @surefoot.voted(k=k, limit=limit, number="number", on_verdict=verdicts.append)
    async def answer(number: int = 0) -> str:
        (sample,) = await in_order(
            model,
            [Ask(prompt, temperature=sampling.temperature, max_tokens=sampling.max_tokens, seed=number)],
        )
        tokens.append(sample.usage.known("total"))
        if sample.finish == "length":
            raise surefoot.NotAnAnswer("cut off at the limit of tokens")
        return normal(without_thoughts(sample.text, THINK.open, THINK.close), kind)

    winner = await answer()
    (verdict,) = verdicts
    return VoteResult(
        answer=winner,
        votes=verdict.tally[winner],
        against=verdict.votes - verdict.tally[winner],
        tally=[TallyLine(answer=each, votes=votes) for each, votes in verdict.tally.items()],
        red_flags=dict(Counter(verdict.flags)),
        tokens=None if None in tokens else sum(filter(None, tokens)),
    )


def _task(name: str, arguments: Mapping[str, Any] | None) -> Task[Any, Any]:
    """Make a task that is part of surefoot or installed; JSON's lists are its tuples."""
    given = {key: frozen(value) for key, value in (arguments or {}).items()}
    return made(task_named(name), given)


def known_tasks() -> str:
    """Return the tasks and their arguments, for a model to read."""
    own = [f"{name}{_arguments(kind)}" for name, kind in TASKS.items()]
    return f"Tasks: {'; '.join([*own, *installed()])}. `style` is `compact` where the model is `pebble`."


def _arguments(kind: type[Any]) -> str:
    return str(signature(kind)).partition(" ->")[0]


@asynccontextmanager
async def _telling(context: Context[Any, Any], progress: surefoot.Progress) -> AsyncIterator[None]:
    """Tell the client how far the job is, once a second, while the block lasts."""

    async def tell() -> None:
        while True:
            await asyncio.sleep(TOLD_EVERY_S)
            await context.report_progress(progress.step, progress.steps)

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
