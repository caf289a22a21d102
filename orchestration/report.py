"""The report of a job, derived from its journal alone: what was decided, at what price, how sure."""

from collections.abc import AsyncIterator, Hashable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel
from redis.asyncio import Redis

from surefoot.agents.tasks.codec import read_back
from surefoot.agents.tasks.task import Task
from surefoot.printable import printable
from surefoot.voting.choice import about_hard_steps
from surefoot.voting.reliability import dissent_bound, dissent_risk
from surefoot.voting.samples import Usage

from .journal.jobs import Job, Keys, load
from .journal.records import CorruptJournal, Record, canonical, verified
from .journal.segments import contested, frames, snapshot
from .journal.snapshots import reading

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)

CONTESTED_SHOWN = 20


class Contest(BaseModel):
    """A step on which ballots differed."""

    step: int
    winner: str
    votes: int
    against: dict[str, int]
    """The losing candidates, written for a person, and their votes."""


class Tokens(BaseModel):
    """Tokens of all samples that went into the journal, withdrawn segments included; work lost in a crash is not known.

    None where the server said nothing; where it counted some samples only, the sums are those of the others.
    """

    prompt: int | None
    cached: int | None
    completion: int | None
    reasoning: int | None
    total: int | None
    uncounted: int = 0
    """Samples of which the server did not say what they cost, or not all of it."""


class Spent(BaseModel):
    """What the calibration took before the first step; not part of the job's own figures."""

    samples: int
    tokens: int | None
    """None if the server did not say."""
    wall_s: float


class Hard(BaseModel):
    """What the calibration met of hard states, whose most frequent answer is wrong, or which hardly have one."""

    judged: int
    """States with enough samples to tell."""
    found: int
    share_bound: float
    """Upper bound, at 95 % confidence, of the share of such states in the task."""
    steps_bound: float | None
    """So many steps of the job may be hard; None if nobody knows how long it is."""
    states: list[str]
    """A few of those found."""
    why: str
    """What the risk leaves out, in plain sentences."""


class Ahead(BaseModel):
    """What speculation did, over all runners that used it; the decisions are what they would have been without."""

    asked_ahead: int
    """Steps that were asked about before their turn."""
    accepted: int
    """Of these, the steps whose state was the right one."""
    acceptance: float
    """Share of right states among those whose predecessor's was right."""
    depth: float
    """Steps that were open ahead of a decision, on average."""
    wasted_samples: int
    wasted_tokens: int | None
    """Drawn for states that did not come true, not part of `tokens`; those of samples that were cut off are estimated.

    None where the server said nothing.
    """
    waste: float
    """Share of wasted samples among all."""
    draft_tokens: int | None
    """What a draft that asks a model has spent, as far as it knows; not part of `tokens` either.  None where its server said nothing."""
    uncounted: int = 0
    """Samples in vain or of the draft of which the server did not say what they cost, or not all of it."""


class Stall(BaseModel, extra="allow"):
    """Where a stalled job stands."""

    step: int
    tally: dict[str, int]
    red_flags: dict[str, int]
    examples: list[str]


class Report(BaseModel):
    """One job, at its end or wherever it stands."""

    job: str
    task: str
    spec: dict[str, Any]
    models: list[str]
    """Who was asked, in order; more than one if the job was resumed with another model."""
    status: str
    solved: bool
    """Whether the job is done and its result passed the task's own check, from outside the model."""
    steps: int
    steps_read_back: int
    """So many of them, the latest, were read for this report, and continue the hash chain to `head`; 0 while a job runs."""
    steps_expected: int | None
    votes: int
    samples: int
    red_flags: dict[str, int]
    contested: int
    """Steps on which ballots differed; like votes and red flags, those of segments decided again count twice."""
    contested_steps: list[Contest]
    """The first few of them."""
    repairs: int
    """Segments that failed their audit and were decided again with a larger k."""
    k: int
    reliability: float | None
    """What was asked for; None if k was given."""
    risk: float | None
    """Predicted chance of at least one wrong step if all are alike, from the bound of the calibration; None without one."""
    hard: Hard | None
    """Why steps may not be alike; None if k was given."""
    dissent_rate: float
    """Share of votes against the winner of their step."""
    dissent_bound: float | None
    """Upper bound, at 95 % confidence, of the error per vote that the dissent allows; None at k = 1, where no vote can dissent."""
    risk_measured: float | None
    """`risk` at the `dissent_bound`.  Mistakes that all ballots of a step share leave no dissent."""
    tokens: Tokens
    speculation: Ahead | None = None
    """None if nothing was asked ahead."""
    wall_s: float
    """Seconds of work over all runners, waits included, each from taking the job to its last commit."""
    calibration: Spent | None
    """None if k was given."""
    head: str
    """The hash chain's head: two runs that decided the same steps have the same."""
    stall: dict[str, Any] | None = None
    """Where a stalled job stands: step, tally, red flags and example samples."""
    stopped: str | None = None
    """Why the run stopped in order before the job was over: its budget.  Resuming goes on."""


