"""The tests of an instance, run on a patch in a workspace of their own: those that are there to see, and those of the row."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from surefoot.agents.swe.grading import PASSING, PatchGrade, grade, read_log, run_tests
from surefoot.agents.swe.instances import PYTEST, Instance
from surefoot.agents.swe.patches import PatchRefused
from surefoot.agents.swe.repository import prepare_for_tests
from surefoot.errors import BadInput
from surefoot.tools.environments.choosing import choose
from surefoot.tools.environments.environment import Environment
from surefoot.tools.environments.limits import Limits
from surefoot.tools.failed import ToolFailed

from .result import Visible
from .settings import SweSettings

OUTPUT_BYTES = 16 << 20
"""Of a run of tests that is kept: names of tests are all over it."""
SEEN_AS = "/testbed"
"""Where commands find the workspace, as in the official images."""


async def graded(
    instance: Instance, patch: str, repository: Path, settings: SweSettings, place: Path
) -> PatchGrade:
    """Run the row's tests on a patch and grade it; raises `BadInput`, `PatchRefused`."""
    async with _prepared(instance, patch, repository, settings, place) as world:
        log = await run_tests(instance, world, timeout_s=settings.tests_s)
    # The official grader takes seconds to load.
    return await asyncio.to_thread(grade, instance, log)


async def states(
    instance: Instance, patch: str, repository: Path, settings: SweSettings, place: Path
) -> Mapping[str, bool]:
    """Run the tests that the repository has at the base commit on a patch, and return which pass; empty if the run says nothing."""
    command = PYTEST if _names_hidden(instance) else instance.test_command or PYTEST
    shown = replace(instance, test_command=command, test_patch="", fail_to_pass=(), pass_to_pass=())
    try:
        async with _prepared(shown, patch, repository, settings, place) as world:
            log = await run_tests(shown, world, timeout_s=settings.tests_s)
    except (BadInput, PatchRefused, ToolFailed):
        return {}  # the set-up does not even run
    found = await asyncio.to_thread(read_log, log)
    return {name: state in PASSING for name, state in (found or {}).items()}


def visible(before: Mapping[str, bool], after: Mapping[str, bool]) -> Visible | None:
    """Say what a patch changed in the tests that were there; None if nothing is known of them without it."""
    if not before:
        return None
    broken = [name for name, passed in before.items() if passed and not after.get(name)]
    mended = [name for name, passed in before.items() if not passed and after.get(name)]
    return Visible(broken=tuple(sorted(broken)), mended=tuple(sorted(mended)))


def _names_hidden(instance: Instance) -> bool:
    """Whether a row's command for tests names a file that only its hidden tests are in."""
    files = {name.partition("::")[0] for name in (*instance.fail_to_pass, *instance.pass_to_pass)}
    return any(file in instance.test_command for file in files)


@asynccontextmanager
async def _prepared(
    instance: Instance, patch: str, repository: Path, settings: SweSettings, place: Path
) -> AsyncIterator[Environment]:
    """Make a workspace in the folder `place`, in the stead of one that a runner left there that was killed."""
    await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
    try:
        await prepare_for_tests(instance, patch, repository, place)
        world = environment_of(instance, place, None, settings, output_bytes=OUTPUT_BYTES)
        await world.start()
        try:
            yield world
        finally:
            await world.stop()
    finally:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)


def environment_of(
    instance: Instance,
    workspace: Path,
    keep: Path | None,
    settings: SweSettings,
    *,
    output_bytes: int | None = None,
) -> Environment:
    """Return the environment of a workspace, not yet started."""
    limits = Limits(timeout_s=settings.timeout_s)
    if output_bytes is not None:
        limits = replace(limits, output_bytes=output_bytes)
    in_container = settings.environment in ("docker", "podman")
    return choose(
        settings.environment,
        SEEN_AS if in_container else workspace,
        image=instance.image,
        trusted=settings.environment == "local",
        limits=limits,
        seen_as=SEEN_AS,
        readable=settings.readable,
        keep=keep,
        # Only commands in the sandbox write there, so that what looks as if it led out, a socket or a pipe, does not.
        shared=True,
    )
