"""Jobs as a log of inspect_ai, written with that package's own API, for `inspect view` and whatever else reads its logs.

    a run of an agent       one sample: the conversation, and per turn a model call, its tool calls and the vote
    any other job           a sample for each step whose samples were kept: its prompt, every raw sample, the vote

The journal has no time of a step and no raw thoughts: every event has the time at which its job began, and thoughts are missing.
"""

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_jsonable_python
from redis.asyncio import Redis

from surefoot.agents.tasks.codec import read_back
from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput
from surefoot.models.base import Prompt
from surefoot.orchestration.reporting import records
from surefoot.orchestration.task_of_job import AGENTS, Given, task_known

from . import tables
from .rows import ExportedCall, ExportedResult, ExportedSample, ExportedStep, ExportedTurn

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

MOST_STEPS = 1_000
"""Steps of a job that are in a log, the first whose samples were kept: inspect_ai makes a log in memory, as a whole."""
SOURCE = "surefoot"
RED_FLAG = "surefoot: red flag"
"""What the transcript calls a vote, and the reason why the sample before it was thrown away."""
FIRST_OF_A_VOTE = ("shown", "votes", "against", "margin", "flags", "tally")
"""What a reader looks for; the viewer folds the rest away."""
STATUSES = {"done": "success", "running": "started", "stalled": "error", "failed": "error"}
"""Of a job, in the words of inspect_ai; any other one is `cancelled`: it was ended before its end."""
STOPS = {
    "stop": "stop",
    "length": "max_tokens",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}
"""Why a model stopped, in the words of the OpenAI API and of inspect_ai."""


async def write_inspect_log(redis: Redis, jobs: Sequence[str], to: Path, task: Given) -> int:
    """Write one log of some jobs, and return the number of its samples; the file appears as a whole or not at all.

    Raises `OSError` if it cannot be written, and what reading the jobs raises.
    """
    from inspect_ai.log import write_eval_log_async

    results = [await tables.result_of(redis, job) for job in jobs]
    samples = [sample for result in results async for sample in _samples(redis, result, task)]
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=".surefoot-") as folder:
        part = Path(folder) / "log.eval"
        await write_eval_log_async(_log(results, samples), str(part))
        part.replace(to)
    return len(samples)


def check_inspect() -> None:
    """Raise `BadInput` without the package, which takes seconds to load: nothing but a log of its kind waits for it."""
    try:
        import inspect_ai.log  # noqa: F401
    except ImportError:
        raise BadInput("a log of inspect_ai needs that package: pip install 'surefoot[inspect]'") from None


async def _samples(redis: Redis, result: ExportedResult, task: Given) -> AsyncIterator["EvalSample"]:
    for piece in await tables.pieces(redis, result.job):
        if result.task in AGENTS:
            turns = [turn async for turn in tables.turns(redis, piece.job)]
            yield _of_agent(result, turns)
        else:
            known = task_known(piece.job, task)
            async for sample in _of_steps(redis, piece, None if known is None else guarded(known), result):
                yield sample


def _log(results: Sequence[ExportedResult], samples: list["EvalSample"]) -> "EvalLog":
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalResults, EvalSpec, EvalStats

    first = results[0]
    statuses = {STATUSES.get(result.status, "cancelled") for result in results}
    return EvalLog(
        status=statuses.pop() if len(statuses) == 1 else "cancelled",
        eval=EvalSpec(
            created=_instant(first.created).isoformat(),
            task=first.task,
            task_args=from_json(first.spec) if len(results) == 1 else {},
            dataset=EvalDataset(
                name=first.task, samples=len(samples), sample_ids=[each.id for each in samples]
            ),
            model=first.models[-1],
            config=EvalConfig(epochs=1),
            packages={SOURCE: version(SOURCE)},
            metadata={SOURCE: [to_jsonable_python(result) for result in results]},
        ),
        results=EvalResults(
            total_samples=len(samples),
            completed_samples=len(samples),
            scores=[_mean(samples)] if samples else [],
        ),
        stats=EvalStats(
            started_at=_instant(min(result.created for result in results)).isoformat(),
            completed_at=_instant(max(result.updated for result in results)).isoformat(),
            model_usage={first.models[-1]: _usage(first)} if len(results) == 1 else {},
        ),
        samples=samples,
    )


