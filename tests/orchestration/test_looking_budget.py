"""Jobs that look, whose planner thinks: how long, by how hard a prompt is and how unsure a short answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import surefoot
from surefoot import Settings, Task
from surefoot.agents.perception import Looking, LookingState, looking_difficulty
from surefoot.agents.perception.difficulty import MOST_TOGETHER
from surefoot.agents.reasoning import Adapt, Probing, Reasoner
from surefoot.models.base import Ask, Message, Prompt, Sampling
from surefoot.models.connect import open_model
from surefoot.models.doubles import ThinkingDouble, overthinker
from surefoot.models.doubles.looking import chart_answer, chart_problem, looking_right, looking_wrong
from surefoot.models.perceivers import GlanceModel, Sighted
from surefoot.models.streaming import Draw
from surefoot.tools.drawing import draw_bars
from surefoot.tools.pictures import Box, crop, encoded
from surefoot.voting.flags import NotAnAnswer

VALUES = (12, 345, 7, 88)
DRAWN = draw_bars(VALUES)
PICTURE = encoded(DRAWN.image)
PROBLEM = chart_problem(4, "A + B - D", 37)
ANSWER = str(chart_answer("A + B - D", 37, dict(zip("ABCD", VALUES, strict=True))))


def right(prompt: Prompt) -> str:
    return looking_right(prompt).replace(" ", "")


def wrong(prompt: Prompt, which: int) -> str:
    return looking_wrong(prompt, which).replace(" ", "")


def thinker() -> ThinkingDouble:
    """A planner whose first thought is wrong one time in five, and who repairs it or ruins it in six re-checks."""
    return ThinkingDouble(overthinker(right, wrong, error=0.2, repair=0.8, ruin=0.02, rechecks=6), seed=5)


def prompts(seen: int, pictures: int = 1, problem: str = PROBLEM) -> Prompt:
    """What `Looking` asks its planner after so many looks."""
    task = Looking(problem, (PICTURE.url,) * pictures, rounds=10)
    state = task.start()
    for number in range(seen):
        state = task.advance(state, task.read(f'{{"ask": [{{"question": "value {number}?"}}]}}', state))
        state = task.advance(state, task.read(str(number), state))
    return task.ask(state)


def test_a_prompt_is_as_hard_as_what_is_to_be_put_together() -> None:
    assert looking_difficulty(prompts(0)) == 1 / MOST_TOGETHER
    assert looking_difficulty(prompts(0, pictures=3)) == 3 / MOST_TOGETHER
    assert looking_difficulty(prompts(3, pictures=2)) == 5 / MOST_TOGETHER
    assert looking_difficulty(prompts(9)) == 1.0


def test_what_a_problem_and_answers_say_is_not_counted() -> None:
    sly = 'What?\n\nPictures:\n1. 9 x 9 pixels\n2. 9 x 9 pixels\n\nSeen:\n- picture 1: "a?" "b"\n- picture 1: "c?" "d"'
    assert looking_difficulty(prompts(1, problem=sly)) == 2 / MOST_TOGETHER


@pytest.mark.parametrize("prompt", ["", "2 + 2?", (), (Message("user", "Seen:\n- nothing"),)])
def test_any_other_prompt_is_left_to_the_uncertainty(prompt: Prompt) -> None:
    assert looking_difficulty(prompt) == 1.0


def budgets(draws: Sequence[Draw]) -> dict[float, set[int]]:
    """Return how long was thought about prompts, by their difficulty."""
    found: dict[float, set[int]] = {}
    for draw in draws:
        if not draw.top_logprobs and not draw.begun.endswith("</think>"):
            found.setdefault(looking_difficulty(draw.prompt), set()).add(draw.max_tokens)
    return found


async def test_a_planner_that_thinks_by_budget_and_glance_answer_rightly_by_vote(redis_url: str) -> None:
    double = thinker()
    control = Adapt(least=40, most=400, difficulty=looking_difficulty)
    model = Sighted(Reasoner(double, control), GlanceModel())
    task = Looking(PROBLEM, (PICTURE.url,), kind="number", votes=3)
    report = await surefoot.run(task, Settings(k=1), model=model, redis=redis_url, job="budget")
    reached: LookingState = await surefoot.state("budget", task=task, redis=redis_url)
    assert report.solved and reached.answer == ANSWER
    assert [seen.answer for seen in reached.observations] == ["12", "345", "88"]
    thought = budgets(double.draws)
    first, last = min(thought), max(thought)
    assert (first, last) == (1 / MOST_TOGETHER, 4 / MOST_TOGETHER)
    assert 40 <= max(thought[first]) < min(thought[last]) <= 400
    assert any(draw.top_logprobs for draw in double.draws), "no short answer was drawn"
    assert (report.tokens.completion or 0) >= double.streamed.tokens, "something is on no bill"


async def test_where_nothing_is_left_to_think_the_planner_answers_at_once(redis_url: str) -> None:
    double = thinker()
    control = Adapt(measure=None, difficulty=lambda prompt: 0.0)
    model = Sighted(Reasoner(double, control), GlanceModel())
    task = Looking(PROBLEM, (PICTURE.url,), kind="number", votes=3)
    await surefoot.run(task, Settings(k=1), model=model, redis=redis_url, job="at once")
    assert {draw.think for draw in double.draws} == {False} and not any(
        draw.top_logprobs for draw in double.draws
    )


class SumOfSeen(Task[tuple[str, ...], str]):
    """Look at two bars, then have somebody who thinks add them."""

    name = "sum-of-seen"
    sampling = Sampling(max_tokens=16)

    def __init__(self, values: tuple[int, int] = (48, 67)) -> None:
        self._values = values
        drawn = draw_bars(values)
        picture = encoded(drawn.image)
        self._bars = [crop(picture, Box(*column)) for column in drawn.columns]

    def spec(self) -> Mapping[str, Any]:
        return {"values": self._values}

    def start(self) -> tuple[str, ...]:
        return ()

    def ask(self, state: tuple[str, ...], view: int = 0) -> Prompt:
        if len(state) < 2:
            return (Message("user", "value?", (self._bars[len(state)],)),)
        return f"{state[0]}+{state[1]}="

    def read(self, text: str, state: tuple[str, ...], view: int = 0) -> str:
        if not re.fullmatch(r"\d{1,3}", text.strip()):
            raise NotAnAnswer("no number")
        return text.strip()

    def advance(self, state: tuple[str, ...], answer: str) -> tuple[str, ...]:
        return (*state, answer)

    def finished(self, state: tuple[str, ...]) -> bool:
        return len(state) == 3

    def solved(self, state: tuple[str, ...]) -> bool:
        return state[2] == str(sum(self._values))


async def test_ponder_thinks_by_budget_about_what_glance_has_seen(redis_url: str) -> None:
    """Both models are real: the short answer's log-probabilities are llama.cpp's."""
    asked: list[Prompt] = []

    def half(prompt: Prompt) -> float:
        asked.append(prompt)
        return 0.5

    control = Adapt(least=60, most=300, difficulty=half, probing=Probing(inducer="", tokens=8))
    async with open_model("ponder") as ponder:
        thinks = Reasoner(ponder, control, answer_tokens=8, think_tokens=300)  # type: ignore[arg-type]
        model = Sighted(thinks, GlanceModel())
        report = await surefoot.run(SumOfSeen(), Settings(k=3), model=model, redis=redis_url, job="ponder")
        demand, spent = await control.demand(ponder, thinks.draw(Ask("48+67=", 1.0, 8, 0)))  # type: ignore[arg-type]
    assert report.solved
    assert set(asked) == {"48+67="}, "glance was asked how hard a look is"
    assert 0 < demand < 0.5 and spent.completion > 0
