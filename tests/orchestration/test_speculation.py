import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

import surefoot
from surefoot import BadInput, Budget, Settings, Speculation, Stalled, Task, Towers
from surefoot.agents.tasks.optional import Attempt
from surefoot.agents.tasks.task import Value
from surefoot.models.base import Ask, Model, ModelUnavailable, Prompt
from surefoot.models.doubles import Garbage, Latency, towers_double
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.options import Options
from surefoot.orchestration.engine.drafts import Draft, Rollout, Supplied
from surefoot.orchestration.engine.open_step import Decision, Status, Terms
from surefoot.orchestration.engine.pipeline import Pipeline
from surefoot.orchestration.engine.recall import Recall
from surefoot.orchestration.engine.stride import Stride
from surefoot.orchestration.events import Event, Noted
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.reporting import records
from surefoot.voting import FirstToAheadBy, NotAnAnswer, Sample, Verdict
from surefoot.voting.samples import NOTHING

K2 = Settings(k=2)
SHORT = Settings(k=3, segment=40)


class Shuffled:
    """Lets the samples of another model come back in a random order, with pauses in between."""

    name = "shuffled"

    def __init__(self, inner: Model, seed: int) -> None:
        self.inner = inner
        self.rng = random.Random(seed)

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        found = [entry async for entry in self.inner.sample(asks)]
        self.rng.shuffle(found)
        for entry in found:
            for _ in range(self.rng.randrange(4)):
                await asyncio.sleep(0)
            yield entry


async def decisions(stride: Stride, task: Task, steps: int) -> list[object]:
    """Decide a chain and return all that a journal would keep of it, up to and including a stall."""
    found: list[object] = []
    state = task.start()
    try:
        for step in range(steps):
            if task.finished(state):
                break
            decision = await stride.decide(state, step)
            found.append(kept(decision))
            state = task.advance(state, decision.verdict.winner)
    except Stalled as stall:
        found.append((dict(stall.tally), dict(stall.flags), str(stall)))
    finally:
        await stride.aclose()
    return found


def kept(decision: Decision) -> object:
    verdict = decision.verdict
    order = list(verdict.tally.items())
    return verdict.winner, order, dict(verdict.flags), decision.usage


def a_draft(kind: str, task: Towers, error: float, seed: int) -> Draft | None:
    if kind == "leading":
        return None
    if kind == "recall":
        return Recall(task, contexts=(8, 2))
    if kind == "rollout":
        return Rollout(task.short(), towers_double(error=error, invalid=error / 3, seed=seed))
    rng = random.Random(seed)
    return Supplied(lambda state: rng.choice([state, task.start(), None]))


@settings(max_examples=60)
@given(
    kind=st.sampled_from(["leading", "recall", "rollout", "nonsense"]),
    form=st.sampled_from(["full", "move"]),
    k=st.integers(1, 4),
    error=st.sampled_from([0.0, 0.01, 0.1, 0.35]),
    invalid=st.sampled_from([0.0, 0.1, 0.4]),
    draft_error=st.sampled_from([0.0, 0.05, 0.5]),
    spare=st.integers(0, 2),
    limit=st.sampled_from([8, 40]),
    depth=st.sampled_from([1, 3, 50]),
    capacity=st.sampled_from([1, 10, 200]),
    max_waste=st.sampled_from([0.0, 0.1, 0.5, 0.95]),
    seed=st.integers(0, 10**6),
)
async def test_what_is_decided_is_what_would_have_been_decided_one_step_after_the_other(
    kind: str, form: str, k: int, error: float, invalid: float, draft_error: float, spare: int, limit: int,
    depth: int, capacity: int, max_waste: float, seed: int,
) -> None:  # fmt: skip
    """Winners, tallies in their order, red flags, tokens, stalls: identical for the same seeds, whatever is proposed."""
    task = Towers(6, "compact", form=form)  # type: ignore[arg-type]
    terms = Terms(task, FirstToAheadBy(k), task.sampling, limit=limit, spare=spare, seed=seed)
    double = towers_double(error=error, invalid=invalid, seed=seed)
    sequential = await decisions(Stride(terms, double), task, 63)
    speculation = Speculation(
        a_draft(kind, task, draft_error, seed), depth=depth, max_waste=max_waste, capacity=capacity
    )
    model: Model = double if spare else Shuffled(double, seed)
    ahead = await decisions(Stride(terms, model, speculation), task, 63)
    assert ahead == sequential


