"""Problems whose answers are words: stalled by prose, decided by a judge, and taken up with classes that begin anew."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

import surefoot
from surefoot import Ask, BadInput, Budget, Model, Sample, Stalled
from surefoot.agents.planner import Goal
from surefoot.models import Equated
from surefoot.models.doubles import (
    DoubleServer,
    ParaphraseDouble,
    equivalence_double,
    town_answer,
    town_in,
    town_problem,
)
from surefoot.orchestration.events import Event, Noted

PROBLEM, TOWN = town_problem(7), town_answer(7)


class Breaking:
    """A model whose process ends after so many samples: here it raises, and the run with it."""

    def __init__(self, model: Model, left: int) -> None:
        self._model, self._left = model, left

    @property
    def name(self) -> str:
        return self._model.name

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        async for each in self._model.sample(asks):
            if not self._left:
                raise RuntimeError("killed")
            self._left -= 1
            yield each


async def test_prose_stalls_and_a_judge_decides(redis_url: str) -> None:
    model = ParaphraseDouble(error=0.1, seed=7)
    given: dict[str, Any] = {"votes": 4, "depth": 0, "limit": 14, "replans": 0, "redis": redis_url}
    with pytest.raises(Stalled):
        await surefoot.solve(PROBLEM, model=model, **given)
    told: list[Event] = []
    solution = await surefoot.solve(
        PROBLEM, model=model, equivalence=equivalence_double(), on_event=told.append, **given
    )
    assert town_in(solution.answer) == TOWN
    notes = [each.sentence for each in told if isinstance(each, Noted)]
    assert any("count as others, which equivalence-double calls the same" in each for each in notes)


async def test_a_report_has_the_tokens_of_the_judge(redis_url: str) -> None:
    model = ParaphraseDouble(error=0.1, seed=7)
    equated = Equated(model, equivalence_double())
    report = await surefoot.run(
        Goal(PROBLEM, votes=4, depth=0), surefoot.Settings(k=1), model=equated, redis=redis_url
    )
    assert report.solved and equated.merged > 0
    assert report.tokens.total is not None and report.tokens.total > equated.usage.total > 0


async def test_by_two_addresses_it_is_resumed_by_its_name_alone(redis_url: str) -> None:
    async with (
        DoubleServer(ParaphraseDouble(seed=7)) as answering,
        DoubleServer(equivalence_double()) as judging,
    ):
        solution = await surefoot.solve(
            PROBLEM,
            votes=6,
            model=answering.url,
            equivalence=judging.url,
            redis=redis_url,
            job="two",
            budget=Budget(steps=1),
        )
        assert solution.report.status == "stopped"
        report = await surefoot.resume("two", redis=redis_url)
        assert report.solved and report.models[-1] == f"{answering.url} ~ {judging.url}"
        assert town_in((await surefoot.state("two", redis=redis_url)).answer) == TOWN


@pytest.mark.parametrize("killed_after", [2, 5, 8])
async def test_an_election_that_is_taken_up_with_new_classes_ends_with_the_same_answer(
    redis_url: str, killed_after: int
) -> None:
    model = ParaphraseDouble(error=0.2, towns=3, seed=11)
    given: dict[str, Any] = {"votes": 9, "depth": 0, "redis": redis_url, "job": "killed"}
    breaking = Breaking(Equated(model, equivalence_double()), killed_after)
    with pytest.raises(RuntimeError):
        await surefoot.solve(PROBLEM, model=breaking, **given)
    solution = await surefoot.solve(PROBLEM, model=Equated(model, equivalence_double()), **given)
    assert town_in(solution.answer) == town_answer(7, 3)


async def test_a_judge_is_one_model(redis_url: str) -> None:
    for judge in ("pebble + glance", "pebble ~ ponder", "ocr | template"):
        with pytest.raises(BadInput, match="says which answers are the same is one model"):
            await surefoot.solve(PROBLEM, model="http://127.0.0.1:9/v1", equivalence=judge, redis=redis_url)
