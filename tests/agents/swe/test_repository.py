"""Workspaces: the base commit and what came before, and nothing of what came after."""

import asyncio
from pathlib import Path

import pytest

from surefoot.agents.swe.instances import Instance
from surefoot.agents.swe.patches import PatchRefused
from surefoot.agents.swe.repository import find_repository, prepare_for_tests, prepare_workspace
from surefoot.errors import BadInput
from surefoot.tests.agents.swe.places import Repo, sh


def prepare(repo: Path, commit: str, workspace: Path, history: int | None = None) -> None:
    asyncio.run(prepare_workspace(repo, commit, workspace, history=history))


def lines(command: str, cwd: Path) -> set[str]:
    return set(sh(command, cwd).decode().split())


@pytest.mark.parametrize("history", [None, 1, 2, 50])
def test_a_workspace_is_the_base_commit_with_nothing_changed(
    repo: Repo, tmp_path: Path, history: int | None
) -> None:
    prepare(repo.path, repo.base, tmp_path / "w", history)
    assert sh("git status --porcelain --ignored", tmp_path / "w") == b""
    assert sh("git rev-parse HEAD", tmp_path / "w").decode().strip() == repo.base
    assert sh("git write-tree", tmp_path / "w") == sh(f"git rev-parse {repo.base}^{{tree}}", repo.path)
    assert (tmp_path / "w/crlf.txt").read_bytes() == b"x\r\ny\r\n"
    assert (tmp_path / "w/alias.py").is_symlink() and (tmp_path / "w/run.sh").stat().st_mode & 0o111


def test_places_may_be_relative_to_where_one_is(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo.path.parent)
    prepare(Path(repo.path.name), repo.base, Path("relative/w"))
    assert sh("git rev-parse HEAD", repo.path.parent / "relative/w").decode().strip() == repo.base


def test_no_later_object_is_anywhere_in_a_workspace(repo: Repo, tmp_path: Path) -> None:
    prepare(repo.path, repo.base, tmp_path / "w")
    there = lines("git cat-file --batch-all-objects --batch-check='%(objectname)'", tmp_path / "w")
    assert there == lines(f"git rev-list --objects --no-object-names {repo.base}", repo.path)
    assert repo.fix not in there and repo.first in there
    assert not [
        path
        for path in (tmp_path / "w/.git").rglob("*")
        if path.is_file() and b"the fix" in path.read_bytes()
    ]


@pytest.mark.parametrize("history", [None, 1])
def test_a_workspace_has_no_remote_tag_reflog_hook_or_other_branch(
    repo: Repo, tmp_path: Path, history: int | None
) -> None:
    prepare(repo.path, repo.base, tmp_path / "w", history)
    assert sh("git remote; git tag; git reflog --all; git stash list", tmp_path / "w") == b""
    assert lines("git for-each-ref --format='%(refname)'", tmp_path / "w") == {"refs/heads/main"}
    names = {path.name for path in (tmp_path / "w/.git").iterdir()}
    assert names <= {"HEAD", "config", "index", "objects", "refs", "shallow"}
    assert not (tmp_path / "w/.git/objects/info/alternates").exists()
    assert str(repo.path) not in (tmp_path / "w/.git/config").read_text()


def test_a_history_of_one_commit_is_one_commit(repo: Repo, tmp_path: Path) -> None:
    prepare(repo.path, repo.base, tmp_path / "w", 1)
    assert lines("git log --all --format=%H", tmp_path / "w") == {repo.base}
    with pytest.raises(BadInput, match="at least 1 commit"):
        prepare(repo.path, repo.base, tmp_path / "v", 0)


def test_an_agent_can_commit_and_stash(repo: Repo, tmp_path: Path) -> None:
    prepare(repo.path, repo.base, tmp_path / "w")
    environment = "env -u GIT_AUTHOR_NAME -u GIT_AUTHOR_EMAIL -u GIT_COMMITTER_NAME -u GIT_COMMITTER_EMAIL"
    sh(
        f"echo x >> run.sh; {environment} git stash; {environment} git commit --allow-empty -m x",
        tmp_path / "w",
    )