async def run_of(url: str, name: str, speculation: Speculation | None) -> list[object]:
    """Run a job on a real Redis and return its records."""
    async with Redis.from_url(url) as redis:
        double = towers_double(error=0.05, invalid=0.03, seed=8)
        report = await surefoot.run(
            Towers(8, "compact"), SHORT, model=double, redis=redis, job=name, speculate=speculation
        )
        assert report.solved
        assert (report.speculation is not None) == (speculation is not None)
        return [record async for record in records(redis, await jobs.load(redis, name))]


async def test_the_journal_is_the_same_with_and_without(redis_url: str) -> None:
    off = await run_of(redis_url, "off", None)
    assert await run_of(redis_url, "leading", Speculation()) == off
    assert await run_of(redis_url, "short", Speculation("short")) == off
    assert await run_of(redis_url, "recall", Speculation("recall")) == off


async def test_recall_is_asked_where_the_votes_of_a_step_come_back_together() -> None:
    """Each step is decided in one go, so that whatever is expected begins while the step before is being handed out."""
    task = Towers(8, "compact")
    async with DoubleServer(towers_double(latency=0.002)) as server, OpenAIModel(server.url) as model:
        stride = Stride(
            Terms(task, FirstToAheadBy(3), task.sampling), model, Speculation(Recall(task, (16, 4)))
        )
        counts: Counter[str] = Counter()
        state = task.start()
        for step in range(255):
            state = task.advance(state, (await stride.decide(state, step)).verdict.winner)
            counts.update(stride.take_counts())
        await stride.aclose()
    assert counts["accepted"] > 120


async def test_a_killed_and_resumed_run_speculates_on_and_decides_the_same(redis_url: str) -> None:
    off = await run_of(redis_url, "off", None)
    task, double = Towers(8, "compact"), towers_double(error=0.05, invalid=0.03, seed=8)
    async with Redis.from_url(redis_url) as redis:
        for seconds in (0.05, 0.1, 0.2, 0.4, None):
            run = asyncio.ensure_future(
                surefoot.run(
                    task, SHORT, model=double, redis=redis, job="cut", speculate=Speculation("recall")
                )
            )
            await asyncio.wait([run], timeout=seconds)
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
        assert [record async for record in records(redis, await jobs.load(redis, "cut"))] == off


class Counting:
    """Counts the samples in flight and all that were asked for; each takes a while."""

    name = "counting"

    def __init__(self, inner: Model) -> None:
        self.inner = inner
        self.asked = self.in_flight = self.most = 0

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        self.asked += len(asks)
        self.in_flight += len(asks)
        self.most = max(self.most, self.in_flight)
        await asyncio.sleep(0.002)
        async for entry in self.inner.sample(asks):
            self.in_flight -= 1
            yield entry


def perfect(task: Towers) -> Rollout:
    return Rollout(task.short(), towers_double())


async def test_no_more_samples_are_in_flight_than_the_capacity_allows() -> None:
    task = Towers(7, "compact")
    terms = Terms(task, FirstToAheadBy(3), task.sampling)
    model = Counting(towers_double())
    await decisions(Stride(terms, model, Speculation(perfect(task), capacity=30, max_waste=0.9)), task, 127)
    assert 24 <= model.most <= 30


async def test_the_steps_asked_ahead_stay_within_the_depth() -> None:
    task = Towers(7, "compact")
    terms = Terms(task, FirstToAheadBy(3), task.sampling)
    model = Counting(towers_double())
    await decisions(Stride(terms, model, Speculation(perfect(task), depth=4, max_waste=0.9)), task, 127)
    assert model.most == 3 * (4 + 1)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
