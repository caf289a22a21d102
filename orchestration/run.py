"""Run a job from Python: start it, take it up again, read its report."""

import time
from collections.abc import Hashable
from typing import Any, TypeVar

from pydantic_core import to_json
from redis.asyncio import Redis

from surefoot.agents.tasks.catalogue import address_of
from surefoot.agents.tasks.codec import written
from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.known_limits import check_known
from surefoot.agents.tasks.task import Task, sampling_for
from surefoot.errors import BadInput
from surefoot.models.base import Model, Sampling
from surefoot.models.connect import open_model
from surefoot.models.openai.options import Options
from surefoot.models.openai.redaction import HIDDEN, without_keys_in_query
from surefoot.printable import printable
from surefoot.voting.samples import Usage

from .budget import Budget, Meter, Paused
from .checkpoints.saver import RedisSaver
from .engine.open_draft import open_draft
from .engine.open_step import StepStalled
from .engine.speculation import Speculation
from .events import Began, Counts, Emitter, Listen, Noted, Undecided
from .graph import AuditFailed, Runner
from .journal import jobs
from .journal.jobs import Settings
from .journal.journal import Journal, WentBack
from .journal.lease import Cancelled, JobDone, cancelled, claimed
from .plan import Unsupported, check_reliability, plan_with, with_waits_told
from .redis.open import open_redis
from .redis.persistence import forgetful
from .report import Report, Stall
from .reporting import read_report, shown
from .settings import LIMIT, MOST_SAMPLES, RELIABILITY, SEGMENT, STATES
from .task_of_job import task_again

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
    on_event: Listen | None = None,
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
    `options`: how a model server is asked, if `model` is one's address; what its callbacks would be told goes to `on_event`.
    `budget`: steps, tokens or money after which the run stops in order; its report has the status `stopped` and says why.

    Raises `Unsupported` if the calibration does not support the reliability, `Stalled` if a step cannot be decided,
    `ModelUnavailable` and others of `SurefootError`; in each case what is decided is safe, and running or resuming the same
    job goes on from there.
    """
    _check(reliability, k, limit, spare, segment)
    if job is not None:
        jobs.check_name(job)
    given, task = task, guarded(task)
    if isinstance(model, str):
        check_known(model, given)
    spec, start = task.spec(), written(task.state_codec, task.start())
    name = job or jobs.new_id(task.name)
    async with (
        Emitter(on_event) as emitter,
        open_redis(redis, emitter.emit) as store,
        claimed(store, name) as holder,
        open_model(model, api_key=api_key, options=with_waits_told(emitter.emit, options)) as opened,
        open_draft(speculate, given, opened) as speculation,
    ):
        address = _address(model, opened, given)
        if holder is not None:
            for sentence in await forgetful(store):
                emitter.emit(Noted(sentence=sentence))
            if k is None:
                settings = await _calibrated(
                    task, opened, reliability, states, seed, sampling, emitter.emit, budget
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
        emitter.report = await _carry_on(
            store, name, task, opened, address, emitter, speculation, holder=holder, budget=budget
        )
        return emitter.report


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
    on_event: Listen | None = None,
) -> Report:
    """Take a job up where it stands; a finished one is only reported, a cancelled one is taken up only if `again`.

    `task` is needed for one that is neither part of surefoot nor an installed package's (entry points `surefoot.tasks`): the task, or
    its class, which is then made with the arguments that the journal has.  `model` is needed if the job was started with a
    `Model` object or is to go on with another one, and if there was a key in its address's query: no journal keeps it.  `limit`
    overrides the samples that one step may use.  `speculate` is each runner's own choice, since it changes no decision, and so is
    `budget`.
    """
    async with Emitter(on_event) as emitter, open_redis(redis, emitter.emit) as store:
        found = await jobs.load(store, job)
        given = task_again(found, task)
        task = guarded(given)
        if found.status == "done":
            emitter.report = await read_report(store, job, task)
            return emitter.report
        if found.status == "cancelled" and not again:
            raise Cancelled(cancelled(job))
        model = model or _address_again(job, found.models[-1])
        if isinstance(model, str):
            check_known(model, given)
        async with (
            open_model(model, api_key=api_key, options=with_waits_told(emitter.emit, options)) as opened,
            open_draft(speculate, given, opened) as speculation,
        ):
            address = _address(model, opened, given)
            emitter.report = await _carry_on(
                store,
                job,
                task,
                opened,
                address,
                emitter,
                speculation,
                limit=limit,
                again=again,
                budget=budget,
            )
            return emitter.report


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
    emitter: Emitter,
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
        async with await Journal.acquire(
            redis, job, holder=holder, again=again, listen=emitter.emit
        ) as journal:
            if address != journal.job.models[-1]:
                models = to_json([*journal.job.models, address]).decode()
                await journal.settle("running", models=models)
            if journal.job.paused:
                await journal.settle("running", paused="")
            emitter.job = journal.job.id
            emitter.emit(_began(journal.job, task))
            limit = limit or journal.job.settings.limit
            meter = None if budget is None else _meter(budget, journal.job)
            runner = Runner(task, model, journal, limit, speculation, meter)
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
        where = _stall(task, stall)
        await journal.settle("stalled", stall=to_json(where.model_dump()).decode())
        journal.listen(
            Undecided(
                step=where.step, tally=where.tally, flags=where.red_flags, examples=tuple(where.examples)
            )
        )
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
    listen: Listen,
    budget: Budget | None,
) -> Settings:
    began = time.monotonic()
    found = await plan_with(task, model, reliability, states, seed, sampling, None, listen, budget)
    if found.choice.k is None:
        raise Unsupported(found.choice.why)
    listen(Noted(sentence=found.choice.why))
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


def _meter(budget: Budget, job: jobs.Job) -> Meter:
    """Return who watches over a run's budget; the calibration counts, as far as the journal has it."""
    samples, tokens, _ = job.settings.calibration or (0, 0, 0)
    before = Usage(uncounted=samples) if tokens is None else Usage(prompt=tokens)
    return Meter(budget, job.step, job.usage, Counts.of(job.counters).ahead, before)


def _began(job: jobs.Job, task: Task[Any, Any]) -> Began:
    """Return where the job stands, so that who listens can show the job and not only this runner."""
    return Began(
        job=job.id,
        task=job.task,
        step=job.step,
        steps=task.steps(),
        k=job.settings.k,
        counts=Counts.of(job.counters),
        repairs=job.counters.get("repairs", 0),
        risk=job.settings.risk,
    )


def _stall(task: Task[S, A], stall: StepStalled) -> Stall:
    return Stall(
        step=stall.step,
        tally={
            shown(task, written(task.answer_codec, answer)): votes for answer, votes in stall.tally.items()
        },
        red_flags=dict(stall.flags),
        examples=[sample.text for sample in stall.examples],
    )


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
