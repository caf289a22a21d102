"""Fixes of issues, known beforehand: read from a file of instances, and turned into the calls that make them."""

import json
import re
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from surefoot.errors import BadInput
from surefoot.models.offers import Call

MOST_EDITS = 6
"""A fix in more pieces is applied as a patch."""
LONGEST_COMMAND = 100_000
"""Bytes of a patch that still goes into one command."""
NOT_BY_EDITS = re.compile(
    r"^(?:old mode|new mode|new file mode (?!100644)|deleted file|similarity|dissimilarity|rename|copy|GIT binary|Binary)",
    re.MULTILINE,
)
"""What no exchange of text can do.  It may stand in a text that is only taken for it: then a patch does what edits could."""
HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


class Fix(NamedTuple):
    """What resolves an issue."""

    patch: str
    """A unified diff, as git makes it."""
    tests: str = ""
    """The command that runs the repository's tests; where there is none, nobody runs them."""


@dataclass(slots=True)
class _Piece:
    """A hunk: a text, and what is to stand in its place."""

    path: str
    new_file: bool
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def read_fixes(path: str | Path) -> dict[str, Fix]:
    """Read the fixes of a .json or .jsonl file of SWE-bench rows, by the text of their issues.

    Of a row `problem_statement`, `patch` and `test_command` are read.  Raises `BadInput` that names the file and the row.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
        lines = [line for line in text.split("\n") if line.strip()]
        rows: Any = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in lines]
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{str(path)!r} holds no rows of JSON: {error}") from None
    if isinstance(rows, dict):
        rows = [*rows.values()]
    if not isinstance(rows, list) or not rows:
        raise BadInput(f"{str(path)!r} holds no instance")
    return dict(_fix_of(row, f"{str(path)!r}, row {number}") for number, row in enumerate(rows, 1))


def _fix_of(row: Any, place: str) -> tuple[str, Fix]:
    if not isinstance(row, dict):
        raise BadInput(f"{place} is no object")
    values = [row.get(name) or "" for name in ("problem_statement", "patch", "test_command")]
    if not all(isinstance(value, str) for value in values):
        raise BadInput(f"{place}: 'problem_statement', 'patch' and 'test_command' must be text")
    issue, patch, tests = values
    if not issue.strip() or not patch.strip():
        raise BadInput(f"{place} has no {'patch' if issue.strip() else 'problem_statement'}: no fix is known")
    return issue, Fix(patch, tests)


def writing_turns(patch: str, which: int) -> list[list[Call]]:
    """Return the turns, each a list of calls, that make a patch in one of three ways, chosen by a number.

    A command that applies it, a file that a command applies, or edits of the files: these only where they can do it.  Edits
    find their place by the lines of their hunk, which must stand once in the file.
    """
    way = (_by_command, _by_file, _by_edits)[which % 3]
    return way(patch) or _by_file(patch)


def paths_of(patch: str) -> list[str]:
    """Return the files that were there before the patch, in its order."""
    found = re.findall(r"^--- a/([^\t\n]+)", patch, re.MULTILINE)
    return list(dict.fromkeys(found))


def _by_command(patch: str) -> list[list[Call]]:
    if len(patch.encode()) > LONGEST_COMMAND:
        return []
    # No line of the patch may end it.
    end = "END" + blake2b(patch.encode(), digest_size=4).hexdigest()
    return [[bash(f"git apply <<'{end}'\n{_ended(patch)}{end}")]]


def _by_file(patch: str) -> list[list[Call]]:
    return [
        [Call("write_file", json.dumps({"path": "fix.diff", "text": _ended(patch)}))],
        [bash("git apply fix.diff && rm fix.diff")],
    ]


def _by_edits(patch: str) -> list[list[Call]]:
    pieces = [] if NOT_BY_EDITS.search(patch) else _pieces(_ended(patch).split("\n"))
    if not pieces or len(pieces) > MOST_EDITS:
        return []
    calls = [_write(piece) if piece.new_file else _edit(piece) for piece in pieces]
    return [calls[at : at + 2] for at in range(0, len(calls), 2)]


def _write(piece: _Piece) -> Call:
    return Call("write_file", json.dumps({"path": piece.path, "text": _text(piece.new)}))


def _edit(piece: _Piece) -> Call:
    return Call(
        "edit_file", json.dumps({"path": piece.path, "old": _text(piece.old), "new": _text(piece.new)})
    )


def _pieces(lines: list[str]) -> list[_Piece]:
    """Return the hunks of a diff; none if a file goes, a last line has no end, or a hunk has nothing to be found by."""
    found: list[_Piece] = []
    path, new_file, at = "", False, 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith("\\"):
            return []
        if line.startswith("--- "):
            new_file = line == "--- /dev/null"
        elif line.startswith("+++ "):
            path = line.removeprefix("+++ b/").partition("\t")[0]
        elif header := HUNK.match(line):
            piece = _Piece(path, new_file)
            at = _fill(piece, lines, at, *(1 if count is None else int(count) for count in header.groups()))
            if path.startswith(("+++", '"')) or not (piece.old or new_file):
                return []
            found.append(piece)
    return found


def _fill(piece: _Piece, lines: list[str], at: int, olds: int, news: int) -> int:
    """Read the lines of a hunk, as many as its head says: what they look like says nothing.  Return where it ends."""
    while at < len(lines) and (len(piece.old) < olds or len(piece.new) < news):
        mark, line = lines[at][:1], lines[at][1:]
        at += 1
        if mark == "\\":
            at -= 1
            break
        if mark != "+":
            piece.old.append(line)
        if mark != "-":
            piece.new.append(line)
    return at


def bash(command: str) -> Call:
    """Return the call of a shell command."""
    return Call("bash", json.dumps({"command": command}))


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _ended(patch: str) -> str:
    return patch if patch.endswith("\n") else patch + "\n"