async def report(redis: Redis, job_id: str, task: Task[S, A] | None) -> Report:
    """Read the report of a job; without its `task` the answers are shown as the journal has them.

    Counters are taken as they stand.  The latest steps of a job that nobody runs are read back, and `CorruptJournal` is raised
    if they do not lead to the head and the sealed end that the job is said to have; `records` reads all of them.
    """
    job = await load(redis, job_id)
    steps = job.steps if task is None else task.steps()
    count = job.counters
    votes, dissent = count.get("votes", 0), count.get("dissent", 0)
    return Report(
        job=job.id,
        task=job.task,
        spec=dict(job.spec),
        models=list(job.models),
        status=job.status,
        solved=job.status == "done",
        steps=job.step,
        steps_read_back=await _read_back(redis, job),
        steps_expected=steps,
        votes=votes,
        samples=votes + sum(job.flags.values()),
        red_flags=job.flags,
        contested=count.get("contested", 0),
        contested_steps=[_contest(task, record) for record in await contested(redis, job, CONTESTED_SHOWN)],
        repairs=count.get("repairs", 0),
        k=job.settings.k,
        reliability=job.settings.reliability,
        risk=job.settings.risk,
        hard=_hard(job, steps),
        dissent_rate=dissent / votes if votes else 0.0,
        dissent_bound=dissent_bound(dissent, votes, job.settings.k),
        risk_measured=dissent_risk(dissent, votes, job.settings.k, steps or max(1, job.step)),
        tokens=Tokens.model_validate(job.usage.known_all()),
        speculation=_ahead(job, votes + sum(job.flags.values())),
        wall_s=round(job.wall_s, 3),
        calibration=_spent(job),
        head=job.head,
        stall=await _stall(redis, job),
        stopped=job.paused or None if job.status == "stopped" else None,
    )


async def records(redis: Redis, job: Job) -> AsyncIterator[Record]:
    """Read all records of a job in order, one segment in memory at a time.

    Raises `CorruptJournal` where one is damaged, missing, or does not continue the hash chain.
    """
    step, head = job.start.step, job.start.head
    for segment in range(-(-job.step // job.settings.segment)):
        where = f"job {job.id!r}, segment {segment}"
        for frame, part in await frames(redis, job, segment):
            if step == job.step:
                break  # decided since the job was read
            for record in verified([(frame, part)], head, step, where):
                yield record
            step, head = step + frame.steps, frame.after
    if (step, head) != (job.step, job.head):
        raise CorruptJournal(f"job {job.id!r}: {job.step} steps are decided, the records end at step {step}")


async def _read_back(redis: Redis, job: Job) -> int:
    """Read the last sealed segment and what comes after it, and return how many steps that are."""
    if job.holder is not None:
        return 0  # they change while they are read
    first = max(0, job.sealed - 1)
    begin = await snapshot(redis, job, first - 1)
    step, head = begin.step, begin.head
    for segment in range(first, -(-job.step // job.settings.segment)):
        found = await frames(redis, job, segment)
        step += len(verified(found, head, step, f"job {job.id!r}, segment {segment}"))
        head = found[-1][0].after if found else head
        if segment < job.sealed and (step, head) != (await snapshot(redis, job, segment))[:2]:
            raise CorruptJournal(
                f"job {job.id!r}: the records of segment {segment} do not lead to its sealed end"
            )
    if (step, head) != (job.step, job.head):
        raise CorruptJournal(
            f"job {job.id!r}: {job.step} steps are said to be decided, the records end at step {step}"
            if step != job.step
            else f"job {job.id!r}: the records do not lead to its final hash {job.head}"
        )
    return step - begin.step


async def _stall(redis: Redis, job: Job) -> dict[str, Any] | None:
    if job.status != "stalled":
        return None
    with reading(f"job {job.id!r}: where it stalled"):
        raw = await redis.hget(Keys(job.id).meta, "stall")
        return None if raw is None else Stall.model_validate_json(raw).model_dump()


def _ahead(job: Job, samples: int) -> Ahead | None:
    count = job.counters
    if not count.get("ahead"):
        return None
    accepted, wasted = count.get("accepted", 0), count.get("wasted_samples", 0)
    return Ahead(
        asked_ahead=count["ahead"],
        accepted=accepted,
        acceptance=accepted / max(1, accepted + count.get("rejected", 0)),
        depth=round(count.get("depth", 0) / max(1, count.get("decisions", 0)), 2),
        wasted_samples=wasted,
        wasted_tokens=_known(count, "wasted"),
        waste=wasted / max(1, wasted + samples),
        draft_tokens=_known(count, "draft"),
        uncounted=count.get("wasted_uncounted", 0) + count.get("draft_uncounted", 0),
    )


def _known(count: Mapping[str, int], whose: str) -> int | None:
    tokens, uncounted = count.get(f"{whose}_tokens", 0), count.get(f"{whose}_uncounted", 0)
    return Usage(completion=tokens, uncounted=uncounted).known("total")


def _spent(job: Job) -> Spent | None:
    if job.settings.calibration is None:
        return None
    samples, tokens, seconds = job.settings.calibration
    return Spent(samples=samples, tokens=tokens, wall_s=seconds)


def _contest(task: Task[S, A] | None, record: Record) -> Contest:
    against = {shown(task, answer): votes for answer, votes in record.others}
    return Contest(step=record.step, winner=shown(task, record.answer), votes=record.votes, against=against)


def shown(task: Task[S, A] | None, plain: Any) -> str:
    """Write an answer of the journal for a person, but tell apart the candidates that a task shows alike."""
    canon = canonical(plain).decode()
    told = canon if task is None else line(task, plain)
    return canon if told == canon else f"{told} {canon}"


def line(task: Task[S, A] | None, plain: Any) -> str:
    """Write an answer of the journal as a line of `--out`: in the task's words, or without its code as it stands there."""
    if task is not None:
        return task.show(read_back(task.answer_codec, plain))
    return printable(plain) if isinstance(plain, str) else canonical(plain).decode()


def _hard(job: Job, steps: int | None) -> Hard | None:
    if job.settings.hard is None:
        return None
    judged, found, share, known, states = job.settings.hard
    most = None if steps is None else share * steps
    why = about_hard_steps(found, judged, share, steps, known_answers=known)
    return Hard(judged=judged, found=found, share_bound=share, steps_bound=most, states=list(states), why=why)
