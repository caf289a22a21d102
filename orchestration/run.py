"""Run a job from Python: start it, take it up again, read its report."""

import time
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pydantic_core import to_json
from redis.asyncio import Redis

from surefoot.agents.tasks.catalogue import address_of
from surefoot.agents.tasks.codec import written
from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.known import check_known
from surefoot.agents.tasks.task import Task, sampling_for
from surefoot.errors import BadInput, SurefootError
from surefoot.models.base import Model, Sampling
from surefoot.models.connect import open_model
from surefoot.models.openai.options import Options
from surefoot.models.openai.words import HIDDEN, without_keys_in_query
from surefoot.printable import printable
from surefoot.voting.samples import Usage

from .again import task_again
from .budget import Budget, Meter, Paused
from .checkpoints.saver import RedisSaver
from .engine.ledger import SPECULATION_COUNTERS
from .engine.open_draft import open_draft
from .engine.open_step import StepStalled
from .engine.speculation import Speculation
from .graph import AuditFailed, Runner
from .journal import jobs
from .journal.jobs import Settings
from .journal.journal import Journal, WentBack
from .journal.lease import Cancelled, JobDone, cancelled, claimed
from .plan import Unsupported, check_reliability, plan_with, waits_shown_in
from .progress import Progress
from .redis.open import open_redis
from .redis.persistence import forgetful
from .report import Report
from .reporting import read_report, shown
from .settings import LIMIT, MOST_SAMPLES, RELIABILITY, SEGMENT, STATES

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)

CHECKPOINTS_KEPT = 2
ENDS = 3
"""How often a job is brought to its end before a Redis that has lost it every time is not trusted any more."""


