"""The ladder: each rung decides what the one before could not, nothing is decided silently, and a crash changes nothing."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

import surefoot
from surefoot import (
    BadInput,
    Budget,
    Ladder,
    NotAnAnswer,
    Progress,
    Settings,
    Speculation,
    Stalled,
    Task,
    TaskFailed,
)
from surefoot.agents.tasks.task import Value
from surefoot.cli.display import progress_line
from surefoot.models.base import Ask, Prompt
from surefoot.models.doubles import Double
from surefoot.models.doubles.server import DoubleServer
from surefoot.orchestration import Asking, Climbed, Event, Record
from surefoot.orchestration.engine import Supplied
from surefoot.orchestration.journal import jobs, segments
from surefoot.orchestration.journal.journal import Journal
from surefoot.orchestration.reporting import records
from surefoot.voting import Sample, Usage

HARD = 5


class Count(Task[int, int]):
    """Counts up; a prompt says the number, the view and, for the double, nothing else."""

    name = "count"

    def __init__(self, to: int = 12, views: int = 1, further: int = 0, checked: bool = False) -> None:
        self.to, self.views, self.further, self.checked = to, views, further, checked

    def spec(self) -> Mapping[str, Value]:
        return {"to": self.to, "views": self.views, "further": self.further, "checked": self.checked}

    def start(self) -> int:
        return 0

    def ask(self, state: int, view: int = 0) -> str:
        return f"{state} {view}"

    def read(self, text: str, state: int, view: int = 0) -> int:
        if not text.isdecimal():
            raise NotAnAnswer("no number")
        return int(text)

    def advance(self, state: int, answer: int) -> int:
        return answer

    def finished(self, state: int) -> bool:
        return state == self.to

    def steps(self) -> int:
        return self.to

    def audit(self, state: int, answer: int) -> str | None:
        """A weak check: it only sees what is far too large."""
        return "too large" if self.checked and answer > 500 else None

    def paraphrases(self) -> int:
        return self.further


Says = Callable[[int, int, int], int | str]
"""From the number, the view and the ask's seed to what is answered."""


class Counter:
    """A double that counts up, but for what `says` answers; the same ask gets the same answer."""

    def __init__(self, says: Says, name: str = "counter") -> None:
        self._says, self._name = says, name
        self.asked: list[Ask] = []

    @property
    def name(self) -> str:
        return self._name

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for place, ask in enumerate(asks):
            yield place, self.draw(ask)

    def draw(self, ask: Ask) -> Sample:
        assert isinstance(ask.prompt, str)
        self.asked.append(ask)
        number, view = map(int, ask.prompt.split())
        return Sample(str(self._says(number, view, ask.seed)), usage=Usage(prompt=2, completion=1))


def right(number: int, view: int, seed: int) -> int:
    return number + 1


def wrong_in(*views: int) -> Says:
    """At the hard number always wrong in these views."""
    return lambda number, view, seed: 900 if number == HARD and view in views else number + 1


def skips(number: int, view: int, seed: int) -> int:
    """At the hard number wrong in every second view, in a way that no check can tell."""
    return 7 if number == HARD and view == 1 else number + 1


def ladder(*rungs: Any, **more: Any) -> Settings:
    return Settings(k=2, limit=20, segment=6, ladder=Ladder(rungs, **more))


async def run(redis_url: str, task: Task[Any, Any], settings: Settings, says: Says, **more: Any) -> Any:
    return await surefoot.run(task, settings, model=Counter(says), redis=redis_url, **more)


async def record(redis_url: str, job: str, step: int = HARD) -> Record:
    async with Redis.from_url(redis_url) as client:
        return await segments.record(client, await jobs.load(client, job), step)


def used(report: Any) -> dict[str, tuple[int, int, list[int]]]:
    return {use.rung: (use.climbed, use.decided, use.steps) for use in report.rungs}


