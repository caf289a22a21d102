"""SWE-agent's `.traj` (its sweagent/types.py and docs/usage/trajectories.md; read at commit 3ea751c)."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from .kinds import words
from .reader_events import Content, Heard, Said, Wire, text_of, turns_of, validated
from .trajectory import Action, Trajectory, action

SWE_AGENT = "a SWE-agent trajectory (`trajectory`: a list of `action`, `observation`, `response`, `thought`)"
TOOLS = words(
    "open goto scroll_up scroll_down create edit insert append submit search_dir search_file find_file filemap view_image "
    "str_replace_editor exit exit_cost exit_format exit_forfeit"
)
"""Commands of SWE-agent's own that look like a shell's."""


class _Step(Wire):
    action: str
    observation: str
    response: str = ""
    thought: str = ""


class _History(Wire):
    role: str
    content: Content = None
    is_demo: bool = False


class _Info(Wire):
    exit_status: str | int | None = None


class _File(Wire):
    trajectory: list[_Step]
    history: list[_History] = Field(default_factory=list)
    info: _Info = _Info()


def swe_agent(data: Any) -> Trajectory:
    """Read what `sweagent run` saved; demonstrations are no part of the issue."""
    file = validated(_File, data, SWE_AGENT)
    status = file.info.exit_status
    return Trajectory(
        _issue(file.history),
        turns_of(_events(file.trajectory)),
        None if status is None else str(status),
        "SWE-agent",
    )


def _events(steps: list[_Step]) -> Iterator[Said | Heard]:
    for step in steps:
        command, thought = step.action.strip(), step.thought or step.response
        if command or thought:
            yield Said(thought, (_action(command),) if command else ())
            yield Heard(step.observation)


def _issue(history: list[_History]) -> str:
    told = [message for message in history if not message.is_demo]
    spoken = next((place for place, message in enumerate(told) if message.role == "assistant"), len(told))
    return "\n\n".join(text_of(message.content) for message in told[:spoken] if message.role == "user")


def _action(command: str) -> Action:
    name = command.split(maxsplit=1)[0]
    return action(name, command[len(name) :].strip()) if name in TOOLS else action("bash", command)
