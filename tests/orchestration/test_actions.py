"""Chains of actions as jobs: voted, durable, taken up again after a stop, the same to the last record."""

from typing import Any

import pytest

import surefoot
from surefoot import Ask, Budget, Sample, Settings, Stalled
from surefoot.agents.actions import ActionChain, ChainState
from surefoot.models.doubles import ActionDouble, Garbage, chain_answer, chain_problem

OPERATIONS = ("* 3", "+ 8", "- 5", "* 2", "+ 9", "- 41")
PROBLEM, ANSWER = chain_problem(7, OPERATIONS), str(chain_answer(7, OPERATIONS))
SAME_ERRORS = {"error": 0.3, "correlation": 1.0, "false_alarm": 0.1, "sway": 0.5}
STUBBORN_SEED = 3


async def outcome(task: ActionChain, model: Any, redis: str, job: str, **how: Any) -> tuple[Any, ChainState]:
    report = await surefoot.run(task, Settings(k=1), model=model, redis=redis, job=job, **how)
    return report, await surefoot.state(job, task=task, redis=redis)


async def test_errors_that_differ_are_outvoted_without_a_reflection(redis_url: str) -> None:
    task = ActionChain(PROBLEM, kind="number", votes=4)
    report, state = await outcome(task, ActionDouble(error=0.25, seed=1), redis_url, "plain")
    assert report.solved and report.steps == len(OPERATIONS) + 1 and state.answer == ANSWER


async def test_a_step_that_is_always_wrong_is_found_taken_back_and_outvoted(redis_url: str) -> None:
    model = ActionDouble(**SAME_ERRORS, seed=STUBBORN_SEED)
    _, plain = await outcome(ActionChain(PROBLEM, kind="number", votes=3), model, redis_url, "plain")
    assert plain.answer not in (None, ANSWER)
    task = ActionChain(PROBLEM, kind="number", votes=1, every=1, explores=5)
    report, state = await outcome(task, model, redis_url, "reflecting")
    assert report.solved and state.answer == ANSWER and state.explores > 0


async def test_a_stopped_chain_ends_with_the_head_of_one_that_was_not(redis_url: str) -> None:
    def task() -> ActionChain:
        return ActionChain(PROBLEM, kind="number", votes=1, every=1, explores=5)

    model = ActionDouble(**SAME_ERRORS, seed=STUBBORN_SEED)
    whole, _ = await outcome(task(), model, redis_url, "whole")
    stops = 0
    report, _ = await outcome(task(), model, redis_url, "piecemeal", budget=Budget(steps=3))
    while report.stopped:
        stops += 1
        report = await surefoot.resume("piecemeal", redis=redis_url, model=model, budget=Budget(steps=3))
    assert stops > 3 and report.solved and report.head == whole.head


async def test_a_finished_chain_asks_nobody(redis_url: str) -> None:
    task = ActionChain(PROBLEM, kind="number", votes=2)
    whole, _ = await outcome(task, ActionDouble(seed=2), redis_url, "done")
    again = await surefoot.resume("done", redis=redis_url, model=Garbage())
    assert again.head == whole.head


async def test_garbage_stalls_and_is_no_answer(redis_url: str) -> None:
    task = ActionChain(PROBLEM, kind="number")
    with pytest.raises(Stalled):
        await surefoot.run(task, Settings(k=1, limit=9), model=Garbage(), redis=redis_url, job="garbage")
    state: ChainState = await surefoot.state("garbage", task=task, redis=redis_url)
    assert state.answer is None


async def test_an_explore_in_which_no_step_wins_stalls_with_the_old_steps_aside(redis_url: str) -> None:
    class Lost(ActionDouble):
        def draw(self, ask: Ask) -> Sample:
            lost = "Taken back:" in ask.prompt[-1].content  # type: ignore[union-attr]
            return Garbage().draw(ask) if lost else super().draw(ask)

    task = ActionChain(PROBLEM, kind="number", votes=1, confirm=1, every=1)
    with pytest.raises(Stalled):
        model = Lost(false_alarm=1.0)
        await surefoot.run(task, Settings(k=1, limit=9), model=model, redis=redis_url, job="lost")
    state: ChainState = await surefoot.state("lost", task=task, redis=redis_url)
    assert (state.stage, state.steps, len(state.undone)) == ("explore", (), 1)