async def test_the_share_of_samples_in_vain_is_bounded_even_for_a_draft_that_is_always_wrong(
    share: float,
) -> None:
    task = Towers(7, "compact")
    terms = Terms(task, FirstToAheadBy(3), task.sampling)
    wrong = Supplied(lambda state: ((3, 0, 1), state[1]))
    model = Counting(towers_double())
    await decisions(Stride(terms, model, Speculation(wrong, max_waste=share)), task, 127)
    needed = 3 * 127
    assert needed <= model.asked <= needed / (1 - share)
    assert share == 0 or model.asked > needed


@pytest.mark.parametrize("share", [0.1, 0.3])
async def test_the_bound_holds_for_wrong_states_whose_samples_are_all_thrown_away(share: float) -> None:
    """Such a step asks again and again, and its answers are there long before the right ones."""

    class Rambling(Onwards):
        asked = 0

        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            self.asked += len(asks)
            wrong = [place for place, ask in enumerate(asks) if int(str(ask.prompt)) > 50]
            for place in wrong:
                yield place, Sample("...")
            await asyncio.sleep(0 if len(wrong) == len(asks) else 0.01)
            for place in sorted({*range(len(asks))} - {*wrong}):
                yield place, Sample(str(int(str(asks[place].prompt)) + 1))

    class Strict(Stepped):
        def read(self, text: str, state: int, view: int = 0) -> int:
            if not text.isdigit():
                raise NotAnAnswer(text)
            return int(text)

    model = Rambling()
    task = Strict()
    terms = Terms(task, FirstToAheadBy(3), task.sampling)
    speculation: Speculation = Speculation(Supplied(lambda state: state % 50 + 51), max_waste=share)
    await decisions(Stride(terms, model, speculation), task, 30)
    needed = 3 * 30
    assert needed < model.asked <= needed / (1 - share)


async def test_a_bad_draft_makes_the_depth_fall_and_a_good_one_makes_it_grow() -> None:
    async def depth(error: float) -> float:
        task = Towers(9, "compact")
        draft = Rollout(task.short(), towers_double(error=error, seed=5))
        stride = Stride(
            Terms(task, FirstToAheadBy(3), task.sampling),
            Counting(towers_double()),
            Speculation(draft, max_waste=0.6),
        )
        counts: Counter[str] = Counter()
        state = task.start()
        for step in range(511):
            decision = await stride.decide(state, step)
            state = task.advance(state, decision.verdict.winner)
            counts.update(stride.take_counts())
        await stride.aclose()
        return counts["depth"] / counts["decisions"]

    assert 2 * await depth(0.3) < await depth(0.005)


async def test_a_long_tail_costs_less_when_the_leading_ballot_is_followed() -> None:
    """In round trips, not in seconds: with one slow sample a step, the steps overlap instead of queueing up."""
    task = Towers(6, "compact")
    slow = towers_double(latency=Latency(0.02, 0.4), seed=2)  # long beside what a busy machine adds

    async def most_in_flight(speculation: Speculation | None) -> int:
        async with (
            DoubleServer(slow) as server,
            OpenAIModel(server.url, options=Options(max_batch=1)) as model,
        ):
            stride = Stride(Terms(task, FirstToAheadBy(3), task.sampling), model, speculation)
            await decisions(stride, task, 63)
            return server.stats.most_in_flight

    assert await most_in_flight(None) <= 3
    assert await most_in_flight(Speculation()) > 6


class Errand(Task[int, int]):
    """Counts to ten; every third step is an errand in the world, which counts, too."""

    name = "errand"

    def __init__(self, done: list[int]) -> None:
        self.done = done
        self.asked: list[tuple[int, int]] = []

    def spec(self) -> dict[str, Value]:
        return {}

    def start(self) -> int:
        return 0

    def ask(self, state: int, view: int = 0) -> str:
        self.asked.append((state, len(self.done)))
        return str(state)

    def read(self, text: str, state: int, view: int = 0) -> int:
        if not text.isdigit():
            raise NotAnAnswer("no number")
        return int(text)

    def advance(self, state: int, answer: int) -> int:
        return answer

    def finished(self, state: int) -> bool:
        return state == 10

    def steps(self) -> int:
        return 10

    def acts(self, state: int) -> bool:
        return state % 3 == 2

    async def act(self, state: int, attempt: Attempt) -> int:
        await asyncio.sleep(0.01)
        self.done.append(attempt.step)
        return state + 1


