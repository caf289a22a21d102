"""The rows of each table, read from the journal: one segment, one turn or one step's samples in memory at a time."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from redis.asyncio import Redis

from surefoot.agents.agent.state import ANSWERS, Allowed, DecidedCalls, Seen, Summary
from surefoot.agents.tasks.codec import read_back
from surefoot.agents.tasks.optional import Guesses
from surefoot.agents.tasks.plain_values import canonical
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput
from surefoot.models.base import Prompt
from surefoot.orchestration.journal import stitched
from surefoot.orchestration.journal.jobs import Job, Keys, UnreadableJob, listed, load
from surefoot.orchestration.journal.records import CorruptJournal, frozen
from surefoot.orchestration.journal.segments import kept
from surefoot.orchestration.journal.snapshots import reading, text, whole_number
from surefoot.orchestration.record import Record
from surefoot.orchestration.report import Report
from surefoot.orchestration.reporting import answer_line, read_report, records
from surefoot.orchestration.task_of_job import AGENTS, task_known
from surefoot.orchestration.workers.stitched import read_stitched
from surefoot.printable import printable
from surefoot.voting.flags import NotAnAnswer
from surefoot.voting.samples import Usage

from .rows import (
    CandidateVotes,
    ExportedCall,
    ExportedExample,
    ExportedMessage,
    ExportedResult,
    ExportedRung,
    ExportedSample,
    ExportedStep,
    ExportedTurn,
    FlagCount,
)


class JobPart(NamedTuple):
    """A job in one piece, or a part of a stitched one."""

    whole: str
    """The name under which it is exported."""
    part: int | None
    first: int
    """Its first step, counted over the whole."""
    job: Job


async def pieces(redis: Redis, job: str) -> list[JobPart]:
    """Return a job, or those parts of a stitched one that were begun; `CorruptJournal` if one of these cannot be read."""
    whole = await stitched.find(redis, job)
    if whole is None:
        return [JobPart(job, None, 0, await load(redis, job))]
    found = []
    for part, each in enumerate(await listed(redis, whole.names)):
        if isinstance(each, UnreadableJob):
            raise CorruptJournal(each.why)
        if isinstance(each, Job):
            found.append(JobPart(job, part, whole.first(part), each))
    return found


async def steps(redis: Redis, piece: JobPart, words: Task[Any, Any] | None) -> AsyncIterator[ExportedStep]:
    """Read the decided steps; `words` is the task that writes answers for a person, if it is known."""
    async for record in records(redis, piece.job):
        yield step_row(piece, record, words)


def step_row(piece: JobPart, record: Record, words: Task[Any, Any] | None) -> ExportedStep:
    """Return a decided step as a row."""
    against = record.against
    elected = bool(record.votes or record.others)
    votes = ((record.answer, record.votes), *record.others) if elected else ()
    return ExportedStep(
        job=piece.whole,
        part=piece.part,
        step=piece.first + record.step,
        segment=record.step // piece.job.settings.segment,
        answer=canonical(record.answer).decode(),
        shown=printable(answer_line(words, record.answer)),
        votes=record.votes,
        against=against,
        margin=record.votes - max([count for _, count in record.others], default=0),
        tally=_tally(votes),
        flags=_flags(record.flags),
        samples=record.votes + against + sum(record.flags.values()),
        rungs=[
            ExportedRung(rung=rung, samples=taken, tally=_tally(found)) for rung, taken, found in record.rungs
        ],
        reused=None if record.reused is None else piece.first + record.reused,
        **_tokens(record.usage),
    )


def _tally(votes: Iterable[tuple[Any, int]]) -> list[CandidateVotes]:
    return [CandidateVotes(answer=canonical(answer).decode(), votes=count) for answer, count in votes]


def _flags(flags: Mapping[str, int]) -> list[FlagCount]:
    return [FlagCount(reason=reason, samples=count) for reason, count in flags.items()]


def _tokens(usage: Usage) -> dict[str, Any]:
    names = ("prompt", "cached", "completion", "reasoning")
    return {f"{name}_tokens": usage.known(name) for name in names} | {"uncounted": usage.uncounted}


async def turns(redis: Redis, job: Job) -> AsyncIterator[ExportedTurn]:
    """Read the turns of an agent's run; `BadInput` for another job."""
    if job.task not in AGENTS:
        raise BadInput(f"job {job.id!r} is of task {job.task!r} and no agent's: it has steps and no turns")
    current: ExportedTurn | None = None
    summary: str | None = None
    allowed: bool | None = None
    number = 0
    async for record in records(redis, job):
        match read_back(ANSWERS, record.answer):
            case DecidedCalls() as decided:
                if current is not None:
                    yield current
                number += 1
                current = _turn(job.id, number, record, decided, summary)
                summary = None
            case Allowed(yes=allowed):
                pass
            case Seen() as seen if current is not None:
                current, allowed = _with_seen(current, seen, allowed), None
            case Summary(text=summary):
                pass
    if current is not None:
        yield current


