"""The report of a job, derived from its journal alone."""

from collections.abc import AsyncIterator, Hashable, Mapping
from typing import Any, TypeVar

from redis.asyncio import Redis

from surefoot.agents.tasks.codec import read_back
from surefoot.agents.tasks.plain_values import canonical
from surefoot.agents.tasks.task import Task
from surefoot.printable import printable
from surefoot.tools.pictures.picture import without_bytes
from surefoot.voting.choice import about_hard_steps
from surefoot.voting.drift import ALARM, drift_evidence
from surefoot.voting.reliability import dissent_bound, dissent_risk
from surefoot.voting.risk_budget import UNMET
from surefoot.voting.samples import Usage

from .journal.fixed import Calibrated
from .journal.jobs import Job, Keys, load
from .journal.records import CorruptJournal, verified
from .journal.segments import climbed, contested, frames, segment_records, snapshot
from .journal.snapshots import reading, text
from .record import Record
from .report import Ahead, Contest, Hard, KindOfStep, Question, Report, RungUse, Spent, Stall, Tokens

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)

CONTESTED_SHOWN = 20
RUNGS_READ = 50
"""Steps that have climbed that are looked at for the first few of each rung."""
STEPS_OF_A_RUNG = 5


async def read_report(redis: Redis, job_id: str, task: Task[S, A] | None) -> Report:
    """Read the report of a job; without its `task` the answers are shown as the journal has them.

    Counters are taken as they stand.  The latest steps of a job that is not running are read back, and `CorruptJournal` is raised
    if they do not lead to the head and the sealed end that the job is said to have; `records` reads all of them.
    """
    job = await load(redis, job_id)
    fields = told(job, job.steps if task is None else task.steps())
    return Report(
        **{**fields, "rungs": await _with_steps(redis, job, fields["rungs"])},
        steps_read_back=await _read_back(redis, job),
        contested_steps=await contests(redis, job, task, CONTESTED_SHOWN),
        stall=await _stall(redis, job),
        question=None if (asked := await question_of(redis, job)) is None else asked.model_dump(),
    )


def told(job: Job, steps: int | None) -> dict[str, Any]:
    """Return the fields of a report that a job's description and its counters tell; `steps` are those that it should take."""
    count = job.counters
    votes, dissent = count.get("votes", 0), count.get("dissent", 0)
    return {
        "job": job.id,
        "task": job.task,
        "spec": without_bytes(dict(job.spec)),
        "models": list(job.models),
        "status": job.status,
        "solved": job.status == "done",
        "steps": job.step,
        "steps_expected": steps,
        "votes": votes,
        "samples": votes + sum(job.flags.values()),
        "reused": count.get("reused", 0),
        "red_flags": job.flags,
        "contested": count.get("contested", 0),
        "repairs": count.get("repairs", 0),
        "k": job.k,
        "reliability": job.reliability,
        "risk": job.risk,
        "risk_bound": job.risk_bound,
        "rule": job.settings.rule,
        "kinds": _kinds(job),
        "drift": drift(job.calibrated, count),
        "hard": _hard(job, steps),
        "dissent_rate": dissent / votes if votes else 0.0,
        "dissent_bound": dissent_bound(dissent, votes, job.k),
        "risk_measured": None
        if job.budget is not None  # steps have leads of their own, and k is only the smallest
        else dissent_risk(dissent, votes, job.k, steps or max(1, job.step)),
        "tokens": Tokens.model_validate(job.usage.known_all()),
        "rungs": _rungs(job),
        "speculation": _ahead(job, votes + sum(job.flags.values())),
        "wall_s": round(job.wall_s, 3),
        "calibration": _spent(job),
        "head": job.head,
        "stopped": job.paused or None if job.status in ("stopped", "failed") else None,
        "bound": job.bound if job.bound and job.status == "stopped" else None,
    }


def drift(calibrated: Calibrated | None, count: Mapping[str, int]) -> str | None:
    """Say that a job with these counters is not as it was calibrated, if its contested steps are evidence of that."""
    votes, contested_steps = count.get("votes", 0), count.get("contested", 0)
    if calibrated is None or drift_evidence(contested_steps, votes, calibrated.error) < ALARM:
        return None
    return (
        f"The run is not as it was calibrated: ballots differed on {contested_steps:,} steps in {votes:,} votes, where no more than "
        f"{calibrated.error * votes:.3g} such steps were to be expected. The predicted risk does not hold: look at the server, or calibrate a new job."
    )


def _kinds(job: Job) -> list[KindOfStep]:
    if job.budget is None:
        return []
    known = {name: name for name in job.budget.kinds} | {UNMET: None}
    found = []
    for name, shown_as in known.items():
        votes, dissent = (job.counters.get(f"kind:{name}:{what}", 0) for what in ("votes", "dissent"))
        each = job.budget.kinds.get(name)
        if votes or each is not None:
            found.append(
                KindOfStep(
                    kind=shown_as,
                    votes=votes,
                    dissent_rate=dissent / votes if votes else 0.0,
                    dissent_predicted=None if each is None else each.error,
                    leads=[] if each is None else [list(each.low.leads), list(each.high.leads)],
                    share=None if each is None else each.share,
                )
            )
    return found


async def contests(
    redis: Redis, job: Job, task: Task[S, A] | None, count: int, first: int = 0
) -> list[Contest]:
    """Return the first contested steps of a job, no more than `count`; its steps are numbered from `first` on."""
    return [_contest(task, record, first) for record in await contested(redis, job, count)]


