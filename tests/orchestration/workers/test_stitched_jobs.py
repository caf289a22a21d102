"""What a stitched job may be called and made of, and how it is listed, shown and deleted."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer
from redis.asyncio import ConnectionPool, Redis, UnixDomainSocketConnection

import surefoot
from surefoot import BadInput, Ladder, Settings, Towers
from surefoot.agents.handbook import Behaviour, WithHandbook
from surefoot.agents.patterns import WithPattern
from surefoot.agents.tasks import Attempt, PartOf
from surefoot.agents.tasks.around import innermost
from surefoot.agents.tasks.failures import TaskFailed
from surefoot.cli.common import go
from surefoot.models.base import ModelUnavailable
from surefoot.models.doubles import towers_double
from surefoot.orchestration import deletion
from surefoot.orchestration.decision import decide
from surefoot.orchestration.events import Began, Event
from surefoot.orchestration.journal import jobs, stitched
from surefoot.orchestration.journal.jobs import NewerJournal, NoSuchJob
from surefoot.orchestration.journal.journal import Journal
from surefoot.orchestration.journal.records import CorruptJournal
from surefoot.orchestration.journal.scripts import CREATE
from surefoot.orchestration.progress import ProgressOfSeveral
from surefoot.orchestration.reporting import question_of
from surefoot.orchestration.task_of_job import task_again
from surefoot.orchestration.workers import begin, read_stitched, stitch, work

GOLDEN = Path(__file__).parents[1] / "golden"
K1 = Settings(k=1)
MODEL = towers_double()
TASK = Towers(4, "compact")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


class Acting(Towers):
    """Towers that act on the world, for no good reason."""

    def acts(self, state: Any) -> bool:
        return False

    async def act(self, state: Any, attempt: Attempt) -> Any:
        raise AssertionError


class Endless(Towers):
    """Towers that do not say how many steps they take."""

    def steps(self) -> int:
        return None  # type: ignore[return-value]


class Elsewhere(Towers):
    """Towers whose first boundary is not the start."""

    def boundary(self, step: int) -> Any:
        return super().boundary(step + 1)


class Away(Towers):
    """Towers of one's own, which a journal's name does not lead to."""

    name = "away"


class Restless(Towers):
    """Towers that know another boundary each time."""

    def boundary(self, step: int) -> Any:
        self.asked = getattr(self, "asked", 0) + 1
        return super().boundary(step and 1 + self.asked % 14)


class Early(Towers):
    """Towers that are done a step before they say."""

    def steps(self) -> int:
        return super().steps() + 1


@pytest.mark.parametrize(
    ("task", "parts", "why"),
    [
        (TASK, 0, "1 to 10,000 parts, not 0"),
        (TASK, -3, "1 to 10,000 parts, not -3"),
        (TASK, 10**9, "1 to 10,000 parts"),
        (TASK, 16, "has 15 steps, and so no 16 parts"),
        (Acting(4, "compact"), 2, "acts on the world"),
        (surefoot.Sorting((3, 1, 2), "size"), 2, "knows no states in advance"),
        (Endless(4, "compact"), 2, "does not say how many steps"),
        (Elsewhere(4, "compact"), 2, r"its `boundary\(0\)` is"),
    ],
)
async def test_what_cannot_be_split_is_refused_before_anything_is_opened(
    redis: Redis, task: Any, parts: int, why: str
) -> None:
    with pytest.raises(BadInput, match=why):
        await stitch(task, K1, parts=parts, model="http://127.0.0.1:1/v1", redis=redis, job="job")
    assert await redis.keys("*") == []


async def test_as_many_parts_as_steps(redis: Redis) -> None:
    report = await stitch(TASK, K1, parts=15, model=MODEL, redis=redis, job="job", at_once=15)
    assert report.solved and [part.steps for part in report.parts] == [1] * 15
    assert (report.parts[0].job, report.parts[14].job) == ("job/00", "job/14")


async def test_a_name_is_that_of_one_job(redis: Redis) -> None:
    await surefoot.run(TASK, K1, model=MODEL, redis=redis, job="plain")
    await surefoot.run(TASK, K1, model=MODEL, redis=redis, job="under/1")
    before = {key: await redis.dump(key) for key in await redis.keys("*")}
    with pytest.raises(BadInput, match="'plain' was begun in one piece"):
        await stitch(TASK, K1, parts=2, model=MODEL, redis=redis, job="plain")
    with pytest.raises(BadInput, match="'under/1' already that is no part"):
        await stitch(TASK, K1, parts=2, model=MODEL, redis=redis, job="under")
    with pytest.raises(NoSuchJob, match="has no parts: `surefoot resume plain`"):
        await work("plain", redis=redis, model=MODEL)
    assert {key: await redis.dump(key) for key in await redis.keys("*")} == before
    await begin(TASK, K1, parts=2, model=MODEL, redis=redis, job="parts")
    with pytest.raises(BadInput, match="'parts' is a stitched one: `surefoot worker parts`"):
        await surefoot.run(TASK, K1, model=MODEL, redis=redis, job="parts")
    with pytest.raises(NoSuchJob, match="`surefoot worker parts` goes on"):
        await surefoot.resume("parts", redis=redis)
    with pytest.raises(NoSuchJob, match="there is no job 'nope' here"):
        await work("nope", redis=redis, model=MODEL)


@pytest.mark.parametrize("other", [Towers(5, "compact"), Towers(4, "compact", "move"), surefoot.Checkers(3)])
async def test_another_task_or_another_number_of_parts_is_refused(redis: Redis, other: Any) -> None:
    await begin(TASK, K1, parts=2, model=MODEL, redis=redis, job="job")
    with pytest.raises(BadInput, match="'job' was begun as towers in 2 parts"):
        await stitch(other, K1, parts=2, model=MODEL, redis=redis, job="job")
    with pytest.raises(BadInput, match="'job' was begun as towers in 2 parts"):
        await stitch(TASK, K1, parts=3, model=MODEL, redis=redis, job="job")
    with pytest.raises(BadInput, match="is of task 'towers', not of 'checkers'"):
        await work("job", redis=redis, model=MODEL, task=surefoot.Checkers)


async def test_a_model_made_in_python_is_given_again(redis: Redis) -> None:
    await begin(TASK, K1, parts=2, model=MODEL, redis=redis, job="job")
    with pytest.raises(BadInput, match="a model made in Python"):
        await work("job", redis=redis)
    with pytest.raises(BadInput, match="1 to 1,000 parts at once, not 0"):
        await work("job", redis=redis, model=MODEL, at_once=0)


async def test_what_is_around_a_task_is_inside_its_parts(redis: Redis) -> None:
    habits = [Behaviour(name="behavior_look", instruction="Look at the board.", task="towers")]
    task = WithPattern(WithHandbook(TASK, habits), "table")
    await begin(task, K1, parts=3, model=MODEL, redis=redis, job="job")
    part = task_again(await jobs.load(redis, "job/1"))
    assert isinstance(part, PartOf) and isinstance(innermost(part), Towers)
    asked = str(part.ask(part.start()))
    assert "Look at the board." in asked and "table" in asked
    assert part.start() == TASK.boundary(5)


async def test_parts_that_a_crash_kept_from_being_made_are_made_by_the_next_worker(redis: Redis) -> None:
    await begin(TASK, K1, parts=3, model=MODEL, redis=redis, job="job")
    await deletion.delete(redis, "job/1")
    assert [part.status for part in (await read_stitched(redis, "job")).parts] == [
        *("stopped", "missing", "stopped")
    ]
    assert await work("job", redis=redis, model=MODEL) == 3


async def test_parts_that_are_not_there_cannot_be_cancelled_which_is_said(redis: Redis) -> None:
    await begin(TASK, K1, parts=3, model=MODEL, redis=redis, job="job")
    await deletion.delete(redis, "job/1")
    known = await stitched.load(redis, "job")
    with pytest.raises(BadInput, match="1 of 3 parts of job 'job' are not there"):
        await stitched.cancel(redis, known)
    assert (await jobs.load(redis, "job/2")).status == "cancelled"


@pytest.mark.parametrize("name", ["plain", "a b/c:d", "glob*?[x]\\", "with {braces}"])
async def test_a_deleted_one_leaves_nothing_behind(redis: Redis, name: str) -> None:
    await surefoot.run(TASK, K1, model=MODEL, redis=redis, job=f"{name}/more")
    before = {key: await redis.dump(key) for key in await redis.keys("*")}
    await stitch(TASK, Settings(k=1, segment=2), parts=3, model=MODEL, redis=redis, job=name)
    await deletion.delete(redis, name)
    assert {key: await redis.dump(key) for key in await redis.keys("*")} == before
    with pytest.raises(NoSuchJob):
        await deletion.delete(redis, name)


async def test_one_that_is_worked_on_is_not_deleted(redis: Redis) -> None:
    await begin(TASK, K1, parts=3, model=MODEL, redis=redis, job="job")
    async with await Journal.acquire(redis, "job/2"):
        with pytest.raises(BadInput, match="'job/2' is being run by process"):
            await deletion.delete(redis, "job")
        assert len(await jobs.every(redis)) == 3


async def test_a_job_whose_deletion_was_cut_short_is_neither_worked_on_nor_begun_again(redis: Redis) -> None:
    await begin(TASK, K1, parts=3, model=MODEL, redis=redis, job="job")
    await stitched.mark_deleting(redis, await stitched.load(redis, "job"))
    await deletion.delete(redis, "job/1")
    for again in (
        work("job", redis=redis, model=MODEL),
        stitch(TASK, K1, parts=3, model=MODEL, redis=redis, job="job"),
    ):
        with pytest.raises(BadInput, match="'job' is being deleted: `surefoot delete job` goes on"):
            await again
    assert not await jobs.exists(redis, "job/1")
    await deletion.delete(redis, "job")
    assert await redis.keys("*") == []


async def test_a_part_that_is_deleted_while_a_worker_looks_is_not_made_again(redis: Redis) -> None:
    await begin(TASK, K1, parts=3, model=MODEL, redis=redis, job="job")
    loop = asyncio.get_running_loop()
    deleting: list[asyncio.Task[None]] = []

    def listen(event: Event) -> None:
        if isinstance(event, Began) and not deleting:  # the worker has a part, and will look for the others
            deleting.append(loop.create_task(_delete_under_a_worker(redis)))

    slow = towers_double(latency=0.005)
    with pytest.raises(BadInput, match=r"being deleted|no job"):
        await work("job", redis=redis, model=slow, on_event=listen)
    await deleting[0]
    await deletion.delete(redis, "job")
    assert await redis.keys("surefoot:*") == []


async def _delete_under_a_worker(redis: Redis) -> None:
    """Delete what a worker does not hold, as a deletion that is cut short does."""
    await stitched.mark_deleting(redis, await stitched.load(redis, "job"))
    for name in ("job/0", "job/1", "job/2"):
        with suppress(BadInput):
            await deletion.delete(redis, name)


async def test_a_part_that_was_made_while_its_job_was_deleted_is_taken_back(
    redis: Redis, redis_url: str
) -> None:
    await begin(TASK, K1, parts=3, model=MODEL, redis=redis, job="job")
    await deletion.delete(redis, "job/1")
    pool = ConnectionPool.from_url(redis_url)
    pool.connection_class = Unlucky
    async with Redis.from_pool(pool) as unlucky:
        with pytest.raises(NoSuchJob):
            await work("job", redis=unlucky, model=MODEL)
    assert await redis.keys("surefoot:*") == []


class Unlucky(UnixDomainSocketConnection):
    """A connection over which jobs are written down just after somebody else has deleted the stitched one that they are parts of."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if CREATE.sha.encode() in b"".join(command):
            async with Redis(unix_socket_path=self.path) as other:
                if await stitched.exists(other, "job"):
                    await deletion.delete(other, "job")
        await super().send_packed_command(command, check_health)


