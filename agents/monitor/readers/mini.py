"""mini-swe-agent's `.traj.json`, format 1.1 (2.4.6: its agents/default.py and models/)."""

from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any

from surefoot.agents.monitor.trajectory import Action, Trajectory, action

from .log_entries import Heard, LogSchema, Parts, Said, joined, reasoning_tokens, string, turns_of, validated
from .text_actions import written_actions

MINI = "a mini-swe-agent trajectory (`messages` with `extra`, `info`, `trajectory_format` mini-swe-agent-1.1)"
FORMAT = "mini-swe-agent-1.1"


class _Message(LogSchema):
    role: str | None = None
    object: str | None = None
    extra: Any = None


class _File(LogSchema):
    info: dict[str, Any]
    messages: list[_Message]


def mini(data: Any) -> Trajectory:
    """Read what `mini` saved; an answer that it refused for its form is a turn, and the complaint what came back."""
    file = validated(_File, data, MINI)
    messages: list[Mapping[str, Any]] = data["messages"]
    parts = Parts()
    before = takewhile(lambda message: not _speaks(message) and not _interrupts(message), messages)
    issue = [Parts().text(message.get("content")) for message in before if message.get("role") == "user"]
    turns = turns_of(_events(messages, parts))
    return Trajectory(
        "\n\n".join(issue), turns, string(file.info.get("exit_status")), FORMAT, parts.passed_over
    )


def _extra(message: Mapping[str, Any]) -> Mapping[str, Any]:
    found = message.get("extra")
    return found if isinstance(found, Mapping) else {}


def _speaks(message: Mapping[str, Any]) -> bool:
    return message.get("role") == "assistant" or message.get("object") == "response"


def _interrupts(message: Mapping[str, Any]) -> bool:
    return _extra(message).get("interrupt_type") is not None


def _events(messages: list[Mapping[str, Any]], parts: Parts) -> Iterator[Said | Heard]:
    for message in messages:
        extra = _extra(message)
        if _speaks(message):
            yield _said(message, extra, parts)
        elif message.get("role") not in ("system", "exit"):
            if extra.get("interrupt_type") == "FormatError":
                yield _refused(extra, parts)
            yield _heard(message, extra, parts)


def _said(message: Mapping[str, Any], extra: Mapping[str, Any], parts: Parts) -> Said:
    told = parts.reply(message) or parts.answer(message)
    raw = extra.get("response")
    server = raw if isinstance(raw, Mapping) else {}
    choices = server.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else {}
    return told._replace(
        actions=_commands(extra.get("actions"), parts) or told.actions,
        reasoning_tokens=told.reasoning_tokens or reasoning_tokens(server.get("usage")),
        finish=told.finish or string(first.get("finish_reason")),
    )


def _commands(entries: Any, parts: Parts) -> tuple[Action, ...]:
    """Return what mini executed: commands of its one tool."""
    if not isinstance(entries, list):
        return ()
    commands = [string(entry.get("command")) if isinstance(entry, Mapping) else None for entry in entries]
    parts.passed_over += commands.count(None)
    return tuple(action("bash", command) for command in commands if command)


def _heard(message: Mapping[str, Any], extra: Mapping[str, Any], parts: Parts) -> Heard:
    text = joined(parts.text(message.get("content")), parts.text(message.get("output")))
    code, printed = extra.get("returncode"), extra.get("raw_output")
    broken = True if extra.get("exception_info") or extra.get("interrupt_type") == "FormatError" else None
    call = parts.result(message, None).call
    return Heard(text, broken, code if isinstance(code, int) else None, string(printed), call)


def _refused(extra: Mapping[str, Any], parts: Parts) -> Said:
    """Return the answer that a format error is about, which stands in the complaint alone: several actions, none, or unknown ones."""
    if (said := parts.reply(extra.get("response"), written=True)) and (said.thought or said.actions):
        return said
    told = string(extra.get("model_response"))
    if told is None:
        parts.passed_over += extra.get("response") is not None and said is None
        return said or Said("")
    text, called = written_actions(told)
    return Said(text, called, said.reasoning_tokens if said else 0, said.finish if said else None)
