"""The memo: verdicts are taken for identical prompts, counted as such, alike after a kill, and never for steps decided again."""

import random
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from rich.console import Console, RenderableType

import surefoot
from surefoot import BadInput, Budget, Ladder, NotAnAnswer, Progress, Settings, Speculation, Task, TaskFailed
from surefoot.agents.tasks import Attempt, PartOf, Reuses
from surefoot.agents.tasks.around import Around
from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.task import Value
from surefoot.cli.display import page, progress_line, progress_table
from surefoot.cli.step import StepView
from surefoot.models.base import Ask, Message, Prompt, Sampling
from surefoot.orchestration import Noted, Record
from surefoot.orchestration.engine.memo import REMEMBERED_BYTES, Memo
from surefoot.orchestration.engine.open_step import Terms, seed_of
from surefoot.orchestration.journal import jobs, segments
from surefoot.orchestration.journal.jobs import Keys
from surefoot.orchestration.journal.records import CorruptJournal, decode, encode, write
from surefoot.orchestration.reporting import records
from surefoot.tools.pictures.picture import Picture
from surefoot.voting import FirstToAheadBy, Sample, Usage

DIGITS = 10
TURN = 30
"""From this step on `Dial(turns=True)` goes by two, which no prompt says."""

State = tuple[int, int]


class Dial(Task[State, int]):
    """Turns a dial of ten digits; a prompt shows the digit, and the view, and not how far it has come."""

    name = "dial"

    def __init__(self, to: int = 40, checked: bool = True, views: int = 1, turns: bool = False) -> None:
        self.to, self.checked, self.views, self.turns = to, checked, views, turns

    def spec(self) -> Mapping[str, Value]:
        return {"to": self.to, "checked": self.checked, "views": self.views, "turns": self.turns}

    def start(self) -> State:
        return 0, 0

    def ask(self, state: State, view: int = 0) -> Prompt:
        return f"{state[1]} {view}"

    def read(self, text: str, state: State, view: int = 0) -> int:
        if not text.isdecimal():
            raise NotAnAnswer("no number")
        return int(text)

    def advance(self, state: State, answer: int) -> State:
        return state[0] + 1, answer

    def finished(self, state: State) -> bool:
        return state[0] == self.to

    def steps(self) -> int:
        return self.to

    def audit(self, state: State, answer: int) -> str | None:
        right = (state[1] + self.by(state[0])) % DIGITS
        return "wrong digit" if self.checked and answer != right else None

    def by(self, step: int) -> int:
        return 2 if self.turns and step >= TURN else 1

    def boundary(self, step: int) -> State:
        return step, step % DIGITS


class Reusing(Dial):
    """The same; it says that its prompts hold all that matters."""

    name = "reusing"

    def reusable(self, state: State) -> bool:
        return True


Says = Callable[[int, int], int]
"""From the digit and the ask's seed to what is answered."""


class Turner:
    """A double that says the next digit, or what `says` does; it counts its samples."""

    name = "turner"

    def __init__(self, says: Says | None = None) -> None:
        self._says = says or right
        self.asked: list[Ask] = []

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for place, ask in enumerate(asks):
            assert isinstance(ask.prompt, str)
            self.asked.append(ask)
            answer = self._says(int(ask.prompt.split()[0]), ask.seed)
            yield place, Sample(str(answer), usage=Usage(prompt=2, completion=1))


def right(digit: int, seed: int) -> int:
    return (digit + 1) % DIGITS


def anything(digit: int, seed: int) -> int:
    """What is said by the seed alone: a verdict voted anew is another one."""
    return random.Random(seed).randrange(DIGITS)


def wrong_at(step: int, samples: int) -> Says:
    """Wrong in the first few samples of one step, and right wherever else."""
    wrong = {seed_of(0, step, number) for number in range(samples)}
    return lambda digit, seed: (digit + (3 if seed in wrong else 1)) % DIGITS


HEADS = ("0" * 32, "f" * 32)
K2 = Settings(k=2, segment=20)


async def run(redis_url: str, task: Task[Any, Any], says: Says = right, **more: Any) -> Any:
    return await surefoot.run(task, more.pop("settings", K2), model=Turner(says), redis=redis_url, **more)


