import asyncio
import random
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

import surefoot
from surefoot import BadInput, Columns, Settings, Stalled, Towers, Unsupported
from surefoot.agents.tasks.optional import Case, NoCases
from surefoot.agents.tasks.task import Task, Value
from surefoot.models.base import Ask, Message, Prompt, Sampling
from surefoot.models.connect import open_model
from surefoot.models.doubles import Double, Garbage, towers_double
from surefoot.models.doubles.server import DoubleServer
from surefoot.orchestration.calibrate import calibrate
from surefoot.orchestration.events import Event, Noted
from surefoot.orchestration.graph import REPAIRS, AuditFailed
from surefoot.orchestration.journal import jobs, segments
from surefoot.orchestration.journal.fixed import Fixed
from surefoot.orchestration.journal.lease import Cancelled, JobHeld, claimed
from surefoot.orchestration.progress import Progress
from surefoot.orchestration.reporting import read_report
from surefoot.tools.towers.board import optimal_move, optimal_state
from surefoot.voting import PAPER, NotAnAnswer, Sample, TooLong

K1 = Settings(k=1)
K2 = Settings(k=2)
TENS = Settings(k=3, segment=10)
FEW = Settings(states=60)


def towers(disks: int, **options: object) -> Towers:
    return Towers(disks, "compact", **options)  # type: ignore[arg-type]


def columns_double(**options: float) -> Double:
    def right(prompt: Prompt) -> str:
        message = prompt[-1]
        assert isinstance(message, Message)
        a, _, b, _, digit, _, carry = message.content.split()
        return f"{int(a) * int(b) + int(digit) + int(carry):02d}"

    return Double(
        right, lambda prompt, which: f"{(int(right(prompt)) + 1 + which % 99) % 100:02d}", **options
    )  # type: ignore[arg-type]


async def answers(url: str, job: str) -> list[object]:
    async with Redis.from_url(url) as client:
        known = await jobs.load(client, job)
        return [(await segments.record(client, known, step)).answer for step in range(known.step)]


@pytest.mark.parametrize("disks", [1, 2, 5, 6])
@pytest.mark.parametrize("form", ["full", "move"])
async def test_towers_of_either_parity_are_solved_by_the_optimal_sequence(
    redis_url: str, disks: int, form: str
) -> None:
    report = await surefoot.run(towers(disks, form=form), K2, model=towers_double(), redis=redis_url)
    steps = 2**disks - 1
    assert (report.solved, report.status, report.steps, report.votes) == (True, "done", steps, 2 * steps)
    decided = await answers(redis_url, report.job)
    boards = [optimal_state(disks, step + 1) if form == "full" else None for step in range(steps)]
    assert decided == [(optimal_move(disks, step), boards[step]) for step in range(steps)]


async def test_errors_of_the_model_are_voted_down_and_reported(redis_url: str) -> None:
    double = towers_double(error=0.1, invalid=0.05, seed=3)
    report = await surefoot.run(towers(8), Settings(k=6, segment=50), model=double, redis=redis_url)
    assert report.solved
    assert report.contested > 20
    assert sum(report.red_flags.values()) > 20
    assert report.samples == report.votes + sum(report.red_flags.values())
    assert report.dissent_rate == pytest.approx(0.1, abs=0.03)
    first = report.contested_steps[0]
    assert first.votes - max(first.against.values()) == 6


async def test_k_follows_from_the_reliability_by_calibration(redis_url: str) -> None:
    report = await surefoot.run(
        towers(6), Settings(reliability=0.999, states=60), model=towers_double(error=0.02), redis=redis_url
    )
    assert report.solved
    assert report.k >= 3
    assert report.risk is not None
    assert report.risk <= 0.001
    assert report.calibration is not None
    assert report.calibration.samples == 3 * 60


async def test_a_calibration_that_cannot_support_the_reliability_stops_before_spending(
    redis_url: str,
) -> None:
    with pytest.raises(Unsupported, match="votes promise nothing"):
        await surefoot.run(towers(6), FEW, model=towers_double(error=0.7), redis=redis_url)
    async with Redis.from_url(redis_url) as client:
        assert await jobs.every(client) == []


