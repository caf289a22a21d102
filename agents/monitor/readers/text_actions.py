"""Actions that an agent writes into its text: `<function=NAME>` calls, or fenced shell commands.

What it only thinks of is none: what stands between think tags is not looked at, nor what is fenced in the middle of a line.
"""

import json
import re
from typing import NamedTuple

from surefoot.agents.monitor.trajectory import Action, action

SHELLS = frozenset(("bash", "sh", "shell", "mswea_bash_command"))
"""Languages of fenced blocks that text-based agents write their commands in."""
TAG = re.compile(r"(?<!`)<(/?)(?:think|thinking|thought|thoughts|reasoning|reflection|scratchpad)>(?!`)")
"""A tag that stands between backticks is quoted."""
FENCE = re.compile(r"^ {0,3}```+[ \t]*([\w.+-]*)[^\n`]*$", re.MULTILINE)
FUNCTION = re.compile(r"<function=([\w.:/-]{1,80})>")
OPENS, CLOSES = "<parameter=", "</parameter>"


class TextWithCalls(NamedTuple):
    """A text with calls in it."""

    text: str
    """What it says beside the calls of functions; commands stay."""
    actions: tuple[Action, ...]


def written_actions(text: str, told_apart: bool = False) -> TextWithCalls:
    """Find the actions in a text.  `told_apart`: thoughts came in a field of their own, so tags are quotations."""
    spoken = text if told_apart else without_thoughts(text)
    found = _functions(spoken)
    if found:
        calls = tuple(_function(name, body) for name, body in found)
        return TextWithCalls(text.partition("<function=")[0].rstrip(), calls)
    return TextWithCalls(text, tuple(_commands(spoken)))


def without_thoughts(text: str) -> str:
    """Return a text without what stands between think tags; a closing one at first ends a thought that began before the text."""
    parts: list[str] = []
    done, thinking, tags = 0, False, 0
    for found in TAG.finditer(text):
        closes = bool(found[1])
        if not thinking and not (closes and not tags):
            parts.append(text[done : found.start()])
        thinking, done, tags = not closes, found.end(), tags + 1
    return "".join(parts) if thinking else "".join([*parts, text[done:]])


def to_text(arguments: object) -> str:
    """Return the arguments of a call as text: as they are, or as JSON."""
    if isinstance(arguments, str):
        return arguments
    return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"), default=str)


def _functions(text: str) -> list[tuple[str, str]]:
    """Return names and bodies; a call that stands in another's parameter is a part of that."""
    _, *pieces = FUNCTION.split(text)
    found: list[tuple[str, list[str]]] = []
    unclosed = 0
    for name, body in zip(pieces[::2], pieces[1::2], strict=True):
        if unclosed > 0:
            found[-1][1].append(f"<function={name}>{body}")
        else:
            found.append((name, [body]))
        unclosed += body.count(OPENS) - body.count(CLOSES)
    return [(name, "".join(parts)) for name, parts in found]


def _function(name: str, body: str) -> Action:
    # A parameter's value may quote the closing tag of a call, and models leave it out (a stop word).
    parameters = body.split(OPENS)
    given = {}
    for piece in parameters[1:]:
        key, _, value = piece.partition(">")
        given[key] = value.partition(CLOSES)[0].partition("</function>")[0].strip()
    return action(name, to_text(given) if given else body.partition("</function>")[0].strip())


def _commands(text: str) -> list[Action]:
    found: list[Action] = []
    language, begun = "", -1
    for fence in FENCE.finditer(text):
        if begun < 0:
            language, begun = fence[1], fence.end()
        elif not fence[1]:
            if language in SHELLS:
                found.append(action("bash", text[begun : fence.start()].strip()))
            begun = -1
    if begun >= 0 and language in SHELLS:
        found.append(action("bash", text[begun:].strip()))
    return found
