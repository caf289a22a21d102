"""Run a job from Python: start it, take it up again, read its report."""

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Generic, TypeVar

from pydantic_core import to_json
from redis.asyncio import Redis

from surefoot.agents.tasks.catalogue import address_of
from surefoot.agents.tasks.codec import written
from surefoot.agents.tasks.failures import cut, said
from surefoot.agents.tasks.guarded import Guarded, guarded
from surefoot.agents.tasks.known_limits import check_known
from surefoot.agents.tasks.optional import DecisionNeeded, Fits, Reuses
from surefoot.agents.tasks.task import Task, sampling_for
from surefoot.errors import BadInput
from surefoot.models.base import Model, check_model, context_of
from surefoot.models.connect import as_kept, is_address, keyless
from surefoot.models.openai.options import Options
from surefoot.models.openai.redaction import HIDDEN
from surefoot.printable import printable
from surefoot.typed_input import checked
from surefoot.voting.risk_budget import RiskBudget
from surefoot.voting.samples import Usage

from .budget import Budget, Paused
from .checkpoints.saver import RedisSaver
from .engine.open_draft import open_draft
from .engine.open_step import StepStalled
from .engine.speculation import Speculation
from .events import Asking, Began, Counts, Emitter, Listen, Noted, Undecided
from .graph import AuditFailed, Runner
from .journal import jobs
from .journal.fixed import Calibrated, Fixed
from .journal.journal import Journal, WentBack
from .journal.lease import Cancelled, JobDone, cancelled, claimed
from .journal.lease_holder import here
from .journal.stitched import check_free
from .ladder.climber import Climber
from .ladder.opening import open_others
from .meter import Meter
from .plan import Unsupported, open_for, plan_with
from .redis.open import open_redis
from .redis.persistence import forgetful
from .report import Question, Report, Stall
from .reporting import read_report, shown
from .rungs import Ladder
from .server_counts import ServerCounts
from .settings import USUAL, Settings
from .task_of_job import task_again

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)

CHECKPOINTS_KEPT = 2
CANDIDATES = 20
"""Answers that a person is asked to choose from."""
LONGEST_CHOICE = 200
"""Characters of an answer that is typed as it is to choose it."""
ENDS = 3
"""How often a job is brought to its end before a Redis that has lost it every time is not trusted any more."""


@checked
async def run(
    task: Task[S, A],
    settings: Settings = USUAL,
    *,
    model: str | Model = "pebble",
    redis: str | Redis | None = None,
    job: str | None = None,
    speculate: Speculation | None = None,
    budget: Budget | None = None,
    options: Options | None = None,
    on_event: Listen | None = None,
) -> Report:
    """Do a job, one voted step at a time, and return its report.

    `model`: `pebble` (embedded), the URL of an OpenAI-compatible server, or a `Model`.
    `redis`: a URL or a client; None starts the embedded one.
    `job`: a name of your own; a job of that name is taken up where it stands, with the settings it was started with.
    `speculate`: ask ahead, on the leading ballot or on a draft; it changes when samples are drawn and no decision.
    `budget`: steps, tokens, money or time after which the run stops in order; its report has the status `stopped` and says why.
    `options`: how a model server is asked, if `model` is one's address; what its callbacks would be told goes to `on_event`.

    Raises `Unsupported` if the calibration does not support the reliability, `Stalled` if a step cannot be decided,
    `ModelUnavailable` and others of `SurefootError`; in each case what is decided is safe, and running or resuming the same
    job goes on from there.
    """
    if job is not None:
        jobs.check_name(job)
    given, task = task, guarded(task)
    check_known(model, given)
    name = job or jobs.new_id(task.name)
    create = _creation(name, given, task)
    async with (
        Emitter(on_event) as emitter,
        open_redis(redis, emitter.emit) as store,
        claimed(store, name) as holder,
        _work(store, name, given, model, speculate, budget, options, emitter) as work,
    ):
        if holder is not None:
            await check_free(store, name)
            async with open_others(settings.ladder, work.open_other):
                pass  # they answer: else nothing is begun
            await create(store, fixed=await work.fixed(settings))
        else:
            await work.note_other_settings(settings)
        return await work.go(holder=holder, ladder=settings.ladder)