async def decided(redis_url: str, job: str) -> list[Record]:
    async with Redis.from_url(redis_url) as client:
        return [each async for each in records(client, await jobs.load(client, job))]


async def test_a_step_that_asks_the_same_takes_the_verdict_and_no_sample(redis_url: str) -> None:
    plain, model = await run(redis_url, Dial()), Turner()
    report = await surefoot.run(Reusing(), K2, model=model, redis=redis_url, job="reusing")
    assert (report.solved, report.steps, report.reused) == (True, 40, 30)
    assert (plain.votes, plain.reused) == (80, 0)
    assert report.votes == report.samples == len(model.asked) == 20
    assert report.tokens.total == 60
    found = await decided(redis_url, "reusing")
    assert [record.answer for record in found] == [(step + 1) % DIGITS for step in range(40)]
    assert [record.reused for record in found] == [None] * 10 + [step % DIGITS for step in range(10, 40)]
    assert all(record.votes == (2 if record.reused is None else 0) for record in found)
    assert all(record.usage.total == 0 for record in found if record.reused is not None)


async def test_all_views_have_to_ask_the_same(redis_url: str) -> None:
    class SecondView(Reusing):
        """Its second view shows how far it has come."""

        def ask(self, state: State, view: int = 0) -> Prompt:
            return f"{state[1]} {state[0] if view else 0}"

    assert (await run(redis_url, Reusing(views=2))).reused == 30
    assert (await run(redis_url, SecondView(views=2))).reused == 0


async def test_the_kind_of_a_step_is_part_of_what_is_asked(redis_url: str) -> None:
    class Late(Reusing):
        def step_kind(self, state: State) -> str:
            return "late" if state[0] >= 20 else "early"

    assert (await run(redis_url, Late())).reused == 20


async def test_a_task_says_of_each_state_whether_its_prompt_holds_all(redis_url: str) -> None:
    class Some(Reusing):
        def reusable(self, state: State) -> bool:
            return state[1] != 4

    assert (await run(redis_url, Some(), job="some")).reused == 27
    assert {each.reused for each in await decided(redis_url, "some") if each.step % DIGITS == 4} == {None}

    class Odd(Reusing):
        def reusable(self, state: State) -> Any:
            return "yes"

    with pytest.raises(TaskFailed, match="it returns True or False"):
        await run(redis_url, Odd())


KILLED = """
import asyncio, os, runpy, signal, sys
import surefoot

names = runpy.run_path(sys.argv[1])
left = int(sys.argv[3])

def says(digit, seed):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return names["anything"](digit, seed)

asyncio.run(surefoot.run(names["Reusing"](200, False, 2), names["K1"], model=names["Turner"](says),
    redis=sys.argv[2], job="killed"))
"""
K1 = Settings(k=1, segment=6, seed=3)


def killed_at(redis_url: str, sample: int) -> None:
    """Run the job `killed` until it ends by kill -9 in front of this sample."""
    command = [sys.executable, "-c", KILLED, str(Path(__file__)), redis_url, str(sample)]
    assert subprocess.run(command, timeout=120).returncode == -signal.SIGKILL


async def test_a_job_that_is_killed_or_stopped_goes_on_as_it_would_have(redis_url: str) -> None:
    task = Reusing(200, False, 2)
    whole = await run(redis_url, task, anything, settings=K1)
    assert whole.reused + whole.votes == 200
    assert whole.reused > 150
    killed_at(redis_url, whole.votes)
    killed = await surefoot.resume("killed", task=task, model=Turner(anything), redis=redis_url)
    assert (killed.head, killed.reused, killed.votes) == (whole.head, whole.reused, whole.votes)
    few = Budget(steps=13)
    stopped = await run(redis_url, task, anything, settings=K1, job="stopped", budget=few)
    while stopped.status == "stopped":
        stopped = await surefoot.resume(
            "stopped", task=task, model=Turner(anything), redis=redis_url, budget=few
        )
    assert (stopped.head, stopped.reused, stopped.votes) == (whole.head, whole.reused, whole.votes)


