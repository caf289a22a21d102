"""Many instances at a time: a batch of jobs, shared by the workers of a process, by processes, and by machines on one Redis.

| in the folder of a run | |
| --- | --- |
| run.json, instances.jsonl | what the run is, written once |
| preds.json | the predictions so far, as the official harness takes them |
| instances/ID/result.json | what became of an instance, when it is over |
| instances/ID/attempt-N/ | result.json, ID.traj.json, and the workspace while it is needed |
"""

import asyncio
import fcntl
import json
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from surefoot.agents.agent.exit_status import ExitStatus
from surefoot.agents.swe.instances import Instance, read_instances, row_of
from surefoot.agents.swe.patches import PatchRefused
from surefoot.agents.swe.predictions import Prediction, merge_predictions
from surefoot.agents.swe.repository import find_repository
from surefoot.errors import BadInput, SurefootError
from surefoot.models.base import Model
from surefoot.orchestration.budget import Purse
from surefoot.orchestration.events import Began, Event, Listen, StepDecided, ignore, shielded
from surefoot.orchestration.journal.lease import JobHeld, WriteRefused
from surefoot.orchestration.redis.client import RedisUnavailable
from surefoot.private_files import open_private, replacement
from surefoot.tools.bounded_text import one_line
from surefoot.tools.failed import ToolFailed

from . import settings as stored
from .attempt import InstanceAttempt
from .result import FILE, InstanceResult, Result, read_instance, write
from .settings import SweSettings
from .tests_run import environment_of, graded, states, visible

ROWS = "instances.jsonl"
PREDICTIONS = "preds.json"
TESTS = "tests"
"""The folder of an instance in which tests are run."""
NOT_ITS_OWN = (JobHeld, WriteRefused, RedisUnavailable, RedisError)
"""What says nothing of the instance on which it came up: somebody else has it, or nobody can go on."""
NO_MORE = (ExitStatus.CANCELLED, ExitStatus.FAILED_SETUP)
"""What another attempt would not change."""
LOOK_AGAIN_S = 1.0
"""Between two looks at instances that somebody else works on."""


class InFlight:
    """An instance that is worked on, for who watches."""

    def __init__(self, instance_id: str) -> None:
        self.instance_id = instance_id
        self.attempt = 1
        self.turns = self.calls = 0
        self.doing = "starting"
        self.since = time.monotonic()

    def listen(self, event: Event) -> None:
        """Follow the attempt's job."""
        if isinstance(event, Began):
            self.turns = self.calls = 0
            self.doing = "asking"
        elif isinstance(event, StepDecided):
            # The world's answers have no votes.
            self.turns, self.calls = self.turns + (event.votes > 0), self.calls + (event.votes == 0)


