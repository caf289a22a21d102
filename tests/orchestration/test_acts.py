"""Steps that the world answers: durable on both sides, exactly once, and a person decides where nobody can know."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

import surefoot
from surefoot import BadInput, Settings, Task
from surefoot.agents.tasks import Attempt, DecisionNeeded
from surefoot.agents.tasks.task import Value
from surefoot.models.base import Ask
from surefoot.orchestration import Asking, AuditFailed, Event
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.reporting import records
from surefoot.voting import AheadByStakes, FirstToAheadBy, Sample

K1 = Settings(k=1)


class Errands(Task[Any, Any]):
    """Decide on an errand, do it, decide on the next; the world is a file with a line for each that was done."""

    name = "errands"

    def __init__(self, world: str, errands: int = 3) -> None:
        self.world, self.errands = Path(world), errands

    def spec(self) -> Mapping[str, Value]:
        return {"world": str(self.world), "errands": self.errands}

    def start(self) -> tuple[int, str]:
        return 0, ""

    def ask(self, state: tuple[int, str], view: int = 0) -> str:
        return f"errand {state[0]}"

    def read(self, text: str, state: object, view: int = 0) -> str:
        return text

    def acts(self, state: tuple[int, str]) -> bool:
        return state[1] != ""

    def advance(self, state: tuple[int, str], answer: str) -> tuple[int, str]:
        number, errand = state
        return (number + 1, "") if errand else (number, answer)

    def finished(self, state: tuple[int, str]) -> bool:
        return state == (self.errands, "")

    async def act(self, state: tuple[int, str], attempt: Attempt) -> str:
        if attempt.again and attempt.decided is None:
            raise DecisionNeeded(f"was {state[1]} done?", ("done", "again"))
        if attempt.decided != "done":
            await self.do(state[1])
        return f"saw {state[1]}"

    async def do(self, errand: str) -> None:
        with self.world.open("a") as file:
            file.write(errand + "\n")

    @property
    def done(self) -> list[str]:
        return self.world.read_text().splitlines() if self.world.exists() else []


class Runner:
    name = "errand runner"

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for place, ask in enumerate(asks):
            yield place, Sample(f"go on {ask.prompt}")


ALL = [f"go on errand {number}" for number in range(3)]


async def stored(url: str, job: str) -> list[tuple[Any, int]]:
    async with Redis.from_url(url) as client:
        return [
            (record.answer, record.votes) async for record in records(client, await jobs.load(client, job))
        ]


async def test_what_the_world_answered_is_a_record_of_the_journal(redis_url: str, tmp_path: Path) -> None:
    task = Errands(str(tmp_path / "world"))
    report = await surefoot.run(task, K1, model=Runner(), redis=redis_url, job="errands")
    assert (report.solved, report.steps, report.votes, task.done) == (True, 6, 3, ALL)
    found = await stored(redis_url, "errands")
    assert found == [pair for errand in ALL for pair in ((errand, 1), (f"saw {errand}", 0))]


async def test_a_decision_is_durable_before_it_is_acted_on(redis_url: str, tmp_path: Path) -> None:
    class Looks(Errands):
        async def do(self, errand: str) -> None:
            seen.append((await stored(redis_url, "errands"))[-1][0])
            await super().do(errand)

    seen: list[str] = []
    await surefoot.run(Looks(str(tmp_path / "world")), K1, model=Runner(), redis=redis_url, job="errands")
    assert seen == ALL


SCRIPT = """
import asyncio, sys
import surefoot

url, world, after, tests = sys.argv[1:]
sys.path.insert(0, tests)
from test_acts import Errands, Runner

class Slow(Errands):
    async def do(self, errand):
        if not errand.endswith("1"):
            return await super().do(errand)
        if after == "after":
            await super().do(errand)
        print("acting", flush=True)
        await asyncio.sleep(600)