def _mean(samples: Sequence["EvalSample"]) -> Any:
    """Return the mean of a score that all samples have: an agent's `done`, a step's `agreement`."""
    from inspect_ai.log import EvalMetric, EvalScore

    name = next(iter(samples[0].scores or {}))
    values = [
        float(sample.scores[name].value) for sample in samples if sample.scores and name in sample.scores
    ]
    metric = EvalMetric(name="mean", value=sum(values) / len(values))
    return EvalScore(name=name, scorer=SOURCE, scored_samples=len(values), metrics={"mean": metric})


async def _of_steps(
    redis: Redis, piece: tables.JobPart, task: Task[Any, Any] | None, result: ExportedResult
) -> AsyncIterator["EvalSample"]:
    drawn: dict[int, list[ExportedSample]] = {}
    async with aclosing(tables.samples(redis, piece)) as found:
        async for sample in found:
            if sample.step not in drawn and len(drawn) == MOST_STEPS:
                break
            drawn.setdefault(sample.step, []).append(sample)
    last = max(drawn, default=-1)
    state = None if task is None else read_back(task.state_codec, piece.job.start.state)
    async for record in records(redis, piece.job):
        step = piece.first + record.step
        if step > last:
            break
        if step in drawn:
            prompt = f"step {step} of job {piece.whole}" if task is None else task.ask(state)
            yield _of_step(tables.step_row(piece, record, task), drawn[step], prompt, result)
        if task is not None:
            state = task.advance(state, read_back(task.answer_codec, record.answer))


def _of_step(
    row: ExportedStep, drawn: Sequence[ExportedSample], prompt: Prompt, result: ExportedResult
) -> "EvalSample":
    from inspect_ai.event import InfoEvent, ModelEvent
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ChatMessageAssistant, GenerateConfig, ModelOutput
    from inspect_ai.scorer import Score

    model, when = result.models[-1], {"timestamp": _instant(result.created), "working_start": 0.0}
    asked = _messages(prompt)
    told = to_jsonable_python(row)
    vote = {name: told.pop(name) for name in FIRST_OF_A_VOTE} | told
    events: list[Any] = [InfoEvent(source=SOURCE, data=vote, **when)]
    for place, sample in enumerate(drawn):
        events.append(
            ModelEvent(
                model=model,
                input=[] if place else asked,  # once is enough for a reader
                tools=[],
                tool_choice="none",
                config=GenerateConfig(),
                output=ModelOutput.from_content(
                    model, sample.text, stop_reason=STOPS.get(sample.finish or "", "unknown")
                ),
                metadata={"ballot": sample.ballot, "flag": sample.flag, "detail": sample.detail},
                **when,
            )
        )
        if sample.flag is not None:
            thrown = f"{sample.flag}: {sample.detail}" if sample.detail else sample.flag
            events.append(InfoEvent(source=RED_FLAG, data=thrown, **when))
    cast = row.votes + row.against
    return EvalSample(
        id=f"{row.job}/{row.step:0{len(str(result.steps))}}",  # inspect_ai puts them in the order of their names
        epoch=1,
        input=asked,
        target="",
        messages=[*asked, ChatMessageAssistant(content=row.shown, model=model)],
        output=ModelOutput.from_content(model, row.shown),
        scores={"agreement": Score(value=round(row.votes / cast, 3) if cast else 0.0, answer=row.shown)},
        metadata={"job": row.job, "step": row.step, "votes": row.votes, "against": row.against},
        events=events,
        model_usage={model: _usage(row)},
    )


