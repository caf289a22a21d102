"""One attempt at an instance: a job of the journal, a workspace, and at the end a checked patch."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from surefoot.agents.agent.exit_status import ExitStatus
from surefoot.agents.agent.task import WINDOW
from surefoot.agents.monitor.policies import Policy
from surefoot.agents.monitor.readers.formats import read
from surefoot.agents.monitor.signals import readings
from surefoot.agents.swe.decomposed.workspace import PatchFails, WorkspaceLost
from surefoot.agents.swe.grading import set_up
from surefoot.agents.swe.instances import Instance
from surefoot.agents.swe.issue_task import IssueTask
from surefoot.agents.swe.kept_workspace import KeptWorkspace, NotRebuilt, SetUpFailed
from surefoot.agents.swe.patches import PatchRefused, check_patch
from surefoot.agents.swe.piecemeal_task import PiecemealTask
from surefoot.agents.swe.repository import prepare_workspace
from surefoot.agents.tasks.codec import read_back
from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput, SurefootError
from surefoot.models.base import Model, ModelUnavailable, Sampling
from surefoot.orchestration.agent import SEGMENT, exit_status
from surefoot.orchestration.budget import Budget, Purse
from surefoot.orchestration.engine.open_step import StepStalled
from surefoot.orchestration.events import Listen
from surefoot.orchestration.journal.jobs import exists, load
from surefoot.orchestration.journal.lease import Cancelled, JobHeld, WriteRefused
from surefoot.orchestration.redis.client import RedisUnavailable
from surefoot.orchestration.report import Report
from surefoot.orchestration.reporting import read_report, records, state_reached
from surefoot.orchestration.run import run
from surefoot.orchestration.settings import Settings
from surefoot.printable import printable
from surefoot.tools.environments.environment import Environment
from surefoot.tools.failed import ToolFailed
from surefoot.voting.reliability import Price

from .result import FILE, Result, read_attempt, write
from .settings import SweSettings
from .tests_run import SEEN_AS, environment_of
from .trajectory_of_job import write_trajectory

IssueWork = IssueTask | PiecemealTask
NO_WORKSPACE = (ExitStatus.LOST_WORKSPACE, ExitStatus.FAILED_SETUP)
"""What leaves nothing that a patch could be taken of."""


@dataclass(frozen=True, kw_only=True)
class InstanceAttempt:
    """One attempt, before it is made."""

    instance: Instance
    number: int
    """From 1."""
    folder: Path
    """Of its own."""
    settings: SweSettings
    repository: Path | None
    redis: Redis
    model: Model
    listen: Listen
    purse: Purse | None = None
    """What all attempts of a fleet may spend together."""

    @property
    def job(self) -> str:
        """The name of its job."""
        return f"swe-{self.settings.run}-{self.instance.instance_id}-{self.number}"

    async def made(self) -> Result:
        """Make it, or go on with it, and return what became of it; an attempt that is over is only read.

        Raises `JobHeld` where somebody else is at it, and what a run raises that is not about this instance alone.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = self._workspace()
        result = read_attempt(self.folder)
        if result is None or not result.is_over:
            try:
                result = await self._worked(kept)
            finally:
                await kept.stop()
            write(self.folder / FILE, result)
        if not self.settings.keep and result.is_over:
            await kept.remove()
        return result

    async def _worked(self, kept: KeptWorkspace) -> Result:
        nothing = Result(
            instance_id=self.instance.instance_id,
            attempt=self.number,
            job=self.job,
            exit_status=ExitStatus.FAILED_SETUP,
        )
        try:
            task = self._task(kept)
        except BadInput as error:  # an issue too long for the window, say
            return nothing.model_copy(update={"why": str(error)})
        status, why = await self._run(task)
        if not await exists(self.redis, self.job):
            return nothing.model_copy(update={"exit_status": status or nothing.exit_status, "why": why})
        job = await load(self.redis, self.job)
        report = await read_report(self.redis, self.job, guarded(task))
        state: Any = await state_reached(self.redis, job, guarded(task))
        progress = task.progress(state)
        status = status or exit_status(state, report)
        result = nothing.model_copy(
            update={
                "exit_status": status,
                "ended": bool(state.ended),
                "why": why or self._why(state, report),
                "turns": progress.turns,
                "calls": progress.calls,
                "tokens": report.tokens,
                "seconds": report.wall_s,
                "interventions": progress.interventions,
            }
        )
        if progress.calls and status not in NO_WORKSPACE:
            result = await self._with_patch(result, task, state, kept)
        return result.model_copy(update={"score": await self._scored(task, result)})

    async def _run(self, task: IssueWork) -> tuple[ExitStatus | None, str]:
        """Run the job, and return why it ended where its state does not say so."""
        job: Task[Any, Any] = task
        try:
            if not await exists(self.redis, self.job):
                begin: Any = task.start()
                await task.ready(begin)  # what cannot be set up is found out before a turn is paid for
            await run(
                job,
                Settings(k=1, segment=SEGMENT, seed=self.number),
                model=self.model,
                redis=self.redis,
                job=self.job,
                budget=self._budget(),
                on_event=self.listen,
            )
        except StepStalled as error:
            return ExitStatus.STALLED, error.sentence
        except ModelUnavailable as error:
            return ExitStatus.MODEL_UNAVAILABLE, error.sentence
        except SetUpFailed as error:
            return ExitStatus.FAILED_SETUP, error.sentence
        except NotRebuilt as error:
            return ExitStatus.LOST_WORKSPACE, error.sentence
        except Cancelled as error:
            return ExitStatus.CANCELLED, error.sentence
        except (JobHeld, WriteRefused, RedisUnavailable):
            raise  # not about this instance: somebody else has it, or nobody can go on
        except SurefootError as error:
            return ExitStatus.STOPPED, error.sentence
        return None, ""

    async def _with_patch(self, result: Result, task: IssueWork, state: Any, kept: KeptWorkspace) -> Result:
        """Take the patch of the workspace, and check that it applies."""
        try:
            await task.ready(state)
            if not kept.is_whole:
                lost = {
                    "exit_status": ExitStatus.LOST_WORKSPACE,
                    "why": f"{ExitStatus.LOST_WORKSPACE.sentence} The run was {result.exit_status}.",
                }
                return result.model_copy(update=lost)
            raw = await kept.diff()
            if self.repository is None:
                return result.model_copy(update={"patch": raw.decode(errors="replace")})
            checked = await check_patch(raw, self.repository, self.instance.base_commit)
        except (PatchRefused, ToolFailed) as error:
            return result.model_copy(update={"why": f"{result.why} {error}".strip()})
        except (SetUpFailed, NotRebuilt, WorkspaceLost, PatchFails) as error:
            return result.model_copy(update={"exit_status": ExitStatus.LOST_WORKSPACE, "why": error.sentence})
        return result.model_copy(
            update={
                "patch": checked.text,
                # A name that is no text cannot be written down as it is.
                "files": tuple(printable(change.path) for change in checked.changes),
                "left_out": tuple(map(printable, checked.left_out)),
                "replayed": dict(kept.replayed),
            }
        )

    async def _scored(self, task: IssueWork, result: Result) -> float | None:
        """Write the trajectory, and return its score."""
        path = self.folder / f"{self.instance.instance_id}.traj.json"
        await write_trajectory(
            self.redis,
            await load(self.redis, self.job),
            task,
            path,
            instance_id=self.instance.instance_id,
            exit_status=result.exit_status,
            submission=result.patch,
            price=self._price,
            environment={"cwd": self._seen_as, "timeout": self.settings.timeout_s},
        )
        return await asyncio.to_thread(_score, path)

    @staticmethod
    def _why(state: Any, report: Report) -> str:
        """Return what is to be said of an end beside its word: what stopped it, or why a decomposed attempt gave up."""
        if not state.ended:
            return report.stopped or ""
        return state.result if state.ended in ("undecided", "unverified", "lost_workspace") else ""

    def _task(self, kept: KeptWorkspace) -> IssueWork:
        settings = self.settings
        if settings.mode == "decomposed":
            return PiecemealTask(
                self.instance,
                world=kept,
                votes=settings.votes,
                candidates=settings.candidates,
                sampling=Sampling(temperature=settings.temperature, max_tokens=settings.max_tokens),
                window=settings.window or WINDOW,
                tests_s=settings.tests_s,
            )
        return self._agent(kept)

    def _agent(self, kept: KeptWorkspace) -> IssueTask:
        settings = self.settings
        sampling = Sampling(
            temperature=settings.temperature,
            # A second attempt that begins with the same answer is the first once more.
            first_temperature=0.0 if settings.attempts == 1 else settings.temperature,
            max_tokens=settings.max_tokens,
        )

        async def history() -> AsyncIterator[tuple[int, Any, Any]]:
            state = task.start()
            if not await exists(self.redis, self.job):
                return
            async for record in records(self.redis, await load(self.redis, self.job)):
                answer = read_back(task.answer_codec, record.answer)
                if task.acts(state):
                    yield record.step, state, answer
                state = task.advance(state, answer)

        task = IssueTask.of(
            self.instance,
            kept,
            history,
            votes={"reads": 1, "writes": settings.votes, "irreversible": settings.votes},
            turns=settings.turns,
            window=settings.window,
            monitor=Policy() if settings.monitor else None,
            sampling=sampling,
        )
        return task

    def _workspace(self) -> KeptWorkspace:
        async def fill(workspace: Path) -> None:
            if self.repository is None:
                await asyncio.to_thread(workspace.mkdir, parents=True)  # the image has the repository
            else:
                await prepare_workspace(self.repository, self.instance.base_commit, workspace)

        async def prepare(world: Environment) -> bool:
            await set_up(self.instance, world, timeout_s=self.settings.tests_s)
            return bool(self.instance.setup_commands)

        return KeptWorkspace(
            self.folder,
            seen_as=self._seen_as,
            fill=fill,
            make=lambda workspace, keep: environment_of(self.instance, workspace, keep, self.settings),
            set_up=prepare,
            hosted=self.settings.environment in ("bubblewrap", "local"),
            snapshots=self.settings.rebuild == "snapshot",
        )

    @property
    def _seen_as(self) -> str:
        """Where commands find the workspace."""
        local = self.settings.environment == "local"
        return str(self.folder.absolute() / "workspace") if local else SEEN_AS

    def _budget(self) -> Budget:
        settings = self.settings
        return Budget(
            tokens=settings.tokens,
            cost=settings.cost,
            price=self._price if settings.cost else None,
            wall_s=settings.wall_s,
            working_s=settings.working_s,
            shared=self.purse,
        )

    @property
    def _price(self) -> Price | None:
        settings = self.settings
        if settings.input_price is None or settings.output_price is None:
            return None
        return Price(settings.input_price, settings.output_price)


def _score(trajectory: Path) -> float | None:
    try:
        scores = [reading.score for reading in readings(read(trajectory).turns)]
    except BadInput:
        return None  # no turn, or none that can be scored
    return round(scores[-1], 1) if scores else None
