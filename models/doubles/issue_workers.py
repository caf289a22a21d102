"""Doubles that work on issues with an agent's tools: one knows the fixes, the others do what agents do wrong.

    known = read_fixes("instances.jsonl")
    async with DoubleServer(issue_worker("fixes", known)) as server:      # surefoot swe run --model server.url ...
        ...

They call `bash`, `read_file`, `edit_file`, `write_file`, `search` and `submit`.  Each answer is a pure function of the prompt: of the
issue that stands in it, and of how often the model has answered before.

| conduct | what it does at every turn |
| --- | --- |
| fixes | looks, makes the fix that is known, runs the tests, submits: 6 to 10 turns |
| overthinks | thinks aloud at length, and calls nothing |
| loops | makes the same search |
| garbage | writes what is no call, or a call with arguments that are none |
| unknown-tools | calls tools that nobody offered |
| hangs | runs a command that takes an hour |
| floods | runs a command that prints without end |
| forks | starts 2,000 processes in the background, and leaves them there |
| deletes | deletes the workspace with its repository, then submits |

Each shell command of the double that fixes adds a line to `notes.txt`, and so no command of it may run twice unnoticed: the patch
has the lines, in their order.
"""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Literal, get_args

from surefoot.errors import BadInput
from surefoot.models.base import Prompt
from surefoot.models.offers import Call, write_calls

from .fixes import Fix, bash, paths_of, writing_turns
from .script import Scripted, turn_of

Conduct = Literal[
    "fixes", "overthinks", "loops", "garbage", "unknown-tools", "hangs", "floods", "forks", "deletes"
]
NOTES = "notes.txt"
"""The file that the double which fixes writes into, a line a command."""
UNKNOWN_ISSUE = "I know no fix for this issue."
KNOWN_PLANS = 512
PROCESSES = 2000
"""That the double which forks starts at a turn."""
THOUGHTS = (
    "Wait, the cause may be elsewhere.",
    "Let me think about this from the beginning once more.",
    "Perhaps the caller relies on it.",
    "On the other hand, a change here would be the smallest one.",
    "I should first consider what happens if the input is empty.",
    "Actually, no: that was what I thought before.",
)
SENTENCES = 100
"""Of an answer that is thought aloud: about 4,500 characters."""


def issue_worker(
    conduct: Conduct,
    fixes: Mapping[str, Fix] | None = None,
    *,
    latency_s: float = 0.0,
    name: str | None = None,
) -> Scripted:
    """Return a double of this conduct; `fixes` are what the one that fixes knows, by the text of the issue.

    Of several issues that stand in a prompt the longest counts.  An issue that is not known is answered without a call.
    """
    if conduct not in get_args(Conduct):
        raise BadInput(f"a conduct is one of {', '.join(get_args(Conduct))}, not {conduct!r}")
    if conduct == "fixes" and not fixes:
        raise BadInput(
            "a double that fixes issues needs to know a fix: give it a text of an issue and its fix"
        )
    says = _fixer(fixes or {}) if conduct == "fixes" else _CONDUCTS[conduct]
    return Scripted(says, latency_s=latency_s, name=name or f"issues-{conduct}")


def _fixer(fixes: Mapping[str, Fix]) -> Callable[[Prompt], str]:
    # The longest first: one issue may quote another.
    known = sorted(((issue.strip(), fix) for issue, fix in fixes.items()), key=lambda pair: -len(pair[0]))

    @lru_cache(maxsize=KNOWN_PLANS)
    def plan(task: str) -> tuple[str, ...]:
        for issue, fix in known:
            if issue in task:
                return _plan(issue, fix)
        return (UNKNOWN_ISSUE,)

    def says(prompt: Prompt) -> str:
        answers = plan(_task(prompt))
        return answers[min(turn_of(prompt), len(answers) - 1)]

    return says


def _task(prompt: Prompt) -> str:
    """Return what was said before the model's first answer: what tools print later may hold the text of another issue."""
    if isinstance(prompt, str):
        return prompt
    said = []
    for message in prompt:
        if message.role == "assistant":
            break
        said.append(message.content)
    return "\n".join(said)


