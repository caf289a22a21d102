"""mini-swe-agent's `.traj.json`, format 1.1 (its docs/usage/output_files.md; read at commit a83fcae)."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from .reader_events import Content, Heard, Said, Wire, joined, text_of, turns_of, validated, written_actions
from .trajectory import Trajectory, action

MINI = "a mini-swe-agent trajectory (`messages` with `extra`, `info`, `trajectory_format` mini-swe-agent-1.1)"
FORMAT = "mini-swe-agent-1.1"


class _Info(Wire):
    exit_status: str | None = None


class _Command(Wire):
    command: str


class _Reply(Wire):
    """The raw answer of the server: of a chat endpoint, or of the responses endpoint."""

    choices: list[dict[str, Any]] = Field(default_factory=list)
    usage: dict[str, Any] | None = None

    @property
    def finish(self) -> str | None:
        found = self.choices[0].get("finish_reason") if self.choices else None
        return found if isinstance(found, str) else None

    @property
    def reasoning_tokens(self) -> int:
        usage = self.usage or {}
        details = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
        found = details.get("reasoning_tokens") if isinstance(details, dict) else None
        return found if isinstance(found, int) else 0


class _Extra(Wire):
    actions: list[_Command] = Field(default_factory=list)
    response: _Reply | str | None = None
    model_response: str | None = None
    returncode: int | None = None
    interrupt_type: str | None = None


class _Item(Wire):
    """One item of an answer of the responses endpoint."""

    type: str
    content: Content = None
    summary: Content = None


class _Message(Wire):
    role: str | None = None
    object: str | None = None
    type: str | None = None
    content: Content = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    output: str | list[_Item] | None = None
    usage: dict[str, Any] | None = None
    extra: _Extra = Field(default_factory=_Extra)

    @property
    def speaks(self) -> bool:
        return self.role == "assistant" or self.object == "response"

    @property
    def thought(self) -> str:
        if isinstance(self.output, list):
            return joined(*(text_of(part) for item in self.output for part in (item.summary, item.content)))
        return joined(self.reasoning or self.reasoning_content, text_of(self.content))


class _File(Wire):
    info: _Info
    messages: list[_Message]


def mini(data: Any) -> Trajectory:
    """Read what `mini` saved; an answer that it refused for its format is a turn without an observed action."""
    file = validated(_File, data, MINI)
    spoken = next(
        (place for place, message in enumerate(file.messages) if message.speaks), len(file.messages)
    )
    issue = [text_of(message.content) for message in file.messages[:spoken] if message.role == "user"]
    return Trajectory("\n\n".join(issue), turns_of(_events(file.messages)), file.info.exit_status, FORMAT)


def _events(messages: list[_Message]) -> Iterator[Said | Heard]:
    for message in messages:
        extra = message.extra
        if message.speaks:
            reply = extra.response if isinstance(extra.response, _Reply) else _Reply(usage=message.usage)
            actions = tuple(action("bash", command.command) for command in extra.actions)
            yield Said(message.thought, actions, reply.reasoning_tokens, reply.finish)
        elif message.role not in ("system", "exit"):
            if extra.interrupt_type == "FormatError":
                yield _refused(extra)
            said = message.output if isinstance(message.output, str) else text_of(message.content)
            yield Heard(said, None if extra.returncode is None else extra.returncode != 0)


def _refused(extra: _Extra) -> Said:
    """Return the answer that a format error is about, which is logged nowhere else: several actions, or none."""
    reply = extra.response if isinstance(extra.response, _Reply) else _Reply()
    text = extra.model_response
    if text is None and reply.choices and isinstance(message := reply.choices[0].get("message"), dict):
        text = message.get("content")
    text = text if isinstance(text, str) else ""
    return Said(text, written_actions(text), reply.reasoning_tokens, reply.finish)
