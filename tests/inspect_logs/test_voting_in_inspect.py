"""surefoot inside inspect_ai: real evals whose answers are elected, on a model that errs by the seed."""

import asyncio
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot import BadInput
from surefoot.models.elected_answers import AnswerStalled
from surefoot.serving.inspect_extension import VotedSettings, voted_solver

pytestmark = [
    pytest.mark.inspect,
    # inspect_ai says this of itself, at every call.
    pytest.mark.filterwarnings("ignore:The .initial. parameter is deprecated:DeprecationWarning"),
]

Answers = Callable[..., Any]


def says(text: str, stop: str = "stop") -> Any:
    """Return an answer of a model, with what it took: inspect_ai would fetch a tokenizer from the network to count it."""
    from inspect_ai.model import ModelOutput, ModelUsage

    output = ModelOutput.from_content("mockllm/model", text, stop)  # type: ignore[arg-type,unused-ignore]
    output.usage = ModelUsage(input_tokens=10, output_tokens=2, total_tokens=12)
    return output


def calls(name: str, **arguments: Any) -> Any:
    """Return an answer that calls a tool."""
    from inspect_ai.model import ModelOutput, ModelUsage

    output = ModelOutput.for_tool_call("mockllm/model", name, arguments)
    output.usage = ModelUsage(input_tokens=10, output_tokens=2, total_tokens=12)
    return output


def model(answers: Answers) -> Any:
    """Return a model of inspect_ai that answers by a function."""
    from inspect_ai.model import get_model

    return get_model("mockllm/model", custom_outputs=answers)


def in_turn(*texts: str) -> Answers:
    """Answer with one text after the other, and begin again."""
    left: Iterator[str] = iter(())

    def answers(*_: object) -> Any:
        nonlocal left
        text = next(left, None)
        if text is None:
            left = iter(texts)
            text = next(left)
        return says(text)

    return answers


def voted(inner: Any, **how: Any) -> Any:
    """Return the same with its answers elected."""
    from inspect_ai.model import get_model

    return get_model("surefoot/mockllm/model", memoize=False, inner=inner, **how)


def products(error: float) -> Answers:
    """Multiply, wrongly now and then."""
    draws = random.Random(7)

    def answers(messages: Any, *_: object) -> Any:
        one, other = (int(word) for word in messages[-1].text.split() if word.isdigit())
        off = draws.choice([-10, 1, 10, 100]) if draws.random() < error else 0
        return says(f"I multiply.\nANSWER: {one * other + off}")

    return answers


def sums(questions: int) -> Any:
    """Return a task of inspect_ai."""
    from inspect_ai import Task
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import match

    pairs = [(17 + 3 * number, 23 + number) for number in range(questions)]
    dataset = [Sample(f"What is {one} * {other} ?", target=str(one * other)) for one, other in pairs]
    return Task(dataset=dataset, scorer=match(numeric=True))


def evaluated(task: Any, model: Any, folder: Path, **more: Any) -> Any:
    """Run an eval, and return its log as it was written."""
    from inspect_ai import eval
    from inspect_ai.log import read_eval_log

    (log,) = eval(task, model=model, log_dir=str(folder), display="none", max_samples=1, **more)
    return read_eval_log(log.location, resolve_attachments=True)


def accuracy(log: Any) -> float:
    return float(log.results.scores[0].metrics["accuracy"].value)


def test_elected_answers_are_right_more_often_and_the_log_has_every_vote(tmp_path: Path) -> None:
    single = evaluated(sums(40), model(products(0.2)), tmp_path)
    log = evaluated(sums(40), voted(model(products(0.2))), tmp_path)
    assert accuracy(single) <= 0.9 < 0.97 < accuracy(log)
    for sample in log.samples:
        vote = sample.output.metadata["surefoot"]
        (info,) = [event for event in sample.events if event.event == "info"]
        asked, *drawn = [event for event in sample.events if event.event == "model"]
        assert info.source == "surefoot" and info.data == vote
        assert (vote["vote"], vote["margin"], sum(vote["tally"])) == ("any", 3, len(drawn))
        assert asked.model == "surefoot/mockllm/model"
        assert {event.model for event in drawn} == {"mockllm/model"}
    # What a sample took is counted once, where it was drawn.
    drawn_in_all = sum(sample.output.metadata["surefoot"]["samples"] for sample in log.samples)
    assert {name: usage.total_tokens for name, usage in log.stats.model_usage.items()} == {
        "mockllm/model": 12 * drawn_in_all
    }
    same = evaluated(sums(40), model(products(0.2)), tmp_path, solver=voted_solver())
    assert [each.output.completion for each in same.samples] == [
        each.output.completion for each in log.samples
    ]


