"""The workspace of a decomposed run: put back to its base byte for byte, whatever was done in it, wherever commands run."""

import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from surefoot import BadInput
from surefoot.agents.swe import prepare_workspace
from surefoot.agents.swe.decomposed.state import Edit
from surefoot.agents.swe.decomposed.workspace import PatchFails, Workspace, WorkspaceLost, folder_for_tests
from surefoot.tests.agents.swe.places import Repo
from surefoot.tools.environments import Bubblewrap, Environment, Local

PYTHON = Path(sys.base_prefix)


@pytest.fixture(params=["local", "bubblewrap"])
async def world(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> AsyncIterator[Environment]:
    folder = tmp_path / "work $x's"
    await prepare_workspace(repo.path, repo.base, folder)
    # What set-up commands leave: files that are ignored, that are new, and that are changed.
    (folder / "built.log").write_text("built")
    (folder / "new of setup.txt").write_text("new")
    (folder / "crlf.txt").write_bytes(b"x\r\ny\nz\r")
    readable = [path for path in (PYTHON, Path(sys.prefix), Path(sys.prefix).resolve()) if path.is_dir()]
    place: Environment = (
        Local(folder, trusted=True) if request.param == "local" else Bubblewrap(folder, readable=readable)
    )
    try:
        await place.start()
    except BadInput as error:
        if "namespace" in str(error) or "uid map" in str(error):
            pytest.skip(f"the kernel gives no user namespace here: {error}")
        raise
    yield place
    await place.stop()


def folder_of(world: Environment) -> Path:
    return Path(world.workspace)


def held(folder: Path) -> dict[str, tuple[int, bytes]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.startswith(".git/"):
            continue
        content = (
            str(path.readlink()).encode()
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else b""
        )
        found[name] = path.lstat().st_mode, content
    return found


HAVOC = """\
printf 'def add(a, b):\\n    return a * b\\n' > pkg/sums.py
rm -rf tests alias.py; ln -s /etc/passwd alias.py; chmod -x run.sh; rm crlf.txt; mkdir crlf.txt; echo y > 'new of setup.txt'
mkdir -p more/folders; echo 1 > more/folders/x; git init -q more/repo; touch more/repo/file; mkfifo pipe
git add -A 2>/dev/null; git commit -qm evil; git checkout -q -b other; touch .git/surefoot/index.lock
mkdir -p .git/info; git config core.fsmonitor ./evil; git config core.hooksPath /; echo '* text eol=crlf' > .gitattributes; printf '*\\n' > .git/info/exclude
"""


async def test_whatever_was_done_the_base_comes_back_byte_for_byte(world: Environment) -> None:
    place = Workspace(world)
    base = await place.record()
    before = held(folder_of(world))
    assert (await world.execute(HAVOC)).code == 0
    assert held(folder_of(world)) != before
    await place.restore(base)
    assert held(folder_of(world)) == before
    assert await world.diff() == b""
    await place.restore(base)
    assert held(folder_of(world)) == before


async def test_a_workspace_that_is_prepared_anew_is_the_base_and_another_one_is_lost(
    world: Environment, repo: Repo, tmp_path: Path
) -> None:
    place = Workspace(world)
    base = await place.record()
    folder = folder_of(world)
    shutil.rmtree(folder / ".git/surefoot")
    await place.restore(base)
    (folder / ".git/surefoot/base").write_text("")  # a kill before the line was written
    await place.restore(base)
    assert await place.record() == base
    shutil.rmtree(folder / ".git/surefoot")
    (folder / "pkg/sums.py").write_text("another one\n")
    with pytest.raises(WorkspaceLost, match="not the base"):
        await place.restore(base)
    shutil.rmtree(folder / ".git")
    for lost in (place.record(), place.restore(base)):
        with pytest.raises(WorkspaceLost, match=r"no \.git"):
            await lost


async def test_a_damaged_base_is_named(world: Environment) -> None:
    place = Workspace(world)
    base = await place.record()
    shutil.rmtree(folder_of(world) / ".git/surefoot/objects")
    (folder_of(world) / "pkg/sums.py").write_text("changed\n")
    with pytest.raises(WorkspaceLost, match="of no use"):
        await place.restore(base)


async def test_the_files_are_listed_with_what_they_define(world: Environment) -> None:
    (folder_of(world) / "pkg/more é.py").write_text(
        "class A:\n    async def f(self): pass\n# def no\ndefine = 1\n"
    )
    place = Workspace(world)
    await place.record()
    files, defined = await place.files()
    assert files["pkg/sums.py"] == 32 and files["new of setup.txt"] == 3 and "built.log" not in files
    assert defined == {
        "pkg/sums.py": ["add"],
        "pkg/more é.py": ["A", "f"],
        "tests/test_sums.py": ["test_zero"],
    }
    assert folder_for_tests(files) == "tests/"


async def test_stale_byte_code_never_passes_for_a_patch(world: Environment) -> None:
    folder = folder_of(world)
    compiled = f"{sys.executable} -m compileall -q --invalidation-mode unchecked-hash pkg"
    assert (await world.execute(compiled)).code == 0
    place = Workspace(world)
    base = await place.record()
    await place.apply([Edit("pkg/sums.py", "    return a - b\n", "    return a + b\n")])
    command = f"{sys.executable} -c 'from pkg.sums import add; print(\"PASSED\", add(2, 3))'"
    assert await place.run(command, 60) == "PASSED 5\n"
    await place.restore(base)
    assert await place.run(command, 60) == "PASSED -1\n"
    assert not list((folder / "pkg").rglob("*.pyc"))


async def test_only_the_states_of_tests_are_read_and_time_is_bounded(world: Environment) -> None:
    place = Workspace(world)
    await place.record()
    noise = "yes noise | head -c 3000000; echo PASSED a::b; echo ' FAILED a::c'; echo FAILED a::d >&2; echo FAILED a::e - x"
    assert await place.run(noise, 60) == "PASSED a::b\nFAILED a::e - x\n"
    assert await place.run("false", 60) == ""
    assert await place.run("sleep 100", 0.5) is None


async def test_a_patch_applies_as_a_whole_or_not_at_all(world: Environment) -> None:
    folder = folder_of(world)
    place = Workspace(world)
    base = await place.record()
    fix = Edit("pkg/sums.py", "    return a - b\n", "    return a + b\n")
    again = Edit("pkg/sums.py", "    return a + b\n", "    return b + a\n")
    new = Edit("pkg/brand/new.py", "", "x = 1\n")
    assert await place.apply([fix, again, new]) == 5
    assert (folder / "pkg/sums.py").read_text().endswith("return b + a\n") and (
        folder / "pkg/brand/new.py"
    ).exists()
    await place.restore(base)
    before = held(folder)
    for wrong in (
        fix,
        Edit("pkg/absent.py", "x\n", "y\n"),
        Edit("pkg/other.log", "", "ignored\n"),
        Edit("run.sh", "", "there already\n"),
        Edit("pkg", "x\n", "y\n"),
    ):
        with pytest.raises(PatchFails):
            await place.apply([fix, new, wrong])
        assert held(folder) == before


async def test_a_patch_reaches_nothing_outside(world: Environment, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine\n")
    (folder_of(world) / "link.txt").symlink_to(outside)
    place = Workspace(world)
    await place.record()
    with pytest.raises(PatchFails):
        await place.apply([Edit("link.txt", "mine\n", "yours\n")])
    with pytest.raises(PatchFails):
        await place.apply([Edit("link.txt", "", "yours\n")])
    assert outside.read_text() == "mine\n"


def test_a_new_test_goes_to_where_most_of_them_are() -> None:
    assert folder_for_tests({}) == folder_for_tests({"a.py": 1, "test_a.py": 1}) == ""
    assert folder_for_tests({"a/tests/test_x.py": 1, "tests/test_y.py": 1, "tests/test_z.py": 1}) == "tests/"