@checked
async def resume(
    job: str,
    *,
    task: Task[Any, Any] | type[Task[Any, Any]] | None = None,
    model: str | Model | None = None,
    redis: str | Redis | None = None,
    limit: int | None = None,
    ladder: Ladder | None = None,
    again: bool = False,
    speculate: Speculation | None = None,
    budget: Budget | None = None,
    options: Options | None = None,
    on_event: Listen | None = None,
) -> Report:
    """Take a job up where it stands; a finished one is only reported, a cancelled one is taken up only if `again`.

    `task` is needed for one that is neither part of surefoot nor an installed package's (entry points `surefoot.tasks`): the task, or
    its class, which is then made with the arguments that the journal has.  `model` is needed if the job was started with a
    `Model` object or is to go on with another one, and if there was a key in its address's query: no journal keeps it.  `limit`
    overrides the samples that one step may use.  `ladder` is the job's own once more, needed if a `Model` object, or an address with a key, is
    among its rungs.  `speculate` is each runner's own choice, since it changes no decision, and so is
    `budget`.
    """
    if model is not None:
        check_model(model)
    if limit is not None:
        Settings(limit=limit)  # refuses what cannot be
    async with Emitter(on_event) as emitter, open_redis(redis, emitter.emit) as store:
        found = await jobs.load(store, job)
        given = task_again(found, task)
        if found.status == "done":
            emitter.report = await read_report(store, job, guarded(given))
            return emitter.report
        if found.status == "cancelled" and not again:
            raise Cancelled(cancelled(job))
        if ladder is not None and ladder.kept() != found.settings.ladder:
            raise BadInput(
                f"job {job!r} keeps the ladder that it was started with: {found.settings.ladder!r}"
            )
        model = model or address_again(job, found.models[-1])
        check_known(model, given)
        async with _work(store, job, given, model, speculate, budget, options, emitter) as work:
            return await work.go(limit=limit, ladder=ladder, again=again)


async def take_up(
    redis: Redis,
    job: str,
    task: Task[S, A],
    model: Model,
    address: str,
    *,
    again: bool = False,
    speculate: Speculation | None = None,
    budget: Budget | None = None,
    options: Options | None = None,
    on_event: Listen | None = None,
) -> Report:
    """Take a job up as `resume` does, with a Redis and a model that are open already: a worker does so with one after another.

    The journal names the model by its `address`, and counts the steps as those of this process.  Raises `JobHeld`, and what `run` raises.
    """
    async with (
        Emitter(on_event) as emitter,
        _work(redis, job, task, model, speculate, budget, options, emitter) as work,
    ):
        return await replace(work, address=address, worker=here()).go(again=again)


async def fixed_for(
    redis: Redis,
    job: str,
    task: Task[S, A],
    settings: Settings,
    model: Model,
    address: str,
    budget: Budget | None,
    listen: Listen,
) -> Fixed:
    """Find out what a new job is fixed with, as `run` does, before it is written down."""
    work = _Work(redis, job, guarded(task), model, address, None, budget, Emitter(listen))
    return await work.fixed(settings)


def address_again(job: str, kept: str) -> str:
    """Return the address of a job's model; `BadInput` if it had none, or a key in it, which the journal does not keep."""
    if not is_address(kept):
        raise BadInput(
            f"job {job!r} was started with {printable(kept)!r}, a model made in Python: give an address (--model URL), or "
            "the model itself from Python, `resume(job, task=..., model=...)`"
        )
    if HIDDEN in kept:
        raise BadInput(
            f"job {job!r} was started with the model at {printable(kept)!r}, and keys are not kept: give its address once more, "
            f"with the key, as `model` (--model)"
        )
    return kept


