"""Jobs that are there already: show one or its steps, answer what one asks, cancel one."""

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer
from pydantic_core import from_json
from redis.asyncio import Redis
from rich.console import Group

from surefoot.agents.planner.goal import Goal
from surefoot.agents.tasks.codec import Typed, written
from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.plain_values import canonical
from surefoot.errors import BadInput
from surefoot.orchestration import decision
from surefoot.orchestration.journal import jobs, segments, stitched
from surefoot.orchestration.report import Question, Report
from surefoot.orchestration.reporting import question_of, read_report, state_reached
from surefoot.orchestration.task_of_job import AGENTS, agent_again, task_again, task_known
from surefoot.orchestration.workers.stitched import StitchedReport, read_stitched

from . import common, display
from .answers import write
from .common import look_up
from .decomposition import AsMermaid, OutlineFile, WithAnswers, show_chart, write_outline
from .options import AsJson, JobId, Out, RedisUrl, TaskAddress
from .step import StepView
from .tasks import at_address
from .terminal import fail


def show(
    job: JobId,
    task: TaskAddress = None,
    step: Annotated[int | None, typer.Option(help="Show one step: verdict, tally, samples if kept.")] = None,
    state: Annotated[
        bool,
        typer.Option("--state", help="Show the state it has reached, the result once it is done, as JSON."),
    ] = False,
    mermaid: AsMermaid = False,
    outline: OutlineFile = None,
    answers: WithAnswers = False,
    out: Out = None,
    redis: RedisUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show a job's report, one of its steps, its state, or how its problem was made smaller."""
    asked = (state, mermaid, outline is not None, step is not None or out is not None)
    if sum(asked) > 1:
        alone = "--state, --mermaid and --outline are each given alone, without --step and --out"
        fail(alone, as_json, BadInput.exit_code)
    if answers and outline is None:
        fail("--answers goes with --outline", as_json, BadInput.exit_code)
    if state:
        _show_state(job, task, redis, as_json)
    elif mermaid:
        show_chart(job, redis, as_json)
    elif outline is not None:
        write_outline(job, outline, answers, redis, as_json)
    else:
        _show_decided(job, task, step, out, redis, as_json)


def _show_decided(
    job: str, task: str | None, step: int | None, out: Path | None, redis: str | None, as_json: bool
) -> None:
    """Print the report, or one step."""

    async def whole(store: Redis) -> tuple[Report, str | None]:
        kind = at_address(task)
        await write(out, store, job, kind)
        if (parts := await stitched.find(store, job)) is not None:
            known_here = task_known(parts.whole, kind)
            return await read_stitched(store, job, kind), task if known_here else _address(parts.code)
        known = await jobs.load(store, job)
        words = task_known(known, kind)
        return await read_report(store, job, words), task if words else _address(known.code)

    async def one(store: Redis) -> StepView | tuple[Report, str | None]:
        assert step is not None
        known = await jobs.load(store, job)
        if known.status == "stalled" and step == known.step:
            return await whole(store)  # its tally and samples are in the report alone: it was not decided
        entry = await segments.record(store, known, step)
        return StepView(known, entry, await segments.kept(store, known, step))

    found = look_up(whole if step is None else one, as_json, redis)
    if isinstance(found, StepView):
        common.print_result(found.row(), found, as_json)
    else:
        report, needed = found
        show_report(report, as_json, redis, needed)


def _show_state(job: str, task: str | None, redis: str | None, as_json: bool) -> None:
    """Print the state as JSON."""

    async def reached(store: Redis) -> Any:
        known = await jobs.load(store, job)
        again = guarded(task_again(known, at_address(task)))
        plain = written(again.state_codec, await state_reached(store, known, again))
        return from_json(plain) if isinstance(again.state_codec, Typed) else plain

    plain = look_up(reached, as_json, redis)
    common.print_result({"job": job, "state": plain}, canonical(plain).decode(), as_json)


def cancel(job: JobId, redis: RedisUrl = None, as_json: AsJson = False) -> None:
    """Stop a job for good, even while it runs."""

    async def stop(store: Redis) -> None:
        parts = await stitched.find(store, job)
        await (jobs.cancel(store, job) if parts is None else stitched.cancel(store, parts))

    look_up(stop, as_json, redis)
    common.print_result({"job": job, "status": "cancelled"}, f"job {job} is cancelled", as_json)


def suspend(
    job: JobId,
    off: Annotated[bool, typer.Option("--off", help="Let it go on.")] = False,
    redis: RedisUrl = None,
    as_json: AsJson = False,
) -> None:
    """Let a job stand still before its next step, while its runner keeps it; --off lets it go on."""

    async def mark(store: Redis) -> None:
        parts = await stitched.find(store, job)
        await (
            jobs.suspend(store, job, off=off) if parts is None else stitched.suspend(store, parts, off=off)
        )

    look_up(mark, as_json, redis)
    said = (
        f"job {job} may go on"
        if off
        else f"job {job} is suspended: `surefoot suspend {quote(job)} --off` lets it go on"
    )
    common.print_result({"job": job, "suspended": not off}, said, as_json)


def decide(
    job: JobId,
    answer: Annotated[
        str | None, typer.Argument(help="One of the choices, or your own words where there are none.")
    ] = None,
    question: Annotated[str | None, typer.Option(help="The id of the question that is answered.")] = None,
    redis: RedisUrl = None,
    as_json: AsJson = False,
) -> None:
    """Answer what a job asks before it can go on; without an answer, show the question and how to answer it."""

    async def told(store: Redis) -> Question:
        if answer is not None and question is not None:
            return await decision.decide(job, answer, question=question, redis=store)
        known = await jobs.load(store, job)
        asked = await question_of(store, known)
        if asked is None:
            raise BadInput(f"job {job!r} asks nothing: it is {known.status}")
        if answer is not None:
            # Else an answer that is typed once more after a resume would answer the next, unseen question.
            raise BadInput(f"say which question is answered: {_reply(asked, job, redis, answer)}")
        return asked

    asked = look_up(told, as_json, redis)
    done = answer is not None
    said = (
        (
            f"step {asked.step} of job {job} is told {answer!r}; resume the job, or run its agent again with this job",
        )
        if done
        else (f"step {asked.step} asks: {asked.question}", f"answer with: {_reply(asked, job, redis)}")
    )
    common.print_result({"job": job, **asked.model_dump(), "answer": answer}, Group(*said), as_json)


def _reply(asked: Question, job: str, redis: str | None, answer: str = "") -> str:
    said = answer or "|".join(asked.choices) or "ANSWER"
    return common.job_command("decide", job, redis, said, "--question", asked.id)


def show_report(found: Report, as_json: bool, redis: str | None, task: str | None) -> None:
    """Print a report."""
    common.print_result(
        found.model_dump(mode="json"), display.page(found, _then(found, redis, task)), as_json
    )


def _address(code: str) -> str:
    """Return where the class of a task is for `--task`; a script that was run and a function hold none that can be imported."""
    return "PACKAGE.MODULE:CLASS" if not code or code.startswith("__main__:") or "<" in code else code


def _then(found: Report, redis: str | None, task: str | None) -> str:
    """Return the command that a reader of a report is likely to want next; "" if there is nothing to see."""
    if isinstance(found, StitchedReport):
        if (asking := next((part for part in found.parts if part.status == "asking"), None)) is not None:
            return common.job_command("decide", asking.job, redis)
        again = ("--again",) if found.faults and not found.solved else ()
        worker = common.job_command("worker", found.job, redis, *common.task_option(task), *again)
        return "" if found.solved or found.status == "running" else worker
    if found.status == "asking":
        return common.job_command("decide", found.job, redis)
    if found.status in ("stopped", "stalled", "cancelled") and found.task in AGENTS:
        return agent_again(found.job, found.task)
    if found.status in ("stopped", "stalled", "cancelled"):
        again = ("--again",) if found.status == "cancelled" else ()
        # It loads the model clients, which other reports do without.
        from surefoot.models.connect import is_address

        model = () if is_address(found.models[-1]) else ("--model", "URL")  # it was made in Python
        return common.job_command("resume", found.job, redis, *common.task_option(task), *model, *again)
    if found.solved and found.task == Goal.name:
        return common.job_command("show", found.job, redis, "--state")
    if not found.steps:
        return ""
    step = found.contested_steps[0].step if found.contested_steps else found.steps - 1
    return common.job_command("show", found.job, redis, "--step", str(step))
