"""`surefoot outline`: how a problem is made smaller, all of it, before anybody answers a part."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

import surefoot
from surefoot.agents.planner.goal import Outlining
from surefoot.agents.planner.outlines import Outline
from surefoot.orchestration.journal.jobs import new_id
from surefoot.orchestration.progress import Progress

from .common import go, job_command
from .decomposition import print_outline
from .grouped import grouped
from .jobs import STOPPED
from .options import AsJson, BudgetOptions, RedisUrl, SettingsOptions, SpeculationOptions
from .problem import ProblemOptions
from .server_options import ServerOptions
from .solve import NOT_HERE, read_given
from .terminal import fail

OF_ANSWERS = ("kind", "image", "perceiver", "rounds", "caption", "extend", "rephrase")
"""An outline has no pictures and no answers."""


@grouped(*NOT_HERE, *OF_ANSWERS)
def outline(
    *,
    problem: ProblemOptions,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    model: Annotated[str, typer.Option("--model", help="An OpenAI-compatible URL.")],
    server: ServerOptions,
    redis: RedisUrl = None,
    settings: SettingsOptions,
    job: Annotated[str | None, typer.Option(help="A name for the job; taken up if it exists.")] = None,
    speculation: SpeculationOptions,
    budget: BudgetOptions,
    as_json: AsJson = False,
) -> None:
    """Decide by vote how a problem is made smaller, and write that to a file: to be read, edited, and given to `surefoot solve --outline`."""
    progress = Progress()
    given = read_given(problem, as_json)
    name = job or new_id(Outlining.name)

    async def work() -> tuple[surefoot.Report, Outline]:
        task = Outlining(
            given["problem"], votes=given["votes"], depth=given["depth"], outline=given["outline"]
        )
        report = await surefoot.run(
            task,
            replace(settings.made(task), k=1),
            model=server.address(model),
            redis=redis,
            job=name,
            speculate=speculation.made(),
            budget=budget.made(),
            options=server.made(),
            on_event=progress.listen,
        )
        return report, Outline.of(await surefoot.state(name, redis=redis), answers=True)

    report, decided = go(work(), as_json, progress, redis, samples=False)
    if report.status != "done":
        going_on = f"`{job_command('resume', name, redis)}` goes on"
        code = STOPPED if report.status == "stopped" else 1
        fail(f"no outline yet: {report.stopped or report.status}; {going_on}", as_json, code)
    print_outline(name, decided, out, as_json)
