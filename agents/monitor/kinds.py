"""Recognising what an action does by its name and command."""

import json
import re
from typing import Any, Literal

ActionKind = Literal["read", "edit", "run", "finish", "other"]


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


READS = word_set(
    "cat ls head tail grep egrep fgrep rg ag find fd tree less more wc stat file files diff pwd which nl awk sed cut sort "
    "uniq env du read view open goto scroll search glob list fetch browse get show query lookup"
)
EDITS = word_set(
    "tee patch mv cp truncate dd edit editor write create insert append replace multiedit undo delete update"
)
RUNS = word_set("bash sh shell zsh execute exec run python ipython terminal cmd command")
"""Their command says what they do."""
CHECKS = word_set("test tests pytest build lint check verify validate")
FINISHES = word_set("finish submit done complete final_answer answer exit attempt_completion")
ASIDE = word_set(
    "cd true set export source echo printf sleep rm mkdir rmdir touch ln chmod kill pip npm apt apt-get"
)
"""Neither looks nor edits: tidying up after a test leaves the action a test."""
SILENT = word_set("cd true : set export source echo printf sleep")
"""How these went does not matter."""
GIT_LOOKS = word_set("diff status log show grep blame ls-files")
GIT_EDITS = word_set("apply checkout stash restore reset revert merge rebase am cherry-pick")
SUBMITTED = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
"""What mini-swe-agent ends a run with."""

DECODER = json.JSONDecoder()
COMMANDS = ("command", "cmd", "code", "script", "input")
"""Under which names tools take a shell command or a program."""
# Each pattern begins with what it looks for and looks behind after that: beginning with a look behind, `re` stops at every character.
QUOTED = re.compile(r"'[^']*+(?:'|$)|\"(?:[^\"\\]|\\.)*+(?:\"|\\?$)", re.DOTALL)
BLANK = re.compile(r"\n\s++")
HERE = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
SEPARATOR = re.compile(r"&&|\|\||;|\n")
JOINT = re.compile(r"(&&|\|\||\|&?|;|\n|&(?<![>&]&)(?![>&\d]))")
"""What stands between two commands."""
COMMENT = re.compile(r"#(?<!\S#)[^\n]*+")
SUBSHELL = re.compile(r"sh(?:(?<!\wsh)|(?<=\b[bd]ash)|(?<=\bzsh))\s+-\w*c\s+(?:'([^']*+)'|\"([^\"]*+)\")")
"""A command within a command, between quotes."""
PIPEFAIL = re.compile(r"set(?<!\wset)\s[^\n;&|]*\bpipefail\b")
STRICT = re.compile(r"set(?<!\wset)\s+-\w*e")
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


def action_kind(name: str, arguments: str = "") -> ActionKind:
    """Recognise what a call does by the tool's name and, if it runs commands, by the command.

    A command of several parts has the kind of its last part that counts: an edit and then a test is a test.
    """
    command = _field(arguments)
    parts = [word.lower() for word in WORDS.findall(name)]
    if name.lower() in FINISHES or (parts and parts[0] in FINISHES):
        return "finish"
    if not RUNS.isdisjoint(parts):
        return _command_kind(arguments if command is None else command)
    if not CHECKS.isdisjoint(parts):
        return "run"
    if not EDITS.isdisjoint(parts):
        # One tool for looking and editing: the word in its `command` says which.
        verb = (command or arguments).split(maxsplit=1)[:1]
        return "read" if verb and verb[0].lower() in READS else "edit"
    return "other" if READS.isdisjoint(parts) else "read"


def command_of(name: str, arguments: str) -> str:
    """Return the command in a call of a shell: the arguments themselves, or what stands in them under a usual name."""
    command = _field(arguments)
    return arguments if command is None else command


