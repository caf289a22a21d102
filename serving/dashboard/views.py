"""Jobs as the page gets them: plain data, bounded, from a job's description and what was seen of its pace."""

from collections.abc import Mapping, Sequence
from typing import Any

from surefoot.agents.planner.goal import Goal, Outlining
from surefoot.agents.tasks.around import outer_layer
from surefoot.orchestration.journal.jobs import Job, UnreadableJob
from surefoot.orchestration.journal.stitched import StitchedJob
from surefoot.orchestration.reporting import told
from surefoot.orchestration.task_of_job import AGENTS
from surefoot.orchestration.workers.listing import ListedJob, Stitched
from surefoot.orchestration.workers.stitched import BY
from surefoot.tools.pictures.picture import without_bytes
from surefoot.voting.reliability import Price

from .figures import SegmentFigures
from .pace import MINUTE_S, SEEN_S, JobPace
from .server_pace import REQUESTS, RETRIES, ServerPace
from .texts import LINE, fit, shortened

SHOWN_ARGUMENTS = 200
"""Characters of a task's arguments in the list of jobs."""
SHOWN_PARTS = 500
"""Parts of a stitched job that are shown one by one: those that are not done first."""
DONE = "done"


def row(job: ListedJob, pace: JobPace | None = None) -> dict[str, Any]:
    """Return a job as the list of jobs has it."""
    if isinstance(job, Stitched):
        # Whether ends meet is only looked at for the report: a whole that is done is not called solved here.
        return {**row(job.whole, pace), "status": job.whole.status, "parts": job.parts}
    if isinstance(job, UnreadableJob):
        return {"id": job.id, "status": "unreadable", "updated": 0.0, "why": shortened(job.why, LINE)}
    rate = None if pace is None else pace.rate(MINUTE_S)
    left = None if pace is None or job.steps is None else pace.left(job.steps - job.step)
    return {
        "id": job.id,
        "status": status(job),
        "step": job.step,
        "steps": job.steps,
        "steps_s": rate and rate.steps_s,
        "left_s": left and left.seconds,
        "updated": job.updated,
        "model": shortened(job.models[-1], LINE),
        "task": shortened(job.task, LINE),
        "arguments": shortened(
            " ".join(f"{name}={value}" for name, value in arguments(job).items()), SHOWN_ARGUMENTS
        ),
        "contested": job.counters.get("contested", 0),
        "flags": sum(job.flags.values()),
        "tokens": job.usage.known("total"),
        "held": job.holder is not None,
    }


def status(job: Job) -> str:
    """Return how a job in one piece stands, in a word."""
    return "solved" if job.status == DONE else job.status


def arguments(job: Job) -> dict[str, str]:
    """Return a task's arguments as texts, long ones cut."""
    return {
        shortened(name, LINE): shortened(str(value), LINE)
        for name, value in without_bytes(dict(job.spec)).items()
    }


def opened(
    job: Job,
    pace: JobPace | None,
    price: Price | None,
    latest: SegmentFigures | None,
    asked: ServerPace | None,
) -> dict[str, Any]:
    """Return a job as its own page has it while it goes on: its report, but for what has to be read for it."""
    report = told(job, job.steps)
    del report["spec"]
    usage = report.pop("tokens").model_dump()
    return {
        "id": job.id,
        "status": status(job),
        "arguments": arguments(job),
        "code": shortened(job.code, LINE),
        "suspended": job.suspended,
        "limit": job.settings.limit,
        "holder": job.holder and shortened(job.holder, LINE),
        "created": job.created,
        "updated": job.updated,
        "report": fit({name: plain(value) for name, value in report.items()}),
        "tokens": usage,
        "projected": projected(job, price),
        "cost": None if price is None or usage["total"] is None else _cost(job, price),
        "error": None if job.calibrated is None else job.calibrated.error,
        "mean_steps_s": job.step / job.wall_s if job.wall_s else None,
        "pace": None if pace is None else shown_pace(pace, job),
        "latest": None if latest is None else shown_figures(latest),
        "asked": shown_asked(job, asked),
        "segment": job.settings.segment,
        "kind": kind(job),
    }