async def test_without_a_ladder_the_job_stalls(redis_url: str) -> None:
    with pytest.raises(Stalled, match="step 5 stalled"):
        await run(redis_url, Count(views=2), Settings(k=2, limit=20), wrong_in(1))


def seldom(number: int, view: int, seed: int) -> int:
    """At the hard number one in four says something else."""
    return 7 if number == HARD and seed % 4 == 0 else number + 1


@pytest.mark.parametrize("seed", range(6))
async def test_more_votes_decide_what_a_divided_election_gave_up(redis_url: str, seed: int) -> None:
    settings = Settings(k=3, limit=40, seed=seed, ladder=Ladder(("votes",), dissent=1))
    report = await run(redis_url, Count(), settings, seldom)
    assert report.solved
    for rung, (climbed, decided, steps) in used(report).items():
        assert (rung, climbed, steps) == ("votes", decided, [HARD] * decided)


async def test_a_rung_leaves_its_trace_in_the_record_the_report_and_the_events(redis_url: str) -> None:
    heard: list[Event] = []
    progress = Progress()

    def listen(event: Event) -> None:
        heard.append(event)
        progress.listen(event)

    settings = ladder("votes", "views")
    report = await run(redis_url, Count(views=2, further=1), settings, wrong_in(1), on_event=listen)
    assert report.solved
    assert used(report) == {"votes": (1, 0, []), "views": (1, 1, [HARD])}
    entry = await record(redis_url, report.job)
    assert (entry.answer, entry.votes, entry.others) == (6, 2, ((900, 2),))
    (first, samples, divided), (second, few, tally) = entry.rungs
    # It is given up when what is left of four times the limit could not give the leader twice the votes.
    assert (first, samples, dict(divided)) == ("votes", 57, {6: 29, 900: 28})
    assert (second, few, tally) == ("views", 2, ((6, 2),))
    climbs = [(each.step, each.rung, each.decided) for each in heard if isinstance(each, Climbed)]
    assert climbs == [(HARD, "votes", False), (HARD, "views", True)]
    assert "ladder votes 1 (0 decided), views 1 (1 decided)" in progress_line(progress)
    # Votes of a rung are none of the job's votes; their tokens are paid for.
    assert report.votes == 2 * 11 + 4
    assert report.tokens.completion == report.votes + 59


async def test_without_dissent_a_step_climbs_at_the_limit_only(redis_url: str) -> None:
    report = await run(redis_url, Count(views=2, further=1), ladder("views", dissent=None), wrong_in(1))
    entry = await record(redis_url, report.job)
    assert (entry.votes, entry.others) == (10, ((900, 10),))
    assert report.solved


async def test_another_model_decides_where_the_further_views_repeat_the_mistake(redis_url: str) -> None:
    settings = ladder("views", Counter(right, "second"), model_k=4)
    report = await run(redis_url, Count(views=2, further=2), settings, wrong_in(1, 2))
    assert report.solved
    assert used(report) == {"views": (1, 0, []), "model=second": (1, 1, [HARD])}
    entry = await record(redis_url, report.job)
    assert entry.rungs[-1] == ("model", 4, ((6, 4),))


async def test_an_answer_that_nobody_gave_before_is_not_elected_before_it_is_borne_out(
    redis_url: str,
) -> None:
    def three(number: int, view: int, seed: int) -> int:
        return (6, 7, 8)[view] if number == HARD else number + 1

    task = Count(views=2, further=1)
    with pytest.raises(Stalled):
        await run(redis_url, task, ladder("views"), three, job="alone")
    report = await run(redis_url, task, ladder("views", Counter(right, "second")), three)
    assert report.solved
    assert used(report) == {"views": (1, 0, []), "model=second": (1, 1, [HARD])}
    assert (await record(redis_url, report.job)).rungs[0].votes == ((8, 2),)