async def test_one_that_lacks_a_part_is_pruned_as_an_unfinished_one(redis: Redis) -> None:
    await stitch(TASK, K1, parts=3, model=MODEL, redis=redis, job="job")
    await deletion.delete(redis, "job/1")
    assert await deletion.old_stitched(redis, 0) == []
    assert await deletion.old_stitched(redis, 50, unfinished=True) == []
    assert [each.id for each in await deletion.old_stitched(redis, 0, unfinished=True)] == ["job"]
    assert await deletion.old(redis, 0, unfinished=True) == []
    await stitched.mark_deleting(redis, await stitched.load(redis, "job"))
    assert [each.id for each in await deletion.old_stitched(redis, 0)] == ["job"]


async def test_parts_are_made_even_where_the_server_does_not_know_the_script(redis: Redis) -> None:
    await redis.script_flush()
    await begin(TASK, K1, parts=15, model=MODEL, redis=redis, job="job")
    assert await redis.smembers(jobs.Keys("").jobs) == {f"job/{part:02}".encode() for part in range(15)}
    assert await work("job", redis=redis, model=MODEL) == 15


async def test_old_parts_of_a_job_that_goes_on_are_not_pruned(redis: Redis) -> None:
    await stitch(TASK, K1, parts=3, model=MODEL, redis=redis, job="job")
    for name in ("job/0", "job/1"):
        await redis.hset(jobs.Keys(name).meta, "updated", f"{time.time() - 100:.3f}")
    assert (await deletion.old(redis, 50), await deletion.old_stitched(redis, 50)) == ([], [])
    await redis.hset(jobs.Keys("job/2").meta, "updated", f"{time.time() - 100:.3f}")
    assert await deletion.old(redis, 50) == []
    assert [each.id for each in await deletion.old_stitched(redis, 50)] == ["job"]