async def test_a_stalled_step_shows_its_tally_and_can_be_resumed(redis_url: str) -> None:
    with pytest.raises(Stalled, match=r"step \d+ stalled.*malformed") as stalled:
        await surefoot.run(towers(4), Settings(k=3, limit=20), model=Garbage(), redis=redis_url, job="stuck")
    assert len(stalled.value.examples) == 5
    async with Redis.from_url(redis_url) as client:
        assert (await jobs.load(client, "stuck")).status == "stalled"
        with pytest.raises(
            BadInput, match=r"with 'garbage', a model made in Python: give an address \(--model URL\), or"
        ):
            await surefoot.resume("stuck", redis=client)
        report = await surefoot.resume("stuck", model=towers_double(), redis=client)
    assert report.solved
    assert report.stall is None
    assert report.models == ["garbage", "towers-double"]


async def test_a_stall_never_names_a_winner(redis_url: str) -> None:
    """Votes that never get far enough apart stay undecided, however often one candidate led."""

    class Torn:
        name = "torn"

        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            for place, ask in enumerate(asks):
                self.count += 1
                yield place, Sample("aAB;AbBaC" if self.count % 2 else "aAC;AbBCa")
                del ask

        count = 0

    with pytest.raises(Stalled) as stalled:
        await surefoot.run(
            towers(2, checked=False), Settings(k=2, limit=40), model=Torn(), redis=redis_url, job="torn"
        )
    assert set(stalled.value.flags) == set()
    with pytest.raises(BadInput, match="limit must be at least 2"):
        await surefoot.resume("torn", model=Torn(), redis=redis_url, limit=1)
    async with Redis.from_url(redis_url) as client:
        job = await jobs.load(client, "torn")
        shown = await read_report(client, "torn", towers(2))
    assert shown.stall is not None
    assert sum(shown.stall["tally"].values()) == sum(stalled.value.tally.values())
    assert (job.status, job.step) == ("stalled", 0)


async def test_a_segment_that_fails_its_audit_is_decided_again_with_a_larger_k(redis_url: str) -> None:
    """With k = 1 one wrong ballot decides; the board notices, and the segment is voted on again."""
    report = await surefoot.run(
        Columns((98765, 4321)),
        Settings(k=1, segment=4),
        model=columns_double(error=0.15, seed=1),
        redis=redis_url,
    )
    assert report.solved
    assert report.repairs > 0


async def test_a_segment_that_never_passes_ends_the_job_and_says_where(redis_url: str) -> None:
    lying = columns_double(hard=0.3, hard_error=1.0, correlation=1.0, seed=2)
    task = Columns((98765, 4321))
    task.views = 1
    with pytest.raises(AuditFailed, match=rf"failed its audit {REPAIRS + 1} times.*step \d+: .* is not"):
        await surefoot.run(task, K2, model=lying, redis=redis_url, job="lie")
    async with Redis.from_url(redis_url) as client:
        lie = await jobs.load(client, "lie")
    assert lie.status == "failed"
    assert "failed its audit" in lie.paused
    report = await surefoot.resume("lie", task=task, model=columns_double(), redis=redis_url)
    assert (report.solved, report.repairs) == (True, REPAIRS + 1)


async def test_a_run_can_be_interrupted_anywhere_and_decides_the_same(redis_url: str) -> None:
    double = towers_double(error=0.05, seed=5, latency=0.001)
    whole = await surefoot.run(towers(6), TENS, model=double, redis=redis_url, job="whole")
    for pause in (0.01, 0.03, 0.05, 0.08, 0.2):
        progress = Progress()
        run = asyncio.create_task(
            surefoot.run(
                towers(6), TENS, model=double, redis=redis_url, job="parts", on_event=progress.listen
            )
        )
        await asyncio.sleep(pause)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
    parts = await surefoot.run(towers(6), TENS, model=double, redis=redis_url, job="parts")
    assert parts.solved
    assert parts.head == whole.head
    assert (parts.votes, parts.contested) == (whole.votes, whole.contested)