async def test_no_single_election_overrules_a_clear_leader(redis_url: str) -> None:
    """One stray ballot lets the step climb to a model that repeats it: the leader is not given up for that."""

    def strays(number: int, view: int, seed: int) -> int:
        return 7 if number == HARD and view == 2 else number + 1

    def repeats(number: int, view: int, seed: int) -> int:
        return 7 if number == HARD else number + 1

    wrong, second = Counter(repeats, "wrong"), Counter(right, "second")
    settings = Settings(k=4, ladder=Ladder((wrong, second), dissent=1))
    report = await run(redis_url, Count(views=3), settings, strays)
    assert report.solved
    assert used(report) == {"model=wrong": (1, 0, []), "model=second": (1, 1, [HARD])}
    with pytest.raises(Stalled, match=r"step 5 stalled: given up in .* as 1 ballot") as stalled:
        await run(redis_url, Count(views=3), Settings(k=4, ladder=Ladder((wrong,), dissent=1)), strays)
    assert "larger limit" not in str(stalled.value)


async def test_two_elections_overrule_a_leader_that_is_wrong(redis_url: str) -> None:
    settings = Settings(k=4, ladder=Ladder((Counter(right, "second"), Counter(right, "third")), dissent=1))
    report = await run(redis_url, Count(views=3), settings, wrong_in(0, 1))
    assert report.solved
    assert used(report) == {"model=second": (1, 0, []), "model=third": (1, 1, [HARD])}


async def test_lookahead_decides_only_if_exactly_one_candidate_survives(redis_url: str) -> None:
    with pytest.raises(Stalled, match="step 5 stalled"):
        await run(redis_url, Count(views=2, checked=True), ladder("lookahead"), skips)


async def test_lookahead_takes_the_candidate_that_the_check_leaves(redis_url: str) -> None:
    report = await run(redis_url, Count(views=2, checked=True), ladder("lookahead"), wrong_in(1))
    assert report.solved
    assert used(report) == {"lookahead": (1, 1, [HARD])}
    assert (await record(redis_url, report.job)).rungs[0].votes == ()


def astray(number: int, view: int, seed: int) -> int | str:
    """At 3 wrong in two of five samples; from that mistake on every answer is unusable."""
    if number == 3 and seed % 5 < 2:
        return 40
    return "lost" if number == 40 else number + 1


def went_astray(seed: int) -> Settings:
    return Settings(k=2, limit=20, seed=seed, segment=20, ladder=Ladder(("backtrack",), dissent=None))


async def first_astray(redis_url: str) -> tuple[int, Any]:
    """Return the first seed with which a job goes astray at a contested step, and finds back; with its report."""
    for seed in range(11, 100):  # it is the first one
        try:
            report = await run(redis_url, Count(), went_astray(seed), astray)
        except Stalled:
            continue  # astray without dissent, which nobody can know, or astray again
        if report.rungs[0].climbed:
            return seed, report
    raise AssertionError("no seed leads astray at a contested step")


async def test_backtracking_decides_the_contested_steps_before_a_dead_end_again(redis_url: str) -> None:
    seed, report = await first_astray(redis_url)
    assert report.solved
    assert used(report) == {"backtrack": (1, 1, [4])}
    assert report.red_flags["malformed"] >= 20
    assert [(await record(redis_url, report.job, step)).answer for step in range(12)] == [*range(1, 13)]
    async with Redis.from_url(redis_url) as client:
        assert (await jobs.load(client, report.job)).redo == (3, 4)
        assert len([entry async for entry in records(client, await jobs.load(client, report.job))]) == 12
    ahead = await run(redis_url, Count(), went_astray(seed), astray, speculate=Speculation(depth=8))
    assert (ahead.head, used(ahead)) == (report.head, used(report))