def kind(job: Job) -> str:
    """Return what else there is to open of a job: the turns of an `agent`, the parts of a `goal`; "" if nothing."""
    if job.task in AGENTS:
        return "agent"
    layer = outer_layer(job.task, job.spec)
    name = job.task if layer is None else layer.task
    return "goal" if name in (Goal.name, Outlining.name) else ""


def projected(job: Job, price: Price | None) -> dict[str, float] | None:
    """Return the tokens, and what they cost, of the whole job if its other steps are like those so far; None if nobody can tell."""
    total = job.usage.known("total")
    if not job.step or job.steps is None or total is None:
        return None
    share = job.steps / job.step
    found = {"tokens": total * share}
    return found if price is None else {**found, "cost": _cost(job, price) * share}


def shown_pace(pace: JobPace, job: Job) -> dict[str, Any]:
    """Return rates, time left and course of a running job."""
    minute, ten, left = pace.rate(MINUTE_S), pace.rate(SEEN_S), None
    if job.steps is not None:
        left = pace.left(max(0, job.steps - job.step))
    return {
        "minute": minute and minute._asdict(),
        "ten_minutes": ten and ten._asdict(),
        "left": left and left._asdict(),
        "course": pace.course(),
    }


def shown_asked(job: Job, pace: ServerPace | None) -> dict[str, Any] | None:
    """Return what was asked of the model's servers, in all and lately; None if nothing is known of that."""
    if REQUESTS not in job.counters:
        return None
    lately = None if pace is None else pace.lately()
    return {
        "requests": job.counters[REQUESTS],
        "retries": job.counters.get(RETRIES, 0),
        "lately": lately and lately._asdict(),
    }


def shown_figures(figures: SegmentFigures) -> dict[str, Any]:
    """Return what some steps add up to."""
    return {
        **figures._asdict(),
        "flags": fit(figures.flags),
        "margins": sorted(figures.margins.items()),
        "dissents": sorted(figures.dissents.items()),
        "usage": figures.usage.known_all(),
        "notable": [fit(each._asdict()) for each in figures.notable],
    }


def parts_of(known: StitchedJob, whole: Job, jobs: Mapping[str, Job | UnreadableJob]) -> dict[str, Any]:
    """Return the parts of a stitched job, those that are not done first where there are many, and the steps of each worker."""
    found = [
        (part, jobs.get(name), name, known.first(part), known.first(part + 1) - known.first(part))
        for part, name in enumerate(known.names)
    ]
    rows = [
        {"part": part, "id": name, "first": first, "steps": steps, **_part(job)}
        for part, job, name, first, steps in found
    ]
    undone = [each for each in rows if each["status"] != DONE]
    shown = (undone + [each for each in rows if each["status"] == DONE])[:SHOWN_PARTS]
    numbers = {each["part"] for each in shown}
    workers = {name.removeprefix(BY): steps for name, steps in whole.counters.items() if name.startswith(BY)}
    parts = [each for each in rows if each["part"] in numbers]
    return {"parts": parts, "more": len(rows) - len(shown), "workers": fit(workers)}


def _part(job: Job | UnreadableJob | None) -> dict[str, Any]:
    if not isinstance(job, Job):
        return {
            "status": "missing" if job is None else "unreadable",
            "step": 0,
            "contested": 0,
            "holder": None,
        }
    return {
        "status": job.status,
        "step": job.step,
        "contested": job.counters.get("contested", 0),
        "holder": job.holder and shortened(job.holder, LINE),
    }


def plain(value: Any) -> Any:
    """Return a field of a report as plain data."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.model_dump() if hasattr(value, "model_dump") else value


def matching(rows: Sequence[Mapping[str, Any]], text: str, wanted: str) -> list[Mapping[str, Any]]:
    """Return the jobs whose name, task or model has this text in it, and whose status is the one wanted, if any is."""
    text = text.casefold()
    return [
        each
        for each in rows
        if (not wanted or each["status"] == wanted)
        and any(text in str(each.get(name, "")).casefold() for name in ("id", "task", "model", "arguments"))
    ]


def _cost(job: Job, price: Price) -> float:
    return price.of(job.usage.prompt, job.usage.completion, job.usage.cached)
