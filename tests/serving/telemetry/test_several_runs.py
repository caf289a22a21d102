"""Several runs with one listener: parts, branches, agents and fleets have traces of their own, and figures in common."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import surefoot
from surefoot import Agent, Settings, Towers
from surefoot.models import Call, write_calls
from surefoot.models.doubles import Scripted, goal_double, towers_double
from surefoot.models.doubles.script import turn_of
from surefoot.orchestration.progress import ProgressOfSeveral
from surefoot.orchestration.redis import open_redis
from surefoot.orchestration.swe import Fleet, SweSettings
from surefoot.orchestration.workers import stitch
from surefoot.serving.telemetry import TelemetrySettings, open_telemetry
from surefoot.tests.orchestration.swe.places import prepared

SECRET = "the-password-is-swordfish"


def by_job(receiver: Any) -> dict[str, list[dict[str, Any]]]:
    """Return what is said of the steps of each job, by the traces that they are in."""
    owner = {
        span.trace_id: said["surefoot.job"]
        for span, said in zip(receiver.named("segment"), receiver.said("segment"), strict=True)
    }
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for name in ("step", "act"):
        for span, said in zip(receiver.named(name), receiver.said(name), strict=True):
            found[owner[span.trace_id]].append(said)
    return {job: sorted(steps, key=lambda step: step["surefoot.step"]) for job, steps in found.items()}


async def test_parts_that_are_done_at_once_do_not_get_into_each_others_traces(
    redis: str, receiver: Any
) -> None:
    settings, model = (
        TelemetrySettings(otlp=receiver.url, span_share=1.0),
        towers_double(error=0.15, latency=0.001),
    )
    with open_telemetry(settings, ProgressOfSeveral()) as telemetry:
        report = await stitch(
            Towers(7, "compact"),
            Settings(k=3, segment=10),
            parts=4,
            at_once=4,
            model=model,
            redis=redis,
            job="tall",
            on_event=telemetry.listen,
        )
    assert report.solved and telemetry.spans.lost == 0
    segments, said = receiver.named("segment"), receiver.said("segment")
    assert {each["surefoot.run"] for each in said} == {"tall"}
    steps = by_job(receiver)
    assert {job: len(found) for job, found in steps.items()} == {
        part.job: part.steps for part in report.parts
    }
    for found in steps.values():
        assert [step["surefoot.step"] for step in found] == list(range(len(found)))
    # What is committed, the journal's pulse tells from a task of its own; it is counted where it belongs all the same.
    votes: dict[str, int] = defaultdict(int)
    for each in said:
        votes[each["surefoot.job"]] += each.get("surefoot.votes", 0)
    assert votes == {
        job: sum(step["surefoot.votes"] + step["surefoot.against"] for step in found)
        for job, found in steps.items()
    }
    jobs = [each["surefoot.job"] for each in said]
    ids = {job: [span.span_id for span, of in zip(segments, jobs, strict=True) if of == job] for job in steps}
    for span, job in zip(segments, jobs, strict=True):
        before = ids[job].index(span.span_id)
        assert [link.span_id for link in span.links] == ids[job][max(0, before - 1) : before]
    others = (
        one for one in segments for other in segments if one.trace_id != other.trace_id and met(one, other)
    )
    assert next(others, None) is not None  # else nothing has been shown here


def met(one: Any, other: Any) -> bool:
    """Whether two spans overlap in time."""
    return bool(
        one.start_time_unix_nano < other.end_time_unix_nano
        and other.start_time_unix_nano < one.end_time_unix_nano
    )


async def test_the_jobs_of_a_problem_have_its_name_in_common(redis: str, receiver: Any) -> None:
    settings = TelemetrySettings(otlp=receiver.url, metrics_port=0, span_share=1.0)
    with open_telemetry(settings, ProgressOfSeveral(job="sum")) as telemetry:
        solution = await surefoot.solve(
            "What is 734 * 902?",
            model=goal_double(error=0.1),
            votes=2,
            branches=3,
            redis=redis,
            job="sum",
            on_event=telemetry.listen,
        )
        votes = telemetry.progress.votes
    assert solution.answer is not None and telemetry.spans.lost == 0
    said = receiver.said("segment")
    assert {each["surefoot.run"] for each in said} == {"sum"}
    asked = {
        run.report.job for run in solution.runs if run.report.votes
    }  # a program puts together what was answered
    assert {each["surefoot.job"] for each in said} == asked and len(asked) > 2
    assert (
        votes
        == sum(run.report.votes for run in solution.runs)
        == sum(each["surefoot.votes"] for each in said)
    )


@surefoot.tool(effect="reads")
def in_stock(what: str) -> str:
    """Say how many of something are in stock."""
    return SECRET


@surefoot.tool(effect="writes")
def order(what: str) -> str:
    """Order something."""
    raise ValueError(SECRET)


def agent(window: int | None = None) -> Agent:
    script = Scripted(
        [
            write_calls(
                SECRET, [Call("in_stock", f'{{"what": "{SECRET}"}}'), Call("order", '{"what": "tea"}')]
            ),
            write_calls("", [Call(f"{SECRET} {SECRET}", "{}")]),
            SECRET,
        ]
    )
    return Agent(script, [in_stock, order], window=window)


async def test_every_turn_and_call_of_an_agent_has_a_span_without_its_content(
    redis: str, receiver: Any
) -> None:
    settings = TelemetrySettings(otlp=receiver.url, span_share=0.0)
    with open_telemetry(settings) as telemetry:
        report = await agent().run(SECRET, redis=redis, job="agent-1", on_event=telemetry.listen)
    assert (report.turns, report.calls) == (3, 3)
    (run,) = receiver.said("segment")
    assert (run["gen_ai.operation.name"], run["gen_ai.agent.name"]) == ("invoke_agent", "agent")
    assert run["gen_ai.request.model"] == report.report.models[0]
    steps = by_job(receiver)["agent-1"]
    assert [step.get("gen_ai.tool.name") for step in steps] == [None, "in_stock", "order", None, None, None]
    assert [step["surefoot.kept"] for step in steps] == ["turn", "acted", "acted", "turn", "acted", "turn"]
    assert [step.get("surefoot.outcome") for step in steps] == [None, "done", "failed", None, "failed", None]
    assert [step.get("surefoot.calls") for step in steps] == [2, None, None, 1, None, 0]
    assert {step["gen_ai.operation.name"] for step in steps} == {"chat", "execute_tool"}
    receiver.check_conventions()
    assert SECRET.encode() not in receiver.bytes


async def test_content_of_an_agent_is_exported_where_it_is_asked_for(redis: str, receiver: Any) -> None:
    with open_telemetry(TelemetrySettings(otlp=receiver.url, content=True)) as telemetry:
        await agent().run(SECRET, redis=redis, on_event=telemetry.listen)
    assert SECRET.encode() in receiver.bytes


async def test_a_fleet_is_watched_as_a_whole_and_attempt_by_attempt(
    redis: str, receiver: Any, tmp_path: Path
) -> None:
    issues = prepared(tmp_path, 2)

    def says(prompt: Any) -> str:
        look, submit = Call("bash", '{"command": "ls"}'), Call("submit", '{"text": "done"}')
        return write_calls("", [submit if turn_of(prompt) else look])

    wanted: dict[str, Any] = {"instances": issues.rows, "repos": issues.repos, "model": "double"}
    fleet = Fleet.begun(tmp_path / "x", SweSettings(**wanted, environment="local", grade=False))
    settings = TelemetrySettings(otlp=receiver.url)
    async with open_redis(redis) as store:
        with open_telemetry(settings, ProgressOfSeveral(job="fleet")) as telemetry:
            results = await fleet.work(store, Scripted(says), workers=2, on_event=telemetry.listen)
            votes = telemetry.progress.votes
    assert all(result.chosen.is_over for result in results.values())
    steps = by_job(receiver)
    assert {*steps} == {result.chosen.job for result in results.values()}
    assert {each["surefoot.run"] for each in receiver.said("segment")} == {"fleet"}
    for found in steps.values():
        assert [step.get("gen_ai.tool.name") for step in found] == [None, "bash", None, "submit"]
    assert votes == 4


@pytest.mark.parametrize("name", ["agent", "issue"])
async def test_a_task_of_ones_own_that_is_called_like_an_agents_has_spans_too(
    redis: str, receiver: Any, name: str
) -> None:
    class Ours(Towers):
        pass

    Ours.name = name
    with open_telemetry(TelemetrySettings(otlp=receiver.url, span_share=0.0)) as telemetry:
        model = towers_double()
        await surefoot.run(
            Ours(3, "compact"), Settings(k=1), model=model, redis=redis, on_event=telemetry.listen
        )
    assert len(receiver.named("step")) == 7