@pytest.mark.parametrize("commits", [(9,), (4, 9), (1, 2, 3, 9)])
async def test_the_steps_before_those_taken_back_stay_as_they_were(
    redis_url: str, commits: tuple[int, ...]
) -> None:
    """Wherever the commits were: a frame in which the cut falls is written anew."""
    task = Count()
    whole = await run(redis_url, task, Settings(k=2, segment=20), right)
    await run(redis_url, task, Settings(k=2, segment=20), right, job="cut", budget=Budget(steps=1))
    async with Redis.from_url(redis_url) as client:
        entries = [entry async for entry in records(client, await jobs.load(client, whole.job))]
        async with await Journal.acquire(client, "cut") as journal:
            for entry in entries[1:9]:
                await journal.append(entry)
                if entry.step + 1 in commits:
                    await journal.commit()
            before = journal.step
            for step in (7, 5, 4, 1, 0):
                await journal.go_back(step)
                assert journal.job.redo == (step, before)
                _, tail = await journal.tail()
                assert tail == entries[:step]
                assert journal.job.redo == (step, before)
                before = step
    again = await surefoot.resume("cut", task=task, model=Counter(right), redis=redis_url)
    assert (again.head, again.solved) == (whole.head, True)


async def test_a_step_is_backtracked_from_once(redis_url: str) -> None:
    def always(number: int, view: int, seed: int) -> int | str:
        if number == 3:
            return 41 if seed % 5 == 0 else 40
        return "lost" if number in (40, 41) else number + 1

    for seed in range(100):
        with pytest.raises(Stalled, match="step 4 stalled"):
            await run(redis_url, Count(), went_astray(seed), always, job=f"twice-{seed}")
        async with Redis.from_url(redis_url) as client:
            job = await jobs.load(client, f"twice-{seed}")
        if job.redo:
            assert job.counters["rung:backtrack:climbed"] == 1
            return
    raise AssertionError("no seed contests step 3")


async def test_a_person_decides_last(redis_url: str) -> None:
    heard: list[Event] = []
    settings, task = ladder("votes", "person"), Count(views=2)
    report = await run(redis_url, task, settings, wrong_in(1), job="asked", on_event=heard.append)
    assert (report.status, report.steps) == ("asking", HARD)
    question = report.question
    assert question is not None
    (asking,) = [each for each in heard if isinstance(each, Asking)]
    assert (asking.step, asking.choices) == (HARD, ("6", "900"))
    assert question["choices"] == ["6", "900"]
    assert "which answer is right: 6 (2 votes), 900 (2 votes)?" in question["question"]
    with pytest.raises(BadInput, match="answer '6' or '900', not '8'"):
        await surefoot.decide("asked", "8", question=question["id"], redis=redis_url)
    await surefoot.decide("asked", "6", question=question["id"], redis=redis_url)
    counter = Counter(wrong_in(1))
    report = await surefoot.resume("asked", task=task, model=counter, redis=redis_url)
    assert report.solved
    assert used(report) == {"votes": (1, 0, []), "person": (1, 1, [HARD])}
    assert not [ask for ask in counter.asked if ask.prompt.startswith(f"{HARD} ")]  # type: ignore[union-attr]
    entry = await record(redis_url, "asked")
    assert (entry.answer, entry.votes, entry.others) == (6, 2, ((900, 2),))
    assert report.tokens.completion == report.samples + report.rungs[0].samples


async def test_a_person_is_asked_again_as_long_as_nobody_answers(redis_url: str) -> None:
    settings, task = ladder("person"), Count(views=2)
    first = await run(redis_url, task, settings, wrong_in(1), job="waiting")
    again = await surefoot.resume("waiting", task=task, model=Counter(wrong_in(1)), redis=redis_url)
    assert again.question == first.question


async def test_long_answers_are_chosen_by_number(redis_url: str) -> None:
    long = 10**250

    def says(number: int, view: int, seed: int) -> int:
        return long if number == HARD and view else number + 1

    class Large(Count):
        name = "large"

        def read(self, text: str, state: int, view: int = 0) -> Any:
            return text if len(text) > 9 else super().read(text, state, view)

    report = await run(redis_url, Large(views=2), ladder("person"), says)
    assert report.question is not None
    assert report.question["choices"] == ["1", "2"]
    assert len(report.question["question"]) < 500