async def test_the_same_seeds_decide_the_same_way_whatever_the_order_of_completion(redis_url: str) -> None:
    slow = towers_double(error=0.2, seed=5, latency=0.0005)
    quick = towers_double(error=0.2, seed=5)
    reports = [
        await surefoot.run(towers(4), Settings(k=4, spare=spare), model=double, redis=redis_url)
        for double, spare in ((slow, 0), (quick, 0), (slow, 3))
    ]
    assert len({(report.head, report.votes, report.contested) for report in reports}) == 1


async def test_a_job_is_not_taken_up_with_another_task(redis_url: str) -> None:
    await surefoot.run(towers(3), K1, model=towers_double(), redis=redis_url, job="mine")
    async with Redis.from_url(redis_url) as client:
        await client.hset("surefoot:{mine}:meta", "status", "stopped")
    with pytest.raises(BadInput, match="was started as towers with"):
        await surefoot.run(towers(4), K1, model=towers_double(), redis=redis_url, job="mine")


async def test_a_finished_job_is_reported_again_not_run_again(redis_url: str) -> None:
    first = await surefoot.run(towers(4), K2, model=towers_double(), redis=redis_url, job="once")
    again = await surefoot.run(towers(4), K2, model=Garbage(), redis=redis_url, job="once")
    assert again == first


async def test_a_job_keeps_its_settings_and_says_so(redis_url: str) -> None:
    notes: list[str] = []

    def heard(event: Event) -> None:
        notes.extend([event.sentence] if isinstance(event, Noted) else [])

    async def ran(settings: Settings) -> int:
        done = await surefoot.run(
            towers(4), settings, model=towers_double(), redis=redis_url, job="kept", on_event=heard
        )
        return done.k

    assert await ran(Settings(k=2, seed=7)) == 2
    assert await ran(Settings()) == await ran(Settings(k=2, seed=7)) == 2
    assert notes == []
    assert await ran(Settings(k=5, segment=10, sampling=Sampling(temperature=0.9, max_tokens=9))) == 2
    assert [note.split("; ")[:2] for note in notes] == [
        ["job 'kept' keeps what it was started with: k = 2, not 5", "segment = 1000, not 10"]
    ]
    assert "sampling = Sampling(temperature=0.3" in notes[0]


@pytest.mark.parametrize("segment", [4, 5, 15, 100])
async def test_a_runner_killed_after_its_last_step_and_before_its_end_costs_nothing(
    redis_url: str, segment: int
) -> None:
    first = await surefoot.run(
        towers(4), Settings(k=2, segment=segment), model=towers_double(), redis=redis_url, job="late"
    )
    async with Redis.from_url(redis_url) as client:
        await client.hset("surefoot:{late}:meta", "status", "running")
    again = await surefoot.resume("late", model=Garbage(), redis=redis_url)
    # But for the time that it took to find that out.
    told = {"models": [*first.models, "garbage"], "wall_s": again.wall_s}
    assert again == first.model_copy(update=told)
    assert again.wall_s >= first.wall_s


async def test_cancelling_stops_a_running_job(redis_url: str) -> None:
    run = asyncio.create_task(
        surefoot.run(towers(10), K2, model=towers_double(latency=0.005), redis=redis_url, job="long")
    )
    async with Redis.from_url(redis_url) as client, asyncio.timeout(20):
        while not await client.exists("surefoot:{long}:log:0"):
            await asyncio.sleep(0.01)
        await jobs.cancel(client, "long")
        with pytest.raises(Cancelled):
            await run
        assert (await jobs.load(client, "long")).status == "cancelled"