async def test_a_wrong_verdict_that_was_reused_is_repaired_without_reuse(redis_url: str) -> None:
    # The two wrong samples of step 5 win at k = 2, and 8 follows on 5 from then on; at k = 3 they lose.
    says = wrong_at(5, 2)
    unchecked = await run(redis_url, Reusing(checked=False), says, job="unchecked")
    wrong = [each.step for each in await decided(redis_url, "unchecked") if each.answer == 8]
    assert unchecked.repairs == 0
    assert len(wrong) > 4
    report = await run(redis_url, Reusing(), says, job="repaired")
    assert (report.solved, report.repairs) == (True, 1)
    found = await decided(redis_url, "repaired")
    assert [each.answer for each in found] == [(step + 1) % DIGITS for step in range(40)]
    # The first segment was decided again, each step by a vote; the second one reuses these verdicts, the latest.
    assert [each.reused for each in found[:20]] == [None] * 20
    assert [each.reused for each in found[20:]] == [*range(10, 20)] * 2
    assert {each.votes for each in found[:20]} == {3, 5}


async def test_a_verdict_that_was_taken_back_is_not_reused(redis_url: str) -> None:
    # Astray after step 5, steps 6 and 7 are asked about the digits 8 and 9; once repaired, nobody has been.
    report = await run(redis_url, Reusing(), wrong_at(5, 2), settings=Settings(k=2, segment=8), job="back")
    assert (report.solved, report.repairs) == (True, 1)
    assert [each.reused for each in (await decided(redis_url, "back"))[:12]] == [None] * 10 + [0, 1]


async def test_a_prompt_that_did_not_hold_all_is_found_by_the_audit_and_voted_on(redis_url: str) -> None:
    late = {seed_of(0, step, number) for step in range(TURN, 40) for number in range(100)}

    def says(digit: int, seed: int) -> int:
        return (digit + (2 if seed in late else 1)) % DIGITS

    report = await run(redis_url, Reusing(turns=True), says, job="turning")
    assert (report.solved, report.repairs, report.steps) == (True, 1, 40)
    found = await decided(redis_url, "turning")
    assert [each.reused for each in found[20:]] == [None] * 20


async def test_steps_that_a_ladder_has_decided_are_reused_and_those_it_takes_back_are_not(
    redis_url: str,
) -> None:
    def torn(digit: int, seed: int) -> int:
        return (digit + (3 if seed in once else 1)) % DIGITS

    once = {seed_of(0, 5, 1), seed_of(0, 5, 2)}
    ladder = Settings(k=3, limit=20, segment=20, ladder=Ladder(("votes",), dissent=2))
    report = await run(redis_url, Reusing(), torn, settings=ladder, job="climbed")
    found = await decided(redis_url, "climbed")
    assert [each.rung for each in found[5].rungs] == ["votes"]
    assert (report.solved, report.reused, found[15].reused, found[15].rungs) == (True, 30, 5, ())
    back = Settings(k=3, limit=20, segment=20, ladder=Ladder(("backtrack",), dissent=2))
    # Step 3 is contested, and 12, which asks what nobody asked before, cannot be decided: from 3 on all is voted again.
    once = {seed_of(0, 3, 1), seed_of(0, 12, 0), seed_of(0, 12, 2)}

    class Novel(Reusing):
        def reusable(self, state: State) -> bool:
            return state[0] != 12

    report = await run(redis_url, Novel(), torn, settings=back, job="taken back")
    found = await decided(redis_url, "taken back")
    assert report.solved
    assert [use.climbed for use in report.rungs] == [1]
    assert [each.reused for each in found[:13]] == [None] * 13
    assert [each.reused for each in found[13:20]] == [3, 4, 5, 6, 7, 8, 9]


