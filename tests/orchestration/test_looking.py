"""Jobs that look: a planner that cannot see, a perceiver that cannot reason, and votes on both."""

from collections.abc import Callable
from itertools import product
from typing import Any

import surefoot
from surefoot import Settings
from surefoot.agents.perception import Looking, LookingState, SeenTowers
from surefoot.agents.perception.looking import FRAMINGS
from surefoot.models.base import Prompt
from surefoot.models.doubles import Double, looking_double, towers_double
from surefoot.models.doubles.looking import chart_answer, chart_problem
from surefoot.models.perceivers import Sighted
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

    return Double(looked, lambda prompt, which: str(1000 + which % 5000), name="seeing", **faults)


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