async def test_a_cancelled_job_stays_cancelled_until_it_is_taken_up_again(redis_url: str) -> None:
    """As when compose starts a worker again that ended because its job was cancelled."""
    quick = towers_double()
    async with Redis.from_url(redis_url) as client:
        await jobs.create(client, "off", "towers", towers(5).spec(), towers(5).start(), Fixed(K2, "double"))
        await jobs.cancel(client, "off")
        for _ in range(2):
            with pytest.raises(Cancelled, match=r"'off' was cancelled; `surefoot resume off --again`"):
                await surefoot.run(towers(5), model="http://127.0.0.1:9/v1", redis=redis_url, job="off")
            with pytest.raises(Cancelled, match=r"'off' was cancelled; `surefoot resume off --again`"):
                await surefoot.resume("off", model="http://127.0.0.1:9/v1", redis=redis_url)
        found = await jobs.load(client, "off")
        assert (found.status, found.step, found.holder) == ("cancelled", 0, None)
    report = await surefoot.resume("off", model=quick, redis=redis_url, again=True)
    assert (report.solved, report.status) == (True, "done")


async def test_o1_the_second_to_begin_a_job_is_told_who_calibrates_it_and_pays_nothing(
    redis_url: str,
) -> None:
    class Held:
        """Answers nothing before it is let go."""

        name = "first"

        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            await go.wait()
            async for answer in double.sample(asks):
                yield answer

    go, double, second = asyncio.Event(), towers_double(), Garbage()
    beginning = asyncio.create_task(
        surefoot.run(towers(5), Settings(states=200), model=Held(), redis=redis_url, job="same")
    )
    async with Redis.from_url(redis_url) as client, asyncio.timeout(120):
        while not await client.exists("surefoot:{same}:lease"):
            await asyncio.sleep(0.01)
        for settings in (Settings(), Settings(k=3)):
            with pytest.raises(JobHeld, match=r"'same' is being run by process \d+ on .+ since"):
                await surefoot.run(towers(5), settings, model=second, redis=redis_url, job="same")
        with pytest.raises(jobs.NoSuchJob):
            await jobs.load(client, "same")  # the first is still calibrating
        go.set()
        report = await beginning
        assert (report.solved, report.models) == (True, ["first"])
        assert not await client.exists("surefoot:{same}:lease")


async def test_o1_of_many_who_begin_a_job_at_once_exactly_one_runs_it(redis_url: str) -> None:
    model = towers_double(latency=0.002)
    begun = [surefoot.run(towers(5), FEW, model=model, redis=redis_url, job="same") for _ in range(6)]
    ended = await asyncio.gather(*begun, return_exceptions=True)
    held = [end for end in ended if isinstance(end, JobHeld)]
    (report,) = [end for end in ended if not isinstance(end, JobHeld)]
    assert (len(held), report.solved) == (5, True)  # type: ignore[union-attr]


async def test_o1_a_name_is_free_again_when_its_calibration_came_to_nothing(redis_url: str) -> None:
    with pytest.raises(Unsupported):
        await surefoot.run(towers(6), FEW, model=towers_double(error=0.7), redis=redis_url, job="same")
    report = await surefoot.run(towers(6), K2, model=towers_double(), redis=redis_url, job="same")
    assert report.solved


async def test_o1_the_claim_outlasts_its_lease_while_a_calibration_may_go_on(redis_url: str) -> None:
    client = Redis.from_url(redis_url)
    async with client, claimed(client, "slow", lease_s=0.6):
        for _ in range(8):
            await asyncio.sleep(0.25)
            with pytest.raises(JobHeld):
                await surefoot.run(towers(3), K1, model=Garbage(), redis=redis_url, job="slow")


async def test_cancelling_does_not_wait_for_a_model_that_does_not_answer(redis_url: str) -> None:
    hanging, progress = towers_double(latency=500.0), Progress()
    run = asyncio.create_task(
        surefoot.run(towers(5), K2, model=hanging, redis=redis_url, job="hung", on_event=progress.listen)
    )
    async with Redis.from_url(redis_url) as client, asyncio.timeout(30):
        while progress.doing != "running":  # a lease alone may be that of the claim, before there is a job
            await asyncio.sleep(0.01)
        await jobs.cancel(client, "hung")
        with pytest.raises(Cancelled):
            await run
        assert not await client.exists("surefoot:{hung}:lease")