async def test_what_the_world_has_answered_is_never_reused(redis_url: str) -> None:
    class Acting(Reusing):
        """The world turns the dial on from 3; no prompt is made there."""

        acted: list[int] = []

        def acts(self, state: State) -> bool:
            return state[1] == 3

        async def act(self, state: State, attempt: Attempt) -> int:
            self.acted.append(attempt.step)
            return 4

        def ask(self, state: State, view: int = 0) -> Prompt:
            assert not self.acts(state)
            return super().ask(state, view)

    report = await run(redis_url, Acting(), job="acting", budget=Budget(steps=22))
    assert (report.status, report.steps) == ("stopped", 22)
    report = await surefoot.resume("acting", task=Acting(), model=Turner(), redis=redis_url)
    assert (report.solved, report.reused, Acting.acted) == (True, 27, [3, 13, 23, 33])


async def test_nothing_is_asked_ahead_where_verdicts_are_reused(redis_url: str) -> None:
    plain, heard = await run(redis_url, Reusing()), list[Any]()
    ahead = await run(redis_url, Reusing(), speculate=Speculation(), on_event=heard.append)
    assert (ahead.head, ahead.votes, ahead.reused) == (plain.head, plain.votes, plain.reused)
    assert ahead.speculation is None
    assert any(isinstance(event, Noted) and "nothing is asked ahead" in event.sentence for event in heard)


async def test_older_readers_refuse_such_a_job_and_read_the_others(redis_url: str) -> None:
    await run(redis_url, Reusing(), job="reusing")
    await run(redis_url, Dial(), job="plain")
    async with Redis.from_url(redis_url) as client:
        assert await client.hget(Keys("reusing").meta, "schema") == b"3"
        assert await client.hget(Keys("plain").meta, "schema") == b"1"
        assert b"reuses" not in (await client.hget(Keys("plain").meta, "settings") or b"")
        assert await client.hget(Keys("plain").meta, "n:reused") is None


@pytest.mark.parametrize("reused", [7, 8, -1, True, 1.0, "1"])
def test_a_record_names_an_earlier_step_or_is_damaged(reused: Any) -> None:
    entry = Record(7, 1, 0, reused=2)
    _, row = write(entry)
    assert decode(encode(7, [row], *HEADS), "here")[1] == [entry]
    with pytest.raises(CorruptJournal, match="here: the record of steps 7 to 7"):
        decode(encode(7, [write(entry._replace(reused=reused))[1]], *HEADS), "here")


async def test_a_job_keeps_to_what_it_began_with(redis_url: str) -> None:
    class Learned(Dial):
        """The same task, after its author has read about `reusable`."""

        def reusable(self, state: State) -> bool:
            return True

    await run(redis_url, Dial(), job="old", budget=Budget(steps=5))
    report = await surefoot.resume("old", task=Learned(), model=Turner(), redis=redis_url)
    assert (report.solved, report.reused, report.votes) == (True, 0, 80)


async def test_a_task_that_has_lost_its_method_is_refused(redis_url: str) -> None:
    class Forgetful(Dial):
        name = "reusing"

    await run(redis_url, Reusing(), job="lost", budget=Budget(steps=12))
    with pytest.raises(BadInput, match="has no `reusable` any more"):
        await surefoot.resume("lost", task=Forgetful(), model=Turner(), redis=redis_url)


async def test_nothing_is_remembered_of_records_with_a_gap(redis_url: str) -> None:
    # Taken for those of steps 5 and 6, the records after the gap would say that 1 comes after 5.
    short = Settings(k=2, segment=5)
    await run(redis_url, Reusing(checked=False), settings=short, job="gap", budget=Budget(steps=12))
    async with Redis.from_url(redis_url) as client:
        assert await client.delete(Keys("gap").log(1)) == 1
    with pytest.raises(
        CorruptJournal, match="'gap', segment 1: 5 steps were decided in it, the records of 0"
    ):
        await surefoot.resume("gap", task=Reusing(checked=False), model=Turner(), redis=redis_url)


async def test_parts_have_memos_of_their_own(redis_url: str) -> None:
    report = await run(redis_url, PartOf(Reusing(40), 1, 2), settings=Settings(k=2, segment=5))
    assert (report.solved, report.steps, report.reused, report.votes) == (True, 20, 10, 20)