class Counter1:
    """Answers with the next number."""

    name = "counter"

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for place, ask in enumerate(asks):
            assert isinstance(ask.prompt, str)
            yield place, Sample(str(int(ask.prompt) + 1))


@pytest.mark.parametrize("draft", [None, Supplied(lambda state: state + 1)])
async def test_nothing_is_asked_past_a_step_that_acts_before_it_is_done(
    redis_url: str, draft: Draft | None
) -> None:
    task = Errand([])
    report = await surefoot.run(task, K2, model=Counter1(), redis=redis_url, speculate=Speculation(draft))
    assert report.solved
    assert task.done == [2, 5, 8]
    assert {state for state, _ in task.asked} == {0, 1, 3, 4, 6, 7, 9}
    assert all(done == state // 3 for state, done in task.asked)
    assert (report.votes, report.steps) == (14, 10)
    assert report.speculation is not None


class FromNothing(Errand):
    """Begins with a state that is None, which is a plain value like any other."""

    name = "from-nothing"

    def start(self) -> int:
        return None  # type: ignore[return-value]

    def ask(self, state: int | None, view: int = 0) -> str:
        return str(state or 0)

    def acts(self, state: int) -> bool:
        return False


@pytest.mark.parametrize("draft", [None, Supplied(lambda state: (state or 0) + 1)])
async def test_a_state_may_be_none(draft: Draft | None) -> None:
    task = FromNothing([])
    terms = Terms(task, FirstToAheadBy(2), task.sampling)
    assert len(await decisions(Stride(terms, Counter1(), Speculation(draft)), task, 10)) == 10


async def test_what_is_open_outlives_the_end_of_a_segment(redis_url: str) -> None:
    """The run stops for an audit every ten steps; what was asked beyond is not asked again."""
    task = Towers(7, "compact")
    model = Counting(towers_double())
    report = await surefoot.run(
        task,
        Settings(k=3, segment=10),
        model=model,
        redis=redis_url,
        speculate=Speculation(perfect(task), max_waste=0.9),
    )
    assert report.solved
    assert report.speculation is not None
    assert report.speculation.depth > 10
    assert model.asked == 3 * 127


async def test_samples_beyond_the_decision_are_cancelled_on_the_server() -> None:
    slow = towers_double(latency=Latency(0.02, 5.0), seed=4)
    task = Towers(6, "compact")
    async with DoubleServer(slow) as server, OpenAIModel(server.url, options=Options(max_batch=1)) as model:
        terms = Terms(task, FirstToAheadBy(2), task.sampling, spare=20)
        stride = Stride(terms, model, Speculation(max_waste=0.0))
        assert (await stride.decide(task.start(), 0)).verdict.votes == 2
        async with asyncio.timeout(5):
            while server.stats.in_flight:
                await asyncio.sleep(0.01)
        assert server.stats.aborted > 0
        await stride.aclose()


async def test_a_stall_ahead_is_raised_only_when_its_turn_comes() -> None:
    class Forgetful:
        """Knows nothing of the steps from 40 on."""

        name = "forgetful"

        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            for place, ask in enumerate(asks):
                known = ask.prompt in prompts
                yield place, (towers_double() if known else Garbage()).draw(ask)

    task = Towers(6, "compact")
    prompts = set()
    state = task.start()
    for _ in range(40):
        prompts |= {task.ask(state, view) for view in range(3)}
        answer = task.read(towers_double().draw(Ask(task.ask(state), 0, 99, 0)).text, state)
        state = task.advance(state, answer)
    terms = Terms(task, FirstToAheadBy(3), task.sampling, limit=9)
    stride = Stride(terms, Forgetful(), Speculation(perfect(task), max_waste=0.9))
    found = await decisions(stride, task, 63)
    assert len(found) == 41
    assert "step 40 stalled" in str(found[-1])


async def test_a_model_that_is_gone_ends_the_wait() -> None:
    class Gone:
        name = "gone"

        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            raise ModelUnavailable("nobody is there")
            yield

    task = Towers(6, "compact")
    with pytest.raises(ModelUnavailable):
        await decisions(
            Stride(Terms(task, FirstToAheadBy(3), task.sampling), Gone(), Speculation()), task, 63
        )
    draft = Rollout(task.short(), Gone())
    with pytest.raises(ModelUnavailable):
        stride = Stride(Terms(task, FirstToAheadBy(3), task.sampling), towers_double(), Speculation(draft))
        await decisions(stride, task, 63)


async def test_a_draft_that_dies_on_the_way_is_told_of_once_and_the_run_may_go_on(redis_url: str) -> None:
    class Mortal:
        name = "mortal"

        def __init__(self) -> None:
            self._double, self._left = towers_double(), 6

        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            self._left -= 1
            if self._left < 0:
                raise ModelUnavailable("nobody is there any more")
            async for answer in self._double.sample(asks):
                yield answer

    task = Towers(6, "compact")
    calm = await surefoot.run(task, SHORT, model=towers_double(), redis=redis_url, job="calm")
    said: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Noted):
            said.append(event.sentence)

    report = await surefoot.run(
        task,
        SHORT,
        model=towers_double(latency=0.002),
        speculate=Speculation(Rollout(task.short(), Mortal())),
        redis=redis_url,
        on_event=listen,
    )
    assert (report.solved, report.head) == (True, calm.head)
    [sentence] = said
    assert sentence.startswith("the draft (rollout of ") and "has failed, the run goes on" in sentence
    assert "nobody is there any more" in sentence


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"capacity": 0}, {"max_waste": 1.0}, {"max_waste": -0.1}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(BadInput):
        Speculation(**wrong)  # type: ignore[arg-type]


