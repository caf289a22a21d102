"""What is opened by itself: a report, a step, the turns of an agent, the parts of a goal.  Read when somebody asks, a bounded piece of it."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from shlex import quote
from typing import Any

from redis.asyncio import Redis

from surefoot.agents.agent.state import STATES, Conversation, Watched
from surefoot.agents.planner.mermaid import flowchart
from surefoot.agents.tasks.codec import read_back
from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.optional import Acts
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput
from surefoot.models.base import Prompt
from surefoot.orchestration.decomposition import decomposition
from surefoot.orchestration.journal import segments, stitched
from surefoot.orchestration.journal.jobs import Job, load
from surefoot.orchestration.journal.records import frozen
from surefoot.orchestration.journal.stitched import StitchedJob
from surefoot.orchestration.record import Record
from surefoot.orchestration.report import Report
from surefoot.orchestration.reporting import answer_line, read_report, records, shown, state_before
from surefoot.orchestration.task_of_job import AGENTS, agent_again, task_known
from surefoot.orchestration.workers.stitched import StitchedReport, read_stitched

from .figures import Figures
from .texts import LINE, PAGE, fit, shortened
from .trajectories import TrajectoryRows
from .views import plain, shown_figures

AT_ONCE = 2
"""Details that are read at the same time; others wait for their turn."""
LONGEST_S = 30.0
SAMPLES = 100
"""Samples of a step that are shown."""
TURN_ROWS = 200
"""Turns of an agent in a page of its trajectory."""
LONGEST_STEPS = 50_000
"""Steps of an agent, or of a goal, that are gone through."""
NODES = 300
"""Problems of a goal that are drawn."""


class Details:
    """Reads one thing at a time for whoever opens it."""

    def __init__(self, redis: Redis, figures: Figures) -> None:
        self._redis, self._figures = redis, figures
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def report(self, job: str) -> dict[str, Any]:
        """Return what the report of a job has beside the figures that go on: what was read back, contested steps, a stall, a question, faults."""
        async with self._taking_turns():
            report, question = await self._report(job)
            found = {
                "solved": report.solved,
                "read_back": report.steps_read_back,
                "contested_steps": [plain(each) for each in report.contested_steps],
                "stall": report.stall,
                "question": question,
                "rungs": [plain(each) for each in report.rungs],
                "next": self._next(report),
                "faults": report.faults if isinstance(report, StitchedReport) else [],
                "workers": report.workers if isinstance(report, StitchedReport) else {},
                "elapsed_s": report.elapsed_s if isinstance(report, StitchedReport) else None,
            }
            return dict(fit(found, 2 * LINE))

    async def course(self, job: str) -> dict[str, Any]:
        """Return the figures of a few segments, spread over the whole of a job."""
        async with self._taking_turns():
            found = await self._figures.spread(known := await load(self._redis, job))
            return {
                "segment": known.settings.segment,
                "segments": -(-known.step // known.settings.segment),
                "read": None if found is None else [shown_figures(each) for each in found],
            }

    async def step(self, job: str, step: int) -> dict[str, Any]:
        """Return one step: what was asked, every ballot that was kept, the tally, the verdict.

        Of a stitched job it is that of the part which it is in.  Raises `BadInput` for one that is not decided; where a job stalled, that step has
        its prompt alone.
        """
        async with self._taking_turns():
            name, first = job, 0
            if (whole := await stitched.find(self._redis, job)) is not None:
                name, first = _part_of(whole, step)
            known = await load(self._redis, name)
            task = _task(known)
            found: dict[str, Any] = {"job": name, "first": first, "step": step, "of": known.step}
            if not (known.status == "stalled" and step - first == known.step):
                record = await segments.record(self._redis, known, step - first)
                samples = await segments.kept(self._redis, known, record.step)
                found |= _verdict(task, record, samples)
            return {**found, **await self._asked(known, task, step - first)}

    async def turns(self, job: str, first: int) -> dict[str, Any]:
        """Return the turns of an agent from `first` on, no more than `TURN_ROWS`; the last ones if it is negative."""
        async with self._taking_turns():
            known = await load(self._redis, job)
            if known.task not in AGENTS:
                raise BadInput(f"job {job!r} is of task {known.task!r}, not an agent's: it has no turns")
            if known.step > LONGEST_STEPS:
                raise BadInput(
                    f"the trajectory has {known.step:,} steps, more than {LONGEST_STEPS:,}: `surefoot export` has them all"
                )
            trajectory = TrajectoryRows()
            async for record in records(self._redis, known):
                trajectory.see(record)
            rows, interventions = trajectory.done(await self._watched(known))
            first = max(0, len(rows) - TURN_ROWS if first < 0 else first)
            turns = rows[first : first + TURN_ROWS]
            return {"first": first, "of": len(rows), "turns": turns, "interventions": interventions}

    async def plan(self, job: str) -> dict[str, Any]:
        """Return how a problem was made smaller: its parts, each with where it hangs, and the same as a flowchart in Mermaid's language."""
        async with self._taking_turns():
            known = await load(self._redis, job)
            if known.step > LONGEST_STEPS:
                raise BadInput(
                    f"the problem has taken {known.step:,} steps, more than are gone through here: `surefoot show --mermaid` draws it"
                )
            whole, costs = await decomposition(self._redis, job)
            nodes: list[dict[str, Any]] = []
            numbers = {}
            every = [*whole.walk()]
            for place, branch in every[:NODES]:
                numbers[place] = len(nodes)
                cost = costs.get(place)
                split = branch.split
                nodes.append(
                    {
                        "parent": numbers[place[:-1]] if place else None,
                        "problem": shortened(branch.problem, LINE),
                        "answer": branch.answer and shortened(branch.answer, LINE),
                        "formula": shortened(split.formula or split.combine, LINE) if split else "",
                        "votes": cost.votes if cost else 0,
                        "tokens": cost.usage.known("total") if cost else None,
                    }
                )
            return {
                "nodes": nodes,
                "more": len(every) - len(nodes),
                "mermaid": shortened(flowchart(whole, costs), 5 * PAGE),
            }

    async def _watched(self, job: Job) -> Watched | None:
        """Return what the monitor of an agent remembered at its end; None before the end, and if there was none."""
        end = await segments.snapshot(self._redis, job, job.sealed - 1)
        if not job.sealed or end.step != job.step:
            return None
        state: Conversation = read_back(STATES, end.state)
        return None if state.watched == Watched() else state.watched

    async def _report(self, job: str) -> tuple[Report, dict[str, Any] | None]:
        if await stitched.find(self._redis, job) is not None:
            return await read_stitched(self._redis, job), None
        report = await read_report(self._redis, job, _task(await load(self._redis, job)))
        return report, report.question

    @staticmethod
    def _next(report: Report) -> str:
        """Say how a job that stands still goes on; "" where it runs or is over."""
        job = quote(report.job)
        if isinstance(report, StitchedReport):
            again = " --again" if report.faults else ""
            return "" if report.solved or report.status == "running" else f"surefoot worker {job}{again}"
        if report.status == "asking":
            return f"surefoot decide {job}"
        if report.status not in ("stopped", "stalled", "cancelled"):
            return ""
        if report.task in AGENTS:
            return agent_again(report.job, report.task)
        return f"surefoot resume {job}{' --again' if report.status == 'cancelled' else ''}"

    async def _asked(self, job: Job, task: Task[Any, Any] | None, step: int) -> dict[str, Any]:
        """Return the prompt of a step, as the task that is known here asks it; why there is none, if there is none."""
        if task is None:
            return {
                "prompt": None,
                "why": f"the task {job.task!r} is not installed here, so what it asks is not known",
            }
        state = await state_before(self._redis, job, task, step)
        if isinstance(task, Acts) and task.acts(state):
            return {"prompt": None, "why": "the world decided this step: no model was asked"}
        return {"prompt": _messages(task.ask(state)), "views": task.views, "why": ""}

    @asynccontextmanager
    async def _taking_turns(self) -> AsyncIterator[None]:
        async with asyncio.timeout(LONGEST_S), self._turn:
            yield