async def test_the_record_of_the_first_schema_stays_readable(redis: Redis) -> None:
    raw = (GOLDEN / "stitched-v1.json").read_text()
    await redis.hset(jobs.Keys("job").stitched, "job", raw)
    known = await stitched.load(redis, "job")
    assert (known.task, known.spec, known.steps, known.parts) == ("columns", {"factors": ("12", "34")}, 4, 3)
    assert (known.fixed.k, known.fixed.model, known.names) == (
        2,
        "towers-double",
        ["job/0", "job/1", "job/2"],
    )
    # What is written for it now is the same.
    await redis.delete(jobs.Keys("job").stitched)
    await stitched.create(redis, known)
    assert json.loads(await redis.hget(jobs.Keys("job").stitched, "job") or "") == json.loads(raw)


DAMAGE = [
    b"",
    b"\xff",
    b"[]",
    b"{}",
    b'{"schema": 1}',
    b'{"schema": 1, "task": "towers", "spec": {}, "steps": 5, "parts": 9, "fixed": "{}", "created": 1, "code": ""}',
]


@pytest.mark.parametrize("raw", DAMAGE)
async def test_a_record_that_cannot_be_read_is_named_and_can_be_deleted(redis: Redis, raw: bytes) -> None:
    await redis.hset(jobs.Keys("job").stitched, "job", raw)
    with pytest.raises(CorruptJournal, match="the stitched job 'job' cannot be read"):
        await work("job", redis=redis, model=MODEL)
    (found,) = await stitched.every(redis)
    assert isinstance(found, jobs.UnreadableJob)
    await deletion.delete(redis, "job")
    assert await redis.keys("*") == []


