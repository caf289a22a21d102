"""Spans: a real receiver has as many as we count, notable steps are always there, and no run waits for a receiver."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

import surefoot
from surefoot import Settings, Stalled, Towers
from surefoot.models.base import Ask
from surefoot.models.doubles import towers_double
from surefoot.orchestration.exports import ExportedStep, exported
from surefoot.serving.telemetry import SpanCounts, TelemetrySettings, open_telemetry
from surefoot.voting import Sample

UNSURE = towers_double(error=0.15, invalid=0.05)
KS = Settings(k=3, segment=50)
SEVEN = Towers(7, "compact")
STEPS, SEGMENTS = 127, 3

Receiving = Callable[[], AbstractContextManager[Any]]


async def traced(redis: str, receiver: Any, **settings: Any) -> tuple[surefoot.Report, SpanCounts]:
    """Do a job whose spans the receiver gets; it has as many as we have counted."""
    with open_telemetry(TelemetrySettings(otlp=receiver.url, **settings)) as telemetry:
        report = await surefoot.run(SEVEN, KS, model=UNSURE, redis=redis, on_event=telemetry.listen)
    assert len(receiver.spans) == telemetry.spans.exported
    return report, telemetry.spans


async def notable(redis: str, job: str) -> list[int]:
    """Return the steps that a job's journal calls contested or flagged."""
    rows = [row async for row in exported(job, redis=redis)]
    return [row.step for row in rows if isinstance(row, ExportedStep) and (row.against or row.flags)]


async def test_the_receivers_count_is_ours_and_every_step_is_there_once(redis: str, receiver: Any) -> None:
    report, spans = await traced(redis, receiver, span_share=1.0)
    assert spans == (STEPS + 2 * SEGMENTS, STEPS + 2 * SEGMENTS)
    assert spans.lost == 0
    steps = receiver.said("step")
    assert [step["surefoot.step"] for step in steps] == list(range(STEPS))
    assert sum(step["surefoot.votes"] + step["surefoot.against"] for step in steps) == report.votes
    assert sum(step["gen_ai.request.choice.count"] for step in steps) == report.samples
    assert sum(step["gen_ai.usage.output_tokens"] for step in steps) == report.tokens.completion
    assert sum(step["surefoot.kept"] == "contested" for step in steps) == report.contested
    receiver.check_conventions()


async def test_a_segment_is_a_trace_and_linked_to_the_one_before(redis: str, receiver: Any) -> None:
    report, _ = await traced(redis, receiver, span_share=1.0)
    segments, said = receiver.named("segment"), receiver.said("segment")
    assert [each["surefoot.segment"] for each in said] == [0, 1, 2]
    assert {(each["surefoot.run"], each["gen_ai.workflow.name"]) for each in said} == {(report.job, "towers")}
    assert sum(each["surefoot.votes"] for each in said) == report.votes
    linked = [[link.span_id for link in span.links] for span in segments]
    assert linked == [[], [segments[0].span_id], [segments[1].span_id]]
    assert len({span.trace_id for span in segments}) == SEGMENTS
    for segment in segments:
        inside = [each for each in receiver.spans if each.trace_id == segment.trace_id and each != segment]
        assert {each.parent_span_id for each in inside} == {segment.span_id}
        assert [each.name for each in inside].count("audit") == 1
        assert all(each.start_time_unix_nano <= each.end_time_unix_nano for each in inside)
        assert segment.status.code == Status.STATUS_CODE_OK


async def test_notable_steps_are_always_kept(redis: str, receiver: Any) -> None:
    report, _ = await traced(redis, receiver, span_share=0.0)
    kept = receiver.said("step")
    assert [step["surefoot.step"] for step in kept] == await notable(redis, report.job)
    assert {step["surefoot.kept"] for step in kept} == {"contested", "flagged"}
    assert all("surefoot.flags" in step for step in kept if step["surefoot.kept"] == "flagged")


async def test_a_slow_step_is_kept(redis: str, receiver: Any) -> None:
    task, model = Towers(3, "compact"), towers_double(latency=0.03)
    with open_telemetry(TelemetrySettings(otlp=receiver.url, span_share=0.0, slow_s=0.02)) as telemetry:
        await surefoot.run(task, Settings(k=1), model=model, redis=redis, on_event=telemetry.listen)
    assert [step["surefoot.kept"] for step in receiver.said("step")] == ["slow"] * 7


async def test_the_share_of_the_other_steps_is_the_same_in_every_run(
    redis: str, receiving: Receiving
) -> None:
    found = []
    for _ in range(2):
        with receiving() as receiver:
            await traced(redis, receiver, span_share=0.2)
            kept = receiver.said("step")
            found.append([step["surefoot.step"] for step in kept if step["surefoot.kept"] == "sampled"])
    assert found[0] == found[1] and 10 < len(found[0]) < 40


async def test_no_content_leaves_the_process_unless_it_is_asked_for(redis: str, receiving: Receiving) -> None:
    told = {}
    for content in (False, True):
        with receiving() as receiver:
            await traced(redis, receiver, span_share=1.0, content=content)
            told[content] = receiver.bytes
            assert all(("surefoot.answer" in step) == content for step in receiver.said("step"))
    assert b"[[1,0," in told[True] and b"[[1,0," not in told[False]


class Hostile:
    """Never gives a usable answer, and what it says steers a terminal."""

    name = "hostile"

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for place, _ in enumerate(asks):
            yield place, Sample("\x1b[2J secret")


@pytest.mark.parametrize("content", [False, True])
async def test_a_stall_is_an_error_whose_samples_are_content(
    redis: str, receiver: Any, content: bool
) -> None:
    settings = TelemetrySettings(otlp=receiver.url, content=content)
    with open_telemetry(settings) as telemetry, pytest.raises(Stalled):
        few = Settings(k=2, limit=4)
        await surefoot.run(SEVEN, few, model=Hostile(), redis=redis, on_event=telemetry.listen)
    (step,), (said,) = receiver.named("step"), receiver.said("step")
    assert step.status.code == Status.STATUS_CODE_ERROR
    assert said["surefoot.kept"] == "undecided"
    examples = said.get("surefoot.examples", [])
    assert bool(examples) == content and all(each.startswith("\\x1b[2J secret") for each in examples)
    (segment,) = receiver.said("segment")
    assert segment["error.type"] == "StepStalled"
    assert (b"secret" in receiver.bytes) == content


async def test_a_full_queue_loses_spans_with_a_count_and_never_a_step(redis: str, receiver: Any) -> None:
    receiver.open.clear()
    with open_telemetry(TelemetrySettings(otlp=receiver.url, span_share=1.0, queue=8)) as telemetry:
        report = await surefoot.run(SEVEN, KS, model=UNSURE, redis=redis, on_event=telemetry.listen)
        receiver.open.set()
    assert report.solved and report.steps == STEPS
    assert telemetry.spans.ended == STEPS + 2 * SEGMENTS
    assert telemetry.spans.lost > 50
    assert len(receiver.spans) == telemetry.spans.exported > 0


async def test_a_receiver_that_is_gone_costs_its_spans_alone(redis: str, closed_port: int) -> None:
    with open_telemetry(TelemetrySettings(otlp=f"http://127.0.0.1:{closed_port}")) as telemetry:
        report = await surefoot.run(SEVEN, KS, model=UNSURE, redis=redis, on_event=telemetry.listen)
    assert report.solved
    assert telemetry.spans.lost == telemetry.spans.ended > 0