class Stepped(Task[int, int]):
    """Counts up to 30 and can do nothing with states beyond 99: whatever it is asked about them raises."""

    name = "stepped"

    def spec(self) -> dict[str, Value]:
        return {}

    def start(self) -> int:
        return 0

    def checked(self, state: int) -> int:
        if state > 99:
            raise IndexError(state)
        return state

    def ask(self, state: int, view: int = 0) -> str:
        return str(self.checked(state))

    def read(self, text: str, state: int, view: int = 0) -> int:
        return int(text)

    def advance(self, state: int, answer: int) -> int:
        return self.checked(answer)

    def finished(self, state: int) -> bool:
        return self.checked(state) == 30

    def acts(self, state: int) -> bool:
        return self.checked(state) < 0

    async def act(self, state: int, attempt: Attempt) -> int:
        raise AssertionError("no state is below zero")

    def guess(self, state: int, after: int, view: int = 0) -> str:
        return str(self.checked(after))


class Onwards:
    """Counts on by one; `lost` is a state after which it says something that cannot be."""

    name = "onwards"

    def __init__(self, lost: int | None = None, says: int = 1000) -> None:
        self.lost = lost
        self.says = says

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for place, ask in enumerate(asks):
            await asyncio.sleep(0)
            state = int(str(ask.prompt))
            yield place, Sample(str(self.says if state == self.lost else state + 1))


@pytest.mark.parametrize(
    "draft",
    [
        Supplied(lambda state: 1000 if state == 7 else state + 1),
        Rollout(Stepped(), Onwards(lost=7)),
        Rollout(Stepped(), Onwards(lost=7), votes=3),
    ],
    ids=["supplied", "rollout", "rollout of three"],
)
async def test_a_state_that_only_a_draft_believes_in_does_not_end_the_run(draft: Draft[int]) -> None:
    report = await surefoot.run(Stepped(), K2, model=Onwards(), speculate=Speculation(draft))
    assert report.solved and report.steps == 30


class Late(Draft[int]):
    """Says nothing until the run has come three steps further, and then ten states at once, `astray` from the right ones."""

    name = "late"

    def __init__(self, astray: int = 0) -> None:
        self.begun = self.said = 0
        self._astray = astray
        self._reached = 0
        self._moved = asyncio.Event()

    def decided(self, state: int, after: int) -> None:
        self._reached = after
        self._moved.set()

    async def propose(self, path: Sequence[int]) -> AsyncGenerator[int, None]:
        self.begun += 1
        first = path[-1]
        while self._reached < first + 3:
            self._moved.clear()
            await self._moved.wait()
        for state in range(first + 1, first + 11):
            self.said += 1
            yield state + self._astray