async def test_displays_say_what_was_reused(redis_url: str) -> None:
    progress = Progress()
    report = await run(redis_url, Reusing(), job="shown", on_event=progress.listen)
    assert progress.reused == 30
    assert "reused 30" in progress_line(progress)
    assert "30 steps took the verdict of an earlier one" in rendered(progress_table(progress))
    assert "30 steps took the verdict of an earlier one" in rendered(page(report, ""))
    async with Redis.from_url(redis_url) as client:
        job = await jobs.load(client, "shown")
        step = StepView(job, await segments.record(client, job, 15), await segments.kept(client, job, 15))
    assert "none; the verdict is that of step 5, which asked the same" in rendered(step)
    assert "none were drawn" in rendered(step)
    assert step.row()["reused"] == 5


def rendered(what: RenderableType) -> str:
    console = Console(file=StringIO(), width=160)
    with console.capture() as found:
        console.print(what)
    return found.get()


def memo(task: Dial | None = None, steps: int = 8) -> Memo[Any, Any]:
    found = guarded(task or Reusing())
    assert isinstance(found, Reuses)
    return Memo(Terms(found, FirstToAheadBy(2), Sampling()), found, steps)


def filled(found: Memo[Any, Any], history: Sequence[Record]) -> Iterator[int | None]:
    """Add each step as a run would, and yield whose verdict it took."""
    for record in history:
        digest = found.digest((record.step, record.answer))
        if digest is not None:
            taken = found.find(digest, record.step)
            source = None if taken is None else taken.source
            found.add(digest, record._replace(reused=source), record.answer)
            yield source


@pytest.mark.parametrize("seed", range(20))
def test_what_is_remembered_follows_from_the_last_steps_alone(seed: int) -> None:
    rng = random.Random(seed)
    history = [Record(step, rng.randrange(12), 2) for step in range(100)]
    whole = memo()
    taken = [*filled(whole, history)]
    assert any(source is not None for source in taken)
    assert None in taken[20:]
    kept = [record._replace(reused=source) for record, source in zip(history, taken, strict=True)]
    again = memo()
    for record in kept[-8:]:
        digest = again.digest((record.step, record.answer))
        assert digest is not None
        again.add(digest, record, record.answer)
    for answer in range(12):
        digest = again.digest((100, answer))
        assert digest is not None
        assert again.find(digest, 100) == whole.find(digest, 100)
    assert len(whole) <= 8


def test_a_verdict_that_nobody_asks_for_is_forgotten_and_so_is_a_large_one() -> None:
    found = memo(steps=3)
    digest = found.digest((0, 0))
    assert digest is not None
    found.add(digest, Record(0, 1, 2), 1)
    assert [found.find(digest, step) is not None for step in (1, 3, 4)] == [True, True, False]
    found.taking = False
    assert found.find(digest, 1) is None
    found.taking = True
    large = "x" * REMEMBERED_BYTES
    found.add(digest, Record(1, large, 2), large)
    assert len(found) == 0


def test_prompts_are_told_apart_by_every_part_of_them() -> None:
    class Shown(Reusing):
        prompt: Prompt = ""

        def ask(self, state: State, view: int = 0) -> Prompt:
            return self.prompt

    picture = Picture(b"one")
    prompts: list[Prompt] = [
        "a",
        "('a',)",
        (Message("user", "a"),),
        (Message("system", "a"),),
        (Message("user", "a"), Message("user", "")),
        (Message("user", "a", (picture,)),),
        (Message("user", "a", (Picture(b"two"),)),),
        (Message("user", "a", (Picture(b"one", "image/jpeg"),)),),
        (Message("user", "a", (picture, picture)),),
    ]
    task, digests = Shown(), list[bytes | None]()
    found = memo(task)
    for prompt in prompts:
        task.prompt = prompt
        digests += [found.digest((0, 0)), found.digest((1, 1))]
    assert len(set(digests)) == len(prompts)
    assert digests[::2] == digests[1::2]


def test_a_task_around_another_reuses_as_that_does() -> None:
    assert isinstance(PartOf(Reusing(), 0, 2), Reuses)
    assert isinstance(PartOf(Reusing(), 0, 2), Around)
    assert not isinstance(PartOf(Dial(), 0, 2), Reuses)
