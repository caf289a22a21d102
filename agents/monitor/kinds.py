"""Recognising what an action does by its name and command, and a failure by the words of an observation."""

import json
import re
from collections.abc import Collection, Iterable
from typing import Any, Literal, NamedTuple

Kind = Literal["read", "edit", "run", "finish", "other"]


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


READS = words(
    "cat ls head tail grep egrep fgrep rg ag find fd tree less more wc stat file files diff pwd which nl awk sed cut sort "
    "uniq env du read view open goto scroll search glob list fetch browse get show query lookup"
)
EDITS = words(
    "tee patch mv cp truncate dd edit editor write create insert append replace multiedit undo delete update"
)
RUNS = words("bash sh shell zsh execute exec run python ipython terminal cmd command")
"""Their command says what they do."""
CHECKS = words("test tests pytest build lint check verify validate")
FINISHES = words("finish submit done complete final_answer answer exit attempt_completion")
ASIDE = words(
    "cd true set export source echo printf sleep rm mkdir rmdir touch ln chmod kill pip npm apt apt-get"
)
"""Neither look nor need to be looked at: who tidies up after a test has tested."""
GIT_LOOKS = words("diff status log show grep blame ls-files")
GIT_EDITS = words("apply checkout stash restore reset revert merge rebase am cherry-pick")
SUBMITTED = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
"""What mini-swe-agent ends a run with."""

REFUSALS = ("command not found", "No such file or directory", "Permission denied")
FAILURES = ("Traceback (most recent call last)", "\nFAILED", "\nERROR", "\nerror:", "\nError:", "\nfatal")


class Told(NamedTuple):
    """A pattern, and words of which every match holds one: to look for these is ten times as fast as to try the pattern."""

    pattern: re.Pattern[str]
    words: tuple[str, ...]


RAISED = Told(re.compile(r"\n[\w.]*(?:Error|Exception): "), ("Error: ", "Exception: "))
COUNTED = Told(re.compile(r"\b[1-9]\d* (?:failed|errors?)\b"), (" failed", " error"))
PASSED = Told(re.compile(r"\b\d+ passed\b"), (" passed",))
EXITED = (
    Told(re.compile(r"<returncode>-?[1-9]"), ("<returncode>",)),
    Told(re.compile(r"xit (?:code|status)[ :]+-?[1-9]"), ("xit code", "xit status")),
)

COMMANDS = ("command", "cmd", "code", "script", "input")
"""Under which names tools take a shell command or a program."""
QUOTED = re.compile(r"'[^']*+(?:'|$)|\"(?:[^\"\\]|\\.)*+(?:\"|\\?$)", re.DOTALL)
HERE = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
SEPARATOR = re.compile(r"&&|\|\||;|\n")
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


def looks_failed(observation: str, kinds: Collection[Kind] = ()) -> bool:
    """Say whether an observation without a return code reads like a failure of actions of these kinds.

    What was only read may tell of errors without being one, and so may tests that pass.
    """
    if _has(observation, REFUSALS) or any(_found(told, observation) for told in EXITED):
        return True
    if set(kinds) == {"read"}:
        return False
    if _found(COUNTED, observation):
        return True
    lines = f"\n{observation}"
    told = _has(lines, FAILURES) or _found(RAISED, lines)
    return told and not _found(PASSED, observation)


def _found(told: Told, text: str) -> bool:
    return _has(text, told.words) and told.pattern.search(text) is not None


def _has(text: str, phrases: Iterable[str]) -> bool:
    # A generator would take longer than all the looking.
    return any(map(text.__contains__, phrases))


def kind_of(name: str, arguments: str = "") -> Kind:
    """Recognise what a call does by the tool's name and, if it runs commands, by the command.

    A command of several parts is what the last part that counts is: who edits and then tests has tested.
    """
    given = _fields(arguments)
    command = next((given[key] for key in COMMANDS if isinstance(given.get(key), str)), None)
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


def _fields(arguments: str) -> dict[str, Any]:
    if not arguments.lstrip().startswith("{"):
        return {}
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _command_kind(command: str) -> Kind:
    bare = QUOTED.sub("''", _without_documents(command))
    if SUBMITTED in command or bare.strip() in FINISHES:
        return "finish"
    kinds = (_pipe_kind(statement) for statement in reversed(SEPARATOR.split(bare)))
    return next((kind for kind in kinds if kind != "other"), "other")


def _pipe_kind(statement: str) -> Kind:
    """A pipe is what it begins with, unless its end is written somewhere."""
    kinds = [_part_kind(words) for part in statement.split("|") if (words := part.split())]
    if "edit" in kinds:
        return "edit"
    return next((kind for kind in kinds if kind != "other"), "other")


def _part_kind(words: list[str]) -> Kind:
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
