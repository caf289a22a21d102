"""Exports as inspect_ai's own reader sees them: the whole transcript of an agent, and the vote of every step whose samples were kept."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import surefoot
from surefoot import Agent, BadInput, Settings, Towers
from surefoot.models import Ask, Call, write_calls
from surefoot.models.doubles import towers_double
from surefoot.orchestration.exports import ExportedSample, ExportedStep, export, exported
from surefoot.orchestration.redis.embedded import server_binary
from surefoot.tools import ToolFailed
from surefoot.voting import Sample, Usage

pytestmark = pytest.mark.inspect


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    """The address of a Valkey of these tests' own."""
    with tempfile.TemporaryDirectory(prefix="sf-") as folder:
        path = Path(folder) / "s"
        command = [
            str(server_binary()),
            "--port",
            "0",
            "--unixsocket",
            str(path),
            "--dir",
            folder,
            "--save",
            "",
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while not path.exists():
                assert process.poll() is None
            yield f"unix://{path}"
            process.terminate()


async def read(file: Path) -> Any:
    """Read a log as `inspect view` does."""
    from inspect_ai.log import read_eval_log_async

    return await read_eval_log_async(str(file), resolve_attachments=True)


class Scripted:
    """Says one thing after the other, whatever it is asked."""

    name = "scripted"

    def __init__(self, *says: str) -> None:
        self._says = list(says)

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for place, _ in enumerate(asks):
            yield place, Sample(self._says.pop(0), usage=Usage(prompt=100, completion=10))


@surefoot.tool(effect="reads")
async def half(number: int) -> int:
    """Halve an even number."""
    if number % 2:
        raise ToolFailed(f"{number} is odd")
    return number // 2


async def test_an_agents_run_is_a_sample_with_its_whole_transcript(redis: str, tmp_path: Path) -> None:
    says = (
        write_calls("I try both.", [Call("half", '{"number":8}'), Call("half", '{"number":7}')]),
        "It is 4.",
    )
    report = await Agent(Scripted(*says), [half]).run("Halve 8 and 7.", redis=redis, job="agent")
    assert await export("agent", tmp_path / "a.eval", redis=redis) == 1
    log = await read(tmp_path / "a.eval")
    assert (log.status, log.eval.task, log.eval.model) == ("success", "agent", "scripted")
    (sample,) = log.samples
    assert (sample.id, sample.input, sample.scores["done"].value) == ("agent", "Halve 8 and 7.", 1.0)
    assert [message.role for message in sample.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert [message.text for message in sample.messages[1:]] == ["I try both.", "4", "7 is odd", "It is 4."]
    calls = sample.messages[1].tool_calls
    assert [(call.function, call.arguments) for call in calls] == [
        ("half", {"number": 8}),
        ("half", {"number": 7}),
    ]
    assert [message.tool_call_id for message in sample.messages[2:4]] == [call.id for call in calls]
    assert sample.messages[3].error.message == "7 is odd"
    assert [event.event for event in sample.events] == ["model", "info", "tool", "tool", "model", "info"]
    assert sample.output.completion == report.result
    assert log.stats.model_usage["scripted"].total_tokens == report.report.tokens.total
    assert log.eval.metadata["surefoot"][0]["head"] == report.report.head


async def test_every_step_whose_samples_were_kept_is_a_sample_with_its_vote(
    redis: str, tmp_path: Path
) -> None:
    task, model = Towers(6, "compact"), towers_double(error=0.15, invalid=0.05)
    report = await surefoot.run(task, Settings(k=3), model=model, redis=redis, job="tall")
    steps = [row async for row in exported("tall", redis=redis) if isinstance(row, ExportedStep)]
    drawn = [row async for row in exported("tall", "samples", redis=redis) if isinstance(row, ExportedSample)]
    kept = sorted({row.step for row in drawn})
    assert await export("tall", tmp_path / "t.eval", redis=redis) == len(kept) > report.contested > 5
    log = await read(tmp_path / "t.eval")
    assert [sample.id for sample in log.samples] == [f"tall/{step:02}" for step in kept], "in their order"
    samples = {sample.metadata["step"]: sample for sample in log.samples}
    assert log.eval.task_args == report.spec
    assert log.results.scores[0].metrics["mean"].value < 1
    for step in kept:
        vote, *rest = samples[step].events
        raw = [row for row in drawn if row.step == step]
        calls = [event for event in rest if event.event == "model"]
        assert [call.output.completion for call in calls] == [row.text for row in raw]
        flags = [event.data for event in rest if event.event == "info"]
        assert flags == [f"{row.flag}: {row.detail}" for row in raw if row.flag], (
            "said where the sample stands"
        )
        assert vote.source == "surefoot" and vote.data["votes"] == steps[step].votes
        assert {each["answer"]: each["votes"] for each in vote.data["tally"]} == {
            each.answer: each.votes for each in steps[step].tally
        }
        cast = steps[step].votes + steps[step].against
        assert samples[step].scores["agreement"].value == round(steps[step].votes / cast, 3)
    first = samples[0].input
    assert (first if isinstance(first, str) else first[0].text) == task.ask(task.start(), 0), (
        "its prompt, made again"
    )


async def test_what_is_no_table_has_none_and_the_file_is_there_as_a_whole(redis: str, tmp_path: Path) -> None:
    await surefoot.run(Towers(3, "compact"), Settings(k=2), model=towers_double(), redis=redis, job="small")
    with pytest.raises(BadInput, match="has no tables"):
        await export("small", tmp_path / "x.eval", table="results", redis=redis)
    with pytest.raises(BadInput, match="no job 'none'"):
        await export(["small", "none"], tmp_path / "x.eval", redis=redis)
    assert [*tmp_path.iterdir()] == []
    count = await export("small", tmp_path / "x.eval", redis=redis)
    log = await read(tmp_path / "x.eval")
    assert len(log.samples) == count and [path.name for path in tmp_path.iterdir()] == ["x.eval"]


async def test_a_job_that_stalled_is_an_error_to_inspect(redis: str, tmp_path: Path) -> None:
    with pytest.raises(surefoot.Stalled):
        few = Settings(k=2, limit=4)
        await surefoot.run(
            Towers(3, "compact"), few, model=towers_double(invalid=1.0), redis=redis, job="stalled"
        )
    assert await export("stalled", tmp_path / "s.eval", redis=redis) == 0
    assert (await read(tmp_path / "s.eval")).status == "error"


async def test_the_command_line_writes_one(redis: str, tmp_path: Path) -> None:
    model = towers_double(error=0.3)
    await surefoot.run(Towers(4, "compact"), Settings(k=3), model=model, redis=redis, job="typed")
    count = await export("typed", tmp_path / "a.eval", redis=redis)
    assert count > 1
    command = [
        sys.executable,
        "-m",
        "surefoot.cli",
        "export",
        "typed",
        "--to",
        str(tmp_path / "b.eval"),
        "--redis",
        redis,
    ]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120)
    assert done.stdout == f"{count} samples in {tmp_path / 'b.eval'}\n", done.stderr
