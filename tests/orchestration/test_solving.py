"""The graph around a problem's jobs: branches at once, another way after a stall, a check, and a person in the end."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

import surefoot
from surefoot import BadInput, Budget, Sample, Stalled
from surefoot.agents.handbook import Behaviour, WithHandbook
from surefoot.agents.planner import Goal, Outline, Outlining, prompts
from surefoot.models import Ask
from surefoot.models.doubles import goal_double
from surefoot.models.doubles.goals import goal_right
from surefoot.orchestration import AuditFailed, problem_graph

PROBLEM = "What is 73418 * 90217?"
RIGHT = str(73418 * 90217)
SPLIT = Outline(
    "What is 734 * 902?",
    (Outline("What is 734 * 90?"), Outline("What is 734 * 2?")),
    "formula",
    "{1} * 10 + {2}",
)


class Stuck:
    """Right, but for some problems: asked for as they are it says something else each time, and, unless `whatever`, only as long as there is no hint."""

    name = "stuck"

    def __init__(self, *problems: str, whatever: bool = False, seconds: float = 0.0) -> None:
        self._problems, self._whatever, self._seconds = problems, whatever, seconds
        self.asked: list[str] = []
        self._running = self.most_at_once = 0

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Answer all."""
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        await asyncio.sleep(self._seconds)
        self._running -= 1
        for position, ask in enumerate(asks):
            yield position, Sample(self._said(ask), "stop", 1)

    def _said(self, ask: Ask) -> str:
        assert not isinstance(ask.prompt, str)
        told = ask.prompt[-1].content
        self.asked.append(told)
        problem = told.removeprefix("Problem:\n").partition("\n\n")[0]
        alone = ask.prompt[0].content.endswith(prompts.SOLVE)
        if alone and problem in self._problems and (self._whatever or "Known of it:" not in told):
            return f"answer = {ask.seed}"
        return goal_right(ask.prompt)


async def solved(redis: str, model: Any, **given: Any) -> surefoot.Solution:
    settings: dict[str, Any] = {"kind": "number", "votes": 2, "limit": 8, "job": "job"}
    return await surefoot.solve(redis=redis, model=model, **{**settings, **given})


async def test_parts_are_answered_at_once_and_the_answer_is_the_same(redis_url: str) -> None:
    model = goal_double(error=0.2, seed=3)
    alone = await solved(redis_url, model, problem=PROBLEM, votes=4, limit=100)
    several = await solved(redis_url, model, problem=PROBLEM, votes=4, limit=100, job="several", branches=8)
    assert several.answer == alone.answer == RIGHT
    nodes = [run.node for run in several.runs]
    assert nodes == ["plan", *["branch"] * (len(nodes) - 2), "whole"] and len(nodes) > 6
    names = [run.report.job for run in several.runs]
    assert (names[0], names[-1]) == ("several.plan", "several")
    assert all(
        run.report.job == ".".join(["several", *(str(number + 1) for number in run.place)])
        for run in several.runs[1:-1]
    )
    assert [run.node for run in alone.runs] == ["whole"]
    assert all(run.report.solved for run in several.runs)
    leaves = [part for part in alone.parts if not part.split.parts]
    assert len(leaves) == nodes.count("branch")
    assert several.report.steps == 0  # a program puts the answers together


@pytest.mark.parametrize(("branches", "most"), [(1, 1), (3, 3)])
async def test_no_more_branches_than_that_at_once(redis_url: str, branches: int, most: int) -> None:
    model = Stuck(seconds=0.01)
    found = await solved(redis_url, model, problem=PROBLEM, branches=branches)
    assert (found.answer, model.most_at_once) == (RIGHT, most)


async def test_a_part_that_stalls_is_made_smaller_and_what_is_answered_stays(redis_url: str) -> None:
    model = Stuck("What is 90 * 4?")
    found = await solved(redis_url, model, outline=SPLIT)
    assert found.answer == "662068"
    assert [(run.node, run.report.status) for run in found.runs] == [("whole", "stalled"), ("whole", "done")]
    assert found.runs[1].report.job.startswith("job.")
    again = [told for told in model.asked if "Known of it:" in told]
    assert again and "Asked for as it is, its answer was not agreed on:" in again[0]
    # The answers before it were not asked for again, and its own parts were asked for.
    assert sum("What is 90 * 73?" in told and "Known" not in told for told in model.asked) < 8
    assert [part.problem for part in found.parts if part.depth == 3] == [
        "What is 90 * 0?",
        "What is 4 * 9?",
    ] or any(part.depth == 3 for part in found.parts)
    before = len(model.asked)
    assert (await solved(redis_url, model, outline=SPLIT)).answer == "662068"
    assert len(model.asked) == before  # all of it is in the journals


async def test_the_same_with_several_branches(redis_url: str) -> None:
    model = Stuck("What is 90 * 4?", "What is 2 * 4?")
    found = await solved(redis_url, model, outline=SPLIT, branches=4)
    assert found.answer == "662068"
    stalled = [run for run in found.runs if run.report.status == "stalled"]
    assert [(run.node, run.place) for run in stalled] == [("branch", (0, 1)), ("branch", (1, 1))]
    assert [run.node for run in found.runs].count("plan") == 2


async def test_without_replans_a_stall_is_a_stall(redis_url: str) -> None:
    for branches in (1, 4):
        with pytest.raises(Stalled):
            await solved(
                redis_url,
                Stuck("What is 90 * 4?"),
                outline=SPLIT,
                branches=branches,
                replans=0,
                job=f"b{branches}",
            )