async def test_too_many_parts_and_a_newer_record_are_refused_at_once(redis: Redis) -> None:
    await begin(Towers(20, "compact"), K1, parts=2, model=MODEL, redis=redis, job="job")
    raw = json.loads(await redis.hget(jobs.Keys("job").stitched, "job") or "")
    await redis.hset(jobs.Keys("job").stitched, "job", json.dumps({**raw, "parts": 10**6}))
    with pytest.raises(CorruptJournal, match="parts 1000000"):
        await stitched.load(redis, "job")
    await redis.hset(jobs.Keys("job").stitched, "job", json.dumps({**raw, "schema": 99}))
    with pytest.raises(NewerJournal, match="schema 99"):
        await stitched.load(redis, "job")


def surefoot_says(url: str, *arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "surefoot.cli", *arguments, "--redis", url]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


async def test_the_command_line_begins_works_shows_and_deletes(redis: Redis, redis_url: str) -> None:
    code, out, _ = surefoot_says(
        redis_url,
        *("run", "towers", "--disks", "4", "--model", "pebble", "--k", "2", "--parts", "3", "--job", "job"),
        "--json",
    )
    report = json.loads(out)
    assert (code, report["kind"], report["solved"], report["steps"]) == (0, "stitched", True, 15)
    assert [part["job"] for part in report["parts"]] == ["job/0", "job/1", "job/2"]
    code, out, _ = surefoot_says(redis_url, "show", "job")
    assert code == 0 and "3 of 3 parts done" in out and "SOLVED" in out and "chained" not in out
    code, out, _ = surefoot_says(redis_url, "jobs", "--json")
    (row,) = json.loads(out)
    assert (row["job"], row["kind"], row["parts"], row["step"], row["status"]) == (
        *("job", "stitched", 3, 15),
        "done",
    )
    await begin(TASK, K1, parts=2, model=MODEL, redis=redis, job="more")
    code, out, said = surefoot_says(redis_url, "worker", "more", "--model", "pebble")
    assert (code, out) == (0, "more: 2 parts done here, 2 of 2 in all, done\n"), said
    assert surefoot_says(redis_url, "worker")[:2] == (0, "no stitched job is left to work on\n")
    code, _, said = surefoot_says(redis_url, "cancel", "more")
    assert (code, said) == (2, "surefoot: job 'more' is done already, there is nothing to cancel\n")
    assert surefoot_says(redis_url, "delete", "job", "more", "--yes")[0] == 0
    assert await redis.keys("surefoot:*") == []