async def test_the_report_says_what_the_draft_itself_has_spent() -> None:
    task = Towers(5, "compact")
    draft = Rollout(task.short(), towers_double())
    for _ in range(2):  # a draft may serve more than one run
        before = draft.spent.total
        report = await surefoot.run(task, K2, model=towers_double(), speculate=Speculation(draft))
        assert report.speculation is not None
        assert 0 < report.speculation.draft_tokens <= draft.spent.total - before
    alone = await surefoot.run(task, K2, model=towers_double())
    assert report.tokens == alone.tokens


async def test_a_draft_that_is_slower_than_an_election_is_heard_nevertheless() -> None:
    draft = Late()
    report = await surefoot.run(Stepped(), K2, model=Onwards(), speculate=Speculation(draft))
    assert report.solved
    assert draft.begun <= 5
    assert draft.said >= 20
    assert report.speculation is not None
    assert report.speculation.acceptance == 1


async def test_a_slow_draft_that_went_another_way_begins_anew_from_where_the_run_is() -> None:
    draft = Late(astray=1)
    report = await surefoot.run(Stepped(), K2, model=Onwards(), speculate=Speculation(draft))
    assert report.solved and report.steps == 30
    assert draft.begun > 3
    assert draft.said == draft.begun - 1  # its first word was wrong, and the last time it was not waited for


async def test_samples_that_could_not_be_asked_for_are_not_in_vain() -> None:
    draft: Draft[int] = Supplied(lambda state: 1000 if state == 7 else state + 1)
    report = await surefoot.run(Stepped(), K2, model=Onwards(), speculate=Speculation(draft))
    assert report.speculation is not None
    # Only step 8 was asked about on a state that is wrong, and nothing can be asked about that state.
    assert report.speculation.wasted_samples == 0


class Short(Onwards):
    """Leaves the last ask of every call without an answer."""

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        async for answer in super().sample(asks[:-1]):
            yield answer


async def test_a_model_that_leaves_asks_unanswered_is_not_waited_for() -> None:
    async with asyncio.timeout(10):
        with pytest.raises(ModelUnavailable, match=r"onwards left 1 of \d+ asks unanswered"):
            await surefoot.run(Stepped(), K2, model=Short(), speculate=Speculation())


class Picky:
    """Refuses a call as a whole, as servers do, because of one prompt in it or because it is too large."""

    name = "picky"

    def __init__(self, inner: Model, refuses: Callable[[Sequence[Ask]], bool], after: int = 0) -> None:
        self.inner = inner
        self.refuses = refuses
        self.after = after
        """Samples that are handed out before it refuses."""
        self.refused = 0

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        refused = self.refuses(asks)
        if refused:
            self.refused += 1
            asks = asks[: self.after]
        async for answer in self.inner.sample(asks):
            yield answer
        if refused:
            raise ModelUnavailable("picky answered 400: the prompt is too long")


def beyond(limit: int) -> Callable[[Sequence[Ask]], bool]:
    return lambda asks: any(int(str(ask.prompt)) > limit for ask in asks)


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("depth", [1, 8, 64])
async def test_a_call_refused_because_of_a_state_that_is_only_expected_does_not_end_the_run(
    depth: int, after: int
) -> None:
    model = Picky(Onwards(), beyond(30), after)
    draft: Draft[int] = Supplied(lambda state: 50 if state % 10 == 7 else state + 1)
    async with asyncio.timeout(10):
        report = await surefoot.run(Stepped(), K2, model=model, speculate=Speculation(draft, depth=depth))
    assert report.solved and report.steps == 30
    assert model.refused >= 3
    assert report.speculation is not None
    if not after and depth == 1:
        assert report.speculation.wasted_samples == 0  # refused is not wasted