async def test_a_ladder_that_decides_nothing_ends_in_a_stall_and_says_what_it_took(redis_url: str) -> None:
    settings = ladder("votes", "views", "lookahead", "backtrack")
    with pytest.raises(Stalled, match="step 5 stalled"):
        await run(redis_url, Count(views=2), settings, skips, job="stalled")
    report = await surefoot.report("stalled", redis=redis_url)
    assert report.status == "stalled"
    assert report.stall is not None
    assert report.stall["tally"] == {"6": 2, "7": 2}
    # `views` and `backtrack` have nothing to climb here: no further views, no contested step before.
    assert used(report) == {
        "votes": (1, 0, []),
        "views": (0, 0, []),
        "lookahead": (1, 0, []),
        "backtrack": (0, 0, []),
    }
    assert report.tokens.completion == 2 * HARD + 4 + report.rungs[0].samples + report.rungs[2].samples


class Late(Counter):
    """Lets samples come one by one, the last ones first."""

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for place, ask in reversed([*enumerate(asks)]):
            await asyncio.sleep(0)
            yield place, self.draw(ask)


@pytest.mark.parametrize("kind", [Counter, Late])
async def test_speculation_changes_no_decision_of_a_ladder(redis_url: str, kind: type[Counter]) -> None:
    def says(number: int, view: int, seed: int) -> int:
        return 900 if number % 7 == HARD and view == 1 else number + 1

    found = []
    for ahead in (
        None,
        Speculation(),
        Speculation(depth=3),
        Speculation(Supplied(lambda number: number + 1)),
    ):
        report = await surefoot.run(
            Count(to=60, views=2, further=2),
            ladder("votes", "views", "lookahead"),
            model=kind(says),
            redis=redis_url,
            speculate=ahead,
        )
        assert report.solved
        found.append((report.head, used(report), report.votes, report.samples, report.tokens))
        assert (report.speculation is None) == (ahead is None)
    assert found[0][1]["views"][:2] == (8, 8)
    assert found[1:] == found[:1] * 3


async def test_a_budget_holds_in_a_climb(redis_url: str) -> None:
    report = await run(
        redis_url, Count(views=2), ladder("votes"), wrong_in(1), budget=Budget(tokens=100), job="poor"
    )
    assert (report.status, report.bound) == ("stopped", "tokens")
    assert report.tokens.total is not None
    assert 60 < report.tokens.total <= 100


KILLED = """
import asyncio, os, runpy, signal, sys
import surefoot

names = runpy.run_path(sys.argv[1])
left = int(sys.argv[3])

def says(number, view, seed):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return names[sys.argv[4]](number, view, seed)

asyncio.run(surefoot.run(names["Count"](views=2, further=1) if sys.argv[4] == "twice_wrong" else names["Count"](),
    eval(sys.argv[5], names), model=names["Counter"](says), redis=sys.argv[2], job="killed"))
"""


def twice_wrong(number: int, view: int, seed: int) -> int:
    return 900 if number in (3, HARD) and view == 1 else number + 1


def killed(redis_url: str, samples: int, says: str, settings: str) -> None:
    """Run a job that ends by kill -9 in front of this sample."""
    command = [sys.executable, "-c", KILLED, __file__, redis_url, str(samples), says, settings]
    assert subprocess.run(command, timeout=120).returncode == -signal.SIGKILL


@pytest.mark.parametrize("samples", [12, 70])
async def test_a_climb_that_was_killed_decides_alike_when_it_is_taken_up(
    redis_url: str, samples: int
) -> None:
    settings, task = ladder("votes", "views"), Count(views=2, further=1)
    whole = await run(redis_url, task, settings, twice_wrong)
    killed(redis_url, samples, "twice_wrong", "ladder('votes', 'views')")
    report = await surefoot.resume("killed", task=task, model=Counter(twice_wrong), redis=redis_url)
    assert (report.head, used(report)) == (whole.head, used(whole))
    assert report.solved