@pytest.mark.parametrize("on_stall", ["error", "miss"])
def test_a_stalled_vote_is_an_error_or_a_miss_and_never_a_guess(tmp_path: Path, on_stall: str) -> None:
    divided = in_turn("1", "2", "3")
    how = {"votes": 2, "limit": 6, "on_stall": on_stall}
    log = evaluated(sums(1), voted(model(divided), **how), tmp_path, fail_on_error=False)
    (sample,) = log.samples
    (info,) = [event for event in sample.events if event.event == "info"]
    # The sixth could decide nothing any more.
    assert (info.data["samples"], info.data["tally"], info.data["vote"]) == (5, [2, 2, 1], None)
    assert info.data["candidates"] == ["1", "2", "3"]
    assert "no answer leads by 2 votes after 5 samples" in info.data["stalled"]
    if on_stall == "error":
        assert not sample.scores and info.data["stalled"] in sample.error.message
    else:
        assert (sample.output.completion, sample.output.error) == ("", info.data["stalled"])
        assert sample.output.metadata["surefoot"] == info.data
        assert accuracy(log) == 0


async def test_no_vote_is_claimed_on_prose() -> None:
    output = await voted(model(in_turn("It depends on how you look at it."))).generate("Well?")
    vote = output.metadata["surefoot"]
    assert output.completion == "It depends on how you look at it."
    assert (vote["vote"], vote["tally"], vote["margin"], vote["samples"]) == (None, [], None, 1)


def test_a_voted_call_is_made_once_and_an_answer_is_one_turn(tmp_path: Path) -> None:
    from inspect_ai import Task
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import includes
    from inspect_ai.tool import tool

    made: list[int] = []

    @tool
    def half() -> Any:
        async def execute(number: int) -> int:
            """Halve a number.

            Args:
                number: An even one.
            """
            made.append(number)
            return number // 2

        return execute

    def answers(messages: Any, *_: object) -> Any:
        if messages[-1].role == "tool":
            return says("It is 4.")
        wrong = next(numbers) % 3 == 0
        return calls("quarter", number=8) if wrong else calls("half", number=8)

    from inspect_ai.solver import use_tools

    numbers = iter(range(1000))
    task = Task(
        dataset=[Sample("Halve 8.", target="4")],
        solver=[use_tools(half()), voted_solver()],
        scorer=includes(),
    )
    log = evaluated(task, model(answers), tmp_path, turn_limit=2)
    (sample,) = log.samples
    assert made == [8], "samples cast ballots; only what was elected is done"
    assert [message.role for message in sample.messages] == ["user", "assistant", "tool", "assistant"]
    first, second = (event.data for event in sample.events if event.event == "info")
    assert (first["vote"], first["tally"], first["flags"]) == ("calls", [3], {"malformed": 2})
    assert second["vote"] == "no call"
    assert sample.limit is None and accuracy(log) == 1


async def test_no_two_samples_share_a_seed_and_only_the_first_is_greedy() -> None:
    from inspect_ai.model import GenerateConfig

    drawn: list[tuple[float, int]] = []

    def answers(messages: Any, tools: Any, choice: Any, config: Any) -> Any:
        drawn.append((config.temperature, config.seed))
        return says("7")

    model_ = voted(model(answers), votes=4, equality="number")
    asked = GenerateConfig(temperature=0, seed=5)
    for _ in range(2):
        assert (await model_.generate("?", config=asked)).completion == "7"
    assert [temperature for temperature, _ in drawn] == [0, 0.7, 0.7, 0.7] * 2
    seeds = [seed for _, seed in drawn]
    assert len(set(seeds[:4])) == 4 and seeds[:4] == seeds[4:]


