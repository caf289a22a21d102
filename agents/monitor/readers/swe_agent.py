"""SWE-agent's `.traj` (1.1: its sweagent/types.py and agent/agents.py)."""

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from surefoot.agents.monitor.kinds import word_set
from surefoot.agents.monitor.trajectory import Action, Trajectory, action

from .log_entries import Heard, LogSchema, Parts, Said, joined, turns_of, validated
from .messages import Role
from .text_actions import written_actions

SWE_AGENT = "a SWE-agent trajectory (`trajectory`: a list of `action`, `observation`, `response`, `thought`)"
HISTORY = (
    "a SWE-agent demonstration (`history`: a list of messages with `role`, `content`, `action`, `thought`)"
)
TOOLS = word_set(
    "open goto scroll_up scroll_down create edit insert append submit search_dir search_file find_file filemap view_image "
    "str_replace_editor exit exit_cost exit_format exit_forfeit"
)
"""Commands of SWE-agent's own that look like a shell's."""
CLOSING = re.compile(r"Exit(?:ing)?(?: agent)? due to ")
"""How the harness words a step of its own, which ends a run that an error or a limit ended."""
AUTOSUBMITTED = "Exited (autosubmitted)"

HistoryMessage = Mapping[str, Any]


class _Step(LogSchema):
    action: str | None
    observation: str | list[Any] | None
    response: str | None = None
    thought: str | None = None
    reasoning_content: Any = None
    thinking_blocks: Any = None


class _Info(LogSchema):
    exit_status: str | int | None = None


class _File(LogSchema):
    trajectory: list[_Step]
    history: list[dict[str, Any]] = Field(default_factory=list)
    info: _Info = _Info()


class _Demonstration(LogSchema):
    history: list[Role] = Field(min_length=1)
    info: _Info = _Info()


def swe_agent(data: Any) -> Trajectory:
    """Read what `sweagent run` saved; demonstrations are no part of the issue."""
    file = validated(_File, data, SWE_AGENT)
    parts = Parts()
    history = [message for message in file.history if not message.get("is_demo")]
    turns = turns_of(_events(file.trajectory, _thoughts(history, parts), parts))
    return Trajectory(_issue(history), turns, _status(file.info), "SWE-agent", parts.passed_over)


def demonstration(data: Any) -> Trajectory:
    """Read a `.traj` that holds a `history` alone, as demonstrations do."""
    file = validated(_Demonstration, data, HISTORY)
    history: Sequence[HistoryMessage] = data["history"]
    own = [message for message in history if not message.get("is_demo")]
    parts = Parts()
    told = own if any(message["role"] == "assistant" for message in own) else history
    turns = turns_of(_told(told, parts))
    return Trajectory(_issue(told), turns, _status(file.info), "SWE-agent demonstration", parts.passed_over)


def _status(info: _Info) -> str | None:
    return None if info.exit_status is None else str(info.exit_status)


def _events(steps: list[_Step], thoughts: Mapping[Any, deque[str]], parts: Parts) -> Iterator[Said | Heard]:
    for place, step in enumerate(steps):
        command, text = (step.action or "").strip(), step.thought or step.response or ""
        seen = parts.text(step.observation)
        if not command and place == len(steps) - 1 and (AUTOSUBMITTED in seen or CLOSING.match(text)):
            return
        known = thoughts.get(_key(step.action, step.response))
        thought = parts.thought(step.model_dump()) or (known.popleft() if known else "")
        if command or text or thought:
            yield Said(joined(thought, text), (_action(command),) if command else ())
            yield Heard(seen)


def _thoughts(history: Sequence[HistoryMessage], parts: Parts) -> Mapping[Any, deque[str]]:
    """Return the thoughts that only the history holds, by the answer that they led to; answers that were refused are not in it."""
    found: defaultdict[Any, deque[str]] = defaultdict(deque)
    for message in history:
        if message.get("role") == "assistant":
            key = _key(message.get("action"), parts.text(message.get("content")))
            found[key].append(parts.thought(message))
    return found


def _key(action: Any, response: Any) -> tuple[str, str]:
    return str(action or "").strip(), str(response or "").strip()


def _told(history: Sequence[HistoryMessage], parts: Parts) -> Iterator[Said | Heard]:
    for message in history:
        text = parts.text(message.get("content"))
        if message["role"] == "assistant":
            command = message.get("action")
            if isinstance(command, str) and command.strip():
                thought = message.get("thought")
                text = thought if isinstance(thought, str) and thought else text
                yield Said(joined(parts.thought(message), text), (_action(command.strip()),))
            elif message.get("tool_calls"):
                yield parts.answer(message)
            else:
                yield Said(*written_actions(text))
        elif message["role"] != "system":
            yield from parts.heard(message)


def _issue(history: Sequence[HistoryMessage]) -> str:
    spoken = next(
        (place for place, message in enumerate(history) if message.get("role") == "assistant"), len(history)
    )
    asked = [message.get("content") for message in history[:spoken] if message.get("role") == "user"]
    return "\n\n".join(map(Parts().text, asked))


def _action(command: str) -> Action:
    name = command.split(maxsplit=1)[0]
    return action(name, command[len(name) :].strip()) if name in TOOLS else action("bash", command)