def _creation(name: str, given: Task[S, A], task: Task[S, A]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Return what writes a new job down; what the task says of itself is found out now, before anything is spent."""
    return partial(
        jobs.create,
        job=name,
        task=task.name,
        spec=task.spec(),
        start=written(task.state_codec, task.start()),
        code=address_of(given),
        steps=task.steps(),
    )


@dataclass
class _Work(Generic[S, A]):
    """One runner's work on one job."""

    redis: Redis
    job: str
    task: Guarded[S, A]
    model: Model
    address: str
    """How the journal names the model."""
    speculation: Speculation | None
    budget: Budget | None
    emitter: Emitter
    options: Options | None = None
    """Those of the model, if it is an address; a ladder's models have the same patience."""
    worker: str = ""
    """As whose the journal counts the steps; "" where nobody asks."""

    async def fixed(self, settings: Settings) -> Fixed:
        """Find out what a new job is fixed with, by a calibration unless k is given."""
        for sentence in await forgetful(self.redis):
            self.emitter.emit(Noted(sentence=sentence))
        sampling = sampling_for(self.task, settings.sampling)
        if settings.k is not None:
            if settings.rule == "budget":
                raise BadInput(
                    f"a risk budget finds its own leads, by calibration: leave out k = {settings.k}"
                )
            fixed = Fixed(settings, self.address)
        else:
            fixed = await self._calibrated(settings)
        return fixed._replace(
            settings=replace(fixed.settings, sampling=sampling), reuses=isinstance(self.task, Reuses)
        )

    async def _calibrated(self, settings: Settings) -> Fixed:
        """Return the k, or the budget, that supports the reliability, and what it was chosen by."""
        began = time.monotonic()
        listen = self.emitter.emit
        planned = await plan_with(self.task, self.model, settings, None, listen, self.budget)
        found = planned.calibration
        rule = planned.rule
        if rule is None:
            raise Unsupported(planned.why)
        if isinstance(rule, RiskBudget):
            jobs.check_limit(rule, settings.limit)
        listen(Noted(sentence=planned.why))
        budget, k = (rule, rule.least) if isinstance(rule, RiskBudget) else (None, rule.k)
        shown = tuple(hard.shown() for hard in found.hard_states)
        calibrated = Calibrated(
            error=found.bound,
            risk=planned.risk,
            calibration=(found.samples, found.usage.known("total"), round(time.monotonic() - began, 3)),
            hard=None
            if found.worst_bound is not None  # no step is left out of the risk
            else (found.judged, found.hard, found.hard_bound, found.known_answers, shown),
        )
        return Fixed(replace(settings, k=k), self.address, calibrated, budget, planned.risk_bound)

    async def note_other_settings(self, wanted: Settings) -> None:
        """Say which settings of an existing job are others than those that are wanted now."""
        found = (await jobs.load(self.redis, self.job)).settings
        wanted = replace(
            wanted,
            sampling=sampling_for(self.task, wanted.sampling),
            ladder=wanted.ladder and wanted.ladder.kept(),
        )
        usual = replace(USUAL, sampling=sampling_for(self.task))
        others = [
            f"{name} = {getattr(found, name)!r}, not {getattr(wanted, name)!r}"
            for name in (field.name for field in fields(Settings))
            if getattr(wanted, name) not in (getattr(usual, name), getattr(found, name))
        ]
        if others:
            self.emitter.emit(
                Noted(sentence=f"job {self.job!r} keeps what it was started with: {'; '.join(others)}")
            )

    async def go(
        self,
        *,
        limit: int | None = None,
        ladder: Ladder | None = None,
        holder: str | None = None,
        again: bool = False,
    ) -> Report:
        """Take the job from where it stands to its end, and return its report."""
        found = await jobs.load(self.redis, self.job)
        _check_task(self.task, found)
        settings = found.settings if limit is None else replace(found.settings, limit=limit)
        jobs.check_limit(found.budget, settings.limit)
        if ladder is not None and settings.ladder == ladder.kept():
            settings = replace(settings, ladder=ladder)  # the same, and it has the models themselves
        emitter = self.emitter
        try:
            async with await Journal.acquire(
                self.redis, self.job, holder=holder, again=again, listen=emitter.emit
            ) as journal:
                journal.worker = self.worker
                journal.asked = ServerCounts(self.model)
                await _taken(journal, self.address)
                emitter.job = self.job
                emitter.emit(_began(journal.job, self.task, self.model))
                async with open_others(settings.ladder, self.open_other) as others:
                    climber: Climber[S, A] | None = None
                    if settings.ladder is not None:
                        climber = Climber(settings.ladder, others, journal)
                    with _metered(self.budget, journal.job) as meter:
                        runner = Runner(
                            self.task, self.model, journal, settings, self.speculation, meter, climber
                        )
                        saver = RedisSaver(self.redis, keep=CHECKPOINTS_KEPT)
                        await _to_the_end(runner, journal, self.task, saver)
        except JobDone:
            pass
        emitter.report = await read_report(self.redis, self.job, self.task)
        return emitter.report

    def open_other(self, model: str | Model) -> AbstractAsyncContextManager[Model]:
        """Open another model that a ladder names: with the patience of the job's own, and without its key."""
        return open_for(self.task, model, self.options and keyless(self.options), self.emitter.emit)


@asynccontextmanager
async def _work(
    redis: Redis,
    job: str,
    given: Task[S, A],
    model: str | Model,
    speculate: Speculation | None,
    budget: Budget | None,
    options: Options | None,
    emitter: Emitter,
) -> AsyncIterator[_Work[S, A]]:
    """Open who is asked, for as long as the work on a job goes on."""
    task = guarded(given)
    async with (
        open_for(given, model, options, emitter.emit) as opened,
        open_draft(speculate, given, opened) as speculation,
    ):
        address = as_kept(model) if isinstance(model, str) else opened.name
        if isinstance(task, Fits) and (context := await context_of(opened)):
            task.fit(context)
        yield _Work(redis, job, task, opened, address, speculation, budget, emitter, options)


async def _taken(journal: Journal, address: str) -> None:
    """Write down who is asked from here on, and that the job is paused no more."""
    calibrated, *_ = journal.job.models
    if journal.job.calibrated is not None and address != calibrated:
        journal.listen(
            Noted(
                sentence=f"job {journal.job.id!r} was calibrated with {calibrated}, and {address} answers now: "
                "the predicted risk holds only if that errs no more often"
            )
        )
    if address != journal.job.models[-1]:
        await journal.settle("running", models=to_json([*journal.job.models, address]).decode())
    if journal.job.paused or journal.job.bound:
        await journal.settle("running", paused="", bound="")


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
        # No step has it, and it was paid for.
        journal.also.update(stall.cost())
        if stall.candidates:
            await _ask(journal, _which(task, stall, journal.head))
            return
        where = _stall(task, stall)
        await journal.settle("stalled", stall=to_json(where.model_dump()).decode())
        journal.listen(
            Undecided(
                step=where.step, tally=where.tally, flags=where.red_flags, examples=tuple(where.examples)
            )
        )
        raise
    except DecisionNeeded as needed:
        asked = Question(
            id=f"{journal.step}-{journal.head[:12]}",
            step=journal.step,
            question=needed.question,
            choices=list(needed.choices),
        )
        await _ask(journal, asked)
    except AuditFailed as failure:
        await journal.settle("failed", paused=failure.sentence)
        raise
    except Paused as pause:
        await journal.commit()
        journal.also.update(pause.usage._asdict())
        await journal.settle("stopped", paused=pause.sentence, bound=pause.bound)
    else:
        if task.solved(state):
            await journal.settle("done")
        else:
            why = (
                "`solved` says no"
                if task.finished(state)
                else "all that `steps` says, and `finished` says no"
            )
            await journal.settle("failed", paused=f"after {journal.step:,} steps, {why}")


async def _ask(journal: Journal, asked: Question) -> None:
    """Write down what a person has to decide before the job can go on."""
    await journal.settle("asking", question=asked.model_dump_json())
    journal.listen(Asking(step=asked.step, question=asked.question, choices=tuple(asked.choices)))


def _which(task: Task[S, A], stall: StepStalled, head: str) -> Question:
    """Ask which candidate of a step is right, the one with the most votes first; long ones are chosen by their number."""
    ranked = sorted(stall.candidates, key=lambda each: -each[1])[:CANDIDATES]
    words = [shown(task, answer) for answer, _ in ranked]
    if max(map(len, words)) > LONGEST_CHOICE:
        choices = [str(number) for number in range(1, len(words) + 1)]
        said = [f"{number}: {cut(word)}" for number, word in zip(choices, words, strict=True)]
    else:
        choices = said = words
    listed = ", ".join(f"{each} ({votes} votes)" for each, (_, votes) in zip(said, ranked, strict=True))
    return Question.model_validate(
        {
            "id": f"{stall.step}-{head[:12]}",
            "step": stall.step,
            "question": f"no rung of the ladder decides step {stall.step}; which answer is right: {listed}?",
            "choices": choices,
            "candidates": ranked,
        }
    )


@contextmanager
def _metered(budget: Budget | None, job: jobs.Job) -> Iterator[Meter | None]:
    """Yield who watches over a run's budget; the calibration counts, as far as the journal has it."""
    if budget is None:
        yield None
        return
    samples, tokens, calibrating_s = (job.calibrated and job.calibrated.calibration) or (0, 0, 0)
    meter = Meter(
        budget,
        step=job.step,
        spent=job.usage,
        ahead=Counts.of(job.counters).ahead,
        before=Usage(uncounted=samples) if tokens is None else Usage(prompt=tokens),
        wall_s=max(0, time.time() - job.created) + calibrating_s,
        working_s=job.wall_s + calibrating_s,
    )
    try:
        yield meter
    finally:
        meter.close()


def _began(job: jobs.Job, task: Task[Any, Any], model: Model) -> Began:
    """Return where the job stands, so that who listens can show the job and not only this runner."""
    return Began(
        job=job.id,
        task=job.task,
        step=job.step,
        steps=task.steps(),
        k=job.k,
        counts=Counts.of(job.counters),
        repairs=job.counters.get("repairs", 0),
        risk=job.risk,
        error_bound=job.calibrated and job.calibrated.error,
        model=model.name,
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
    if job.reuses and not isinstance(task, Reuses):
        raise BadInput(
            f"job {job.id!r} takes the verdicts of steps that asked the same, and task {task.name!r} has no `reusable` any more: "
            "give it back, or use another job name"
        )
    spec, begun = jobs.as_stored(task.spec()), jobs.as_stored(job.spec)
    own = (task.name, spec, jobs.as_stored(written(task.state_codec, task.start())))
    if own != (job.task, begun, job.start.state):
        names = sorted({*spec, *begun})
        others = [
            name for name in names if (name in spec, spec.get(name)) != (name in begun, begun.get(name))
        ]
        if task.name == job.task and not others:
            raise BadInput(
                f"job {job.id!r} began at another state than task {task.name!r} of the same arguments gives now: it has to give the same "
                f"whenever it is asked; use another job name, or the task as it was"
            )
        if task.name != job.task:
            others = names
        raise BadInput(
            f"job {job.id!r} was started as {job.task} with {_arguments(begun, others)}, "
            f"not as {task.name} with {_arguments(spec, others)}: use another job name, or the same task"
        )


def _arguments(spec: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return some of a task's arguments, long ones cut: a problem may be a book, and a picture is megabytes."""
    return ", ".join(f"{cut(name)}={said(spec[name])}" for name in names if name in spec) or "nothing of that"