async def test_a_repair_has_room_for_its_larger_k(redis_url: str) -> None:
    """One sample a step was allowed for k = 1; a segment that is decided again with k = 2 gets two."""
    double = columns_double(error=0.1, seed=1)
    with pytest.raises(Stalled, match="in 2 samples"):
        await surefoot.run(
            Columns((98765, 4321)), Settings(k=1, limit=1, segment=4), model=double, redis=redis_url
        )


class Countdown(Task[int, int]):
    """A domain of one's own, without known answers."""

    name = "countdown"

    def __init__(self, first: int) -> None:
        self.first = first

    def spec(self) -> Mapping[str, Value]:
        return {"first": self.first}

    def start(self) -> int:
        return self.first

    def ask(self, state: int, view: int = 0) -> Prompt:
        return f"{state} - 1 ="

    def read(self, text: str, state: int, view: int = 0) -> int:
        if not text.isdigit():
            raise NotAnAnswer("not a number")
        return int(text)

    def advance(self, state: int, answer: int) -> int:
        return answer

    def finished(self, state: int) -> bool:
        return state == 0


def countdown_double(**options: float) -> Double:
    def right(prompt: Prompt) -> str:
        return str(int(str(prompt).split()[0]) - 1)

    return Double(right, lambda prompt, which: str(which % 10_000 + 100_000), **options)  # type: ignore[arg-type]


async def test_a_domain_of_ones_own_of_unknown_length_runs(redis_url: str) -> None:
    report = await surefoot.run(
        Countdown(57),
        Settings(k=4, segment=10),
        model=countdown_double(error=0.05),
        redis=redis_url,
        job="mine",
    )
    assert (report.solved, report.steps, report.steps_expected) == (True, 57, None)
    with pytest.raises(BadInput, match="not part of surefoot"):
        await surefoot.resume("mine", redis=redis_url)
    assert (await surefoot.resume("mine", task=Countdown(57), redis=redis_url)).steps == 57


async def test_a_job_that_its_task_ended_early_goes_on_when_the_task_is_mended(redis_url: str) -> None:
    class Known(Countdown):
        def __init__(self, first: int, steps: int) -> None:
            super().__init__(first)
            self._steps = steps

        def steps(self) -> int:
            return self._steps

    settings = Settings(k=2, segment=10)

    async def resumed(steps: int, error: float = 0.0) -> surefoot.Report:
        model = countdown_double(error=error)
        return await surefoot.resume("mine", task=Known(57, steps), model=model, redis=redis_url)

    early = await surefoot.run(Known(57, 23), settings, model=countdown_double(), redis=redis_url, job="mine")
    assert (early.solved, early.steps) == (False, 23)
    still_early = await resumed(26, error=0.1)
    assert (still_early.solved, still_early.steps) == (False, 26)
    late = await resumed(57)
    whole = await surefoot.run(Known(57, 57), settings, model=countdown_double(), redis=redis_url)
    assert (late.solved, late.steps, late.head) == (True, 57, whole.head)
    assert await answers(redis_url, "mine") == list(range(56, -1, -1))


async def test_a_segment_that_is_open_again_can_be_repaired(redis_url: str) -> None:
    class Known(Countdown):
        steps_said = 23

        def steps(self) -> int:
            return self.steps_said

        def audit(self, state: int, answer: int) -> str | None:
            if answer != state - 1 and self.steps_said == 57:
                return "not one less"
            return None

    settings = Settings(k=1, segment=10)
    slips = Double(lambda prompt: str(max(0, int(str(prompt).split()[0]) - 2)), lambda prompt, which: "")
    task = Known(57)
    early = await surefoot.run(task, settings, model=slips, redis=redis_url, job="mine")
    assert early.steps == 23
    task.steps_said = 57
    with pytest.raises(AuditFailed, match="not one less"):
        await surefoot.resume("mine", task=task, model=slips, redis=redis_url)
    async with Redis.from_url(redis_url) as client:
        known = await jobs.load(client, "mine")
    assert (known.sealed, known.counters["repairs"]) == (2, REPAIRS)


async def test_a_task_that_cannot_be_calibrated_asks_for_k(redis_url: str) -> None:
    with pytest.raises(BadInput, match="give k instead"):
        await surefoot.run(Countdown(5), model=countdown_double(), redis=redis_url)

    class Known(Countdown):
        def steps(self) -> int:
            return self.first

    with pytest.raises(NoCases):
        await surefoot.run(Known(5), model=countdown_double(), redis=redis_url)


