"""`surefoot swe replay`: a trajectory's acts made once more, and what came of them beside what is recorded."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table

from surefoot.tools.bounded_text import one_line

from .common import go, print_result
from .options import AsJson

if TYPE_CHECKING:
    from surefoot.agents.swe.recorded import Recording
    from surefoot.agents.swe.replay import Replay
    from surefoot.tools.environments.environment import Environment

FAILED = 1
"""Something came out otherwise than recorded."""
TESTBED = "/testbed"
"""Where the official images, and runs of ours, have the repository."""
LONGEST_CELL = 100


def replay(
    trajectory: Annotated[Path, typer.Argument(help="A .traj.json of mini-swe-agent's, or of ours.")],
    *,
    repo: Annotated[Path, typer.Option(help="A clone or mirror of the repository.")],
    commit: Annotated[str, typer.Option(help="The commit that the run began with.")] = "HEAD",
    env: Annotated[
        str, typer.Option(help="Where commands run: bubblewrap, or local, for trusted ones.")
    ] = "bubblewrap",
    seen_as: Annotated[
        str | None,
        typer.Option(
            help="Where commands in bubblewrap find the workspace; where they did, or /testbed, if absent."
        ),
    ] = None,
    readable: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder that commands in bubblewrap may read, such as a Python; may be repeated."
        ),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds that a command may take; as recorded, or 120, if absent.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Leave the workspace in this folder, a new or an empty one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a trajectory's acts again; compare outputs, exit codes and the patch.  Exit code 1 if one differs."""
    kept = None if keep is None else keep.absolute()
    options = {"env": env, "seen_as": seen_as, "readable": readable or [], "timeout": timeout}

    async def work() -> tuple["Recording", str, "Replay"]:
        from surefoot.agents.swe.recorded import read_recording
        from surefoot.agents.swe.replay import replay as made_again
        from surefoot.agents.swe.repository import find_commit

        recording = read_recording(trajectory)
        base = await find_commit(repo, commit)
        async with _started(recording, repo, base, kept, options) as world:
            return recording, base, await made_again(recording, repo, base, world)

    recording, base, found = go(work(), as_json)
    shown = {"trajectory": str(trajectory), "instance_id": recording.instance_id, "commit": base}
    shown["commit_is"] = commit
    print_result(_record(shown, found), _page(shown, found), as_json)
    if not found.faithful:
        raise typer.Exit(FAILED)


@asynccontextmanager
async def _started(
    recording: "Recording", repo: Path, commit: str, keep: Path | None, options: dict[str, Any]
) -> AsyncIterator["Environment"]:
    """Start an environment around the repository as it was at a commit."""
    from surefoot.agents.swe.repository import prepare_workspace

    folder = Path(tempfile.mkdtemp(prefix="surefoot-replay-"))
    try:
        workspace = folder / "workspace" if keep is None else keep
        await prepare_workspace(repo, commit, workspace)
        world = _world(recording, workspace, **options)
        await world.start()
        try:
            yield world
        finally:
            await world.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _world(
    recording: "Recording",
    workspace: Path,
    *,
    env: str,
    seen_as: str | None,
    readable: list[Path],
    timeout: float | None,
) -> "Environment":
    from surefoot.agents.swe.replay import output_bytes
    from surefoot.errors import BadInput
    from surefoot.tools.environments import Bubblewrap, Limits, Local

    limits = Limits(
        timeout_s=timeout if timeout is not None else recording.place.timeout_s or Limits().timeout_s,
        output_bytes=output_bytes(recording),
    )
    if env == "local":
        return Local(workspace, trusted=True, limits=limits)
    if env not in ("bubblewrap", "bwrap"):
        raise BadInput(f"a trajectory is replayed in bubblewrap or local, not in {env!r}")
    if seen_as is not None:
        return Bubblewrap(workspace, seen_as=seen_as, readable=readable, limits=limits)
    try:
        return Bubblewrap(
            workspace, seen_as=recording.place.folder or TESTBED, readable=readable, limits=limits
        )
    except BadInput:  # no place of this kind can be there
        return Bubblewrap(workspace, seen_as=TESTBED, readable=readable, limits=limits)


def _record(shown: dict[str, str], found: "Replay") -> dict[str, Any]:
    return {
        **shown,
        "faithful": found.faithful,
        "acts": found.acts.acts,
        "kinds": found.acts.kinds,
        "differing": [
            {**each._asdict(), "call": each.call._asdict(), "number": each.number}
            for each in found.acts.differing
        ],
        "patch": found.patch._asdict(),
    }


def _page(shown: dict[str, str], found: "Replay") -> RenderableType:
    parts: list[RenderableType] = []
    if found.acts.differing:
        parts += [_table(found), ""]
    is_default = " (HEAD of the repository)" if shown["commit_is"] == "HEAD" else ""
    told = ", ".join(f"{count:,} {kind}" for kind, count in found.acts.kinds.items())
    patch = found.patch
    parts += [
        f"commit  {shown['commit']}{is_default}",
        f"acts    {found.acts.acts:,}: {told}",
        f"patch   {patch.verdict}{f': {one_line(patch.why)}' if patch.why else ''}",
    ]
    if patch.expected or patch.seen:
        parts += ["", "recorded patch, from where they part:", *patch.expected.split("\n")]
        parts += ["", "patch of the replay:", *patch.seen.split("\n")]
    return Group(*parts)


def _table(found: "Replay") -> Table:
    made = Table("act", "call", "what", "recorded", "now", box=None)
    for each in found.acts.differing:
        told = f"{each.call.name} {each.call.arguments}"
        made.add_row(
            str(each.number),
            one_line(told, LONGEST_CELL),
            each.kind,
            _cell(each.expected_code, each.expected),
            _cell(each.seen_code, each.seen),
        )
    return made


def _cell(code: int | None, text: str) -> str:
    return f"[{'time up' if code in (None, -1) else code}] {one_line(text, LONGEST_CELL)}"
