"""Doubles that work on issues: what they call follows from the prompt alone, and a fix becomes calls that make it."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message
from surefoot.models.doubles import Conduct, DoubleServer, Fix, issue_worker, read_fixes
from surefoot.models.doubles.fixes import MOST_EDITS, writing_turns
from surefoot.models.doubles.issue_workers import NOTES, UNKNOWN_ISSUE
from surefoot.models.gather import in_order
from surefoot.models.offers import Call, Offer, ToolSchema, read_calls
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.options import Options

EDIT = """\
diff --git a/pkg/sums.py b/pkg/sums.py
index 3a70390..ce2fb1f 100644
--- a/pkg/sums.py
+++ b/pkg/sums.py
@@ -1,3 +1,4 @@
 def add(a, b):
+    "Add."
-    return a - b

--- a comment
@@ -9 +10 @@
-x = 1
+x = 2
"""
FIXES = {
    "add() subtracts": Fix(EDIT, "python -m pytest"),
    "add() subtracts, and nobody knows why": Fix(EDIT.replace('"Add."', '"Sum."')),
    "sub() is missing": Fix(
        "diff --git a/new.py b/new.py\nnew file mode 100644\n--- /dev/null\n+++ b/new.py\n@@ -0,0 +1,2 @@\n+--- a/x\n+b"
    ),
}
OFFER = Offer((ToolSchema("bash", "", '{"type":"object"}'), ToolSchema("submit", "", '{"type":"object"}')))


def said(conduct: Conduct, issue: str, turn: int, more: str = "") -> tuple[str, tuple[Call, ...]]:
    chat = [Message("system", "You repair."), Message("user", f"Resolve this issue.\n\n{issue}\n\nNow.")]
    for number in range(turn):
        chat += [Message("assistant", f"turn {number}"), Message("tool", more)]
    return read_calls(issue_worker(conduct, FIXES).draw(Ask(tuple(chat), 0.0, 4096, 0)).text)


def run(issue: str) -> list[tuple[Call, ...]]:
    turns: list[tuple[Call, ...]] = []
    while not turns or turns[-1][0].name != "submit":
        turns.append(said("fixes", issue, len(turns))[1])
    return turns


def command(call: Call) -> str:
    return str(json.loads(call.arguments)["command"])


@pytest.mark.parametrize("issue", FIXES)
def test_a_fix_takes_a_few_turns_and_notes_each_command(issue: str) -> None:
    turns = run(issue)
    assert 6 <= len(turns) <= 10 and sum(len(calls) == 2 for calls in turns) >= 1
    commands = {turn: command(calls[0]) for turn, calls in enumerate(turns) if calls[0].name == "bash"}
    assert len(commands) >= 2
    assert all(text.startswith(f"echo 'turn {turn}' >> {NOTES}\n") for turn, text in commands.items())
    tests = [text for text in commands.values() if "python -m pytest" in text]
    assert len(tests) == (2 if FIXES[issue].tests else 0)


def test_an_issue_is_found_by_its_whole_text_and_not_by_what_tools_print() -> None:
    longer, shorter = run("add() subtracts, and nobody knows why"), run("add() subtracts")
    assert "Sum." in str(longer) and "Add." not in str(longer)
    assert "Add." in str(shorter) and "Sum." not in str(shorter)
    assert said("fixes", "sub() is missing", 3, "add() subtracts") == said("fixes", "sub() is missing", 3)
    assert said("fixes", "another", 0) == said("fixes", "another", 5) == (UNKNOWN_ISSUE, ())


def test_what_is_said_after_the_end_is_the_end() -> None:
    last = len(run("sub() is missing"))
    assert said("fixes", "sub() is missing", last + 7) == said("fixes", "sub() is missing", last - 1)


# --- patches as calls ---


def edits(patch: str) -> list[tuple[str, dict[str, Any]]]:
    return [(call.name, json.loads(call.arguments)) for calls in writing_turns(patch, 2) for call in calls]


def test_hunks_become_edits_whatever_their_lines_look_like() -> None:
    first = {
        "path": "pkg/sums.py",
        "old": "def add(a, b):\n    return a - b\n\n",
        "new": 'def add(a, b):\n    "Add."\n\n- a comment\n',
    }
    patch = EDIT.replace("@@ -1,3 +1,4 @@", "@@ -1,4 +1,3 @@")
    assert edits(patch) == [
        (
            "edit_file",
            {**first, "old": first["old"] + "-- a comment\n", "new": 'def add(a, b):\n    "Add."\n\n'},
        ),
        ("edit_file", {"path": "pkg/sums.py", "old": "x = 1\n", "new": "x = 2\n"}),
    ]


def test_a_new_file_is_written() -> None:
    assert edits(FIXES["sub() is missing"].patch) == [
        ("write_file", {"path": "new.py", "text": "--- a/x\nb\n"})
    ]


NAMES = "diff --git a/a b/a\n--- a/a\n+++ b/a\n"


@pytest.mark.parametrize(
    "patch",
    [
        NAMES + "@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n",
        NAMES + "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n",
        NAMES + "@@ -0,0 +1 @@\n+b\n",
        NAMES + "@@ -1 +1 @@\n-a\n+b\n" * (MOST_EDITS + 1),
        "diff --git a/a b/a\nold mode 100644\nnew mode 100755\n",
        "diff --git a/a b/a\ndeleted file mode 100644\n--- a/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n",
        "diff --git a/a b/b\nsimilarity index 90%\nrename from a\nrename to b\n--- a/a\n+++ b/b\n@@ -1 +1 @@\n-a\n+b\n",
        "diff --git a/a b/a\nnew file mode 100755\n--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+b\n",
        'diff --git "a/\\303\\251" "b/\\303\\251"\n--- "a/\\303\\251"\n+++ "b/\\303\\251"\n@@ -1 +1 @@\n-a\n+b\n',
        "diff --git a/a b/a\nGIT binary patch\nliteral 1\nIcmZPo000310RR91\n\n",
        "no patch",
        "",
    ],
    ids=lambda patch: repr(patch[-40:]),
)
def test_what_edits_cannot_do_is_left_to_git(patch: str) -> None:
    (write,), (apply,) = writing_turns(patch, 2)
    assert write.name == "write_file" and "git apply fix.diff" in command(apply)


def test_a_patch_ends_no_command_and_a_large_one_is_no_command() -> None:
    ((call,),) = writing_turns(EDIT, 0)
    first, *lines, last = command(call).split("\n")
    assert first == f"git apply <<'{last}'" and "\n".join([*lines, ""]) == EDIT and last not in lines
    large = EDIT + "+x\n" * 50_000
    assert [call.name for calls in writing_turns(large, 0) for call in calls] == ["write_file", "bash"]


# --- the others ---

OTHERS: Sequence[Conduct] = [conduct for conduct in get_args(Conduct) if conduct != "fixes"]


@pytest.mark.parametrize("conduct", OTHERS)
def test_the_others_need_no_fix_and_do_the_same_every_time(conduct: Conduct) -> None:
    for turn in range(5):
        assert said(conduct, "anything", turn) == said(conduct, "something else", turn)


def test_each_does_what_it_is_called_for() -> None:
    calls = {conduct: [said(conduct, "x", turn) for turn in range(8)] for conduct in OTHERS}
    assert all(not made and len(prose) > 3_000 for prose, made in calls["overthinks"])
    assert len({prose for prose, _ in calls["overthinks"]}) == 8
    assert len({str(made) for _, made in calls["loops"]}) == 1
    tools = {"bash", "read_file", "edit_file", "write_file", "search", "submit"}
    assert not {call.name for _, made in calls["unknown-tools"] for call in made} & tools
    assert all(made or "tool_call" in prose for prose, made in calls["garbage"])
    assert calls["deletes"][0][1][0].name == "bash" and calls["deletes"][7][1][0].name == "submit"


def test_a_conduct_that_nobody_knows_and_a_fixer_without_fixes() -> None:
    with pytest.raises(BadInput, match=r"conduct is one of fixes, .* not 'naps'"):
        issue_worker("naps")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="needs to know a fix"):
        issue_worker("fixes")


# --- files of instances ---


def test_fixes_are_read_from_rows(tmp_path: Path) -> None:
    rows = [
        {"problem_statement": issue, "patch": fix.patch, "test_command": fix.tests or None, "repo": 4}
        for issue, fix in FIXES.items()
    ]
    lines, one = tmp_path / "a.jsonl", tmp_path / "a.json"
    lines.write_text("\n\n".join(map(json.dumps, rows)))
    one.write_text(json.dumps(rows))
    assert read_fixes(lines) == read_fixes(str(one)) == FIXES
    one.write_text(json.dumps({str(number): row for number, row in enumerate(rows)}))
    assert read_fixes(one) == FIXES


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no instance"),
        ("{", "holds no rows of JSON"),
        ("[1]", "row 1 is no object"),
        ("3", "row 1 is no object"),
        ('{"problem_statement": "a"}', "row 1 has no patch: no fix is known"),
        ('{"problem_statement": " ", "patch": "a"}', "row 1 has no problem_statement"),
        ('{"problem_statement": "a", "patch": ["a"]}', "must be text"),
        ("[" * 100_000, "holds no rows of JSON"),
        ("\x80", "holds no rows of JSON"),
    ],
    ids=lambda text: repr(text[:30]),
)
def test_rows_without_a_fix_are_named(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput, match=sentence) as caught:
        read_fixes(file)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        read_fixes(tmp_path / "a.jsonl")


# --- served ---


@pytest.mark.parametrize("tools", ["native", "text"])
async def test_calls_come_over_the_wire_natively_and_in_words(tools: Any) -> None:
    without = () if tools == "native" else ("tools",)
    chat = (Message("system", "You repair."), Message("user", "add() subtracts"))
    for conduct in get_args(Conduct):
        double = issue_worker(conduct, FIXES)
        async with (
            DoubleServer(double, without=without) as server,
            OpenAIModel(server.url, options=Options(tools=tools)) as model,
        ):
            asked = Ask(chat, 0.0, 4096, 0, offer=OFFER)
            (sample,) = await in_order(model, [asked])
            direct = read_calls(double.draw(asked).text)[1]
        assert [call.name for call in read_calls(sample.text)[1]] == [call.name for call in direct], conduct
        assert sample.finish == "stop"


def test_it_is_served_from_a_file_of_instances(tmp_path: Path) -> None:
    file = tmp_path / "instances.jsonl"
    file.write_text(json.dumps({"problem_statement": "a", "patch": EDIT}))
    module = [sys.executable, "-m", "surefoot.models.doubles.server", "--double", "issues"]
    with subprocess.Popen([*module, "--instances", str(file)], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert json.loads(server.stdout.readline())["url"].startswith("http://127.0.0.1:")
        server.terminate()
        assert server.wait(30) == 0
    refused = subprocess.run(module, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and "needs to know a fix" in refused.stderr
    assert "Traceback" not in refused.stderr