def _turn(job: str, number: int, record: Record, decided: DecidedCalls, summary: str | None) -> ExportedTurn:
    unanswered = {"allowed": None, "outcome": None, "observation": None, "code": None}
    return ExportedTurn(
        job=job,
        turn=number,
        step=record.step,
        prose=decided.prose,
        calls=[
            ExportedCall(tool=call.name, arguments=call.arguments, **unanswered) for call in decided.calls
        ],
        summary=summary,
        votes=record.votes,
        against=record.against,
        flags=_flags(record.flags),
        **_tokens(record.usage),
    )


def _with_seen(turn: ExportedTurn, seen: Seen, allowed: bool | None) -> ExportedTurn:
    """Return the turn with the answer to its next call."""
    place = sum(call.outcome is not None for call in turn.calls)
    calls = list(turn.calls)
    calls[place] = replace(
        calls[place], allowed=allowed, outcome=seen.outcome, observation=seen.text, code=seen.code
    )
    return replace(turn, calls=calls)


async def samples(redis: Redis, piece: JobPart) -> AsyncGenerator[ExportedSample, None]:
    """Read the raw samples that were kept, step by step."""
    with reading(f"job {piece.job.id!r}: the list of steps whose samples were kept"):
        found = await redis.hkeys(Keys(piece.job.id).kept)
        known = sorted(whole_number(text(step)) for step in found)
    for step in known:
        if step >= piece.job.step:
            break  # decided since the job was read, or taken back
        for entry in await kept(redis, piece.job, step) or ():
            yield _sample(piece, step, entry)


async def examples(redis: Redis, piece: JobPart, task: Task[Any, Any]) -> AsyncIterator[ExportedExample]:
    """Ask again what was asked at each step that an election decided, in each view, and write its answer as a model would.

    Raises `BadInput` for prompts with pictures, and for a task that reads none of its answers from what it writes.
    """
    state = read_back(task.state_codec, piece.job.start.state)
    async for record in records(redis, piece.job):
        answer = read_back(task.answer_codec, record.answer)
        after = task.advance(state, answer)
        if record.votes or record.others:
            written = [
                (view, text)
                for view in range(task.views)
                if (text := _as_written(task, state, after, answer, view)) is not None
            ]
            if not written:
                raise BadInput(
                    f"task {task.name!r} does not read the answer to step {piece.first + record.step} from what its `show` writes: give it a `guess`"
                )
            for view, text in written:
                yield ExportedExample(
                    job=piece.whole,
                    part=piece.part,
                    step=piece.first + record.step,
                    view=view,
                    prompt=_messages(task.ask(state, view)),
                    answer=text,
                )
        state = after


def _as_written(task: Task[Any, Any], state: Any, after: Any, answer: Any, view: int) -> str | None:
    """Return a text from which the task reads this answer; None if neither its guess nor what it shows is one."""
    guess = task.guess(state, after, view) if isinstance(task, Guesses) else None
    for written in (guess, task.show(answer)):
        if written is not None:
            with suppress(NotAnAnswer):
                if task.read(written, state, view) == answer:
                    return written
    return None


def _messages(prompt: Prompt) -> list[ExportedMessage]:
    if isinstance(prompt, str):
        return [ExportedMessage(role="", content=prompt)]
    if any(message.pictures for message in prompt):
        raise BadInput("examples are texts: this job's prompts have pictures")
    return [ExportedMessage(role=message.role, content=message.content) for message in prompt]


def _sample(piece: JobPart, step: int, entry: Mapping[str, Any]) -> ExportedSample:
    flag = entry.get("flag")
    return ExportedSample(
        job=piece.whole,
        part=piece.part,
        step=piece.first + step,
        number=entry["number"],
        text=entry["text"],
        finish=entry["finish"],
        ballot=None if flag is not None else canonical(frozen(entry.get("ballot"))).decode(),
        flag=None if flag is None else str(flag),
        detail=None if flag is None else str(entry.get("detail")),
    )


async def result_of(redis: Redis, job: str) -> ExportedResult:
    """Read the report of a job, in one piece or stitched, as a row."""
    whole = await stitched.find(redis, job)
    if whole is not None:
        stands = await read_stitched(redis, job)
        return _result(stands, whole.parts, whole.created, whole.created + stands.elapsed_s)
    known = await load(redis, job)
    return _result(await read_report(redis, job, task_known(known)), None, known.created, known.updated)


def _result(report: Report, parts: int | None, created: float, updated: float) -> ExportedResult:
    """Return a report as one row."""
    tokens = report.tokens
    return ExportedResult(
        job=report.job,
        task=report.task,
        spec=canonical(report.spec).decode(),
        models=report.models,
        status=report.status,
        solved=report.solved,
        parts=parts,
        steps=report.steps,
        steps_expected=report.steps_expected,
        rule=report.rule,
        k=report.k,
        reliability=report.reliability,
        risk=report.risk,
        risk_bound=report.risk_bound,
        drift=report.drift,
        votes=report.votes,
        samples=report.samples,
        reused=report.reused,
        contested=report.contested,
        flags=_flags(report.red_flags),
        repairs=report.repairs,
        dissent_rate=report.dissent_rate,
        dissent_bound=report.dissent_bound,
        prompt_tokens=tokens.prompt,
        cached_tokens=tokens.cached,
        completion_tokens=tokens.completion,
        reasoning_tokens=tokens.reasoning,
        uncounted=tokens.uncounted,
        wall_s=report.wall_s,
        created=created,
        updated=updated,
        head=report.head,
    )
