"""The graph of `surefoot.solve`: its nodes work on jobs of the engine, whose journals are the truth.

    begin -> plan -> branch, branch, ... -> whole -> audit -> end
               ^                              |        |
               +------ replan, or person <----+--------+

| node | does | its job |
| --- | --- | --- |
| begin | takes the outline that is given, or the bare problem for one | |
| plan | decides how the problem is made smaller, all of it; passed by where there is one branch | `NAME.plan` |
| branch | answers one part; several at once | `NAME.1.2`: the second part of the first |
| whole | answers the problem, or puts the answers of its parts together | `NAME` |
| audit | lets the caller's own check look at the answer | |
| replan | makes another outline, where nothing was agreed on or the check says no; what is answered stays | |
| person | is asked, once the replans are spent: an interrupt | |

After a replan, names end in the digest of the outline.  Names and outlines follow from journals alone, so the graph needs no checkpoint: run again
after a kill it finds the jobs that are done, and goes on with the first that is not.
"""

import asyncio
import operator
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from weakref import WeakKeyDictionary

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send, interrupt
from redis.asyncio import Redis

from surefoot.agents.planner.goal import Goal, Outlining
from surefoot.agents.planner.outlines import Outline, read_outline
from surefoot.agents.planner.replanning import known, rejected, reopened
from surefoot.agents.planner.state import GoalState
from surefoot.agents.planner.trees import Place, place_of
from surefoot.agents.tasks.failures import cut
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput
from surefoot.tools.answers.normal_forms import normal
from surefoot.voting.election import Stalled
from surefoot.voting.flags import NotAnAnswer

from . import overview
from .graph import AuditFailed
from .journal.jobs import as_stored, exists, load
from .redis.open import open_redis
from .report import Report, Stall

Check = Callable[[str], str | None]
"""Says in a sentence what is wrong with an answer; None if nothing is."""
Start = Callable[[Task[Any, Any], str], Awaitable[Report]]
"""Runs a task as the job of that name, or takes that up."""
Then = Literal["plan", "whole", "audit", "replan", "person", "end"]
Node = Literal["plan", "branch", "whole"]
PLAN = "plan"
DIGITS = 8
"""Of an outline's digest in a job's name."""
MOST_BRANCHES = 64
MOST_REPLANS = 10
_MOST_SUPERSTEPS = 1000
"""Supersteps: more than all replans take."""


class NodeRun(NamedTuple):
    """The work of a node of the graph: what it cost, and how it ended, is in the report of its job."""

    node: Node
    place: Place
    """Of its problem in the outline: (0, 1) is the second part of the first; () is the whole."""
    report: Report


class Ending(NamedTuple):
    """How the graph has ended."""

    answer: str | None
    report: Report
    """Of the job that says so."""
    runs: tuple[NodeRun, ...]


class SolvingState(TypedDict, total=False):
    """What is kept between nodes."""

    outline: str
    """The outline to go by, as JSON."""
    turn: int
    """How many others there were before."""
    replans: int
    """How many of them came of a replan, and not from a person."""
    begun: Annotated[list[tuple[Node, Place, str]], operator.add]
    """The jobs, in order: node, place, name."""
    ended: tuple[Place, str]
    """The job that says how it ended, and the place of its problem."""
    answer: str | None
    then: Then


class _Branch(TypedDict):
    """What a branch is sent."""

    outline: str
    turn: int
    replans: int
    place: Place


