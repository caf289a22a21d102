"""Patches: what applies becomes a prediction, what reaches out is refused, what agents leave behind stays out."""

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.agents.swe.links import leads_out
from surefoot.agents.swe.patches import MOST_BYTES, CheckedPatch, PatchRefused, check_patch, emptiness
from surefoot.agents.swe.repository import prepare_workspace
from surefoot.errors import BadInput
from surefoot.printable import printable
from surefoot.tests.agents.swe.places import Repo, sh


def check(repo: Repo, patch: bytes, scratch: tuple[str, ...] | None = None) -> CheckedPatch:
    if scratch is None:
        return asyncio.run(check_patch(patch, repo.path, repo.base))
    return asyncio.run(check_patch(patch, repo.path, repo.base, scratch=scratch))


def work(repo: Repo, folder: Path, commands: str) -> bytes:
    """Return the patch of what some commands do in a workspace, ignored files included."""
    asyncio.run(prepare_workspace(repo.path, repo.base, folder, history=1))
    return sh(f"{commands}\ngit add -A -f; git diff --cached --binary HEAD", folder)


def applied(repo: Repo, folder: Path, text: str) -> bytes:
    """Return the tree that a prediction makes of a clean, full checkout, by nothing but `git apply`."""
    asyncio.run(prepare_workspace(repo.path, repo.base, folder, history=1))
    file = folder.with_suffix(".diff")
    file.write_text(json.loads(json.dumps(text)))  # as the official harness gets it
    return sh(f"git apply --verbose {file} && git add -A -f && git write-tree", folder)


