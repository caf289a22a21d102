"""Workspaces: a repository as it was at an instance's base commit, without what came later."""

import os
from pathlib import Path

from surefoot.errors import BadInput

from .git import Borrowed, GitFailed, borrowed, git, terminated
from .instances import Instance
from .patches import PatchRefused, changed_paths, check_patch, encoded, ended

IDENTITY = {"user.name": "agent", "user.email": "agent@localhost"}
"""Without one `git stash` and `git commit` refuse to work, and nobody's settings are to be found in a sandbox."""


def find_repository(folder: Path, repo: str) -> Path:
    """Return the clone or mirror of `owner/name` in a folder of them; `BadInput` says where it was looked for.

    Looked for, in this order, are `owner/name`, `owner__name`, `name`, each with and without `.git`.
    """
    names = [repo, repo.replace("/", "__"), repo.rpartition("/")[2]]
    tried = [folder / f"{name}{ending}" for name in dict.fromkeys(names) for ending in ("", ".git")]
    for path in tried:
        if path.is_dir():
            return path
    raise BadInput(
        f"no clone of {repo!r} in {str(folder)!r}: expected one of {[str(path.relative_to(folder)) for path in tried]}"
    )


async def find_commit(repository: Path, name: str = "HEAD") -> str:
    """Return the full id of a commit that a repository knows by this name; `BadInput` if there is none."""
    try:
        found = await git("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}", cwd=repository)
    except (GitFailed, ValueError) as failed:
        raise BadInput(
            f"{str(repository)!r} is no git repository, or has no commit {name!r}: {failed}"
        ) from None
    return found.decode().strip()


async def prepare_workspace(
    repository: Path, commit: str, workspace: Path, *, history: int | None = None
) -> None:
    """Check out `commit` of a local clone or mirror into `workspace`, a new or empty folder, without network.

    The workspace has objects of its own, the newest `history` commits up to `commit` (all: None), and no other: no later
    commit, branch, tag, reflog or remote, so that nobody finds the fix there.  Submodules stay empty.
    Raises `BadInput` if there is no such repository or commit, or if the workspace is not empty.
    """
    if history is not None and history < 1:
        raise BadInput(f"history must be at least 1 commit, not {history!r}")
    async with borrowed(repository, commit) as source:
        workspace = _made_empty(workspace)
        try:
            await _fetch(source, workspace, history)
            for name, value in IDENTITY.items():
                await git("config", name, value, cwd=workspace)
            await git("read-tree", "--reset", "-u", "HEAD", cwd=workspace)
        except GitFailed as failed:
            raise BadInput(f"{commit!r} of {str(repository)!r} could not be checked out: {failed}") from None


async def prepare_for_tests(instance: Instance, patch: str, repository: Path, workspace: Path) -> None:
    """Make the workspace that the tests run in: the base commit, the patch of a prediction, the instance's test patch.

    As the official harness does, the files of the test patch are first put back to what they were at the base commit.
    Raises `PatchRefused` if the prediction does not apply, `BadInput` if anything else fails.
    """
    # What it would reach outside of the workspace is refused before any file is written.
    await check_patch(encoded(patch), repository, instance.base_commit)
    await prepare_workspace(repository, instance.base_commit, workspace, history=1)
    if patch:
        try:
            await apply_patch(workspace, patch)
        except GitFailed as failed:
            raise PatchRefused(f"the patch does not apply at {instance.base_commit!r}: {failed}") from None
    if not instance.test_patch:
        return
    try:
        await _put_back(workspace, await changed_paths(encoded(instance.test_patch), workspace))
        await apply_patch(workspace, instance.test_patch)
    except GitFailed as failed:
        raise BadInput(
            f"the test patch of instance {instance.instance_id!r} does not apply at {instance.base_commit!r}: {failed}"
        ) from None


async def apply_patch(workspace: Path, patch: str) -> None:
    """Apply a patch to a workspace that no agent has written to; raises `GitFailed`, and then nothing is changed."""
    await git("apply", "--whitespace=nowarn", "-", cwd=workspace, stdin=ended(encoded(patch)))


async def _fetch(source: Borrowed, workspace: Path, history: int | None) -> None:
    await git("update-ref", "refs/heads/main", source.commit, cwd=source.bare)
    object_format = "sha256" if len(source.commit) == 64 else "sha1"
    await git("init", "-q", "--template=", f"--object-format={object_format}", workspace, cwd=source.folder)
    depth = [] if history is None else [f"--depth={history}"]
    options = [
        "-q",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-recurse-submodules",
        "--update-shallow",
        *depth,
    ]
    await git("fetch", *options, source.bare, "refs/heads/main:refs/heads/fetched", cwd=workspace)
    await git("update-ref", "refs/heads/main", source.commit, cwd=workspace)
    await git("update-ref", "-d", "refs/heads/fetched", cwd=workspace)


def _made_empty(workspace: Path) -> Path:
    """Return the absolute path of a workspace, for git is run in other folders; `BadInput` if it holds anything."""
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        filled = any(workspace.iterdir())
    except OSError as error:
        raise BadInput(f"{str(workspace)!r} cannot be a workspace: {error.strerror}") from None
    if filled:
        raise BadInput(
            f"{str(workspace)!r} is not empty: remove it, or give another folder for the workspace"
        )
    return workspace.absolute()


async def _put_back(workspace: Path, paths: list[bytes]) -> None:
    """Give files what they hold at HEAD, and remove those that it has not."""
    listed = await git("ls-tree", "-r", "-z", "--name-only", "HEAD", cwd=workspace)
    there = set(listed.split(b"\0")[:-1]) & set(paths)
    for path in set(paths) - there:
        try:
            (workspace / os.fsdecode(path)).unlink(missing_ok=True)
        except OSError as error:  # the patch has a folder there, or a file where its folder should be
            raise GitFailed(f"{os.fsdecode(path)}: {error.strerror}".encode()) from None
    await git("checkout-index", "-f", "-z", "--stdin", cwd=workspace, stdin=terminated(sorted(there)))
