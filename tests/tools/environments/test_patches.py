"""Patches: they rebuild the workspace on a clean checkout, whatever is in it, and run nothing of it."""

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from surefoot.tools import ToolFailed
from surefoot.tools.environments import Environment, Local

Opened = Callable[..., AbstractAsyncContextManager[Environment]]
GIT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(folder: Path, *arguments: str, **more: str) -> bytes:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env={**GIT, **more}, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def content(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Files and links of a folder, but for repositories; whether a file can be run."""
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if name.split("/")[0] == ".git":
            continue
        if path.is_symlink():
            found[name] = ("link", os.fsencode(path.readlink()))
        elif path.is_file():
            found[name] = ("program" if path.stat().st_mode & 0o100 else "file", path.read_bytes())
    return found


def apply(patch: bytes, folder: Path) -> None:
    """Apply a patch as the harness does, in a folder that is no repository of its own."""
    if patch:
        subprocess.run(
            ["git", "apply", "--verbose", "-"], cwd=folder, input=patch, env=GIT, check=True, timeout=60
        )


def fill(folder: Path) -> None:
    (folder / "src").mkdir()
    (folder / "src" / "code.py").write_text("".join(f"line {n}\n" for n in range(50)))
    (folder / "crlf.txt").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    (folder / "no end").write_bytes(b"one\ntwo")
    (folder / "data.bin").write_bytes(bytes(range(256)) * 10)
    (folder / "gone.txt").write_text("gone\n")
    (folder / "gone.bin").write_bytes(bytes(range(256)))
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "link").symlink_to("src/code.py")
    (folder / ".gitattributes").write_text(
        "*.txt text eol=crlf\n*.py ident\n*.bin binary\n*.enc working-tree-encoding=UTF-16\n"
    )
    (folder / "a.enc").write_bytes("text".encode("utf-16"))


CHANGE = r"""
sed -i 's/line 7$/LINE 7 $Id$/' src/code.py
printf 'one\r\nTWO\r\nthree\r\n' > crlf.txt
printf 'one\ntwo\nthree' > 'no end'
printf '\000\001\002\r\n\377' > data.bin
rm gone.txt gone.bin
chmod +x run.sh
rm link; ln -s ../elsewhere link
mkdir -p 'new folder/deep'; echo new > 'new folder/deep/file with "quotes" and	tab'
printf 'kein Zeilenende' > 'naïve ü.txt'; printf 'a\r\nb\n' > mixed.txt; : > empty
head -c 5000 /dev/urandom > new.bin
printf 'x' > new.enc; printf 'new\nline' > "$(printf 'two\nlines')"
mv src/code.py src/moved.py
"""


@pytest.mark.parametrize("repository", [False, True])
async def test_a_patch_makes_of_a_clean_checkout_what_the_workspace_is(
    environment: Opened, workspace: Path, tmp_path: Path, repository: bool
) -> None:
    fill(workspace)
    if repository:
        git(workspace, "init", "-q")
        git(workspace, "add", "-A")
        git(workspace, "commit", "-q", "-m", "all")
    clean = tmp_path / "clean"
    shutil.copytree(workspace, clean, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    async with environment() as world:
        assert await world.diff() == b""
        assert (await world.execute(CHANGE)).code == 0
        patch = await world.diff()
        assert await world.diff() == patch
    apply(patch, clean)
    assert content(clean) == content(workspace)
    assert b"LINE 7" in patch and b"TWO\r\n" in patch and b"\\ No newline at end of file" in patch


async def test_the_users_repository_stays_as_it_is(environment: Opened, workspace: Path) -> None:
    """What was staged or changed before the start is no part of the patch, and stays staged."""
    fill(workspace)
    git(workspace, "init", "-q")
    git(workspace, "add", "src")
    git(workspace, "commit", "-q", "-m", "some")
    git(workspace, "add", "crlf.txt")
    (workspace / "src" / "code.py").write_text("changed before\n")
    before = content(workspace / ".git")
    async with environment() as world:
        await world.execute("echo after >> src/code.py; echo untracked > new")
        patch = await world.diff()
    assert content(workspace / ".git") == before
    assert (
        b"+after" in patch
        and b"changed before\n" in patch
        and b"-changed before" not in patch
        and b"+untracked" in patch
    )


async def test_what_is_ignored_is_left_out_unless_the_repository_has_it(
    environment: Opened, workspace: Path
) -> None:
    git(workspace, "init", "-q")
    (workspace / ".gitignore").write_text("*.log\nbuild/\n")
    (workspace / "kept.log").write_text("tracked all the same\n")
    git(workspace, "add", "-A", "-f")
    git(workspace, "commit", "-q", "-m", "all")
    (workspace / ".git" / "info" / "exclude").write_text("scratch*\n")
    async with environment() as world:
        await world.execute(
            "echo more >> kept.log; echo x > new.log; mkdir build; echo x > build/x; echo x > scratch.py"
        )
        patch = (await world.diff()).decode()
        assert patch.count("diff --git") == 1 and "+++ b/kept.log" in patch
        await world.execute("rm kept.log")
        assert "deleted file" in (await world.diff()).decode()


EVIL = """\
[core]
	fsmonitor = {run}
	hooksPath = {hooks}
	pager = {run}
	worktree = /
	attributesFile = {hooks}/attributes
[filter "evil"]
	clean = {run}
	smudge = {run}
	process = {run}
	required = true
[diff]
	external = {run}
[diff "evil"]
	textconv = {run}
	command = {run}
[include]
	path = {hooks}/more
"""


async def test_nothing_that_the_workspace_configures_is_run(
    environment: Opened, workspace: Path, tmp_path: Path
) -> None:
    git(workspace, "init", "-q")
    (workspace / "a.txt").write_text("one\n")
    git(workspace, "add", "-A")
    git(workspace, "commit", "-q", "-m", "all")
    async with environment() as world:
        ran = f"{world.workspace}/ran"
        run = f"{world.workspace}/run.sh"
        await world.write("run.sh", f"#!/bin/sh\necho ran >> '{ran}'\ncat\n".encode())
        await world.write(".gitattributes", b"* filter=evil diff=evil\n")
        await world.write(
            ".git/config", EVIL.format(run=f'\\"{run}\\"', hooks=f"{world.workspace}/hooks").encode()
        )
        hooks = "pre-commit post-index-change post-checkout fsmonitor-watchman"
        await world.execute(
            f"chmod +x run.sh; mkdir hooks; for h in {hooks}; do cp run.sh hooks/$h; cp run.sh .git/hooks/$h; done"
        )
        await world.execute("echo two > a.txt; chmod +x hooks/* .git/hooks/*")
        patch = await world.diff()
    assert b"+two" in patch and b"+++ b/run.sh" in patch
    assert not (workspace / "ran").exists()


async def test_what_git_cannot_take_is_left_out(environment: Opened, workspace: Path, tmp_path: Path) -> None:
    """Repositories in the workspace, with and without a commit, pipes, sockets, and a file that became a folder or a link."""
    fill(workspace)
    clean = tmp_path / "clean"
    shutil.copytree(workspace, clean, symlinks=True)
    commands = """
git init -q empty; echo x > empty/x; git init -q full; cd full; echo x > x; git add x
git -c user.name=a -c user.email=a@b commit -q -m x; cd ..
mkfifo pipe; rm gone.txt; mkdir gone.txt; echo below > gone.txt/below; rm data.bin; ln -s /etc/passwd data.bin
rm -r src; mkfifo src; git init -q .; echo yes > last
"""
    async with environment() as world:
        await world.execute(commands)
        patch = await world.diff()
    apply(patch, clean)
    made = content(clean)
    assert made["last"] == ("file", b"yes\n") and made["gone.txt/below"] == ("file", b"below\n")
    assert made["data.bin"] == ("link", b"/etc/passwd") and "src/code.py" not in made
    assert not any(name.startswith(("empty", "full", "pipe")) for name in made)
    assert b"root:" not in patch


async def test_a_workspace_that_was_emptied_has_a_patch_too(
    environment: Opened, workspace: Path, tmp_path: Path
) -> None:
    fill(workspace)
    git(workspace, "init", "-q")
    git(workspace, "add", "-A")
    git(workspace, "commit", "-q", "-m", "all")
    clean = tmp_path / "clean"
    shutil.copytree(workspace, clean, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    async with environment() as world:
        await world.execute("rm -rf .git * .[a-z]*; echo new > new")
        patch = await world.diff()
    apply(patch, clean)
    assert content(clean) == content(workspace) == {"new": ("file", b"new\n")}


async def test_a_changed_file_that_looks_unchanged_is_found(environment: Opened, workspace: Path) -> None:
    (workspace / "a").write_text("one\n")
    os.utime(workspace / "a", (1_000_000_000, 1_000_000_000))
    async with environment() as world:
        await world.execute("touch -r a then; echo two > a; touch -r then a; rm then")
        assert b"+two" in await world.diff()


async def test_settings_in_the_environment_change_nothing(
    environment: Opened, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "a").write_text("one\n")
    hostile = {
        "GIT_EXTERNAL_DIFF": "false",
        "GIT_DIR": "/nowhere",
        "GIT_INDEX_FILE": "/nowhere",
        "GIT_DIFF_OPTS": "-u0",
    }
    async with environment(environment=hostile) as world:
        await world.execute("echo two > a")
        assert b"+two" in await world.diff()


async def test_a_patch_that_is_too_large_is_refused(environment: Opened, workspace: Path) -> None:
    async with environment(limits={"file_bytes": 1 << 20}) as world:
        await world.execute("for i in 1 2 3; do head -c 900K /dev/urandom > $i; done")
        with pytest.raises(ToolFailed, match="patch"):
            await world.diff()
        await world.execute("rm 2 3; echo small > 1")
        assert b"+small" in await world.diff()


async def test_hundreds_of_files(environment: Opened, workspace: Path) -> None:
    for number in range(600):
        folder = workspace / str(number % 20)
        folder.mkdir(exist_ok=True)
        (folder / str(number)).write_text(f"{number}\n")
    async with environment() as world:
        await world.execute("for i in */*; do echo changed >> $i; done")
        assert (await world.diff()).count(b"+changed") == 600


async def test_without_git_all_works_but_patches(workspace: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "cat", "env", "sed", "sleep"):
        (programs / name).symlink_to(str(shutil.which(name)))
    world = Local(workspace, trusted=True, environment={"PATH": str(programs)})
    await world.start()
    try:
        await world.write("a", b"x")
        assert (await world.execute("cat a")).output == "x"
        with pytest.raises(ToolFailed, match="install git"):
            await world.diff()
    finally:
        await world.stop()


async def test_a_patch_is_taken_after_a_kill_while_one_was_taken(
    environment: Opened, workspace: Path, tmp_path: Path
) -> None:
    """A git that is killed leaves the lock of its index, and perhaps half an index."""
    fill(workspace)
    keep = tmp_path / "keep"
    async with environment(keep=keep) as world:
        await world.execute("echo changed > 'no end'")
        patch = await world.diff()
    (keep / "git" / "index.lock").write_bytes((keep / "git" / "index").read_bytes()[:20])
    (keep / "git" / "index").write_bytes(b"")
    async with environment(keep=keep) as world:
        assert await world.diff() == patch != b""