async def test_calibration_without_known_answers_says_that_it_measures_agreement() -> None:
    class Sampled(Countdown):
        def steps(self) -> int:
            return self.first

        def case(self, rng: object) -> Case[int, int]:
            return Case(rng.randrange(1, 500))  # type: ignore[attr-defined]

    plan = await surefoot.plan(Sampled(300), Settings(states=80), model=countdown_double(error=0.03))
    assert not plan.calibration.known_answers
    assert "agreement, not correctness" in plan.choice.why


class Lengthy(Countdown):
    """A countdown whose samples may have `tokens` tokens; its model writes three, of four digits each."""

    def __init__(self, first: int, tokens: int) -> None:
        super().__init__(first)
        self.flags = PAPER | TooLong(tokens)

    def steps(self) -> int:
        return self.first

    def case(self, rng: random.Random) -> Case[int, int]:
        state = rng.randrange(1, 500)
        return Case(state, state - 1)


def lengthy_double() -> Double:
    def right(prompt: Prompt) -> str:
        state = str(prompt).split()[0]
        # The client tries the server out with prompts of its own.
        return f"{int(state) - 1:012d}" if state.isdigit() else "tried out"

    return Double(right, lambda prompt, which: right(prompt))


def limits_of(server: DoubleServer) -> set[object]:
    """The token limits of the requests about a countdown, which leaves out those that only try the server out."""
    return {body["max_tokens"] for body in server.bodies if " - 1 =" in str(body.get("prompt"))}


async def test_a_text_that_is_too_long_is_thrown_away_whatever_the_number_of_its_ballot(
    redis_url: str,
) -> None:
    """A server counts the samples of one request together, so the length of the later ballots is not known here."""
    async with DoubleServer(lengthy_double()) as server:
        with pytest.raises(Stalled) as stalled:
            await surefoot.run(
                Lengthy(5, tokens=2), Settings(k=3, limit=20), model=server.url, redis=redis_url
            )
        assert any(body.get("n", 1) > 1 for body in server.bodies)  # type: ignore[operator]
        assert stalled.value.tally == {}
        assert set(stalled.value.flags) == {"too long"}


async def test_a_text_just_short_enough_is_a_ballot_whatever_its_number(redis_url: str) -> None:
    async with DoubleServer(lengthy_double()) as server:
        report = await surefoot.run(Lengthy(5, tokens=3), Settings(k=3), model=server.url, redis=redis_url)
        assert (report.solved, report.red_flags) == (True, {})
        assert limits_of(server) == {3}


async def test_a_plan_and_its_calibration_draw_as_the_job_will(redis_url: str) -> None:
    """Whether the limit is the task's or the user's: what is timed and counted is what the job will do."""
    async with DoubleServer(lengthy_double()) as server:
        for own, sampling, limit in ((3, None, 3), (9, Sampling(max_tokens=4), 4), (5, Sampling(), 5)):
            task = Lengthy(5, tokens=own)
            server.bodies.clear()
            async with open_model(server.url) as model:
                calibration = await calibrate(task, model, Settings(states=5, sampling=sampling))
            assert (calibration.valid_rate, limits_of(server)) == (1, {limit})
            server.bodies.clear()
            settings = Settings(reliability=0.6, states=60, sampling=sampling)
            plan = await surefoot.plan(task, settings, model=server.url)
            assert plan.choice.k is not None
            assert limits_of(server) == {limit}
            server.bodies.clear()
            report = await surefoot.run(task, settings, model=server.url, redis=redis_url)
            assert report.solved
            assert limits_of(server) == {limit}
            async with Redis.from_url(redis_url) as client:
                stored = (await jobs.load(client, report.job)).settings.sampling
            assert stored is not None
            assert stored.max_tokens == limit