def _task(job: Job) -> Task[Any, Any] | None:
    """Return the task of a job, if it is known here; what goes wrong in it comes in a sentence."""
    known = task_known(job)
    return None if known is None else guarded(known)


def _part_of(whole: StitchedJob, step: int) -> tuple[str, int]:
    """Return the part that a step of the whole is in, and the first step of that part."""
    if not 0 <= step < whole.steps:
        raise BadInput(f"job {whole.id!r} has steps 0 to {whole.steps - 1}, not {step!r}")
    part = bisect_right(range(whole.parts), step, key=whole.first) - 1
    return whole.names[part], whole.first(part)


def _verdict(
    task: Task[Any, Any] | None, record: Record, samples: Sequence[Mapping[str, Any]] | None
) -> dict[str, Any]:
    """Return what was decided, and on which grounds."""

    def words(answer: Any) -> str:
        return shortened(shown(task, answer), PAGE)

    own_words = task is not None and task.answer_codec is not None
    return {
        "winner": shortened(answer_line(task, record.answer), PAGE) if own_words else words(record.answer),
        "votes": record.votes,
        "against": [{"answer": words(answer), "votes": votes} for answer, votes in record.others],
        "flags": fit(record.flags),
        "tokens": record.usage.known_all(),
        "reused": record.reused,
        "rungs": [
            {
                "rung": shortened(rung, LINE),
                "samples": count,
                "votes": [{"answer": words(answer), "votes": votes} for answer, votes in tally],
            }
            for rung, count, tally in record.rungs
        ],
        "samples": None if samples is None else [_sample(each, words) for each in samples[:SAMPLES]],
        "more_samples": max(0, len(samples or ()) - SAMPLES),
    }


def _sample(sample: Mapping[str, Any], words: Callable[[Any], str]) -> dict[str, Any]:
    flagged = "flag" in sample
    return {
        "number": sample.get("number"),
        "text": shortened(str(sample.get("text")), PAGE),
        "finish": fit(sample.get("finish")),
        "flag": shortened(f"{sample['flag']}: {sample.get('detail')}", LINE) if flagged else "",
        "ballot": None if flagged else words(frozen(sample.get("ballot"))),
    }


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    if isinstance(prompt, str):
        return [{"role": "", "content": shortened(prompt, PAGE), "pictures": 0}]
    return [
        {
            "role": shortened(each.role, LINE),
            "content": shortened(each.content, PAGE),
            "pictures": len(each.pictures),
        }
        for each in prompt
    ]
