"""Jobs that look: a planner that cannot see, a perceiver that cannot reason, and votes on both."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from redis.asyncio import Redis

import surefoot
from surefoot import Budget, Settings, Stalled
from surefoot.agents.perception import Looking, LookingState, SeenTowers
from surefoot.agents.perception.looking import FRAMINGS
from surefoot.models.base import Prompt
from surefoot.models.doubles import Double, looking_double, towers_double
from surefoot.models.doubles.looking import chart_answer, chart_problem
from surefoot.models.perceivers import Sighted
from surefoot.orchestration import records
from surefoot.orchestration.journal.jobs import load
from surefoot.tools.drawing import draw_bars, draw_towers, peg_box
from surefoot.tools.pictures.crops import Box, crop, framed
from surefoot.tools.pictures.pixels import encoded

VALUES = (12, 345, 7, 88)
PICTURE = encoded(draw_bars(VALUES).image)
PROBLEM = chart_problem(4, "A + B - D", 37)
ANSWER = str(chart_answer("A + B - D", 37, dict(zip("ABCD", VALUES, strict=True))))


def looking(**how: Any) -> Looking:
    return Looking(PROBLEM, (PICTURE.url,), **how)


def seeing(right: dict[str, str], **faults: Any) -> Double:
    """A perceiver that knows some pictures by their digests, and may err."""

    def looked(prompt: Prompt) -> str:
        assert not isinstance(prompt, str) and len(prompt) == 1, "a perceiver has no history"
        return right[prompt[0].pictures[0].digest]

    named = {"name": "seeing", **faults}
    return Double(looked, lambda prompt, which: str(1000 + which % 5000), **named)


def columns(values: tuple[int, ...]) -> dict[str, str]:
    drawn = draw_bars(values)
    return {
        framed(crop(encoded(drawn.image), Box(*column)), framing).digest: str(value)
        for column, value in zip(drawn.columns, values, strict=True)
        for framing in FRAMINGS
    }


class Blind:
    """A planner that refuses to be shown a picture."""

    name = "blind"

    def __init__(self, model: Any) -> None:
        self._model = model

    async def sample(self, asks: Any) -> Any:
        for ask in asks:
            assert isinstance(ask.prompt, str) or not any(message.pictures for message in ask.prompt)
            assert b"IHDR" not in repr(ask.prompt).encode()
        async for sample in self._model.sample(asks):
            yield sample


async def test_a_planner_that_errs_and_a_perceiver_that_errs_answer_rightly_by_vote(redis_url: str) -> None:
    model = Sighted(Blind(looking_double(error=0.2, seed=3)), seeing(columns(VALUES), error=0.2, seed=4))
    task = looking(kind="number", votes=4)
    report = await surefoot.run(task, Settings(k=1), model=model, redis=redis_url, job="chart")
    reached: LookingState = await surefoot.state("chart", task=task, redis=redis_url)
    assert report.solved and reached.answer == ANSWER
    seen = reached.observations[0]
    assert seen.digest == PICTURE.digest and seen.query.region is not None and seen.query.question == "value?"


async def test_one_wrong_look_is_a_wrong_answer_where_nobody_votes(redis_url: str) -> None:
    model = Sighted(looking_double(), seeing(columns(VALUES), error=0.99))
    task = looking(kind="number", votes=1)
    await surefoot.run(task, Settings(k=1), model=model, redis=redis_url, job="one look")
    reached = await surefoot.state("one look", task=task, redis=redis_url)
    assert reached.answer not in (None, ANSWER)


def pegs_of(disks: int) -> Callable[[Prompt], str]:
    """A perceiver of towers that knows all pictures of a board by their digests."""
    known: dict[str, str] = {}
    for where in product(range(3), repeat=disks):
        pegs = tuple(tuple(d for d in range(disks, 0, -1) if where[d - 1] == peg) for peg in range(3))
        picture = encoded(draw_towers(pegs))  # type: ignore[arg-type]
        for peg in range(3):
            for framing in ("as it is", "ink"):
                shown = framed(crop(picture, Box(*peg_box(peg, disks))), framing)  # type: ignore[arg-type]
                known[shown.digest] = " ".join(map(str, reversed(pegs[peg]))) or "none"

    def looked(prompt: Prompt) -> str:
        assert not isinstance(prompt, str)
        return known[prompt[-1].pictures[0].digest]

    return looked


async def test_towers_are_solved_from_pixels_where_looks_err(redis_url: str) -> None:
    perceiver = Double(
        pegs_of(3), lambda prompt, which: ("1", "2", "3", "none")[which % 4], error=0.2, name="eyes"
    )
    task = SeenTowers(3)
    report = await surefoot.run(
        task, Settings(k=4), model=Sighted(towers_double(error=0.1), perceiver), redis=redis_url, job="pixels"
    )
    assert report.solved and report.steps == report.steps_expected == 28


EIGHT = (12, 345, 7, 88, 501, 64, 230, 19)
LONG = encoded(draw_bars(EIGHT).image)
ALL = " + ".join("ABCDEFGH")


def adding_up(**how: Any) -> Looking:
    """Eight bars to look at, three in a round."""
    return Looking(chart_problem(8, ALL, 2), (LONG.url,), "number", **how)


async def reached_by(task: Looking, model: Sighted, redis: str, job: str) -> LookingState:
    await surefoot.run(task, Settings(k=1), model=model, redis=redis, job=job)
    state: LookingState = await surefoot.state(job, redis=redis)
    return state


async def test_a_chart_that_needs_three_rounds_gets_them_while_confidence_rises(redis_url: str) -> None:
    model = Sighted(looking_double(), seeing(columns(EIGHT)))
    two = await reached_by(adding_up(), model, redis_url, "two rounds")
    assert (two.rounds, len(two.observations), two.answer) == (2, 6, str(2 * sum(EIGHT[:6])))
    more = await reached_by(adding_up(extend=True), model, redis_url, "extended")
    assert (more.rounds, len(more.observations), more.answer) == (3, 8, str(2 * sum(EIGHT)))


async def test_where_confidence_does_not_rise_the_planner_has_to_answer(redis_url: str) -> None:
    unreadable = dict.fromkeys(columns(EIGHT), "a grey blur")
    model = Sighted(looking_double(), seeing(unreadable))
    state = await reached_by(adding_up(extend=True), model, redis_url, "blurred")
    assert (state.rounds, len(state.observations), state.answer) == (2, 6, "0")


async def test_a_caption_is_all_that_a_planner_without_rounds_goes_by(redis_url: str) -> None:
    task = looking(kind="number", rounds=0, caption="Which numbers are there?")
    caption = {PICTURE.digest: "12 and 345, 7 and 88, above A to D"}
    state = await reached_by(task, Sighted(looking_double(), seeing(caption)), redis_url, "caption")
    assert (state.answer, state.rounds) == (ANSWER, 0)
    (seen,) = state.observations
    assert (seen.query.question, seen.query.region) == ("Which numbers are there?", None)


async def test_questions_that_tell_what_to_see_are_rephrased_and_asked(redis_url: str) -> None:
    model = Sighted(looking_double(leading=True), seeing(columns(VALUES)))
    with pytest.raises(Stalled):
        await reached_by(looking(kind="number"), model, redis_url, "leading")
    state = await reached_by(looking(kind="number", rephrase=True), model, redis_url, "rephrased")
    assert state.answer == ANSWER
    assert {seen.query.question for seen in state.observations} == {"value?"}


async def test_a_planner_that_rephrases_badly_is_asked_again(redis_url: str) -> None:
    planner = looking_double(leading=True, error=0.3, seed=2)
    model = Sighted(planner, seeing(columns(VALUES)))
    task = looking(kind="number", votes=4, rephrase=True, rounds=4)
    report = await surefoot.run(task, Settings(k=1), model=model, redis=redis_url, job="badly")
    reached: LookingState = await surefoot.state("badly", redis=redis_url)
    assert report.red_flags and reached.answer == ANSWER
    assert {seen.query.question for seen in reached.observations} == {"value?"}


async def solved(redis: str, eyes: Double, job: str, **how: Any) -> surefoot.Solution:
    return await surefoot.solve(
        PROBLEM,
        images=[PICTURE],
        kind="number",
        model=looking_double(),
        perceiver=eyes,
        redis=redis,
        job=job,
        **how,
    )


async def test_what_was_seen_comes_with_its_votes_and_who_looked(redis_url: str) -> None:
    eyes = seeing(columns(VALUES), error=0.3, invalid=0.3, seed=1)
    found = await solved(redis_url, eyes, "votes", votes=3)
    reached: LookingState = await surefoot.state("votes", redis=redis_url)
    assert found.answer == ANSWER and found.report.contested
    assert [(seen.query, seen.digest, seen.answer) for seen in found.observations] == [
        (seen.query, seen.digest, seen.answer) for seen in reached.observations
    ]
    assert {seen.model for seen in found.observations} == {"seeing"}
    assert all(seen.votes >= 3 for seen in found.observations)
    async with Redis.from_url(redis_url) as client:
        counted = [record async for record in records(client, await load(client, "votes"))]
    looked = [record for record in counted if "described" in record.answer]
    assert [(seen.votes, seen.against, seen.flagged) for seen in found.observations] == [
        (record.votes, record.against, sum(record.flags.values())) for record in looked
    ]
    assert any(seen.against for seen in found.observations) and any(
        seen.flagged for seen in found.observations
    )


async def test_who_looked_is_not_known_where_several_did(redis_url: str) -> None:
    first, second = seeing(columns(VALUES)), seeing(columns(VALUES), name="other")
    stopped = await solved(redis_url, first, "several", budget=Budget(steps=2))
    assert stopped.answer is None and [seen.model for seen in stopped.observations] == ["seeing"]
    done = await solved(redis_url, second, "several")
    assert done.answer == ANSWER and {seen.model for seen in done.observations} == {None}


async def test_a_caption_has_the_vote_of_the_one_who_said_it(redis_url: str) -> None:
    eyes = seeing({PICTURE.digest: "12 and 345, 7 and 88"})
    found = await solved(redis_url, eyes, "said", votes=3, rounds=0, caption="Which numbers?")
    (seen,) = found.observations
    assert found.answer == ANSWER and (seen.votes, seen.against, seen.flagged) == (1, 0, 0)
