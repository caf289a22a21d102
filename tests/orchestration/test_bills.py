"""What a run has paid is on the job's bill, however the run ended."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence

import pytest

import surefoot
from surefoot import Budget, Ladder, NotAnAnswer, Sample, Settings, Speculation, Task
from surefoot.agents.tasks.task import Value
from surefoot.errors import SurefootError
from surefoot.models.base import Ask, ModelUnavailable
from surefoot.orchestration.engine import Supplied
from surefoot.voting import Usage

EACH = Usage(prompt=100, completion=10)
WAYS = [None, Speculation(), Speculation(Supplied(lambda state: state + 1), max_waste=0.9)]
LATE = 30
"""Samples of the step at which things go wrong, before they do."""


class Count(Task[int, int]):
    """Counts up to ten; a sample that says `boom` is a mistake in the task's reader."""

    name = "count"

    def spec(self) -> dict[str, Value]:
        return {}

    def start(self) -> int:
        return 0

    def ask(self, state: int, view: int = 0) -> str:
        return str(state)

    def read(self, text: str, state: int, view: int = 0) -> int:
        if text == "boom":
            raise ValueError(text)
        if not text.isdecimal():
            raise NotAnAnswer("no number")
        return int(text)

    def advance(self, state: int, answer: int) -> int:
        return answer

    def finished(self, state: int) -> bool:
        return state == 10


class GoesWrong:
    """Answers well but at the fourth step: there with no answer, and after many samples in a way of its own."""

    name = "goes wrong"

    def __init__(self, way: str) -> None:
        self.way, self.paid, self.torn = way, 0, 0
        self.hangs = asyncio.Event()

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for position, ask in enumerate(asks):
            await asyncio.sleep(0)
            text = str(int(ask.prompt) + 1)  # type: ignore[arg-type]
            if ask.prompt == "3":
                self.torn, text = self.torn + 1, "hm"
                if self.torn > LATE:
                    self.torn = 0
                    if self.way == "model":
                        raise ModelUnavailable("gone for good")
                    if self.way == "hangs":
                        self.hangs.set()
                        await asyncio.sleep(600)
                    text = "boom"
            self.paid += EACH.total
            yield position, Sample(text, usage=EACH)


async def billed(redis_url: str) -> int:
    """Return all tokens that the job's report has, those that speculation has wasted included."""
    report = await surefoot.report("job", redis=redis_url)
    assert report.tokens.total is not None
    return report.tokens.total + (report.speculation.wasted_tokens if report.speculation else 0)


@pytest.mark.parametrize("speculate", WAYS, ids=["alone", "leading", "supplied"])
@pytest.mark.parametrize("way", ["model", "task"])
async def test_an_error_in_the_middle_of_a_step(
    redis_url: str, way: str, speculate: Speculation | None
) -> None:
    model = GoesWrong(way)
    for _ in range(3):
        with pytest.raises(SurefootError):
            await surefoot.run(
                Count(), Settings(k=3), model=model, redis=redis_url, job="job", speculate=speculate
            )
        assert await billed(redis_url) >= model.paid > 3 * EACH.total
    # Samples that were cut off are estimated, so only what asks nothing ahead is exact.
    assert speculate is not None or await billed(redis_url) == model.paid


@pytest.mark.parametrize("speculate", WAYS, ids=["alone", "leading", "supplied"])
async def test_a_cancellation_in_the_middle_of_a_step(redis_url: str, speculate: Speculation | None) -> None:
    model = GoesWrong("hangs")
    run = asyncio.create_task(
        surefoot.run(Count(), Settings(k=3), model=model, redis=redis_url, job="job", speculate=speculate)
    )
    await model.hangs.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert await billed(redis_url) >= model.paid > LATE * EACH.total


@pytest.mark.parametrize("speculate", WAYS, ids=["alone", "leading", "supplied"])
async def test_a_budget_ends_what_is_resumed_into_the_same_error_again_and_again(
    redis_url: str, speculate: Speculation | None
) -> None:
    model, budget, stopped = GoesWrong("model"), Budget(tokens=8000), False
    for _ in range(10):
        try:
            report = await surefoot.run(
                Count(),
                Settings(k=3),
                model=model,
                redis=redis_url,
                job="job",
                speculate=speculate,
                budget=budget,
            )
            stopped = report.bound == "tokens"
        except ModelUnavailable:
            assert not stopped
    # What a sample takes no run knows before it has drawn some.
    assert stopped and model.paid <= 8000 + 3 * EACH.total


class Breaks:
    """Another model, for a ladder, that answers some samples and is then gone."""

    name = "breaks"
    paid = 0

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        self.paid += EACH.total
        yield 0, Sample("hm", usage=EACH)
        raise ModelUnavailable("gone for good")


@pytest.mark.parametrize("speculate", WAYS[:2], ids=["alone", "leading"])
async def test_an_error_on_a_ladder(redis_url: str, speculate: Speculation | None) -> None:
    model, other = GoesWrong("hangs"), Breaks()
    settings = Settings(k=3, limit=20, ladder=Ladder((other,)))
    with pytest.raises(ModelUnavailable):
        await surefoot.run(Count(), settings, model=model, redis=redis_url, job="job", speculate=speculate)
    assert other.paid
    assert await billed(redis_url) >= model.paid + other.paid


class Torn:
    """Is torn at the fourth step, and answers nothing where either of its answers leads, until that step is decided."""

    name = "torn"

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.decided = False

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for position, ask in enumerate(asks):
            await asyncio.sleep(0)
            prompt = str(ask.prompt)
            text = str(int(prompt) + 1)
            if not self.decided:
                self.asked[prompt] += 1
                torn = "4" if self.asked["3"] % 2 else "77"
                text = {"3": torn, "4": "hm", "77": "hm"}.get(prompt, text)
            yield position, Sample(text, usage=EACH)


class SureLater:
    """Another model, which takes its time over the fourth step."""

    name = "sure later"

    def __init__(self, torn: Torn) -> None:
        self._torn = torn

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for _ in range(2000):
            await asyncio.sleep(0)
        self._torn.decided = True
        for position, _ in enumerate(asks):
            yield position, Sample("4", usage=EACH)


@pytest.mark.parametrize("budget", [None, Budget(tokens=8000)], ids=["no budget", "budget"])
async def test_behind_a_step_that_climbs_no_more_is_asked_than_speculation_may_waste(
    redis_url: str, budget: Budget | None
) -> None:
    torn = Torn()
    settings = Settings(k=3, limit=2000, ladder=Ladder((SureLater(torn),), dissent=2))
    speculate = Speculation(depth=4, max_waste=0.3, capacity=12)
    report = await surefoot.run(
        Count(), settings, model=torn, redis=redis_url, job="job", speculate=speculate, budget=budget
    )
    assert report.solved and report.speculation is not None
    assert torn.asked["4"] + torn.asked["77"] <= 12