def _plan(issue: str, fix: Fix) -> tuple[str, ...]:
    """Return the answers of a run, turn by turn."""
    which = int.from_bytes(blake2b(issue.encode(errors="replace"), digest_size=4).digest())
    paths = paths_of(fix.patch)
    stem = (paths or ["import"])[0].rpartition("/")[2].partition(".")[0] or "import"
    look = Call("read_file", json.dumps({"path": paths[0]})) if paths else _search("def ")
    tests = [("What the tests say:", [bash(_tested(fix.tests))])] if fix.tests else []
    turns = [
        ("I look around.", [bash("ls")]),
        ("Has anything changed yet?", [bash("git status --short")]),
        ("Here it may be.", [look, _search(stem)]),
        *tests,
        *(("This is to be changed.", calls) for calls in writing_turns(fix.patch, which)),
        *tests,
        ("What has changed?", [bash("git diff --stat")]),
        ("", [Call("submit", json.dumps({"text": "The issue is resolved."}))]),
    ]
    return tuple(
        write_calls(prose, [_noted(call, turn) for call in calls])
        for turn, (prose, calls) in enumerate(turns)
    )


def _noted(call: Call, turn: int) -> Call:
    if call.name != "bash":
        return call
    return bash(f"echo 'turn {turn}' >> {NOTES}\n{json.loads(call.arguments)['command']}")


def _tested(tests: str) -> str:
    # Times and addresses in their output would make two runs differ.
    return f'(\n{tests}\n) > /dev/null 2>&1; echo "the tests ended with $?"'


def _search(pattern: str) -> Call:
    return Call("search", json.dumps({"pattern": pattern, "literal": True}))


def _overthinks(prompt: Prompt) -> str:
    turn = turn_of(prompt)
    sentences = (
        f"{THOUGHTS[(turn + at) % len(THOUGHTS)]} ({turn}.{at})"
        if at % 3 == 0
        else THOUGHTS[at % len(THOUGHTS)]
        for at in range(SENTENCES)
    )
    return " ".join(sentences)


def _garbage(prompt: Prompt) -> str:
    kinds = (
        '\x1b[2J%%\x07 {"name": ```tool_call\n{"name": "bash", "arguments": {"command": "ls"\n```\n>>>',
        write_calls("\ufffd\x00", [Call("bash", "}{ not json")]),
        write_calls("", [Call("edit_file", '{"path": ["a"], "olde": 1}'), Call("bash", '{"cmd": "ls"}')]),
        write_calls("```", [Call("read_file", '{"path": ""}'), Call("submit", "[]")]),
    )
    return kinds[turn_of(prompt) % len(kinds)]


def _unknown_tools(prompt: Prompt) -> str:
    names = ("str_replace_editor", "python", "browser.open", "bash2")
    called = names[turn_of(prompt) % len(names)]
    return write_calls("I use the right tool.", [Call(called, '{"command": "view", "path": "/"}')])


def _deletes(prompt: Prompt) -> str:
    turns = (
        write_calls("I begin afresh.", [bash("rm -rf -- ..?* .[!.]* *")]),
        write_calls("Is all gone?", [bash("ls -A; git status --short")]),
        write_calls("", [Call("submit", '{"text": "There is no fault left."}')]),
    )
    return turns[min(turn_of(prompt), len(turns) - 1)]


def _always(call: Call) -> Callable[[Prompt], str]:
    answer = write_calls("I go on.", [call])
    return lambda prompt: answer


_CONDUCTS: Mapping[Conduct, Callable[[Prompt], str]] = {
    "overthinks": _overthinks,
    "loops": _always(_search("def ")),
    "garbage": _garbage,
    "unknown-tools": _unknown_tools,
    "hangs": _always(bash("sleep 3600")),
    "floods": _always(bash("yes 'and so on, without end'")),
    "forks": _always(bash(f"for number in $(seq {PROCESSES}); do sleep 3600 & done; echo started")),
    "deletes": _deletes,
}