def hides(command: str) -> bool:
    """Say whether exit code 0 of a shell's command leaves open how a part of it went.

    A pipe has the code of its end, and what another command follows or catches (`;`, `||`, `&`) leaves no code at all.
    """
    if any(hides(found[1] or found[2] or "") for found in SUBSHELL.finditer(command)):
        return True
    bare = COMMENT.sub("", _bare(command).replace("\\\n", " "))
    pieces = JOINT.split(bare)
    parts = [piece.split() for piece in pieces[::2]]
    lost = {"||", "&"} if PIPEFAIL.search(bare) else {"||", "&", "|", "|&"}
    passed = set() if STRICT.search(bare) else {";", "\n"}
    end = max((place for place, part in enumerate(parts) if part), default=0)
    # The last joint has nothing after it that could have another code.
    return any(
        joint in lost or (joint in passed and place < end and _part_kind(part) in ("run", "edit"))
        for place, (part, joint) in enumerate(zip(parts, pieces[1::2], strict=False))
        if part and part[0] not in SILENT
    )


def only_reads(command: str) -> bool:
    """Say whether every part of a shell's command that counts reads something."""
    parts = (piece.split() for piece in JOINT.split(COMMENT.sub("", _bare(command)))[::2])
    return {_part_kind(part) for part in parts if part and part[0] not in SILENT} == {"read"}


def _field(arguments: str) -> str | None:
    given = _fields(arguments)
    for key in COMMANDS:
        found = given.get(key)
        if isinstance(found, list) and found and all(isinstance(word, str) for word in found):
            # As `exec` takes it; what a shell is given with -c is the command itself.
            given_to_shell = len(found) > 2 and re.fullmatch(r"-\w*c", found[-2])
            return found[-1] if given_to_shell else " ".join(found)
        if isinstance(found, str):
            return found
    return None


def _bare(command: str) -> str:
    """Return a command without the bodies of its documents and strings."""
    return BLANK.sub("\n", QUOTED.sub("''", _without_documents(command)))


def _fields(arguments: str) -> dict[str, Any]:
    begun = arguments.lstrip()
    if not begun.startswith("{"):
        return {}
    try:
        # Some servers send a little more than the object: `{}""`.
        found, _ = DECODER.raw_decode(begun)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _command_kind(command: str) -> ActionKind:
    bare = _bare(command)
    if SUBMITTED in command or bare.strip() in FINISHES:
        return "finish"
    kinds = (_pipe_kind(statement) for statement in reversed(SEPARATOR.split(bare)))
    return next((kind for kind in kinds if kind != "other"), "other")


def _pipe_kind(statement: str) -> ActionKind:
    """A pipe has the kind of its first command, unless its output goes to a file: a filtered installation is no read."""
    kinds = [_part_kind(words) for part in statement.split("|") if (words := part.split())]
    if "edit" in kinds:
        return "edit"
    if kinds[:1] == ["other"] and set(kinds[1:]) <= {"other", "read"}:
        return "other"
    return next((kind for kind in kinds if kind != "other"), "other")


def _part_kind(words: list[str]) -> ActionKind:
    first = words[0].rpartition("/")[2]
    if first == "git":
        verb = words[1] if words[1:] else ""
        return "edit" if verb in GIT_EDITS else "read" if verb in GIT_LOOKS else "other"
    if first in EDITS or (first in ("sed", "perl") and any(word.startswith("-i") for word in words)):
        return "edit"
    if first in READS or first in ASIDE:
        return "edit" if _writes(words) else "read" if first in READS else "other"
    return "run"


def _writes(words: list[str]) -> bool:
    """Whether what is printed goes into a file."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word.startswith(">") and (word.lstrip(">") or after) not in ("/dev/null", "&2", "&1"):
            return True
    return False


def _without_documents(command: str) -> str:
    """Leave out the bodies of here-documents."""
    kept: list[str] = []
    until: str | None = None
    for line in command.split("\n"):
        if until is None:
            kept.append(line)
            if found := HERE.search(line):
                until = found[2]
        elif line.strip() == until:
            until = None
    return "\n".join(kept)