@pytest.mark.parametrize("draft", [None, Supplied(lambda state: state + 1)], ids=["leading", "supplied"])
async def test_a_call_refused_for_a_step_whose_turn_has_come_ends_the_run(draft: Draft[int] | None) -> None:
    model = Picky(Onwards(), beyond(19))
    async with asyncio.timeout(10):
        with pytest.raises(ModelUnavailable, match="too long"):
            await surefoot.run(Stepped(), K2, model=model, speculate=Speculation(draft))


async def test_a_draft_may_be_refused_an_answer_about_a_state_of_its_own_making() -> None:
    astray = Picky(Onwards(lost=7, says=50), beyond(40))
    report = await surefoot.run(
        Stepped(), K2, model=Onwards(), speculate=Speculation(Rollout(Stepped(), astray))
    )
    assert report.solved and report.steps == 30
    assert astray.refused > 0


async def test_a_draft_whose_model_cannot_be_asked_at_all_ends_the_run() -> None:
    gone = Picky(Onwards(), lambda asks: True)
    with pytest.raises(ModelUnavailable, match="too long"):
        await surefoot.run(Stepped(), K2, model=Onwards(), speculate=Speculation(Rollout(Stepped(), gone)))


async def test_steps_that_a_call_was_too_large_for_are_asked_in_smaller_ones() -> None:
    model = Picky(Onwards(), lambda asks: len(asks) > 7)
    draft: Draft[int] = Supplied(lambda state: state + 1)
    async with asyncio.timeout(10):
        report = await surefoot.run(Stepped(), K2, model=model, speculate=Speculation(draft))
    assert report.solved and report.votes == 60
    assert model.refused > 0
    assert report.speculation is not None and report.speculation.wasted_samples == 0


class Watching:
    """Looks at the pipeline that asks it, at each call and each sample: do the invariants of the engine's docstring hold?"""

    def __init__(self, inner: Model) -> None:
        self.inner, self.name = inner, inner.name
        self.pipeline: Pipeline[Any, Any] | None = None
        self.broken: list[str] = []

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        self.look()
        async for answer in self.inner.sample(asks):
            yield answer
            self.look()

    def look(self) -> None:
        assert self.pipeline is not None
        steps, owed = list(self.pipeline._open), self.pipeline._calls.owed.values()
        first = self.pipeline._next - len(steps)
        holds = {
            "IN ORDER": [step.step for step in steps] == list(range(first, self.pipeline._next))
            and not any(step.status in (Status.SQUASHED, Status.RETIRED) for step in steps),
            "ITS TURN": not any(step.due for step in steps[1:]),
            "ACCOUNTS": self.pipeline._ledger.in_flight == sum(map(len, owed)),
        }
        for step in steps:
            calls = [count for call in owed if (count := sum(asked[0] is step for asked in call.values()))]
            if step.status is Status.ASKED:
                holds["ONE CALL"] = holds.get("ONE CALL", True) and calls == [step.outstanding]
            elif step.status in (Status.READY, Status.REFUSED):
                holds["ONE CALL"] = holds.get("ONE CALL", True) and calls == [] and not step.outstanding
        self.broken += [name for name, kept in holds.items() if not kept]


@settings(max_examples=40)
@given(
    kind=st.sampled_from(["leading", "recall", "rollout", "nonsense"]),
    error=st.sampled_from([0.0, 0.1, 0.35]),
    draft_error=st.sampled_from([0.05, 0.5]),
    spare=st.integers(0, 2),
    depth=st.sampled_from([1, 3, 50]),
    after=st.integers(0, 5),
    seed=st.integers(0, 10**6),
)
# The expected step that a call is refused for is dropped before the refusal arrives: the step whose turn it is was not alone in it.
@example(kind="rollout", error=0.35, draft_error=0.5, spare=0, depth=3, after=0, seed=0)
async def test_refused_calls_change_no_decision(
    kind: str, error: float, draft_error: float, spare: int, depth: int, after: int, seed: int
) -> None:
    """The model refuses every call that asks about a state that never comes true; the engine's invariants hold throughout."""
    task = Towers(6, "compact")
    terms = Terms(task, FirstToAheadBy(2), task.sampling, spare=spare, seed=seed)
    double = towers_double(error=error, seed=seed)
    came_true: set[Prompt] = set()

    def noted(asks: Sequence[Ask]) -> bool:
        came_true.update(ask.prompt for ask in asks)
        return False

    sequential = await decisions(Stride(terms, Picky(double, noted)), task, 63)
    model = Watching(Picky(double, lambda asks: any(ask.prompt not in came_true for ask in asks), after))
    speculation = Speculation(a_draft(kind, task, draft_error, seed), depth=depth)
    async with asyncio.timeout(60):
        stride = Stride(terms, model, speculation)
        model.pipeline = stride._pipeline
        assert await decisions(stride, task, 63) == sequential
    assert model.broken == []