async def test_answers_to_a_schema_are_compared_as_json() -> None:
    from inspect_ai.model import GenerateConfig, ResponseSchema
    from inspect_ai.util import json_schema
    from pydantic import BaseModel

    class City(BaseModel):
        name: str
        people: int

    wanted = GenerateConfig(response_schema=ResponseSchema(name="city", json_schema=json_schema(City)))
    texts = ('{"name": "Rome"}', '{"name":"Rome","people":3}', '{"people": 3.0, "name": "Rome"}')
    output = await voted(model(in_turn(*texts)), votes=2).generate("?", config=wanted)
    vote = output.metadata["surefoot"]
    assert output.completion == '{"name":"Rome","people":3}'
    assert (vote["vote"], vote["tally"], vote["flags"]) == ("json", [2], {"malformed": 1})


async def test_a_vote_that_there_is_not_is_refused_at_once() -> None:
    from inspect_ai.model import get_model

    inner = model(in_turn("7"))
    with pytest.raises(BadInput, match="votes, the lead that decides"):
        voted(inner, votes=0)
    with pytest.raises(BadInput, match="on_stall of VotedSettings"):
        VotedSettings(on_stall="guess")  # type: ignore[arg-type,unused-ignore]
    with pytest.raises(BadInput, match="elected already"):
        get_model("surefoot/surefoot/mockllm/model", memoize=False, inner=voted(inner))
    with pytest.raises(AnswerStalled):
        await voted(model(in_turn("1", "2")), votes=2, limit=2).generate("?")


PROVIDER = """
from inspect_ai.model import ModelAPI, ModelOutput, ModelUsage, modelapi

@modelapi(name="double")
class Double(ModelAPI):
    async def generate(self, input, tools, tool_choice, config):
        output = ModelOutput.from_content(self.model_name, "42")
        output.usage = ModelUsage(input_tokens=10, output_tokens=2, total_tokens=12)
        return output
"""
TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import match

@task
def product():
    return Task(dataset=[Sample("What is 6 * 7?", target="42")], scorer=match(numeric=True))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--model", "surefoot/double/any", "-M", "votes=2", "-M", "equality=number"),
        ("--model", "double/any", "--solver", "surefoot/voted", "-S", "votes=2", "-S", "equality=number"),
    ],
)
async def test_inspect_finds_both_by_name(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    from inspect_ai.log import read_eval_log_async

    (tmp_path / "product.py").write_text(TASK)
    (tmp_path / "double_provider.py").write_text(PROVIDER)
    installed = tmp_path / "double_provider-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: double_provider\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[inspect_ai]\ndouble_provider = double_provider\n")
    command = [sys.executable, "-m", "inspect_ai", "eval", "product.py", "--display", "none", *arguments]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = (tmp_path / "logs").glob("*.eval")
    log = await read_eval_log_async(str(file))
    assert log.status == "success" and accuracy(log) == 1
    assert log.samples[0].output.metadata["surefoot"]["tally"] == [2]


def test_the_task_of_the_page_runs(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "inspect.md"
    (block,) = re.findall(r"^```py\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    made: dict[str, Any] = {}
    exec(block, made)
    log = evaluated(made["products"](), voted(model(in_turn("42", "41", "42"))), tmp_path)
    assert log.samples[0].output.metadata["surefoot"]["tally"] == [5, 2] and accuracy(log) == 1


async def test_its_bench_runs_to_its_page(tmp_path: Path) -> None:
    bench = Path(__file__).parents[2] / "bench" / "inspect_votes.py"
    command = [sys.executable, str(bench), "--problems", "4", "--results", "."]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode in (0, 1), done.stderr  # four problems say nothing
    assert (tmp_path / "inspect.md").read_text() in done.stdout