def _of_agent(result: ExportedResult, turns: Sequence[ExportedTurn]) -> "EvalSample":
    from inspect_ai.event import InfoEvent, ModelEvent, ToolEvent
    from inspect_ai.log import EvalSample
    from inspect_ai.model import (
        ChatMessageAssistant,
        ChatMessageTool,
        ChatMessageUser,
        GenerateConfig,
        ModelOutput,
    )
    from inspect_ai.scorer import Score
    from inspect_ai.tool import ToolCall

    model, when = result.models[-1], {"timestamp": _instant(result.created), "working_start": 0.0}
    goal = str(from_json(result.spec).get("goal", ""))
    messages: list[Any] = [ChatMessageUser(content=goal)]
    events: list[Any] = []
    said = 0
    for turn in turns:
        if turn.summary is not None:
            messages.append(ChatMessageUser(content=f"Summary of earlier turns:\n\n{turn.summary}"))
        calls = [
            ToolCall(id=f"{turn.turn}-{place}", function=call.tool or "?", arguments=_arguments(call))
            for place, call in enumerate(turn.calls)
        ]
        answer = ChatMessageAssistant(content=turn.prose, tool_calls=calls or None, model=model)
        events.append(
            ModelEvent(
                model=model,
                input=messages[said:],  # what is new since the turn before
                tools=[],
                tool_choice="auto",
                config=GenerateConfig(),
                output=ModelOutput.from_message(answer, "tool_calls" if calls else "stop"),
                **when,
            )
        )
        vote = {name: getattr(turn, name) for name in ("turn", "step", "votes", "against", "flags")}
        events.append(InfoEvent(source=SOURCE, data=to_jsonable_python(vote), **when))
        messages.append(answer)
        said = len(messages)
        for made, call in zip(calls, turn.calls, strict=True):
            seen = call.observation or ""
            error = _tool_error(call)
            messages.append(
                ChatMessageTool(content=seen, tool_call_id=made.id, function=made.function, error=error)
            )
            events.append(
                ToolEvent(
                    id=made.id,
                    function=made.function,
                    arguments=made.arguments,
                    result=seen,
                    error=error,
                    metadata={"outcome": call.outcome, "allowed": call.allowed, "code": call.code},
                    **when,
                )
            )
    last = turns[-1].prose if turns else ""
    return EvalSample(
        id=result.job,
        epoch=1,
        input=goal,
        target="",
        messages=messages,
        output=ModelOutput.from_content(model, last),
        scores={"done": Score(value=float(result.solved), answer=last)},
        metadata={"job": result.job, "status": result.status},
        events=events,
        model_usage={model: _usage(result)},
    )


def _arguments(call: ExportedCall) -> dict[str, Any]:
    """Return what a tool was called with; what is no JSON object stands there as it was written."""
    try:
        found = from_json(call.arguments)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"arguments": call.arguments}


def _tool_error(call: ExportedCall) -> Any:
    from inspect_ai.tool import ToolCallError

    if call.outcome in ("done", None):
        return None
    return ToolCallError(
        "approval" if call.outcome == "refused" else "unknown", call.observation or call.outcome
    )


def _messages(prompt: Prompt) -> list[Any]:
    """Return a prompt as a chat; pictures are left out."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageTool, ChatMessageUser

    if isinstance(prompt, str):
        return [ChatMessageUser(content=prompt)]
    roles: Mapping[str, Any] = {
        "system": ChatMessageSystem,
        "assistant": ChatMessageAssistant,
        "tool": ChatMessageTool,
    }
    return [roles.get(message.role, ChatMessageUser)(content=message.content) for message in prompt]


def _usage(row: ExportedResult | ExportedStep) -> Any:
    from inspect_ai.model import ModelUsage

    prompt, completion = row.prompt_tokens or 0, row.completion_tokens or 0
    return ModelUsage(
        input_tokens=prompt - (row.cached_tokens or 0),  # those found in the cache stand beside it
        output_tokens=completion,
        total_tokens=prompt + completion,
        input_tokens_cache_read=row.cached_tokens,
        reasoning_tokens=row.reasoning_tokens,
    )


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
