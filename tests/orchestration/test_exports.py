"""Jobs as tables: every row is of the schema, says what the journal says, and Parquet holds what lines of JSON do."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

import surefoot
from surefoot import Agent, BadInput, Settings, Towers
from surefoot.models import Ask, Call, write_calls
from surefoot.models.doubles import Double, towers_double
from surefoot.orchestration.exports import (
    CandidateVotes,
    ExportedExample,
    ExportedMessage,
    ExportedResult,
    ExportedSample,
    ExportedStep,
    ExportedTurn,
    ExportTable,
    export,
    exported,
)
from surefoot.orchestration.exports.files import GROUP_ROWS, arrow_schema, written_rows
from surefoot.orchestration.exports.rows import KINDS
from surefoot.orchestration.journal.jobs import Keys, NoSuchJob
from surefoot.orchestration.journal.records import CorruptJournal
from surefoot.orchestration.workers import begin, stitch
from surefoot.tools import ToolFailed
from surefoot.voting import Sample, Usage

ROOT = Path(__file__).parents[2]
TABLES: tuple[ExportTable, ...] = ("results", "steps", "turns", "samples", "examples")
UNSURE = towers_double(error=0.15, invalid=0.05)
KS = Settings(k=3, segment=50)


def read(file: Path, table: ExportTable) -> list[Any]:
    """Read lines of JSON, each of which has to be a row of the schema: no field less, none more, none of another type."""
    adapter: TypeAdapter[Any] = TypeAdapter(KINDS[table])
    rows = []
    for line in file.read_bytes().splitlines():
        rows.append(adapter.validate_json(line, strict=True))
        assert from_json(to_json(rows[-1])) == from_json(line)
    return rows


async def both(jobs: str | list[str], table: ExportTable, folder: Path, redis: str) -> list[Any]:
    """Export in both forms, which have to hold the same rows, and return these."""
    lines, parquet = folder / f"{table}.jsonl", folder / f"{table}.parquet"
    count = await export(jobs, lines, table=table, redis=redis)
    assert await export(jobs, parquet, table=table, redis=redis) == count
    found = pyarrow.parquet.read_table(parquet)
    assert found.schema.equals(arrow_schema(KINDS[table]))
    assert found.to_pylist() == [from_json(line) for line in lines.read_bytes().splitlines()]
    rows = read(lines, table)
    assert len(rows) == count
    return rows


async def towers(redis: str, job: str = "tall", disks: int = 7) -> surefoot.Report:
    return await surefoot.run(Towers(disks, "compact"), KS, model=UNSURE, redis=redis, job=job)


async def test_every_step_is_a_row_with_its_tally(redis_url: str, tmp_path: Path) -> None:
    report = await towers(redis_url)
    rows: list[ExportedStep] = await both("tall", "steps", tmp_path, redis_url)
    assert [row.step for row in rows] == list(range(127))
    assert {row.segment for row in rows} == {0, 1, 2}
    assert sum(row.votes + row.against for row in rows) == report.votes
    assert sum(row.samples for row in rows) == report.samples
    assert sum(row.against > 0 for row in rows) == report.contested > 5
    flags: Counter[str] = Counter()
    for row in rows:
        flags.update({flag.reason: flag.samples for flag in row.flags})
        (first, *others) = row.tally
        assert (first.answer, first.votes) == (row.answer, row.votes)
        assert sum(other.votes for other in others) == row.against
        assert row.margin == row.votes - max([other.votes for other in others], default=0) >= KS.k
    assert dict(flags) == report.red_flags != {}
    assert sum(row.completion_tokens or 0 for row in rows) == report.tokens.completion
    assert rows[0].answer.startswith("[[1,0,")


async def test_a_step_that_climbed_has_its_rungs_beside_its_own_tally(redis_url: str, tmp_path: Path) -> None:
    settings = Settings(k=3, ladder=surefoot.Ladder(("votes",), dissent=1))
    await surefoot.run(
        Towers(5, "compact"), settings, model=towers_double(error=0.1), redis=redis_url, job="hard"
    )
    rows: list[ExportedStep] = await both("hard", "steps", tmp_path, redis_url)
    climbed = [row for row in rows if row.rungs]
    assert climbed
    for row in climbed:
        (rung,) = row.rungs
        assert rung.rung == "votes" and rung.samples > 0
        assert sum(each.votes for each in row.tally) == row.votes + row.against
        assert row.tally[0] == CandidateVotes(answer=row.answer, votes=row.votes)
    assert any(row.margin < 3 for row in climbed)
    assert all(row.margin >= 3 for row in rows if not row.rungs)


async def test_answers_are_shown_in_the_words_of_the_task(redis_url: str, tmp_path: Path) -> None:
    class Named(Towers):
        name = "named"

        def show(self, answer: Any) -> str:
            return f"disk {answer[0][0]}\x1b"

    task = Named(3, "compact")
    await surefoot.run(task, KS, model=UNSURE, redis=redis_url, job="tall")
    target = tmp_path / "x.jsonl"
    await export("tall", target, task=task, redis=redis_url)
    assert [row.shown for row in read(target, "steps")] == [
        f"disk {disk}\\x1b" for disk in (1, 2, 1, 3, 1, 2, 1)
    ]
    await export("tall", target, redis=redis_url)  # no task of this name is known here
    assert all(row.shown == row.answer for row in read(target, "steps"))


async def test_a_stitched_job_is_counted_over_the_whole(redis_url: str, tmp_path: Path) -> None:
    await stitch(Towers(6, "compact"), KS, parts=4, model=UNSURE, redis=redis_url, job="wide")
    whole = await towers(redis_url, disks=6)
    rows: list[ExportedStep] = await both("wide", "steps", tmp_path, redis_url)
    assert [row.step for row in rows] == list(range(63))
    assert [row.part for row in rows] == sorted(row.part or 0 for row in rows)
    assert {row.part for row in rows} == {0, 1, 2, 3}
    assert {row.job for row in rows} == {"wide"}
    stitched, single = await both(["wide", "tall"], "results", tmp_path, redis_url)
    assert (stitched.parts, stitched.solved, stitched.steps) == (4, True, 63)
    assert (single.parts, single.head, single.solved) == (None, whole.head, True)


async def test_parts_that_nobody_has_begun_have_no_rows(redis_url: str, tmp_path: Path) -> None:
    await begin(Towers(6, "compact"), KS, parts=4, model=UNSURE, redis=redis_url, job="wide")
    assert await both("wide", "steps", tmp_path, redis_url) == []
    (row,) = await both("wide", "results", tmp_path, redis_url)
    assert (row.status, row.steps, row.steps_expected) == ("stopped", 0, 63)


async def test_a_result_says_what_the_report_says(redis_url: str, tmp_path: Path) -> None:
    report = await towers(redis_url)
    (row,) = await both("tall", "results", tmp_path, redis_url)
    assert isinstance(row, ExportedResult)
    named = ("job", "task", "models", "status", "solved", "steps", "steps_expected", "votes", "samples", "k")
    named += ("contested", "repairs", "risk", "dissent_rate", "dissent_bound", "wall_s", "head", "rule")
    assert {name: getattr(row, name) for name in named} == {name: getattr(report, name) for name in named}
    assert from_json(row.spec) == from_json(to_json(report.spec))
    assert {flag.reason: flag.samples for flag in row.flags} == report.red_flags
    assert (row.prompt_tokens, row.uncounted) == (report.tokens.prompt, report.tokens.uncounted)
    assert 0 < row.created <= row.updated


async def test_the_samples_that_were_kept_add_up_to_the_tallies(redis_url: str, tmp_path: Path) -> None:
    await towers(redis_url)
    steps: list[ExportedStep] = await both("tall", "steps", tmp_path, redis_url)
    samples: list[ExportedSample] = await both("tall", "samples", tmp_path, redis_url)
    assert [(row.step, row.number) for row in samples] == sorted((row.step, row.number) for row in samples)
    assert {row.step for row in samples} >= {row.step for row in steps if row.against or row.flags}
    for step in steps:
        drawn = [row for row in samples if row.step == step.step]
        if drawn:
            cast = Counter(row.ballot for row in drawn if row.flag is None)
            assert cast == {each.answer: each.votes for each in step.tally}
            thrown = Counter(row.flag for row in drawn if row.flag is not None)
            assert thrown == {flag.reason: flag.samples for flag in step.flags}
            assert all((row.ballot is None) == (row.flag is not None) for row in drawn)


async def test_examples_ask_again_in_every_view_and_answer_as_was_elected(
    redis_url: str, tmp_path: Path
) -> None:
    task = surefoot.Columns((87, 64))
    model = Double(
        lambda prompt: f"{eval(prompt[1].content):02d}", lambda prompt, which: f"{which % 100:02d}", error=0.2
    )
    await surefoot.run(task, KS, model=model, redis=redis_url, job="paper")
    rows: list[ExportedExample] = await both("paper", "examples", tmp_path, redis_url)
    assert [(row.step, row.view) for row in rows] == [(step, view) for step in range(4) for view in range(2)]
    assert [message.role for message in rows[0].prompt] == ["system", "user"]
    assert [row.prompt[1].content for row in rows[:2]] == ["7 * 4 + 0 + 0", "4 * 7 + 0 + 0"]
    assert [row.answer for row in rows] == ["28", "28", "44", "44", "36", "36", "55", "55"]


async def test_examples_are_written_as_each_view_reads_them(redis_url: str, tmp_path: Path) -> None:
    """In another view of the towers the pegs have other names, so that an answer is another text."""
    await towers(redis_url, disks=4)
    rows: list[ExportedExample] = await both("tall", "examples", tmp_path, redis_url)
    task = Towers(4, "compact")
    state, found = task.start(), iter(rows)
    for _ in range(15):
        read = {task.read(row.answer, state, row.view) for row in (next(found) for _ in range(task.views))}
        (answer,) = read
        state = task.advance(state, answer)
    assert task.solved(state) and next(found, None) is None
    assert len({row.answer for row in rows[:3]}) == 3
    assert rows[0].prompt == [ExportedMessage(role="", content=task.ask(task.start()))]


async def test_examples_of_a_job_whose_task_nobody_knows_are_refused(redis_url: str, tmp_path: Path) -> None:
    class Named(Towers):
        name = "named"

    await surefoot.run(Named(3, "compact"), KS, model=UNSURE, redis=redis_url, job="tall")
    with pytest.raises(BadInput, match="only its task 'named' knows"):
        await export("tall", tmp_path / "x.jsonl", table="examples", redis=redis_url)


async def test_an_answer_that_is_shown_in_other_words_than_it_is_read_is_no_example(
    redis_url: str, tmp_path: Path
) -> None:
    class Wordy(surefoot.Columns):
        guess = None  # type: ignore[assignment]

        def show(self, answer: Any) -> str:
            return f"carry {answer[0]}"

    task = Wordy((8, 7))
    double = Double(lambda prompt: "56", lambda prompt, which: "57")
    await surefoot.run(task, KS, model=double, redis=redis_url, job="wordy")
    with pytest.raises(BadInput, match="give it a `guess`"):
        await export("wordy", tmp_path / "x.jsonl", table="examples", task=task, redis=redis_url)


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


@surefoot.tool(effect="writes")
async def store(number: int) -> str:
    """Store a number."""
    return f"stored {number}"


async def test_an_agents_turns_have_their_calls_and_what_was_seen(redis_url: str, tmp_path: Path) -> None:
    two_calls = write_calls("I look.", [Call("half", '{"number":8}'), Call("fly", "{}")])
    said = (two_calls, write_calls("Now.", [Call("store", '{"number":4}')]), "It is 4.")
    agent = Agent(Scripted(*said), [half, store], votes={"writes": "person"})
    asking = await agent.run("Halve 8.", redis=redis_url, job="a")
    assert asking.status == "asking" and asking.question is not None
    unanswered: list[ExportedTurn] = await both("a", "turns", tmp_path, redis_url)
    assert [call.outcome for call in unanswered[-1].calls] == [None]
    await surefoot.decide("a", "yes", question=asking.question["id"], redis=redis_url)
    report = await Agent(Scripted("It is 4."), [half, store], votes={"writes": "person"}).run(
        "Halve 8.", redis=redis_url, job="a"
    )
    assert report.status == "answered"
    turns: list[ExportedTurn] = await both("a", "turns", tmp_path, redis_url)
    assert [turn.turn for turn in turns] == [1, 2, 3] and len(turns) == report.turns
    first, second, last = turns
    halved = first.calls[0]
    assert (halved.tool, halved.arguments, halved.outcome, halved.observation) == (
        "half",
        '{"number":8}',
        "done",
        "4",
    )
    assert first.calls[1].outcome == "failed" and "no tool 'fly'" in (first.calls[1].observation or "")
    assert first.prose == "I look."
    assert [(call.allowed, call.observation) for call in second.calls] == [(True, "stored 4")]
    assert (last.calls, last.prose) == ([], "It is 4.")
    assert [turn.completion_tokens for turn in turns] == [10, 10, 10]
    steps: list[ExportedStep] = await both("a", "steps", tmp_path, redis_url)
    world = [row for row in steps if not row.votes]
    assert world and all((row.tally, row.margin, row.samples) == ([], 0, 0) for row in world)


async def test_rows_are_read_one_by_one(redis_url: str) -> None:
    await towers(redis_url, disks=3)
    rows = [row async for row in exported("tall", redis=redis_url)]
    assert len(rows) == 7 and all(isinstance(row, ExportedStep) for row in rows)


async def test_a_row_group_is_bounded(tmp_path: Path) -> None:
    """What waits to be written is what a long job takes in memory."""
    row = ExportedSample(
        job="j", part=None, step=0, number=0, text="t", finish=None, ballot=None, flag=None, detail=None
    )
    target = tmp_path / "rows.parquet"
    with target.open("wb") as file, written_rows(file, ".parquet", ExportedSample) as put:
        for _ in range(2 * GROUP_ROWS + 1):
            put(row)
        for _ in range(20):
            put(ExportedSample(**{**from_json(to_json(row)), "text": "x" * 2**20}))
    found = pyarrow.parquet.ParquetFile(target).metadata
    sizes = [found.row_group(place).num_rows for place in range(found.num_row_groups)]
    assert sizes[:2] == [GROUP_ROWS, GROUP_ROWS] and sum(sizes) == found.num_rows == 2 * GROUP_ROWS + 21
    assert max(sizes[2:]) < 20


@pytest.mark.parametrize("table", TABLES)
async def test_a_job_without_a_step_has_a_table_with_its_columns(
    redis_url: str, tmp_path: Path, table: ExportTable
) -> None:
    with pytest.raises(surefoot.Stalled):
        await surefoot.run(
            Towers(3, "compact"),
            Settings(k=2, limit=4),
            model=towers_double(invalid=1.0),
            redis=redis_url,
            job="j",
        )
    if table == "turns":
        with pytest.raises(BadInput, match="no agent's"):
            await export("j", tmp_path / "t.jsonl", table=table, redis=redis_url)
        assert [*tmp_path.iterdir()] == []
    else:
        assert len(await both("j", table, tmp_path, redis_url)) == (table == "results")


async def test_what_cannot_be_is_refused_before_a_file_is_there(redis_url: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"written as \.jsonl, \.parquet or \.eval, not as 'x\.csv'"):
        await export("j", tmp_path / "x.csv", redis=redis_url)
    with pytest.raises(NoSuchJob):
        await export("j", tmp_path / "x.jsonl", redis=redis_url)
    with pytest.raises(BadInput, match="cannot be written"):
        await export("j", tmp_path / "no" / "x.jsonl", redis=redis_url)
    assert [*tmp_path.iterdir()] == []


async def test_a_damaged_record_ends_an_export_and_leaves_the_earlier_file(
    redis_url: str, redis_server: Any, tmp_path: Path
) -> None:
    await towers(redis_url, disks=3)
    target = tmp_path / "x.jsonl"
    await export("tall", target, redis=redis_url)
    before = target.read_bytes()
    redis_server.tell("LSET", Keys("tall").log(0), 0, "0 7 nothing")
    with pytest.raises(CorruptJournal, match="segment 0"):
        await export("tall", target, redis=redis_url)
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]


def test_without_its_library_parquet_is_refused_and_lines_are_written(redis_url: str, tmp_path: Path) -> None:
    asyncio.run(towers(redis_url, disks=3))
    without = "import sys; sys.modules['pyarrow'] = None; from surefoot.cli import main; main()"
    refused, written = (
        subprocess.run(
            [
                sys.executable,
                "-c",
                without,
                "export",
                "tall",
                "--to",
                str(tmp_path / name),
                "--redis",
                redis_url,
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        for name in ("x.parquet", "x.jsonl")
    )
    assert refused.returncode == BadInput.exit_code
    assert "pip install 'surefoot[parquet]'" in refused.stderr and len(refused.stderr.splitlines()) == 1
    assert written.stdout == f"7 rows of steps in {tmp_path / 'x.jsonl'}\n"
    assert len(read(tmp_path / "x.jsonl", "steps")) == 7


def test_the_page_of_the_schema_is_what_the_code_says() -> None:
    """If this fails: `python docs/export.py`."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "export.py"), "--print"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert (ROOT / "docs" / "export.md").read_bytes() == done.stdout


def test_all_tables_have_rows_of_one_schema_in_both_forms() -> None:
    for kind in KINDS.values():
        names = arrow_schema(kind).names
        assert names == list(kind.__dataclass_fields__)
    assert set(KINDS) == set(TABLES)


def test_without_inspect_ai_a_log_of_its_kind_is_refused(redis_url: str, tmp_path: Path) -> None:
    without = "import sys; sys.modules['inspect_ai'] = None; from surefoot.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        without,
        "export",
        "tall",
        "--to",
        str(tmp_path / "x.eval"),
        "--redis",
        redis_url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == BadInput.exit_code and "pip install 'surefoot[inspect]'" in done.stderr