async def run(
    task: Task[S, A],
    *,
    model: str | Model = "pebble",
    redis: str | Redis | None = None,
    reliability: float = RELIABILITY,
    k: int | None = None,
    job: str | None = None,
    states: int = STATES,
    limit: int = LIMIT,
    spare: int = 0,
    segment: int = SEGMENT,
    seed: int = 0,
    sampling: Sampling | None = None,
    speculate: Speculation | None = None,
    budget: Budget | None = None,
    api_key: str | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Report:
    """Do a job, one voted step at a time, and return its report.

    `model`: `pebble` (embedded), the URL of an OpenAI-compatible server, or a `Model`.
    `redis`: a URL or a client; None starts the embedded one.
    `reliability`: wanted chance that every step is right; `k` follows from it by calibration on `states` states,
    unless `k` is given.
    `job`: a name of your own.  If a job of that name exists it is taken up where it stands, with the settings it was
    started with.
    `limit`: samples that one step may use before it stalls.  `spare`: samples asked for beyond the fewest that could decide.
    `sampling`: temperatures and token limit, if the task's own are not to be used; the limit is never higher than the
    task's flags let pass.
    `speculate`: ask ahead, on the leading ballot or on a draft; it changes when samples are drawn and no decision.
    `options`: how a model server is asked, if `model` is one's address; the callbacks are those of `progress`.
    `budget`: steps, tokens or money after which the run stops in order; its report has the status `stopped` and says why.

    Raises `Unsupported` if the calibration does not support the reliability, `Stalled` if a step cannot be decided,
    `ModelUnavailable` and others of `SurefootError`; in each case what is decided is safe, and running or resuming the same
    job goes on from there.
    """
    progress = progress or Progress()
    _check(reliability, k, limit, spare, segment)
    if job is not None:
        jobs.check_name(job)
    given, task = task, guarded(task)
    if isinstance(model, str):
        check_known(model, given)
    spec, start = task.spec(), written(task.state_codec, task.start())
    name = job or jobs.new_id(task.name)
    async with (
        _naming_the_job(progress),
        open_redis(redis, progress) as store,
        claimed(store, name) as holder,
        open_model(model, api_key=api_key, options=waits_shown_in(progress, options)) as opened,
        open_draft(speculate, given, opened) as speculation,
    ):
        address = _address(model, opened, given)
        if holder is not None:
            progress.notes += await forgetful(store)
            if k is None:
                settings = await _calibrated(
                    task, opened, reliability, states, seed, sampling, progress, budget
                )
            else:
                settings = Settings(k, "")
            _check_limit(limit, settings.k)
            drawn = sampling_for(task, sampling)
            settings = settings._replace(
                model=address,
                segment=segment,
                seed=seed,
                limit=limit,
                spare=spare,
                sampling=(drawn.temperature, drawn.first_temperature, drawn.max_tokens),
            )
            await jobs.create(
                store,
                name,
                task.name,
                spec,
                start,
                settings,
                code=address_of(given),
                steps=task.steps(),
            )
        return await _carry_on(
            store, name, task, opened, address, progress, speculation, holder=holder, budget=budget
        )


async def resume(
    job: str,
    *,
    task: Task[Any, Any] | type[Task[Any, Any]] | None = None,
    model: str | Model | None = None,
    redis: str | Redis | None = None,
    limit: int | None = None,
    again: bool = False,
    speculate: Speculation | None = None,
    budget: Budget | None = None,
    api_key: str | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Report:
    """Take a job up where it stands; a finished one is only reported, a cancelled one is taken up only if `again`.

    `task` is needed for one that is neither part of surefoot nor an installed package's (entry points `surefoot.tasks`): the task, or
    its class, which is then made with the arguments that the journal has.  `model` is needed if the job was started with a
    `Model` object or is to go on with another one, and if there was a key in its address's query: no journal keeps it.  `limit`
    overrides the samples that one step may use.  `speculate` is each runner's own choice, since it changes no decision, and so is
    `budget`.
    """
    progress = progress or Progress()
    async with _naming_the_job(progress), open_redis(redis, progress) as store:
        found = await jobs.load(store, job)
        given = task_again(found, task)
        task = guarded(given)
        if found.status == "done":
            return await read_report(store, job, task)
        if found.status == "cancelled" and not again:
            raise Cancelled(cancelled(job))
        model = model or _address_again(job, found.models[-1])
        if isinstance(model, str):
            check_known(model, given)
        async with (
            open_model(model, api_key=api_key, options=waits_shown_in(progress, options)) as opened,
            open_draft(speculate, given, opened) as speculation,
        ):
            address = _address(model, opened, given)
            return await _carry_on(
                store,
                job,
                task,
                opened,
                address,
                progress,
                speculation,
                limit=limit,
                again=again,
                budget=budget,
            )


@asynccontextmanager
async def _naming_the_job(progress: Progress) -> AsyncIterator[None]:
    """Let every error say which job it has ended: nobody may have seen a name that was made up for it."""
    progress.job = ""
    try:
        yield
    except SurefootError as error:
        error.job = progress.job
        raise
    except Exception as error:
        if progress.job:
            error.add_note(
                f"It ended job {progress.job!r}; what was decided is safe, and resuming the job goes on."
            )
        raise


def _address(model: str | Model, opened: Model, task: Task[Any, Any]) -> str:
    """Return how a journal names the model; `BadInput` if a server turns out to serve one that does not know the task."""
    if not isinstance(model, str):
        return opened.name
    check_known(opened.name, task)
    return without_keys_in_query(model)


def _address_again(job: str, kept: str) -> str:
    """Return the address of a job's model; `BadInput` if there was a key in it, which the journal does not keep."""
    if HIDDEN in kept:
        raise BadInput(
            f"job {job!r} was started with the model at {printable(kept)!r}, and keys are not kept: give its address once more, "
            f"with the key, as `model` (--model)"
        )
    return kept


async def _carry_on(
    redis: Redis,
    job: str,
    task: Task[S, A],
    model: Model,
    address: str,
    progress: Progress,
    speculation: Speculation | None,
    *,
    limit: int | None = None,
    holder: str | None = None,
    again: bool = False,
    budget: Budget | None = None,
) -> Report:
    found = await jobs.load(redis, job)
    _check_task(task, found)
    if limit is not None:
        _check_limit(limit, found.settings.k)
    try:
        async with await Journal.acquire(redis, job, holder=holder, again=again) as journal:
            if address != journal.job.models[-1]:
                models = to_json([*journal.job.models, address]).decode()
                await journal.settle("running", models=models)
            if journal.job.paused:
                await journal.settle("running", paused="")
            _begin(progress, journal.job, task)
            limit = limit or journal.job.settings.limit
            meter = None if budget is None else Meter(budget, journal.step, _calibration(journal.job))
            runner = Runner(task, model, journal, progress, limit, speculation, meter)
            await _to_the_end(runner, journal, task, RedisSaver(redis, keep=CHECKPOINTS_KEPT))
    except JobDone:
        pass
    return await read_report(redis, job, task)


async def _to_the_end(runner: Runner[S, A], journal: Journal, task: Task[S, A], saver: RedisSaver) -> None:
    """Let the runner work to the end of the job, and write that down.

    A Redis that lost its last moments, as in a fail-over, may be noticed only now: then the runner goes on from where it stands.
    """
    for tries_left in reversed(range(ENDS)):
        try:
            await _to_an_end(runner, journal, task, saver)
            return
        except WentBack:
            if not tries_left:
                raise


async def _to_an_end(runner: Runner[S, A], journal: Journal, task: Task[S, A], saver: RedisSaver) -> None:
    """Let the runner work, and write down how it ended where that is for good or needs a person."""
    try:
        state = await runner.go(saver)
    except StepStalled as stall:
        await journal.commit()
        await journal.settle("stalled", stall=to_json(_stall(task, stall)).decode())
        raise
    except AuditFailed:
        await journal.settle("failed")
        raise
    except Paused as pause:
        await journal.commit()
        await journal.settle("stopped", paused=pause.sentence)
    else:
        await journal.settle("done" if task.solved(state) else "failed")


async def _calibrated(
    task: Task[S, A],
    model: Model,
    reliability: float,
    states: int,
    seed: int,
    sampling: Sampling | None,
    progress: Progress,
    budget: Budget | None,
) -> Settings:
    began = time.monotonic()
    found = await plan_with(task, model, reliability, states, seed, sampling, None, progress, budget)
    if found.choice.k is None:
        raise Unsupported(found.choice.why)
    progress.notes.append(found.choice.why)
    return Settings(
        found.choice.k,
        "",
        reliability=reliability,
        error=found.calibration.bound,
        risk=found.choice.risk,
        hard=None
        if found.calibration.worst_bound is not None  # no step is left out of the risk
        else (
            found.calibration.judged,
            found.calibration.hard,
            found.calibration.hard_bound,
            found.calibration.known_answers,
            tuple(hard.shown() for hard in found.calibration.hard_states),
        ),
        calibration=(
            found.calibration.samples,
            found.calibration.usage.known("total"),
            round(time.monotonic() - began, 3),
        ),
    )


def _calibration(job: jobs.Job) -> Usage:
    """Return what the calibration has spent, as far as the journal has it."""
    samples, tokens, _ = job.settings.calibration or (0, 0, 0)
    return Usage(uncounted=samples) if tokens is None else Usage(prompt=tokens)


def _begin(progress: Progress, job: jobs.Job, task: Task[Any, Any]) -> None:
    """Set the counters to where the job stands, so that a display shows the job and not only this runner."""
    fresh = Progress(job=job.id, task=job.task, doing="running", first=job.step, step=job.step)
    fresh.notes = progress.notes
    fresh.steps, fresh.k, fresh.durable = task.steps(), job.settings.k, job.step
    fresh.votes, fresh.dissent = job.counters.get("votes", 0), job.counters.get("dissent", 0)
    fresh.contested, fresh.repairs = job.counters.get("contested", 0), job.counters.get("repairs", 0)
    fresh.flags.update(job.flags)
    fresh.ahead.update({name: count for name, count in job.counters.items() if name in SPECULATION_COUNTERS})
    fresh.usage = job.usage
    fresh.predicted = None if job.settings.risk is None else 1 - job.settings.risk
    for name in fresh.__slots__:
        setattr(progress, name, getattr(fresh, name))


def _stall(task: Task[S, A], stall: StepStalled) -> Mapping[str, Any]:
    return {
        "step": stall.step,
        "tally": {
            shown(task, written(task.answer_codec, answer)): votes for answer, votes in stall.tally.items()
        },
        "red_flags": stall.flags,
        "examples": [sample.text for sample in stall.examples],
    }


def _check_task(task: Task[Any, Any], job: jobs.Job) -> None:
    """Refuse to go on with a task that is not the one the journal was written by."""
    own = (task.name, jobs.as_stored(task.spec()), jobs.as_stored(written(task.state_codec, task.start())))
    if own != (job.task, jobs.as_stored(job.spec), job.start.state):
        raise BadInput(
            f"job {job.id!r} was started as {job.task} with {dict(job.spec)!r}, "
            f"not as {task.name} with {dict(task.spec())!r}: use another job name, or the same task"
        )


def _check(reliability: float, k: int | None, limit: int, spare: int, segment: int) -> None:
    check_reliability(reliability)
    if k is not None and k < 1:
        raise BadInput(f"k, the lead that decides an election, must be at least 1, not {k!r}")
    _check_limit(limit, k or 1)
    for what, value, least in (("spare", spare, 0), ("segment", segment, 1)):
        _check_least(what, value, least)


def _check_limit(limit: int, least: int) -> None:
    _check_least("limit", limit, least)
    if limit > MOST_SAMPLES:
        raise BadInput(f"limit must be at most {MOST_SAMPLES:,} samples of a step, not {limit!r}")


def _check_least(what: str, value: int, least: int) -> None:
    if value < least:
        raise BadInput(f"{what} must be at least {least}, not {value!r}")