@pytest.mark.parametrize(
    "kind", ["clone --bare", "clone --mirror", "clone --no-checkout", "clone --shared", "worktree"]
)
def test_every_kind_of_local_copy_serves(repo: Repo, tmp_path: Path, kind: str) -> None:
    if kind == "worktree":
        sh(
            f"git clone -q {repo.path} {tmp_path / 'c'}; cd {tmp_path / 'c'}; git worktree add -q {tmp_path / 'copy'}",
            tmp_path,
        )
    else:
        sh(f"git {kind} -q {repo.path} {tmp_path / 'copy'}", tmp_path)
    prepare(tmp_path / "copy", repo.base, tmp_path / "w")
    assert sh("git status --porcelain", tmp_path / "w") == b""


def test_a_shallow_clone_serves_for_what_it_has(repo: Repo, tmp_path: Path) -> None:
    sh(f"git clone -q --depth 2 --no-tags file://{repo.path} {tmp_path / 'copy'}", tmp_path)
    prepare(tmp_path / "copy", repo.base, tmp_path / "w")
    assert sh("git status --porcelain", tmp_path / "w") == b""
    with pytest.raises(BadInput, match="has no commit"):
        prepare(tmp_path / "copy", repo.first, tmp_path / "v")


def test_a_repository_of_sha256_serves(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    sh(
        "git init -q --object-format=sha256; echo x > a; git add -A; git commit -qm 1; echo y > a; git commit -qam 2",
        tmp_path / "r",
    )
    prepare(tmp_path / "r", sh("git rev-parse HEAD~1", tmp_path / "r").decode().strip(), tmp_path / "w")
    assert (tmp_path / "w/a").read_text() == "x\n"


def test_what_is_not_there_is_a_sentence(repo: Repo, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    sh("git init -q", tmp_path)
    for place in (tmp_path / "none", inside, repo.path / "run.sh"):
        with pytest.raises(BadInput, match=r"is no folder|is no git repository") as raised:
            prepare(place, repo.base, tmp_path / "w")
        assert "\n" not in str(raised.value)
    with pytest.raises(BadInput, match="has no commit 'ffff"):
        prepare(repo.path, "f" * 40, tmp_path / "w")
    tree = sh(f"git rev-parse {repo.base}:run.sh", repo.path).decode().strip()
    with pytest.raises(BadInput, match="has no commit"):
        prepare(repo.path, tree, tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_a_folder_with_something_in_it_is_left_alone(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w/mine").write_text("x")
    with pytest.raises(BadInput, match="is not empty"):
        prepare(repo.path, repo.base, tmp_path / "w")
    with pytest.raises(BadInput, match="cannot be a workspace"):
        prepare(repo.path, repo.base, tmp_path / "w/mine")
    assert [path.name for path in (tmp_path / "w").iterdir()] == ["mine"]


def test_no_program_of_the_users_settings_runs(repo: Repo, tmp_path: Path, hostile_home: Path) -> None:
    prepare(repo.path, repo.base, tmp_path / "w")
    assert not hostile_home.exists()
    assert (tmp_path / "w/run.sh").read_bytes() == b"#!/bin/sh\n"


def test_no_program_of_the_clones_settings_or_hooks_runs(
    repo: Repo, tmp_path: Path, hostile_home: Path
) -> None:
    copy = tmp_path / "copy"
    sh(
        f"git clone -q {repo.path} {copy}; cat {hostile_home.parent}/home/.gitconfig >> {copy}/.git/config",
        tmp_path,
    )
    sh(
        f"printf '[filter \"x\"]\\n\\tsmudge = touch {hostile_home}\\n' >> .git/config; echo '* filter=x' > .git/info/attributes",
        copy,
    )
    before = sh("find . -type f | sort | xargs md5sum", copy)
    prepare(copy, repo.base, tmp_path / "w")
    assert not hostile_home.exists()
    assert sh("find . -type f | sort | xargs md5sum", copy) == before


def test_clones_are_found_by_their_names(tmp_path: Path) -> None:
    for name in ("a/one", "b__two", "three.git"):
        (tmp_path / name).mkdir(parents=True)
    assert find_repository(tmp_path, "a/one") == tmp_path / "a/one"
    assert find_repository(tmp_path, "b/two") == tmp_path / "b__two"
    assert find_repository(tmp_path, "c/three") == tmp_path / "three.git"
    with pytest.raises(BadInput, match=r"no clone of 'd/four'.*'d/four', 'd/four.git', 'd__four'"):
        find_repository(tmp_path, "d/four")


TEST_PATCH = """\
diff --git a/tests/test_more.py b/tests/test_more.py
new file mode 100644
--- /dev/null
+++ b/tests/test_more.py
@@ -0,0 +1 @@
+MORE = 1
diff --git a/tests/test_sums.py b/tests/test_sums.py
--- a/tests/test_sums.py
+++ b/tests/test_sums.py
@@ -3,3 +3,7 @@ from pkg.sums import add

 def test_zero():
     assert add(0, 0) == 0
+
+
+def test_one():
+    assert add(1, 0) == 1
"""
FIX = """\
diff --git a/pkg/sums.py b/pkg/sums.py
--- a/pkg/sums.py
+++ b/pkg/sums.py
@@ -1,2 +1,2 @@
 def add(a, b):
-    return a - b
+    return a + b
"""
CHEAT = """\
diff --git a/tests/test_more.py b/tests/test_more.py
new file mode 100644
--- /dev/null
+++ b/tests/test_more.py
@@ -0,0 +1 @@
+def test_of_the_agents(): pass
diff --git a/tests/test_sums.py b/tests/test_sums.py
deleted file mode 100644
--- a/tests/test_sums.py
+++ /dev/null
@@ -1,5 +0,0 @@
-from pkg.sums import add
-
-
-def test_zero():
-    assert add(0, 0) == 0
"""


def instance(repo: Repo, test_patch: str = TEST_PATCH) -> Instance:
    return Instance(
        instance_id="a",
        repo="r",
        base_commit=repo.base,
        problem_statement="x",
        test_patch=test_patch.replace("\n\n def", "\n \n def"),
    )


@pytest.mark.parametrize("patch", [FIX, FIX + CHEAT, FIX.rstrip("\n"), ""])
def test_the_tests_are_the_instances_whatever_a_patch_did_to_them(
    repo: Repo, tmp_path: Path, patch: str
) -> None:
    asyncio.run(prepare_for_tests(instance(repo), patch, repo.path, tmp_path / "w"))
    assert "+ b" in (tmp_path / "w/pkg/sums.py").read_text() or not patch
    assert (tmp_path / "w/tests/test_more.py").read_text() == "MORE = 1\n"
    assert "test_one" in (tmp_path / "w/tests/test_sums.py").read_text()


def test_a_patch_cannot_have_the_tests_written_elsewhere(repo: Repo, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "test_more.py").write_text("mine")
    link = f"diff --git a/tests b/tests\nnew file mode 120000\n--- /dev/null\n+++ b/tests\n@@ -0,0 +1 @@\n+{outside}\n\\ No newline at end of file\n"
    removal = CHEAT[CHEAT.index("diff --git a/tests/test_sums.py") :]
    with pytest.raises(PatchRefused, match="link out of the repository"):
        asyncio.run(prepare_for_tests(instance(repo), removal + link, repo.path, tmp_path / "w"))
    assert (outside / "test_more.py").read_text() == "mine"


def test_a_patch_and_tests_that_do_not_apply_are_told_apart(repo: Repo, tmp_path: Path) -> None:
    with pytest.raises(PatchRefused, match="does not apply"):
        asyncio.run(
            prepare_for_tests(instance(repo), FIX.replace("a - b", "a * b"), repo.path, tmp_path / "w")
        )
    with pytest.raises(BadInput, match="the test patch of instance 'a' does not apply"):
        asyncio.run(
            prepare_for_tests(instance(repo, FIX.replace("a - b", "a * b")), "", repo.path, tmp_path / "v")
        )