@pytest.mark.parametrize("branches", [1, 4])
async def test_what_stalls_however_it_is_asked_stalls_in_the_end(redis_url: str, branches: int) -> None:
    """The hinted part is answered as it is in the end, since it cannot be made smaller; then the one above is opened again."""
    model = Stuck("What is 2 * 4?", whatever=True)
    with pytest.raises(Stalled):
        await solved(redis_url, model, outline=SPLIT, branches=branches, replans=2)
    above = [
        told
        for told in model.asked
        if "One of these parts could not be answered: What is 2 * 73?; What is 2 * 4?" in told
    ]
    assert above and above[0].startswith("Problem:\nWhat is 734 * 2?")
    assert (await surefoot.report("job" if branches == 1 else "job.2.2", redis=redis_url)).status == "stalled"


async def test_an_answer_that_the_check_refuses_is_replanned_and_then_an_error(redis_url: str) -> None:
    seen: list[str] = []

    def check(answer: str) -> str | None:
        seen.append(answer)
        return "the digits do not add up" if len(seen) == 1 else None

    model = Stuck()
    found = await solved(redis_url, model, problem=PROBLEM, check=check)
    assert (found.answer, seen, len(found.runs)) == (RIGHT, [RIGHT, RIGHT], 2)
    assert any(
        f"The answer {RIGHT} was found wrong: the digits do not add up." in told for told in model.asked
    )
    with pytest.raises(AuditFailed, match=f"the answer '{RIGHT}' was found wrong: never"):
        await solved(redis_url, model, problem=PROBLEM, check=lambda _: "never", job="refused")


async def test_a_person_gives_the_answer_of_a_part_or_a_hint(redis_url: str) -> None:
    model = Stuck("What is 734 * 90?", "What is 734 * 2?", whatever=True)
    graph = problem_graph(
        SPLIT.problem,
        outline=SPLIT,
        depth=0,
        votes=2,
        limit=8,
        replans=0,
        job="asks",
        model=model,
        redis=redis_url,
    ).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    state = await graph.ainvoke({}, config)
    asked = state["__interrupt__"][0].value
    assert (asked["job"], asked["place"], asked["problem"]) == ("asks", [0], "What is 734 * 90?")
    assert sum(asked["tally"].values()) == 8
    state = await graph.ainvoke(Command(resume="whatever"), config)
    assert state["__interrupt__"][0].value["problem"] == "What is 734 * 90?"  # asked again
    state = await graph.ainvoke(Command(resume={"answer": "66060"}), config)
    assert state["__interrupt__"][0].value["problem"] == "What is 734 * 2?"
    state = await graph.ainvoke(Command(resume={"hint": "Split it at the digits."}), config)
    assert state["answer"] == "662068"
    assert any("Known of it:\nSplit it at the digits." in told for told in model.asked)


async def test_a_handbook_is_in_front_of_all_jobs_of_a_problem(redis_url: str) -> None:
    taught = WithHandbook(
        Goal(SPLIT.problem, "number", 2),
        [Behaviour(name="behavior_carry", instruction="Mind the carry.", task="goal")],
    )
    model = Stuck("What is 90 * 4?")
    with pytest.raises(Stalled):
        await surefoot.run(taught, surefoot.Settings(k=1, limit=8), model=model, redis=redis_url, job="job")
    found = await solved(redis_url, model, problem=SPLIT.problem)
    assert found.answer == "662068"
    assert [run.report.task for run in found.runs] == ["handbook", "handbook"]


async def test_tokens_are_those_of_all_jobs_together(redis_url: str) -> None:
    model = goal_double(error=0.2, seed=3)
    whole = await solved(redis_url, model, problem=PROBLEM, branches=4, limit=100)
    spent = sum(run.report.tokens.total or 0 for run in whole.runs)
    for job, tokens in (("enough", spent * 2), ("half", spent // 2)):
        found = await solved(
            redis_url, model, problem=PROBLEM, branches=4, limit=100, job=job, budget=Budget(tokens=tokens)
        )
        took = sum(run.report.tokens.total or 0 for run in found.runs)
        assert (found.answer is None) == (job == "half") and took <= tokens * 1.2
    assert found.report.status == "stopped"
    found = await solved(redis_url, model, problem=PROBLEM, branches=4, limit=100, job="half")
    assert found.answer == RIGHT


async def test_an_outline_alone_asks_for_no_answer(redis_url: str) -> None:
    model = Stuck()
    await surefoot.run(
        Outlining(PROBLEM, votes=2), surefoot.Settings(k=1), model=model, redis=redis_url, job="outline"
    )
    decided = Outline.of(await surefoot.state("outline", redis=redis_url), answers=True)
    assert all(not any(part.answer for part in decided.parts) for _ in (0,))
    found = await solved(redis_url, model, outline=decided, depth=0)
    assert found.answer == RIGHT
    assert found.report.steps == len(list(decided.open_leaves()))


async def test_ways_that_cannot_be(redis_url: str) -> None:
    for wrong, said in (({"branches": 0}, "branches are 1 to 64"), ({"replans": 11}, "replans are 0 to 10")):
        with pytest.raises(BadInput, match=said):
            await solved(redis_url, Stuck(), problem=PROBLEM, **wrong)
    await solved(redis_url, Stuck(), problem=PROBLEM)
    with pytest.raises(BadInput, match="started with one branch and is given several"):
        await solved(redis_url, Stuck(), problem=PROBLEM, branches=2)
    await solved(redis_url, Stuck(), problem=PROBLEM, branches=2, job="two")
    with pytest.raises(BadInput, match="started with several branches and is given one"):
        await solved(redis_url, Stuck(), problem=PROBLEM, job="two")
