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
from surefoot.agents.planner import Goal, Outline, Outlining, prompts, read_outline
from surefoot.models import Ask
from surefoot.models.doubles import goal_double
from surefoot.models.doubles.goals import goal_right
from surefoot.orchestration import AuditFailed, problem_graph, solving
from surefoot.orchestration.progress import ProgressOfSeveral
from surefoot.voting.samples import Usage

PROBLEM = "What is 73418 * 90217?"
RIGHT = str(73418 * 90217)
SPLIT = Outline(
    "What is 734 * 902?",
    (Outline("What is 734 * 90?"), Outline("What is 734 * 2?")),
    "formula",
    "{1} * 10 + {2}",
)
DEEP = SPLIT.put(
    (0,),
    Outline(
        "What is 734 * 90?",
        (Outline("What is 90 * 73?"), Outline("What is 90 * 4?")),
        "formula",
        "{1} * 10 + {2}",
    ),
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


@pytest.mark.parametrize("wrong", [False, " ", 5])
async def test_a_check_says_a_sentence_or_none(redis_url: str, wrong: Any) -> None:
    async def later(_: str) -> str:
        return "wrong"

    for check in (lambda _: wrong, later):
        with pytest.raises(BadInput, match="a check returns what is wrong in a sentence, or None, and not"):
            await solved(redis_url, Stuck(), problem="What is 7 * 8?", check=check)
    with pytest.raises(AuditFailed) as failed:
        await solved(redis_url, Stuck(), problem="What is 7 * 8?", check=lambda _: "\x1b[2J" * 999, replans=0)
    assert r"\x1b[2J" in str(failed.value) and len(str(failed.value)) < 300


@pytest.mark.parametrize("branches", [1, 4])
async def test_what_a_person_gives_and_cannot_be_is_asked_for_again(redis_url: str, branches: int) -> None:
    graph = problem_graph(
        SPLIT.problem,
        outline=SPLIT,
        depth=0,
        votes=2,
        limit=8,
        replans=0,
        branches=branches,
        job="asks",
        model=Stuck("What is 734 * 90?", whatever=True),
        redis=redis_url,
    ).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    state = await graph.ainvoke({}, config)
    for wrong in (
        {"answer": " "},
        {"answer": "7" * 1_000_001},
        {"answer": "\udcff"},
        {"hint": "h" * 100_001},
    ):
        state = await graph.ainvoke(Command(resume=wrong), config)
        assert state["__interrupt__"][0].value["problem"] == "What is 734 * 90?"
    assert (await graph.ainvoke(Command(resume={"answer": "66060"}), config))["answer"] == "662068"


async def test_the_answer_of_the_whole_that_a_person_gives_is_of_its_kind(redis_url: str) -> None:
    graph = problem_graph(
        "What is 7 * 8?",
        kind="number",
        votes=2,
        limit=8,
        replans=0,
        job="asks",
        model=Stuck("What is 7 * 8?", whatever=True),
        redis=redis_url,
    ).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    await graph.ainvoke({}, config)
    for wrong in (" ", "many"):
        assert "__interrupt__" in await graph.ainvoke(Command(resume={"answer": wrong}), config)
    assert (await graph.ainvoke(Command(resume={"answer": " 56 "}), config))["answer"] == "56"


async def test_a_person_is_asked_about_a_problem_that_is_still_there(redis_url: str) -> None:
    """The first part stalls for the first time, the second for the second: the whole is opened again, and the parts are gone."""
    outline = Outline(
        "What is 73 * 7?",
        (Outline("What is 7 * 9?"), Outline("What is 6 * 0?", hint="Think.")),
        "formula",
        "{1} * 10 + {2}",
    )
    model = Stuck("What is 7 * 9?", "What is 6 * 0?", whatever=True)
    graph = problem_graph(
        outline.problem,
        outline=outline,
        depth=0,
        votes=2,
        limit=8,
        replans=0,
        branches=4,
        job="asks",
        model=model,
        redis=redis_url,
    ).compile(checkpointer=InMemorySaver())
    state = await graph.ainvoke({}, {"configurable": {"thread_id": "1"}})
    assert (state["__interrupt__"][0].value["place"], state["__interrupt__"][0].value["problem"]) == (
        [],
        "What is 73 * 7?",
    )


async def test_branches_bound_a_graph_of_ones_own_as_well(redis_url: str) -> None:
    model = Stuck(seconds=0.01)
    graph = problem_graph(PROBLEM, votes=2, limit=8, branches=3, job="job", model=model, redis=redis_url)
    assert (await graph.compile().ainvoke({}))["answer"] == RIGHT
    assert model.most_at_once == 3


@pytest.mark.parametrize("branches", [1, 4])
async def test_lines_of_an_answer_stay_lines_in_another_way(redis_url: str, branches: int) -> None:
    class Words(Stuck):
        def _said(self, ask: Ask) -> str:
            assert not isinstance(ask.prompt, str)
            told = ask.prompt[-1].content.removeprefix("Problem:\n")
            if not ask.prompt[0].content.endswith(prompts.SOLVE):
                return '{"parts": []}'
            return f"answer = {ask.seed if told == 'C' else told[0]}"

    first = Outline("AB", (Outline("A"), Outline("B")), "concatenate")
    whole = Outline("ABC", (first, Outline("C")), "concatenate")
    found = await solved(redis_url, Words(), outline=whole, depth=0, kind="text", branches=branches)
    assert (found.answer, [run.report.status for run in found.runs].count("stalled")) == ("A\nB\nC", 1)


@pytest.mark.parametrize("branches", [1, 2])
async def test_what_is_nested_as_deep_as_can_be_is_not_made_smaller(redis_url: str, branches: int) -> None:
    outline = Outline("What is 49 * 49?")
    for number in range(48, -1, -1):
        outline = Outline(
            f"Problem {number}", (Outline(f"Part {number}", answer="1"), outline), "concatenate"
        )
    model = Stuck("What is 49 * 49?", whatever=True)
    with pytest.raises(Stalled):
        await solved(redis_url, model, outline=outline, depth=0, branches=branches)


@pytest.mark.parametrize("branches", [1, 4])
async def test_what_stalled_jobs_took_counts_in_a_later_call_too(redis_url: str, branches: int) -> None:
    class Counted(Stuck):
        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            for position, ask in enumerate(asks):
                yield position, Sample(self._said(ask), "stop", 1, Usage(prompt=1, completion=1))

    model = Counted("What is 90 * 4?", "What is 2 * 4?")
    given: dict[str, Any] = {"outline": DEEP, "branches": branches, "replans": 4, "budget": Budget(tokens=40)}
    for _ in range(3):
        assert (await solved(redis_url, model, **given)).report.status == "stopped"
    assert 2 * len(model.asked) < 40 * 2.2  # and not 40 more with each call


async def test_what_a_budget_has_stopped_goes_on_before_another_way_is_taken(redis_url: str) -> None:
    model = Stuck("What is 734 * 90?")
    parts = (Outline("What is 734 * 90?"), Outline("What is 6 * 2?", hint="It is short."))
    given: dict[str, Any] = {
        "outline": Outline(SPLIT.problem, parts, "formula", "{1} * 10 + {2}"),
        "branches": 4,
        "depth": 0,
    }
    stopped = await solved(redis_url, model, **given, budget=Budget(steps=2))
    assert [run.report.status for run in stopped.runs] == ["done", "stalled", "stopped"]
    assert (stopped.report.status, stopped.report.job) == ("stopped", "job.2")
    found = await solved(redis_url, model, **given)
    assert (found.answer, found.runs[2].report.job) == ("660612", "job.2")


@pytest.mark.parametrize("name", ["", "mine"])
async def test_the_counters_of_several_jobs_are_their_sum(redis_url: str, name: str) -> None:
    progress = ProgressOfSeveral(job=name)
    found = await solved(redis_url, Stuck(), outline=DEEP, branches=4, on_event=progress.listen)
    assert progress.job == (name or "job.plan")
    assert progress.step == sum(run.report.steps for run in found.runs)
    assert progress.votes == sum(run.report.votes for run in found.runs)


async def test_all_branches_read_their_outline_once(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read by each branch it took quadratic time, and kept Redis waiting until it was taken for gone."""
    read: list[Any] = []
    monkeypatch.setattr(solving, "read_outline", lambda given: read.append(given) or read_outline(given))
    split = "{1} + {2} + {3} + {4} + {5} + {6} + {7} + {8}"
    parts = tuple(
        Outline(
            f"Sum {ten}", tuple(Outline(f"What is {ten}{one} * 7?") for one in range(8)), "formula", split
        )
        for ten in range(1, 9)
    )
    outline = Outline("All sums", parts, "formula", split)
    found = await solved(redis_url, Stuck(), outline=outline, depth=0, branches=64)
    assert (len(found.runs), found.answer) == (
        66,
        str(7 * sum(int(f"{ten}{one}") for ten in range(1, 9) for one in range(8))),
    )
    assert len(read) < 10