asyncio.run(surefoot.run(Slow(world), surefoot.Settings(k=1), model=Runner(), redis=url, job="errands"))
"""


@pytest.mark.parametrize(("after", "truth"), [("after", "done"), ("before", "again")])
async def test_a_kill_in_the_middle_of_an_act_ends_in_a_question_and_never_in_a_silent_second_act(
    redis_url: str, tmp_path: Path, after: str, truth: str
) -> None:
    world = tmp_path / "world"
    here = str(Path(__file__).parent)
    runner = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, redis_url, str(world), after, here], stdout=subprocess.PIPE, text=True
    )
    assert runner.stdout is not None
    assert await asyncio.to_thread(runner.stdout.readline) == "acting\n"
    runner.send_signal(signal.SIGKILL)
    runner.communicate()
    task = Errands(str(world))
    before = task.done
    events: list[Event] = []
    for _ in range(2):  # asking costs nothing and does nothing
        report = await surefoot.resume(
            "errands", task=task, model=Runner(), redis=redis_url, on_event=events.append
        )
        question = {
            "id": f"3-{report.head[:12]}",
            "step": 3,
            "question": "was go on errand 1 done?",
            "choices": ["done", "again"],
        }
        assert (report.status, report.question, task.done) == ("asking", question, before)
    assert [event.question for event in events if isinstance(event, Asking)] == [question["question"]] * 2
    await surefoot.decide("errands", truth, question=report.question["id"], redis=redis_url)  # type: ignore[index]
    report = await surefoot.resume("errands", task=task, model=Runner(), redis=redis_url)
    assert (report.solved, task.done) == (True, ALL)


class Careful(Errands):
    """Asks before every errand."""

    name = "careful"

    async def act(self, state: tuple[int, str], attempt: Attempt) -> str:
        if attempt.decided is None:
            raise DecisionNeeded(f"may I {state[1]}?", ("yes", "no"))
        if attempt.decided == "yes":
            await self.do(state[1])
        return attempt.decided


async def test_an_answer_belongs_to_its_question_alone(redis_url: str, tmp_path: Path) -> None:
    task = Careful(str(tmp_path / "world"))

    async def asked(report: surefoot.Report) -> str:
        assert report.question is not None
        return str(report.question["id"])

    async def resumed() -> surefoot.Report:
        return await surefoot.resume("careful", task=task, model=Runner(), redis=redis_url)

    async def told(answer: str, question: str) -> None:
        await surefoot.decide("careful", answer, question=question, redis=redis_url)

    first = await asked(await surefoot.run(task, K1, model=Runner(), redis=redis_url, job="careful"))
    with pytest.raises(BadInput, match="answer 'yes' or 'no', not 'perhaps'"):
        await told("perhaps", first)
    await told("yes", first)
    await told("yes", first)  # delivered twice
    with pytest.raises(BadInput, match="was told 'yes' already"):
        await told("no", first)
    second = await asked(await resumed())
    assert task.done == ALL[:1]
    with pytest.raises(BadInput, match="asks question 3-"):  # once more, and late
        await told("yes", first)
    # The first answer answers nothing any more, and neither does a job that is taken up without one.
    assert await asked(await resumed()) == second
    await told("no", second)
    third = await resumed()
    assert third.question is not None
    assert (third.question["step"], third.question["question"]) == (5, f"may I {ALL[2]}?")
    await told("yes", await asked(third))
    assert ((await resumed()).solved, task.done) == (True, [ALL[0], ALL[2]])
    with pytest.raises(BadInput, match="asks nothing: it is done"):
        await told("yes", first)


async def test_an_answer_holds_for_one_attempt(redis_url: str, tmp_path: Path) -> None:
    class Trips(Careful):
        async def do(self, errand: str) -> None:
            await super().do(errand)
            raise OSError("the world has ended")

    world = str(tmp_path / "world")
    asked = await surefoot.run(Careful(world), K1, model=Runner(), redis=redis_url, job="careful")
    assert asked.question is not None
    await surefoot.decide("careful", "yes", question=asked.question["id"], redis=redis_url)
    with pytest.raises(surefoot.TaskFailed, match="`act` at step 1"):
        await surefoot.resume("careful", task=Trips(world), model=Runner(), redis=redis_url)
    report = await surefoot.resume("careful", task=Careful(world), model=Runner(), redis=redis_url)
    assert (report.status, Careful(world).done) == ("asking", ALL[:1])


async def test_a_runner_knows_what_it_did_although_redis_has_forgotten(
    redis_url: str, tmp_path: Path
) -> None:
    """As after a fail-over that lost the last moments: the same process made the call, so it is not made in silence again."""

    class Rewound(Errands):
        async def do(self, errand: str) -> None:
            await super().do(errand)
            if errand == ALL[1] and self.done == ALL[:2]:
                async with Redis.from_url(redis_url) as client:
                    for key, value in saved.items():
                        await client.restore(key, 0, value, replace=True)
            if errand == ALL[0]:
                async with Redis.from_url(redis_url) as client:
                    for key in await client.keys("surefoot:{errands}:*"):
                        if b":lease" not in key and (dump := await client.dump(key)):
                            saved[key] = dump

    saved: dict[bytes, bytes] = {}
    task = Rewound(str(tmp_path / "world"))
    report = await surefoot.run(task, K1, model=Runner(), redis=redis_url, job="errands")
    assert (report.status, task.done) == ("asking", ALL[:2])


async def test_what_was_done_is_not_decided_again_when_an_audit_fails(redis_url: str, tmp_path: Path) -> None:
    class Doubtful(Errands):
        def audit(self, state: Any, answer: str) -> str | None:
            return "no such errand" if answer == ALL[1] else None

    task = Doubtful(str(tmp_path / "world"))
    with pytest.raises(AuditFailed, match="segment 0 failed its audit: step 2: no such errand"):
        await surefoot.run(task, K1, model=Runner(), redis=redis_url)
    assert task.done == ALL


async def test_some_answers_need_a_larger_lead(redis_url: str, tmp_path: Path) -> None:
    class Staked(Errands):
        def lead(self, answer: str) -> int:
            return 4 if answer.endswith("1") else 1

    report = await surefoot.run(
        Staked(str(tmp_path / "world")), Settings(k=2), model=Runner(), redis=redis_url, job="staked"
    )
    assert report.solved
    assert [votes for _, votes in await stored(redis_url, "staked")] == [2, 0, 4, 0, 2, 0]


@given(
    tally=st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5)),
    leads=st.fixed_dictionaries({ballot: st.integers(1, 5) for ballot in "abcd"}),
    k=st.integers(1, 4),
)
def test_the_fewest_further_ballots_are_the_fewest(
    tally: dict[str, int], leads: dict[str, int], k: int
) -> None:
    rule = AheadByStakes(k, {**leads, "new": 1}.__getitem__)
    # Unbroken runs decide soonest, and a ballot that nobody has cast yet needs no more than k.
    runs = [
        count
        for ballot in [*tally, "new"]
        for count in range(12)
        if rule.winner({**tally, ballot: tally.get(ballot, 0) + count} if count else tally) is not None
    ]
    assert rule.wanted(tally) == min(runs)


@given(tally=st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5)), k=st.integers(1, 4))
def test_one_lead_for_all_is_first_to_ahead_by_k(tally: dict[str, int], k: int) -> None:
    one, other = AheadByStakes(k, lambda ballot: 1), FirstToAheadBy(k)
    assert one.winner(tally) == other.winner(tally)
    assert one.wanted(tally) == other.wanted(tally)