class Solving:
    """A problem on its way through the graph."""

    def __init__(
        self,
        goal: Goal,
        job: str,
        start: Start,
        wrapped: Callable[[Goal], Task[Any, Any]],
        redis: str | Redis | None,
        *,
        branches: int = 1,
        replans: int = 1,
        check: Check | None = None,
        asks: bool = False,
        passed: Callable[[str], Awaitable[Any]] | None = None,
    ) -> None:
        """`wrapped` gives a task what all jobs of the problem have; `asks`: whether a person is asked in the end, where else `Stalled` is raised.

        `passed` is told of each job that had stalled before and is left as it is: what it took counts all the same.
        """
        self._goal, self._job, self._start, self._wrapped, self._redis = goal, job, start, wrapped, redis
        self._branches, self._replans, self._check, self._asks = branches, replans, check, asks
        self._several, self._passed = branches > 1, passed
        self._stalls: dict[str, Stalled] = {}
        self._reports: dict[str, Report] = {}
        self._tasks: dict[str, Task[Any, Any]] = {}
        """Of the jobs: looked up by name, each would take a walk through all that is installed."""
        self._slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    def graph(self) -> StateGraph[SolvingState]:
        """Return the graph, to be compiled: with a saver where a person is asked, else without."""
        graph = StateGraph(SolvingState)
        for name in ("plan", "branch", "whole", "audit", "replan", "person"):
            graph.add_node(name, getattr(self, f"_{name}"))
        graph.add_node("begin", self._begin)
        graph.add_edge(START, "begin")
        graph.add_edge("begin", "plan")
        graph.add_conditional_edges("plan", self._after_plan, ["branch", "whole", "replan", "person", END])
        graph.add_edge("branch", "whole")
        for name in ("whole", "audit", "person"):
            graph.add_conditional_edges(name, _then, ["plan", "audit", "replan", "person", END])
        graph.add_edge("replan", "plan")
        return graph

    async def end(self) -> Ending:
        """Go through the graph; raises `Stalled`, `AuditFailed`, and what a job raises."""
        limits: Any = {"recursion_limit": _MOST_SUPERSTEPS}
        state: Any = await self.graph().compile().ainvoke({}, limits)
        runs = [NodeRun(node, place, await self._report(name)) for node, place, name in state["begun"]]
        return Ending(state.get("answer"), await self._report(state["ended"][1]), tuple(runs))

    async def _begin(self, state: SolvingState) -> SolvingState:
        outline = self._goal.outline or Outline(self._goal.problem)
        return {"outline": outline.canonical, "turn": 0, "replans": 0}

    async def _plan(self, state: SolvingState) -> SolvingState:
        if not self._several:
            return {"then": "whole"}
        name = self._named(PLAN, state)
        report = await self._run(Outlining(**self._arguments(state)), name, state)
        done: SolvingState = {"begun": [("plan", (), name)], "ended": ((), name)}
        if report.status != "done":
            return {**done, "then": self._after_no_answer(report, state)}
        decided = known(await self._reached(name), _outline(state["outline"]))
        return {**done, "outline": decided.canonical, "then": "whole"}

    def _after_plan(self, state: SolvingState) -> Any:
        if state["then"] != "whole":
            return _then(state)
        outline = _outline(state["outline"])
        if not self._several or not outline.parts:
            return "whole"
        sent = {"outline": state["outline"], "turn": state["turn"], "replans": state["replans"]}
        return [Send("branch", {**sent, "place": place}) for place, _ in outline.open_leaves()] or "whole"

    async def _branch(self, sent: _Branch) -> SolvingState:
        """Answer a part as it is; how that ended its journal says, since the others go on."""
        place = sent["place"]
        name = self._named(_number(place), sent)
        loop = asyncio.get_running_loop()
        async with self._slots.setdefault(loop, asyncio.Semaphore(self._branches)):
            leaf = _outline(sent["outline"]).at(place)
            part = Goal(leaf.problem, votes=self._goal.votes, depth=0, outline=leaf if leaf.hint else None)
            await self._run(part, name, sent)
        return {"begun": [("branch", place, name)]}

    async def _whole(self, state: SolvingState) -> SolvingState:
        arguments = self._arguments(state)
        if self._several:
            outline, lacking = await self._gathered(state)
            # One that a budget has stopped goes first: it is to go on before another way is taken.
            for place, report in sorted(lacking, key=lambda each: each[1].status == "stalled"):
                return {"ended": (place, report.job), "then": self._after_no_answer(report, state)}
            arguments |= {"depth": 0, "outline": outline}
        name = self._named("", state)
        report = await self._run(Goal(**arguments), name, state)
        done: SolvingState = {"begun": [("whole", (), name)], "ended": ((), name)}
        if report.status != "done":
            return {**done, "then": self._after_no_answer(report, state)}
        return {**done, "answer": (await self._reached(name)).answer, "then": "audit"}

    async def _audit(self, state: SolvingState) -> SolvingState:
        answer = state["answer"]
        why: Any = None if self._check is None or answer is None else self._check(answer)
        if why is None or answer is None:
            return {"then": "end"}
        if not isinstance(why, str) or not why.strip():
            if asyncio.iscoroutine(why):
                why.close()
            raise BadInput(
                f"a check returns what is wrong in a sentence, or None, and not {type(why).__name__} {cut(repr(why))}"
            )
        if state["replans"] >= self._replans:
            raise AuditFailed(f"the answer '{cut(answer)}' was found wrong: {cut(why)}")
        return {"outline": rejected(_outline(state["outline"]), answer, why).canonical, "then": "replan"}

    async def _replan(self, state: SolvingState) -> SolvingState:
        counted: SolvingState = {"turn": state["turn"] + 1, "replans": state["replans"] + 1}
        if (await self._report(state["ended"][1])).status == "done":
            return counted  # the audit has made the outline
        return {**counted, "outline": (await self._reopened(state))[1].canonical}

    async def _person(self, state: SolvingState) -> SolvingState:
        place, outline = await self._reopened(state)
        report = await self._report(state["ended"][1])
        problem = outline.at(place).problem
        said = interrupt(
            {"job": report.job, "place": list(place), "problem": problem, "tally": _tally(report)}
        )
        try:
            match said:
                case {"answer": str(answer)} if not place:
                    normal(answer, self._goal.kind)  # refused where the whole could not have it
                    return {"answer": answer.strip(), "then": "end"}
                case {"answer": str(answer)}:
                    told = Outline(problem, answer=answer)
                case {"hint": str(hint)}:
                    told = Outline(problem, hint=hint)
                case _:
                    return {"then": "person"}  # it is asked again
            outline = read_outline(outline.put(place, told))
        except (NotAnAnswer, BadInput):
            return {"then": "person"}
        return {"outline": outline.canonical, "turn": state["turn"] + 1, "then": "plan"}

    async def _reopened(self, state: SolvingState) -> tuple[Place, Outline]:
        """Return the outline to go on by after a stall, and the place that it opens again."""
        before = _outline(state["outline"])
        place, name = state["ended"]
        if not place:
            reached = await self._reached(name)
            found = known(reached, before)
            return reopened(found, place_of(reached.nodes), reached, _tally(await self._report(name)), before)
        outline, lacking = await self._gathered(state)
        opened = [
            (place, await self._reached(report.job), _tally(report))
            for place, report in lacking
            if report.status == "stalled"
        ]
        places: list[Place] = []
        for place, reached, tally in opened:
            if outline.has(place):
                place, outline = reopened(outline, place, reached, tally, before)
                places.append(place)
        # One may be gone with the problem that it is a part of, which was opened after it.
        return next(place for place in places if outline.has(place)), outline

    async def _gathered(self, state: SolvingState) -> tuple[Outline, list[tuple[Place, Report]]]:
        """Return the outline with the answers of the branches, and the reports of those that have none."""
        outline = _outline(state["outline"])
        lacking: list[tuple[Place, Report]] = []
        async with open_redis(self._redis) as store:  # once for all of them
            for place, leaf in outline.open_leaves() if outline.parts else ():
                name = self._named(_number(place), state)
                report = await self._report(name, store)
                if report.status == "done":
                    answer = (await self._reached(name, store)).answer
                    outline = outline.put(place, Outline(leaf.problem, answer=answer))
                else:
                    lacking.append((place, report))
        return outline, lacking

    async def _run(self, goal: Goal, name: str, state: Mapping[str, Any]) -> Report:
        """Run a job as far as it goes; one that stalled already is left as it is where there is another way to go on."""
        task = self._tasks[name] = self._wrapped(goal)
        if self._may_go_on(state["replans"]) and await self._is_stalled(name, task):
            if self._passed is not None and name not in self._stalls:
                await self._passed(name)
            return await self._report(name)
        try:
            self._reports[name] = await self._start(task, name)
        except Stalled as stalled:
            self._stalls[name] = stalled
        return await self._report(name)

    def _after_no_answer(self, report: Report, state: SolvingState) -> Then:
        """Return where to go from a job that is not done; raises `Stalled` where nobody is left to ask."""
        if report.status != "stalled":
            return "end"
        if not self._may_go_on(state["replans"]):
            raise self._stalls[report.job]
        return "replan" if state["replans"] < self._replans else "person"

    def _may_go_on(self, replans: int) -> bool:
        return self._asks or replans < self._replans

    def _arguments(self, state: SolvingState) -> dict[str, Any]:
        outline = _outline(state["outline"])
        bare = self._goal.outline is None and outline == Outline(self._goal.problem)
        return {**self._goal.spec(), "outline": None if bare else outline}

    def _named(self, part: str, state: Mapping[str, Any]) -> str:
        digest = _digest(state["outline"])[:DIGITS] if state["turn"] else ""
        return ".".join(filter(None, (self._job, part, digest)))

    async def _is_stalled(self, name: str, task: Task[Any, Any]) -> bool:
        async with open_redis(self._redis) as store:
            if not await exists(store, name):
                return False
            job = await load(store, name)
            return job.status == "stalled" and (job.task, as_stored(job.spec)) == (
                task.name,
                as_stored(task.spec()),
            )

    async def _report(self, name: str, store: Redis | None = None) -> Report:
        task, redis = self._tasks.get(name), store or self._redis
        return self._reports.get(name) or await overview.report(name, task=task, redis=redis)

    async def _reached(self, name: str, store: Redis | None = None) -> GoalState:
        task, redis = self._tasks.get(name), store or self._redis
        reached: GoalState = await overview.state(name, task=task, redis=redis)
        return reached


@lru_cache(maxsize=4)
def _outline(text: str) -> Outline:
    """Read an outline once for all the branches that go by it."""
    return read_outline(text)


@lru_cache(maxsize=4)
def _digest(text: str) -> str:
    return _outline(text).digest


def check_counts(branches: int, replans: int) -> None:
    """Refuse numbers that cannot be."""
    if not 1 <= branches <= MOST_BRANCHES:
        raise BadInput(f"branches are 1 to {MOST_BRANCHES}, not {branches!r}")
    if not 0 <= replans <= MOST_REPLANS:
        raise BadInput(f"replans are 0 to {MOST_REPLANS}, not {replans!r}")


def plan_of(job: str) -> str:
    """Return the name of the job that decides how a problem is made smaller before its parts are answered."""
    return f"{job}.{PLAN}"


def _then(state: SolvingState) -> str:
    return END if state["then"] == "end" else state["then"]


def _number(place: Place) -> str:
    return ".".join(str(number + 1) for number in place)


def _tally(report: Report) -> Mapping[str, int]:
    return Stall.model_validate(report.stall).tally
