"""What a job has taught: its most instructive steps are shown to a model, which names behaviours."""

from contextlib import aclosing
from typing import Any

from redis.asyncio import Redis

from surefoot.agents.handbook import Behaviour, Trace, TracedStep
from surefoot.agents.handbook.reflection import MOST_STEPS, read_behaviours, reflect
from surefoot.agents.tasks.around import innermost
from surefoot.agents.tasks.codec import read_back
from surefoot.agents.tasks.guarded import Guarded, guarded
from surefoot.agents.tasks.optional import Acts
from surefoot.models.base import Ask, Model, Prompt
from surefoot.models.connect import open_model
from surefoot.models.openai.options import Options
from surefoot.orchestration.journal import jobs, segments
from surefoot.orchestration.record import Record
from surefoot.orchestration.redis.open import open_redis
from surefoot.orchestration.reporting import shown
from surefoot.orchestration.task_of_job import Given, task_again
from surefoot.typed_input import checked

MAX_TOKENS = 4096


@checked
async def learn(
    job: str,
    *,
    model: str | Model,
    task: Given = None,
    redis: str | Redis | None = None,
    options: Options | None = None,
    seed: int = 0,
    max_tokens: int = MAX_TOKENS,
) -> list[Behaviour]:
    """Let a model look back at a job, and return the behaviours that it proposes: at most five, none of them stored.

    The model need not be the job's.  A proposal has yet to earn its place, see `earn`; `surefoot.agents.handbook.new_ones` leaves out those that
    are there already.  `task`, `redis` and `model` as for `resume`.  Raises `NotAnAnswer` if the model names nothing in the form that it was
    asked for, and what `trace_of` raises.
    """
    trace = await trace_of(job, task=task, redis=redis)
    ask = Ask(reflect(trace), 0.0, max_tokens, seed)
    async with open_model(model, options=options) as opened, aclosing(opened.sample([ask])) as samples:
        found = [sample async for _, sample in samples]
    return read_behaviours(found[0].text, trace)


@checked
async def trace_of(
    job: str, *, task: Given = None, redis: str | Redis | None = None, most: int = MOST_STEPS
) -> Trace:
    """Return what there is to learn from a job: its first contested steps with their samples, and if these are few its first others.

    Of a job with a handbook it is that of the task inside.  Steps that the world has answered are left out.  Raises `BadInput` if the
    task is not given and not known here, `NoSuchJob`, `CorruptJournal`, and `TaskFailed`.
    """
    async with open_redis(redis) as store:
        found = await jobs.load(store, job)
        known = guarded(innermost(task_again(found, task)))
        records = {each.step: each for each in await segments.contested(store, found, most)}
        for step in range(min(most, found.step)):
            if len(records) < most and step not in records:
                records[step] = await segments.record(store, found, step)
        steps = [await _traced(store, found, known, records[step]) for step in sorted(records)]
    return Trace(known.name, job, tuple(each for each in steps if each is not None))


async def _traced(redis: Redis, job: jobs.Job, task: Guarded[Any, Any], record: Record) -> TracedStep | None:
    state = await _state_before(redis, job, task, record.step)
    if isinstance(task, Acts) and task.acts(state):
        return None
    samples = await segments.kept(redis, job, record.step) or []
    lost = "".join(f", {votes} for {shown(task, answer)}" for answer, votes in record.others)
    why = task.audit(state, read_back(task.answer_codec, record.answer))
    verdict = f"{record.votes} votes for {shown(task, record.answer)}{lost}" + (
        f"; wrong: {why}" if why else ""
    )
    return TracedStep(_text(task.ask(state)), tuple(str(each["text"]) for each in samples), verdict)


async def _state_before(redis: Redis, job: jobs.Job, task: Guarded[Any, Any], step: int) -> Any:
    """Return the state at which a step was asked: the end of the segment before it, and its steps from there."""
    segment = step // job.settings.segment
    state = read_back(task.state_codec, (await segments.snapshot(redis, job, segment - 1)).state)
    for record in await segments.segment_records(redis, job, segment):
        if record.step == step:
            break
        state = task.advance(state, read_back(task.answer_codec, record.answer))
    return state


def _text(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else "\n\n".join(message.content for message in prompt)