async def records(redis: Redis, job: Job) -> AsyncIterator[Record]:
    """Read all records of a job in order, one segment in memory at a time.

    Raises `CorruptJournal` where one is damaged, missing, or does not continue the hash chain.
    """
    step, head = job.start.step, job.start.head
    for segment in range(-(-job.step // job.settings.segment)):
        where = f"job {job.id!r}, segment {segment}"
        for frame, part in verified(await frames(redis, job, segment), head, step, where):
            for record in part:
                yield record
            step, head = step + frame.steps, frame.after
            if step == job.step:
                break  # what follows was decided since the job was read
    if (step, head) != (job.step, job.head):
        raise CorruptJournal(f"job {job.id!r}: {job.step} steps are decided, the records end at step {step}")


async def state_reached(redis: Redis, job: Job, task: Task[S, A]) -> S:
    """Return the state that a job's records lead to; only the last segments are read."""
    return await state_before(redis, job, task, job.step)


async def state_before(redis: Redis, job: Job, task: Task[S, A], step: int) -> S:
    """Return the state in which a step was asked about, one that is decided or the next one; only its segment is read."""
    whole = min(job.sealed, step // job.settings.segment)
    begin = await snapshot(redis, job, whole - 1)
    state: S = read_back(task.state_codec, begin.state)
    for segment in range(whole, -(-step // job.settings.segment)):
        for record in await segment_records(redis, job, segment):
            if record.step == step:
                break
            state = task.advance(state, read_back(task.answer_codec, record.answer))
    return state


async def _read_back(redis: Redis, job: Job) -> int:
    """Read the last sealed segment and what comes after it, and return how many steps that are."""
    if job.holder is not None:
        return 0  # they change while they are read
    first = max(0, job.sealed - 1)
    begin = await snapshot(redis, job, first - 1)
    step, head = begin.step, begin.head
    for segment in range(first, -(-job.step // job.settings.segment)):
        found = await frames(redis, job, segment)
        for frame, _ in verified(found, head, step, f"job {job.id!r}, segment {segment}"):
            step, head = step + frame.steps, frame.after
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


def _rungs(job: Job) -> list[RungUse]:
    """Return what the counters have of each rung."""
    ladder, count = job.settings.ladder, job.counters
    return [
        RungUse(
            rung=spelled,
            climbed=count.get(f"rung:{name}:climbed", 0),
            decided=count.get(f"rung:{name}:decided", 0),
            samples=count.get(f"rung:{name}:samples", 0),
            steps=[],
        )
        for name, spelled in (zip(ladder.names, ladder.spelled, strict=True) if ladder else ())
    ]


async def _with_steps(redis: Redis, job: Job, rungs: list[RungUse]) -> list[RungUse]:
    """Name the first few steps that each rung has decided, as far as they are among the first that climbed."""
    ladder = job.settings.ladder
    if ladder is None or not any(use.decided for use in rungs):
        return rungs
    decided = [(entry.rungs[-1].rung, entry.step) for entry in await climbed(redis, job, RUNGS_READ)]
    return [
        use.model_copy(update={"steps": [step for rung, step in decided if rung == name][:STEPS_OF_A_RUNG]})
        for name, use in zip(ladder.names, rungs, strict=True)
    ]


async def question_of(redis: Redis, job: Job) -> Question | None:
    """Return what a job waits for a person to decide; None if it waits for nothing."""
    if job.status != "asking":
        return None
    with reading(f"job {job.id!r}: its question"):
        raw = await redis.hget(Keys(job.id).meta, "question")
        return None if raw is None else Question.model_validate_json(raw)


async def answered(redis: Redis, job: Job) -> bool:
    """Whether a job asks a person what has been answered, so that it can go on."""
    if job.status != "asking":
        return False
    with reading(f"job {job.id!r}: its question"):
        return text(await redis.hget(Keys(job.id).meta, "decided") or b"") == f"{job.step} {job.head}"


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
    if job.calibrated is None or job.calibrated.calibration is None:
        return None
    samples, tokens, seconds = job.calibrated.calibration
    return Spent(samples=samples, tokens=tokens, wall_s=seconds)


def _contest(task: Task[S, A] | None, record: Record, first: int) -> Contest:
    against = {shown(task, answer): votes for answer, votes in record.others}
    return Contest(
        step=first + record.step, winner=shown(task, record.answer), votes=record.votes, against=against
    )


def shown(task: Task[S, A] | None, plain: Any) -> str:
    """Write an answer of the journal for a person, but tell apart the candidates that a task shows alike."""
    canon = canonical(plain).decode()
    told = canon if task is None else answer_line(task, plain)
    return canon if told in (canon, plain) else f"{told} {canon}"


def answer_line(task: Task[S, A] | None, plain: Any) -> str:
    """Write an answer of the journal as a line of `--out`: in the task's words, or without its code as it stands there."""
    if task is not None:
        return task.show(read_back(task.answer_codec, plain))
    return printable(plain) if isinstance(plain, str) else canonical(plain).decode()


def _hard(job: Job, steps: int | None) -> Hard | None:
    if job.calibrated is None or job.calibrated.hard is None:
        return None
    judged, found, share, known, states = job.calibrated.hard
    most = None if steps is None else share * steps
    hardest = None if job.budget is None else job.settings.hardest
    why = about_hard_steps(found, judged, share, steps, known_answers=known, hardest=hardest)
    return Hard(judged=judged, found=found, share_bound=share, steps_bound=most, states=list(states), why=why)