async def test_a_model_that_fails_while_its_call_is_cancelled_is_not_asked_again() -> None:
    hanging: list[int] = []

    class Fragile(Onwards):
        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            if str(asks[0].prompt) == "0":
                async for answer in super().sample(asks):
                    yield answer
                return
            hanging.append(len(asks))
            try:
                await asyncio.sleep(60)
            finally:
                raise ModelUnavailable("broken while it was closed")

    task, others = Stepped(), asyncio.all_tasks()
    draft: Draft[int] = Supplied(lambda state: state + 1)
    stride = Stride(
        Terms(task, FirstToAheadBy(2), task.sampling), Fragile(), Speculation(draft, max_waste=0.9)
    )
    await stride.decide(0, 0)
    deciding = asyncio.create_task(stride.decide(1, 1))
    async with asyncio.timeout(10):
        while sum(hanging) <= 2:  # until more than one step has been asked about
            await asyncio.sleep(0.001)
    deciding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deciding
    before = list(hanging)
    await stride.aclose()
    await asyncio.sleep(0.01)
    assert hanging == before
    assert asyncio.all_tasks() == others


async def test_what_a_task_raises_on_a_state_that_came_true_is_raised() -> None:
    with pytest.raises(surefoot.TaskFailed, match="`advance` at step 7: IndexError: 1000"):
        await surefoot.run(
            Stepped(), K2, model=Onwards(lost=7), speculate=Speculation(Supplied(lambda s: s + 1))
        )


async def test_a_draft_that_proposes_what_is_no_state_is_told_of(redis_url: str) -> None:
    drafted = Speculation(Supplied(lambda state: [state]))
    with pytest.raises(BadInput, match=r"the draft \(supplied\) proposed \[\(None.* cannot be hashed"):
        await surefoot.run(
            Towers(6, "compact"), SHORT, model=towers_double(), redis=redis_url, speculate=drafted
        )


class Forgetful(Towers):
    def __init__(self, disks: int, style: Any, said: Any) -> None:
        super().__init__(disks, style)
        self.said = said

    def gist(self, state: Any, after: Any) -> Any:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


@pytest.mark.parametrize("said", [ValueError("no gist"), [1]], ids=str)
async def test_a_gist_that_is_none_costs_the_foresight_and_not_the_run(redis_url: str, said: object) -> None:
    task = Forgetful(6, "compact", said)
    with_it = Speculation(Recall(task))
    report = await surefoot.run(
        Towers(6, "compact"), SHORT, model=towers_double(), redis=redis_url, speculate=with_it
    )
    assert report.solved


def test_how_long_a_prompt_was_does_not_hang_on_which_samples_have_come() -> None:
    drawn = [
        (2, Sample("a", prompt_tokens=99), "a"),
        (0, Sample("a"), "a"),
        (1, Sample("a", prompt_tokens=6), "a"),
    ]
    assert Decision(Verdict("a", {"a": 2}, {}), drawn, NOTHING).prompt_tokens == 6


async def test_recall_foresees_as_well_after_a_resume(redis_url: str) -> None:
    # What it is reminded of comes from the journal, where a named tuple is a tuple.
    for steps in (2_000, 2_095):
        report = await surefoot.run(
            Towers(12, "compact"),
            Settings(k=2),
            model=towers_double(),
            redis=redis_url,
            job="taken up",
            budget=Budget(steps=steps),
            speculate=Speculation("recall", capacity=64),
        )
    assert report.solved and report.speculation is not None
    assert report.speculation.acceptance > 0.999