async def test_a_job_goes_on_with_the_sampling_it_was_started_with(redis_url: str) -> None:
    """A journal from before the flags capped the sampling keeps what it says: the terms of a job never change."""
    task = Lengthy(5, tokens=3)
    async with DoubleServer(lengthy_double()) as server, Redis.from_url(redis_url) as client:
        fixed = Fixed(Settings(k=2, sampling=Sampling()), server.url)
        await jobs.create(client, "older", task.name, task.spec(), task.start(), fixed)
        report = await surefoot.run(task, K2, model=server.url, redis=client, job="older")
        assert report.solved
        assert limits_of(server) == {750}


async def test_long_multiplication_is_a_task_too(redis_url: str) -> None:
    report = await surefoot.run(
        Columns((98765, 4321)), Settings(states=100), model=columns_double(error=0.1), redis=redis_url
    )
    assert (report.solved, report.steps) == (True, 20)
    wrong = Double(lambda prompt: "00", lambda prompt, which: "00")
    with pytest.raises(AuditFailed, match="is not 00"):
        await surefoot.run(Columns((98765, 4321)), K2, model=wrong, redis=redis_url)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"k": 0}, "k, the lead.*not 0"),
        ({"reliability": 1.0}, "reliability.*not 1.0"),
        ({"reliability": 0.0}, "reliability.*not 0.0"),
        ({"k": 9, "limit": 5}, "limit must be at least 9, not 5"),
        ({"limit": 100_001}, "limit must be at most 100,000 samples of a step, not 100001"),
        ({"states": 0}, "at least one state, not 0"),
        ({"segment": 0}, "segment must be at least 1"),
        ({"spare": -1}, "spare must be at least 0"),
    ],
)
def test_bad_settings_are_refused_before_anything_starts(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Settings(**wrong)


async def test_a_limit_below_the_k_that_a_calibration_finds_is_refused(redis_url: str) -> None:
    with pytest.raises(BadInput, match=r"limit must be at least [2-9], not 1"):
        await surefoot.run(
            towers(4), Settings(states=60, limit=1), model=towers_double(error=0.1), redis=redis_url
        )


async def test_a_plan_finds_k_and_takes_none() -> None:
    with pytest.raises(BadInput, match="give it a reliability, not k = 3"):
        await surefoot.plan(towers(4), Settings(k=3), model=towers_double())


@pytest.mark.parametrize(
    "query", ["key=hush", "api-version=2024-10-21&api_key=hush-hush-hush;t=hush", "hush"]
)
async def test_a_key_in_the_address_is_in_no_journal_and_asked_for_again(redis_url: str, query: str) -> None:
    task, shown = Towers(4, "compact"), re.sub("(=|^)hush[-hus]*", r"\1***", query)
    async with DoubleServer(towers_double()) as server, Redis.from_url(redis_url) as store:
        address = f"{server.url}?{query}#{towers_double().name}"
        begun = await surefoot.run(
            task, K2, model=address, redis=redis_url, job="secret", budget=surefoot.Budget(steps=3)
        )
        kept = f"{server.url}?{shown}#{towers_double().name}"
        assert begun.models == [kept]
        meta = await store.hgetall("surefoot:{secret}:meta")
        assert meta
        assert "hush" not in repr(meta)
        with pytest.raises(
            BadInput, match=r"keys are not kept: give its address once more, with the key"
        ) as refused:
            await surefoot.resume("secret", redis=redis_url)
        assert repr(kept) in str(refused.value)
        assert "hush" not in str(refused.value)
        done = await surefoot.resume("secret", model=address, redis=redis_url)
    assert (done.solved, done.models) == (True, [kept]), "it is the same model, not another one"
    assert "hush" not in done.model_dump_json()


async def test_an_address_whose_query_holds_a_version_alone_is_enough_to_resume(redis_url: str) -> None:
    async with DoubleServer(towers_double()) as server:
        address = f"{server.url}?api-version=2024-10-21"
        begun = await surefoot.run(
            Towers(4, "compact"), K2, model=address, redis=redis_url, budget=surefoot.Budget(steps=3)
        )
        done = await surefoot.resume(begun.job, redis=redis_url)
    assert (done.solved, done.models) == (True, [address])
