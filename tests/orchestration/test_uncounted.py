"""A run on a server that counts no tokens says that they are unknown, in the report, on its page and in JSON."""

import io
import json

import pytest
from rich.console import Console

import surefoot
from surefoot import Settings
from surefoot.cli.display import page
from surefoot.models.doubles import towers_double
from surefoot.models.doubles.response_shapes import Manner
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.openai import OpenAIModel
from surefoot.orchestration.engine.drafts import Rollout


async def test_unknown_usage_is_unknown_up_to_the_report() -> None:
    manner = Manner(frozenset(["no usage"]))
    async with DoubleServer(towers_double(), manner=manner) as server:
        report = await surefoot.run(
            surefoot.Towers(disks=3, style="compact"), Settings(k=2), model=server.url
        )
    tokens = json.loads(report.model_dump_json())["tokens"]
    assert tokens["uncounted"] == report.samples == 14
    assert [tokens[name] for name in ("prompt", "completion", "total", "cached")] == [None] * 4
    shown = io.StringIO()
    Console(file=shown, width=200).print(page(report, "surefoot show"))
    assert "unknown in (unknown cached), unknown out" in shown.getvalue()
    assert "of 14 samples" in shown.getvalue()


@pytest.mark.parametrize("silent", ["run", "draft", "both"])
async def test_tokens_in_vain_and_of_a_draft_are_unknown_where_a_server_does_not_count(
    silent: str, redis_url: str
) -> None:
    task = surefoot.Towers(disks=6, style="compact")
    slow = towers_double(
        error=0.1, seed=6, latency=0.01
    )  # far slower than the draft, which then runs ahead and errs
    quiet, loud = Manner(frozenset(["no usage"])), Manner()
    async with (
        DoubleServer(slow, manner=loud if silent == "draft" else quiet) as server,
        DoubleServer(towers_double(error=0.1, seed=7), manner=loud if silent == "run" else quiet) as small,
        OpenAIModel(small.url) as model,
    ):
        report = await surefoot.run(
            task,
            Settings(k=3),
            model=server.url,
            redis=redis_url,
            speculate=surefoot.Speculation(Rollout(task.short(), model)),
        )
    ahead = report.speculation
    assert ahead is not None
    assert ahead.wasted_samples > 0
    assert ahead.uncounted > 0
    assert (ahead.wasted_tokens is None) == (silent != "draft")
    assert (ahead.draft_tokens is None) == (silent != "run")
    assert (ahead.wasted_tokens, ahead.draft_tokens) != (0, 0)
    shown = io.StringIO()
    Console(file=shown, width=400).print(page(report, "surefoot show"))
    words = " ".join(shown.getvalue().split())
    assert f"{'unknown' if ahead.wasted_tokens is None else f'{ahead.wasted_tokens:,}'} tokens" in words
    assert (
        f"the draft's own {'unknown' if ahead.draft_tokens is None else f'{ahead.draft_tokens:,}'} tok"
        in words
    )
    assert f"of {ahead.uncounted:,} samples the server did not say all" in words


async def test_no_budget_is_kept_that_a_draft_could_overspend_unseen(redis_url: str) -> None:
    task = surefoot.Towers(disks=6, style="compact")
    async with (
        DoubleServer(towers_double()) as server,
        DoubleServer(towers_double(), manner=Manner(frozenset(["no usage"]))) as small,
        OpenAIModel(small.url) as model,
    ):
        report = await surefoot.run(
            task,
            Settings(k=3),
            model=server.url,
            redis=redis_url,
            speculate=surefoot.Speculation(Rollout(task.short(), model)),
            budget=surefoot.Budget(tokens=1_000_000),
        )
    assert report.status == "stopped"
    assert "does not say what" in str(report.stopped)


async def test_no_budget_is_kept_after_a_calibration_that_was_not_counted(redis_url: str) -> None:
    task = surefoot.Towers(disks=4, style="compact")
    manner = Manner(frozenset(["no usage"]))
    async with DoubleServer(towers_double(), manner=manner) as silent:
        begun = await surefoot.run(
            task,
            Settings(states=5, reliability=0.5),
            model=silent.url,
            redis=redis_url,
            budget=surefoot.Budget(steps=1),
        )
    async with DoubleServer(towers_double()) as server:
        report = await surefoot.resume(
            begun.job, model=server.url, redis=redis_url, budget=surefoot.Budget(tokens=1_000_000)
        )
    assert report.calibration is not None
    assert report.calibration.tokens is None
    assert (report.status, report.steps) == ("stopped", 1)