async def test_steps_that_are_decided_again_are_decided_alike_after_a_kill(redis_url: str) -> None:
    seed, whole = await first_astray(redis_url)
    # Of the last samples 16 are for the steps after those that are decided again.
    killed(redis_url, whole.tokens.completion - 18, "astray", f"went_astray({seed})")
    report = await surefoot.resume("killed", task=Count(), model=Counter(astray), redis=redis_url)
    assert (report.head, report.solved) == (whole.head, True)


async def test_the_ladder_is_fixed_with_the_job(redis_url: str) -> None:
    task, second = Count(views=2), Counter(right, "second")
    settings = ladder("model=http://gpu:8000/v1?key=s3cret", second, "person")
    assert settings.ladder is not None
    with pytest.raises(BadInput, match="a rung is votes"):
        ladder("voices")
    with pytest.raises(BadInput, match="a person is the last rung"):
        ladder("person", "votes")
    with pytest.raises(BadInput, match="each of them once"):
        ladder("votes", "votes")
    with pytest.raises(BadInput, match="dissent of a ladder is a number from 1"):
        ladder("votes", dissent=0)
    assert settings.ladder.spelled == ("model=http://gpu:8000/v1?key=***", "model=second", "person")
    assert settings.ladder.names == ("model", "model 2", "person")
    paused = await run(
        redis_url, task, ladder(second, dissent=1), wrong_in(1), job="fixed", budget=Budget(steps=2)
    )
    assert paused.status == "stopped"
    with pytest.raises(
        BadInput,
        match=r"a ladder's model is an address or a Model, not 'second'; .* give the ladder once more",
    ):
        await surefoot.resume("fixed", task=task, model=Counter(wrong_in(1)), redis=redis_url)
    with pytest.raises(BadInput, match="keeps the ladder that it was started with"):
        await surefoot.resume(
            "fixed", task=task, model=Counter(right), redis=redis_url, ladder=Ladder((second,), dissent=2)
        )
    report = await surefoot.resume(
        "fixed", task=task, model=Counter(wrong_in(1)), redis=redis_url, ladder=Ladder((second,), dissent=1)
    )
    assert report.solved
    assert used(report) == {"model=second": (1, 1, [HARD])}


async def test_a_ladder_changes_nothing_where_no_step_climbs(redis_url: str) -> None:
    plain = await run(redis_url, Count(), Settings(k=2, segment=6), right, job="plain")
    other = await run(redis_url, Count(), ladder("votes"), right, job="other")
    assert (plain.head, plain.votes, plain.rungs) == (other.head, other.votes, [])
    async with Redis.from_url(redis_url) as client:
        logs = [await client.lrange(jobs.Keys(job).log(0), 0, -1) for job in ("plain", "other")]  # type: ignore[misc]
        meta = [await client.hgetall(jobs.Keys(job).meta) for job in ("plain", "other")]  # type: ignore[misc]
    assert logs[0] == logs[1]
    assert b"ladder" not in meta[0][b"settings"]
    assert {*meta[0]} == {*meta[1]}


@pytest.mark.parametrize(("further", "said"), [(-1, "returned -1"), ("two", "returned 'two'")])
async def test_paraphrases_that_are_no_number_are_refused(redis_url: str, further: Any, said: str) -> None:
    with pytest.raises(TaskFailed, match=said):
        await run(redis_url, Count(views=2, further=further), ladder("views"), wrong_in(1))


async def test_a_server_may_be_a_rung_and_gets_no_key(redis_url: str) -> None:
    def count_up(prompt: Prompt) -> str:
        first = str(prompt).split()[0]
        return str(int(first) + 1) if first.isdecimal() else "tried out"

    async with DoubleServer(Double(count_up, lambda prompt, which: "0"), api_key=None) as server:
        report = await run(redis_url, Count(views=2), ladder(f"model={server.url}"), wrong_in(1))
    assert report.solved
    assert report.rungs[0].decided == 1