class Fleet:
    """A run over many instances, in a folder.

        fleet = Fleet.begun(Path("runs/x"), SweSettings(instances=..., repos=..., model="http://gpu:8000/v1"))
        results = await fleet.work(redis, model, workers=8)      # as often as it takes; every instance ends once

    Several processes may work on one folder, and several machines on one Redis: an instance has one runner at a time.
    """

    def __init__(self, out: Path, settings: SweSettings, instances: tuple[Instance, ...]) -> None:
        self.out, self.settings = out.absolute(), settings
        self.instances = instances
        self._purse: Purse | None = None
        self._listen: Listen = ignore
        self.in_flight: dict[str, InFlight] = {}
        """Those that this process works on."""
        self.ended: dict[str, InstanceResult] = {}
        """Those that it has worked on."""

    @classmethod
    def begun(cls, out: Path, settings: SweSettings) -> Self:
        """Begin a run in a folder that has none; raises `BadInput` for rows that cannot be read, or a folder that cannot be used."""
        instances = read_instances(settings.instances)
        if (out / stored.FILE).exists():
            raise BadInput(
                f"{str(out)!r} holds a run already: `surefoot swe resume {out}` goes on with it, another --out begins a new one"
            )
        try:
            out.mkdir(parents=True, exist_ok=True)
            with replacement(out / ROWS) as file:
                file.writelines(json.dumps(row_of(instance)) + "\n" for instance in instances)
        except OSError as error:
            raise BadInput(f"{str(out)!r} cannot be written: {error.strerror or error}") from None
        stored.save(settings, out)  # last: with it there is a run
        return cls(out, settings, instances)

    @classmethod
    def again(cls, out: Path) -> Self:
        """Take a run up; raises `BadInput` if there is none."""
        return cls(out, stored.load(out), read_instances(out / ROWS))

    def result(self, instance: Instance) -> InstanceResult | None:
        """Return what became of an instance, None if it is not over."""
        return read_instance(self._folder(instance))

    def results(self) -> dict[str, InstanceResult]:
        """Return what became of all that are over, by their ids."""
        found = {instance.instance_id: self.result(instance) for instance in self.instances}
        return {name: result for name, result in found.items() if result is not None}

    async def check(self) -> None:
        """Try the environment out before anything is spent; raises `BadInput`."""
        if self._in_containers:
            return  # an image each
        with tempfile.TemporaryDirectory(prefix="surefoot-trial-") as folder:
            world = environment_of(self.instances[0], Path(folder), None, self.settings)
            await world.start()
            await world.stop()

    async def work(
        self,
        redis: Redis,
        model: Model,
        *,
        workers: int = 1,
        purse: Purse | None = None,
        on_event: Listen | None = None,
    ) -> dict[str, InstanceResult]:
        """Work on every instance that is not over, `workers` at a time, until all are, and return what became of them.

        `purse` bounds what this call spends: an attempt that it stops can be resumed.  Instances that somebody else works on are waited
        for: they are taken over if that runner dies.  `on_event` hears the events of all attempts.
        """
        if workers < 1:
            raise BadInput(f"a fleet needs a worker at least, not {workers!r}")
        await self.check()
        self._purse, self._listen = purse, shielded(on_event)
        waiting = deque(self.instances)
        tasks = [asyncio.create_task(self._worker(waiting, redis, model)) for _ in range(workers)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self.results()

    async def _worker(self, waiting: deque[Instance], redis: Redis, model: Model) -> None:
        while waiting:
            instance = waiting.popleft()
            try:
                with _held(self._folder(instance), instance.instance_id):
                    await self._instance(instance, redis, model)
            except (JobHeld, WriteRefused):
                waiting.append(instance)
                await asyncio.sleep(LOOK_AGAIN_S)
            except OSError as error:
                raise BadInput(
                    f"{error.filename or str(self.out)!r} cannot be read or written: {error.strerror or error}"
                ) from error

    async def _instance(self, instance: Instance, redis: Redis, model: Model) -> None:
        found = self.result(instance)
        if found is not None and found.chosen.is_over:
            return
        row = self.in_flight[instance.instance_id] = InFlight(instance.instance_id)
        try:
            try:
                result = await self._worked(instance, redis, model, row)
            except NOT_ITS_OWN:
                raise
            except Exception as error:  # whatever else it is, the other instances go on
                result = _not_done(instance, error)
            # The prediction first: with the result the instance is over.
            prediction = Prediction(instance.instance_id, model.name, result.chosen.patch)
            await asyncio.to_thread(merge_predictions, self.out / PREDICTIONS, [prediction])
            write(self._folder(instance) / FILE, result)
            self.ended[instance.instance_id] = result
        finally:
            del self.in_flight[instance.instance_id]

    async def _worked(self, instance: Instance, redis: Redis, model: Model, row: InFlight) -> InstanceResult:
        try:
            repository = self._repository(instance)
        except BadInput as error:
            return _not_begun(instance, str(error))
        chosen, attempts = await self._chosen(instance, repository, redis, model, row)
        row.doing = "grading"
        return await self._graded(instance, repository, chosen, attempts)

    async def _chosen(
        self, instance: Instance, repository: Path | None, redis: Redis, model: Model, row: InFlight
    ) -> tuple[Result, int]:
        """Make attempts until one holds, and return the best and how many there are."""
        results: list[Result] = []
        before: Mapping[str, bool] | None = None
        place = self._folder(instance) / TESTS
        sees_tests = self.settings.attempts > 1 and not self._in_containers

        def listen(event: Event) -> None:
            row.listen(event)
            self._listen(event)

        for number in range(1, self.settings.attempts + 1):
            row.attempt, row.doing = number, "starting"
            attempt = InstanceAttempt(
                instance=instance,
                number=number,
                folder=self._folder(instance) / f"attempt-{number}",
                settings=self.settings,
                repository=repository,
                redis=redis,
                model=model,
                listen=listen,
                purse=self._purse,
            )
            result = await attempt.made()
            if sees_tests and result.patch and repository is not None:
                row.doing = "running the tests that are there"
                if before is None:
                    before = await states(instance, "", repository, self.settings, place)
                after = await states(instance, result.patch, repository, self.settings, place)
                result = result.model_copy(update={"visible": visible(before, after)})
            results.append(result)
            # One that can be resumed is to be resumed, and what could not begin does not begin a second time.
            if result.holds or not result.is_over or result.exit_status in NO_MORE:
                break
        return min(results, key=lambda result: result.rank), len(results)

    async def _graded(
        self, instance: Instance, repository: Path | None, chosen: Result, attempts: int
    ) -> InstanceResult:
        result = InstanceResult(instance_id=instance.instance_id, attempts=attempts, chosen=chosen)
        if not self.settings.grade or not instance.fail_to_pass:
            return result
        if not chosen.patch:
            return result.model_copy(update={"resolved": False, "why": "there is no patch"})
        if repository is None or self._in_containers:
            return result.model_copy(update={"why": "not graded: the official harness grades preds.json"})
        try:
            grade = await graded(
                instance, chosen.patch, repository, self.settings, self._folder(instance) / TESTS
            )
        except PatchRefused as error:
            return result.model_copy(update={"resolved": False, "why": error.sentence})
        except (BadInput, ToolFailed) as error:
            return result.model_copy(update={"why": f"not graded: {error}"})
        lists = {
            name: (len(outcome.passed), len(outcome.passed) + len(outcome.failed))
            for name, outcome in (("fail_to_pass", grade.fail_to_pass), ("pass_to_pass", grade.pass_to_pass))
        }
        return result.model_copy(
            update={
                "resolved": grade.resolved,
                "grader": grade.grader,
                "warnings": grade.warnings,
                "why": "" if grade.readable else "the tests' log tells of no run",
                **lists,
            }
        )

    @property
    def _in_containers(self) -> bool:
        return self.settings.environment in ("docker", "podman")

    def _repository(self, instance: Instance) -> Path | None:
        return None if self.settings.repos is None else find_repository(self.settings.repos, instance.repo)

    def _folder(self, instance: Instance) -> Path:
        return self.out / "instances" / instance.instance_id


def _not_begun(
    instance: Instance, why: str, exit_status: ExitStatus = ExitStatus.FAILED_SETUP
) -> InstanceResult:
    chosen = Result(instance_id=instance.instance_id, attempt=0, job="", exit_status=exit_status, why=why)
    return InstanceResult(instance_id=instance.instance_id, attempts=0, chosen=chosen)


def _not_done(instance: Instance, error: Exception) -> InstanceResult:
    """Return what is said of an instance on which something failed that nobody has thought of; it can be resumed."""
    sentence = str(error) if isinstance(error, SurefootError) else f"{type(error).__name__}: {error}"
    return _not_begun(instance, one_line(sentence), ExitStatus.STOPPED)


@contextmanager
def _held(folder: Path, instance_id: str) -> Iterator[None]:
    """Let one process at a time work on an instance in this folder; a job's lease holds on other machines, and ends before the result is there."""
    folder.mkdir(parents=True, exist_ok=True)
    file = open_private(folder / ".lock")
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobHeld(f"instance {instance_id!r} is worked on by another process") from None
        yield
    finally:
        os.close(file)