def test_the_command_line_keeps_a_budget_over_all_parts(redis_url: str) -> None:
    run = ("run", "towers", "--disks", "4", "--k", "2", "--parts", "3", "--job", "job", "--json")
    code, out, _ = surefoot_says(redis_url, *run, "--budget-tokens", "300")
    report = json.loads(out)
    assert (code, report["status"], report["bound"]) == (3, "stopped", "tokens")
    assert report["tokens"]["total"] <= 300 and "more than the budget of 300" in report["stopped"]
    code, out, _ = surefoot_says(redis_url, "worker", "job", "--budget-tokens", "300")
    assert code == 3 and out.endswith(" of 3 in all, stopped\n")
    code, out, _ = surefoot_says(redis_url, *run, "--max-steps", "4")
    assert code == 2 and "a budget of tokens, of cost, or of time" in json.loads(out)["error"]
    assert surefoot_says(redis_url, "worker", "job")[0] == 0


def test_what_is_refused_leads_to_no_job_that_was_not_begun(redis_url: str) -> None:
    code, out, said = surefoot_says(redis_url, "run", "towers", "--disks", "4", "--parts", "40")
    assert (code, out) == (2, "")
    assert said.endswith("has 15 steps, and so no 40 parts: give at most 15\n")


@pytest.mark.parametrize(
    ("named", "goes_on"),
    [(True, "the same command goes on"), (False, "the same command with `--job tall` goes on")],
)
def test_whoever_works_on_parts_is_told_what_goes_on(
    named: bool, goes_on: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def ends(how: BaseException) -> None:
        raise how

    for how, sentence in (
        (asyncio.CancelledError(), "interrupted; what was decided is safe"),
        (ModelUnavailable("the server is away"), "the server is away"),
    ):
        with pytest.raises(typer.Exit):
            go(ends(how), False, ProgressOfSeveral(job="tall"), named=named)
        assert capsys.readouterr().err.endswith(f"surefoot: {sentence}; {goes_on}\n")


async def test_a_job_that_cannot_be_worked_on_here_keeps_no_worker_from_the_others(
    redis: Redis, redis_url: str
) -> None:
    await begin(Away(4, "compact"), K1, parts=2, model="pebble", redis=redis, job="away")
    await begin(TASK, K1, parts=2, model="pebble", redis=redis, job="mine")
    await redis.hset("surefoot:stitched", "torn", "{}")
    code, out, said = surefoot_says(redis_url, "worker", "--json")
    assert code == 1 and "away: task 'away' is not part of surefoot" in said
    rows = {row["job"]: row for row in json.loads(out)}
    assert rows["mine"]["solved"] and "'away' is not part" in rows["away"]["error"]
    assert "the stitched job 'torn' cannot be read" in rows["torn"]["error"]
    code, out, _ = surefoot_says(redis_url, "show", "away")
    assert "surefoot worker away --task " in out


async def test_the_name_of_a_stitched_job_is_not_given_to_a_part(redis: Redis) -> None:
    await begin(TASK, K1, parts=2, model=MODEL, redis=redis, job="tall/1")
    with pytest.raises(BadInput, match="there is a stitched job 'tall/1' already"):
        await begin(TASK, K1, parts=2, model=MODEL, redis=redis, job="tall")


async def test_a_boundary_that_is_another_each_time_is_named(redis: Redis) -> None:
    task = Restless(4, "compact")
    await begin(task, K1, parts=2, model=MODEL, redis=redis, job="job")
    with pytest.raises(
        BadInput, match="began at another state than task 'part' of the same arguments gives now"
    ):
        await work("job", redis=redis, model=MODEL, task=task)


@pytest.mark.parametrize("method", ["start", "steps"])
async def test_a_task_that_fails_before_it_is_split_says_where(redis: Redis, method: str) -> None:
    def boom(self: Any) -> Any:
        raise ValueError("boom")

    task = type("Broken", (Away,), {method: boom})(4, "compact")
    with pytest.raises(TaskFailed, match=f"failed in `{method}`: ValueError: boom"):
        await begin(task, K1, parts=2, model=MODEL, redis=redis)


async def test_a_last_part_that_needs_fewer_steps_than_it_may_take_is_no_fault(redis: Redis) -> None:
    report = await stitch(Early(4, "compact"), K1, parts=2, model=MODEL, redis=redis)
    assert report.solved and not report.faults, report.faults


async def test_thousands_of_parts_are_read_in_seconds(redis: Redis) -> None:
    await redis.hset(jobs.Keys("job").stitched, "job", (GOLDEN / "stitched-v1.json").read_text())
    await stitched.create(
        redis, (await stitched.load(redis, "job"))._replace(id="many", steps=10_000, parts=10_000)
    )
    began = time.process_time()
    assert len((await read_stitched(redis, "many")).parts) == 10_000
    assert time.process_time() - began < 12  # it was a minute and more


async def test_a_part_that_asked_a_person_goes_on_once_that_is_answered(redis: Redis, redis_url: str) -> None:
    settings = Settings(k=4, limit=10, ladder=Ladder(("person",), dissent=4))
    report = await stitch(TASK, settings, parts=3, model=towers_double(error=0.6), redis=redis, job="job")
    asking = next(part.job for part in report.parts if part.status == "asking")
    assert f"`surefoot decide {asking}` shows the question" in "".join(report.faults)
    code, out, _ = surefoot_says(redis_url, "decide", asking)
    assert code == 0 and len(out.splitlines()) == 2 and "\\x0a" not in out
    assert surefoot_says(redis_url, "show", "job")[1].splitlines()[-1].startswith("surefoot decide job/")
    await work("job", redis=redis, model=MODEL)
    before = await jobs.load(redis, asking)
    assert before.status == "asking"
    question = await question_of(redis, before)
    assert question is not None
    await decide(asking, question.choices[0], question=question.id, redis=redis)
    await work("job", redis=redis, model=MODEL)
    assert (await jobs.load(redis, asking)).step > before.step


async def test_a_list_that_cannot_take_the_parts_is_told_of(redis: Redis) -> None:
    await redis.set("surefoot:jobs", "no set")
    with pytest.raises(CorruptJournal, match="the list of jobs"):
        await begin(TASK, K1, parts=3, model=MODEL, redis=redis, job="unlisted")