EDITS = {
    "a change": "sed -i s/-/+/ pkg/sums.py",
    "a new file": "mkdir -p new/place; echo x > new/place/a.py",
    "a deletion": "rm pkg/sums.py",
    "a rename": "git mv pkg/sums.py pkg/total.py",
    "a rename with a change": "git mv pkg/sums.py pkg/total.py; echo '# x' >> pkg/total.py",
    "a file instead of a folder": "rm -r tests; echo x > tests",
    "a mode": "chmod -x run.sh; chmod +x pkg/sums.py",
    "carriage returns": r"printf 'x\r\nz\r\nlast' > crlf.txt; printf '\r\r\n' > new.txt",
    "another encoding": r"printf 'caf\351s\n' > latin.txt; printf '\377' > odd.txt; sed -i s/-/+/ pkg/sums.py",
    "a binary": r"printf '\0\1\2' > data.bin; printf '\0' > latin.txt",
    "no last line break": "printf 'def add(a, b): return a + b' > pkg/sums.py",
    "an empty file": "touch pkg/empty.py",
    "odd names": "echo 1 > 'a b'; echo 2 > 'é\"x'; printf 3 > \"$(printf 'tab\\tx')\"; echo 4 > :x; echo 5 > '*.py'",
    "a link inside": "ln -s ../crlf.txt pkg/inner; ln -sfn tests deeper",
    "a line like a header": "printf -- '--- a/../x\\n+++ b/../x\\ndiff --git a/../x b/../x\\n' > tricky.txt",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_prediction_makes_of_a_clean_checkout_what_the_agent_left(
    repo: Repo, tmp_path: Path, edit: str
) -> None:
    patch = work(repo, tmp_path / "agent", edit)
    checked = check(repo, patch)
    assert applied(repo, tmp_path / "clean", checked.text) == sh("git write-tree", tmp_path / "agent")
    named = (
        sh("git diff --cached --name-only --no-renames -z HEAD", tmp_path / "agent").decode().split("\0")[:-1]
    )
    assert [change.path for change in checked.changes] == named and not checked.left_out


def test_a_patch_says_what_it_does_to_which_file(repo: Repo, tmp_path: Path) -> None:
    patch = work(repo, tmp_path / "w", "echo x > new.py; rm latin.txt; echo y >> pkg/sums.py")
    assert check(repo, patch).changes == (
        ("latin.txt", "deleted"),
        ("new.py", "added"),
        ("pkg/sums.py", "modified"),
    )


def test_equal_changes_have_equal_texts(repo: Repo, tmp_path: Path) -> None:
    asyncio.run(prepare_workspace(repo.path, repo.base, tmp_path / "w"))
    sh("git mv pkg/sums.py pkg/total.py; echo x >> run.sh; git add -A", tmp_path / "w")
    forms = [
        sh(f"git diff --cached HEAD {options}", tmp_path / "w")
        for options in ("-M", "--no-renames", "-U9", "--full-index")
    ]
    assert len(set(forms)) > 2 and len({check(repo, form).text for form in forms}) == 1


def test_a_checked_patch_is_its_own_prediction(repo: Repo, tmp_path: Path) -> None:
    text = check(repo, work(repo, tmp_path / "w", EDITS["another encoding"])).text
    assert check(repo, text.encode()).text == text


def test_the_files_that_agents_leave_behind_stay_out(repo: Repo, tmp_path: Path) -> None:
    commands = """
        sed -i s/-/+/ pkg/sums.py; echo x > reproduce_issue.py; mkdir -p pkg/__pycache__ .pytest_cache/v
        echo x > pkg/__pycache__/sums.pyc; echo x > .pytest_cache/v/x; echo x > patch.txt; echo x > a.orig
        echo x > debug.log; echo x > keep.log; echo x > pkg/reproduce.py; echo x > pkg/patch.txt
    """
    checked = check(repo, work(repo, tmp_path / "w", commands))
    assert [change.path for change in checked.changes] == [
        "keep.log",
        "pkg/patch.txt",
        "pkg/reproduce.py",
        "pkg/sums.py",
    ]
    assert checked.left_out == (
        *(
            ".pytest_cache/v/x",
            "a.orig",
            "debug.log",
            "patch.txt",
            "pkg/__pycache__/sums.pyc",
            "reproduce_issue.py",
        ),
    )
    assert "reproduce_issue" not in checked.text


def test_the_patterns_can_be_given_and_files_that_were_there_stay(repo: Repo, tmp_path: Path) -> None:
    patch = work(repo, tmp_path / "w", "echo x > notes.md; echo x > :odd; echo x >> run.sh; echo x > a.orig")
    checked = check(repo, patch, ("*.md", "run.sh", r"\:odd"))
    assert checked.left_out == (":odd", "notes.md")
    assert [change.path for change in checked.changes] == ["a.orig", "run.sh"]
    with pytest.raises(BadInput, match="must be one line"):
        check(repo, patch, ("a\nb",))


def test_an_agent_cannot_hide_files_by_a_gitignore_of_its_own(repo: Repo, tmp_path: Path) -> None:
    patch = work(
        repo, tmp_path / "w", "echo '*.py' > pkg/.gitignore; echo '*' > .gitignore; echo x > pkg/new.py"
    )
    assert check(repo, patch).left_out == ()


def test_a_patch_of_scratch_files_alone_is_empty(repo: Repo, tmp_path: Path) -> None:
    checked = check(repo, work(repo, tmp_path / "w", "echo x > reproduce.py"))
    assert checked == CheckedPatch("", (), ("reproduce.py",))


def test_empty_patches_are_told_apart_as_the_harness_does(repo: Repo) -> None:
    assert [emptiness(patch) for patch in (None, "", "  \n", "diff")] == ["none", "empty", "blank", ""]
    assert check(repo, b"") == CheckedPatch("", ())
    with pytest.raises(PatchRefused, match="white space only"):
        check(repo, b" \n\t\n")


def new(path: str, mode: str = "100644", content: str = "x", end: str = "") -> bytes:
    text = f"diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{content}\n{end}"
    return text.encode()


def link(path: str, target: str) -> bytes:
    return new(path, "120000", target, "\\ No newline at end of file\n")


SUBMODULE = f"Subproject commit {'1' * 40}"
REFUSED = {
    "absolute": (new("/etc/passwd"), "an absolute path"),
    "above": (new("../up.py"), "leads out of the repository"),
    "above in the middle": (new("pkg/../../up.py"), "leads out of the repository"),
    "above by rename": (
        b"diff --git a/run.sh b/../run.sh\nsimilarity index 100%\nrename from run.sh\nrename to ../run.sh\n",
        "leads out of the repository",
    ),
    "from above by copy": (
        b"diff --git a/../secret b/here\nsimilarity index 100%\ncopy from ../secret\ncopy to here\n",
        "does not apply",
    ),
    "git's own": (new(".git/hooks/post-checkout"), "belongs to git itself"),
    "git's own in other letters": (new("pkg/.GIT/config"), "belongs to git itself"),
    "git's own by its short name": (new("GIT~1/config"), "belongs to git itself"),
    "git's own with what a Mac ignores": (new(".g\u200cit/config"), "does not apply"),
    "a submodule": (new("sub", "160000", SUBMODULE), "changes a submodule"),
    "the list of submodules": (new(".gitmodules"), "changes a submodule"),
    "a link to /": (link("a", "/etc/passwd"), "link out of the repository: 'a' leads to '/etc/passwd'"),
    "a link above": (link("pkg/a", "../../x"), "link out of the repository"),
    "a link above by another": (link("a", "deeper/../../../x"), "link out of the repository"),
    "a chain of links": (link("pkg/up", "..") + link("zz", "pkg/up/.."), "link out of the repository"),
    "through a link": (new("deeper/../../x"), "leads out of the repository"),
    "behind a link": (link("d", "pkg") + new("d/y.py"), "does not apply"),
    "no patch": (b"I have changed the file.\n", "does not apply"),
    "cut off": (new("a.py")[:-4], "does not apply"),
    "other lines": (b"--- a/run.sh\n+++ b/run.sh\n@@ -1 +1 @@\n-other\n+x\n", "does not apply"),
    "a line of LF for one of CRLF": (
        b"--- a/crlf.txt\n+++ b/crlf.txt\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n",
        "does not apply",
    ),
    "a new file that is there": (new("run.sh"), "does not apply"),
    "a deletion of what never was": (
        b"diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n",
        "does not apply",
    ),
    "a file where a folder is": (new("pkg"), "does not apply"),
    "a file in a file": (new("run.sh/a"), "does not apply"),
}


@pytest.mark.parametrize(("patch", "said"), REFUSED.values(), ids=REFUSED)
def test_what_reaches_out_or_does_not_apply_is_refused_in_a_sentence(
    repo: Repo, patch: bytes, said: str
) -> None:
    with pytest.raises(PatchRefused) as raised:
        check(repo, patch)
    assert said in str(raised.value)
    assert printable(str(raised.value)) == str(raised.value) and len(str(raised.value)) < 500


def test_too_much_is_refused(repo: Repo) -> None:
    with pytest.raises(PatchRefused, match="expected at most"):
        check(repo, b"x" * (MOST_BYTES + 1))
    with pytest.raises(PatchRefused, match="10,001 files"):
        check(repo, b"".join(new(f"f{number}") for number in range(10_001)))


def test_a_last_line_break_may_be_left_out(repo: Repo) -> None:
    assert check(repo, new("a.py").rstrip(b"\n")) == check(repo, new("a.py"))


def test_no_program_of_anybodys_settings_runs(repo: Repo, tmp_path: Path, hostile_home: Path) -> None:
    copy = tmp_path / "copy"
    sh(
        f"git clone -q {repo.path} {copy}; cat {hostile_home.parent}/home/.gitconfig >> {copy}/.git/config",
        tmp_path,
    )
    attributes = new(".gitattributes", content="* filter=x diff=x merge=x")
    checked = asyncio.run(check_patch(attributes + new("a.py"), copy, repo.base))
    assert not hostile_home.exists() and len(checked.changes) == 2


LINKS = {b"a": b"b", b"b": b"a", b"up": b"sub/..", b"sub/x": b"..", b"long": b"sub/x/sub/x/sub"}


@pytest.mark.parametrize(
    ("target", "out"),
    [
        (b"/x", True),
        (b"..", True),
        (b"sub/../..", True),
        (b"sub", False),
        (b"sub/..", False),
        (b"a", False),
        (b"up/..", True),
        (b"sub/x/..", True),
        (b"long/..", False),
        (b"./sub//x/.", False),
        (b"", False),
        (b"../" * 3000, True),
    ],
)
def test_links_are_followed_as_the_system_does(target: bytes, out: bool) -> None:
    assert leads_out(b"new", {**LINKS, b"new": target}) is out


@given(st.lists(st.sampled_from([b"..", b"l", b"m", b"d", b"n", b"."]), min_size=1, max_size=5), st.data())
@settings(max_examples=60)
def test_a_link_that_leads_to_a_place_outside_is_always_found(
    parts: list[bytes], data: st.DataObject
) -> None:
    """Beside what the system makes of them: d and d/n are folders, l and m are links."""
    import tempfile

    target = st.lists(st.sampled_from([b"..", b"d", b"n", b"m", b"l"]), min_size=1, max_size=3).map(b"/".join)
    links = {b"l": data.draw(target), b"d/m": data.draw(target), b"new": b"/".join(parts)}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve() / "above" / "root"
        (root / "d" / "n").mkdir(parents=True)
        for path, to in links.items():
            (root / path.decode()).symlink_to(to.decode())
        try:
            real = (root / "new").resolve(strict=True)
        except (OSError, RuntimeError):
            return  # it leads nowhere, or goes round
        if not real.is_relative_to(root):
            assert leads_out(b"new", links)
