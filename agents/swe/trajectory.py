"""Trajectories in mini-swe-agent's format 1.1, written line by line while a run goes on.

| file | holds | written |
| --- | --- | --- |
| NAME.traj.jsonl | one message a line | a line a message, at its end |
| NAME.traj.json | `{messages, info, instance_id, trajectory_format}` | once, when the run is over |

The messages are of the form that mini-swe-agent (2.4.6) writes with native calls of tools, so that its inspector, and
whatever else reads its files, reads these.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

from surefoot.agents.monitor.readers.mini import FORMAT
from surefoot.errors import BadInput
from surefoot.models.offers import Call
from surefoot.private_files import check_target, replacement

SHELL = "bash"
"""The one tool that mini-swe-agent has; its calls are listed as `actions`."""
LONGEST_LINE = 256 << 20
"""Bytes of a message."""
ChatMessage = dict[str, Any]


class Cost(NamedTuple):
    """What a run has cost up to some message."""

    calls: int = 0
    """Of the model."""
    cost: float = 0.0


def told(role: str, content: str) -> ChatMessage:
    """Return the message of the system or of the user."""
    return {"role": role, "content": content}


def said(
    content: str,
    calls: Iterable[Call] = (),
    *,
    ids: Iterable[str] = (),
    reasoning: str = "",
    reasoning_tokens: int = 0,
    cost: float = 0.0,
    timestamp: float | None = None,
) -> ChatMessage:
    """Return the message of an answer and its calls; `ids` name the calls, as their observations do.  `timestamp` is in seconds, None if unknown."""
    made = list(zip(calls, ids, strict=True))
    extra: ChatMessage = {"actions": _actions(made), "cost": cost, **_at(timestamp)}
    message: ChatMessage = {"role": "assistant", "content": content, "extra": extra}
    if reasoning:
        message["reasoning_content"] = reasoning
    if reasoning_tokens:
        # Where mini has the server's answer, and so where readers look for its count.
        extra["response"] = {"usage": {"completion_tokens_details": {"reasoning_tokens": reasoning_tokens}}}
    if made:
        message["tool_calls"] = [
            {"id": name, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call, name in made
        ]
    return message


def observed(
    text: str, *, call: str, output: str, code: int | None, problem: str = "", timestamp: float | None = None
) -> ChatMessage:
    """Return the message of what came back of the call with this id.

    `text` is what the model was told, `output` what the command printed, `problem` why it came to nothing, if it did.
    """
    # None is a command whose time was up: mini writes -1.
    extra = {
        "raw_output": output,
        "returncode": -1 if code is None else code,
        "exception_info": problem,
        **_at(timestamp),
    }
    return {"role": "tool", "tool_call_id": call, "content": text, "extra": extra}


def ended(exit_status: str, submission: str) -> ChatMessage:
    """Return the message that ends a run: how, and the patch that was handed in, if any."""
    return {
        "role": "exit",
        "content": submission or exit_status,
        "extra": {"exit_status": exit_status, "submission": submission},
    }


class TrajectoryLog:
    """The growing file of one run.

        with TrajectoryLog(path) as log:
            for message in messages[log.written:]:      # resumed: those that are there already are not written twice
                log.append(message)

    A last line that a killed process left unfinished is cut off when the file is opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.written = 0
        """Messages in the file."""
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Open the file, made if it is not there; `BadInput` if it cannot be, or is none of these."""
        try:
            self._file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "rb+")
            if self._file.read(1) not in (b"", b"{"):
                raise BadInput(f"{str(self.path)!r} is no log of messages: move it away")
            self._file.seek(0)
            self.written, whole = _whole(self._file)
            self._file.truncate(whole)
            self._file.seek(whole)
        except OSError as error:
            raise BadInput(f"{str(self.path)!r} cannot be written: {error.strerror or error}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def append(self, message: ChatMessage) -> None:
        """Write a message at the end; when this returns the system has it."""
        assert self._file, "the log is not open"
        self._file.write(_line(message).encode() + b"\n")
        self._file.flush()
        self.written += 1


def convert(
    log: str | Path,
    out: str | Path,
    *,
    instance_id: str,
    config: Mapping[str, Any] | None = None,
    version: str = "",
) -> Cost:
    """Make a .traj.json of a log, one message at a time, and return what the run has cost by its messages.

    `config` is what the file says of the run's settings, `version` of the program.  Raises `BadInput` for a line that is no
    message, and if the file cannot be written.
    """
    log, out = Path(log), Path(out)
    spent, last = Cost(), ChatMessage()
    try:
        check_target(out)
        with replacement(out) as file:
            file.write('{"messages": [')
            for number, message in enumerate(messages(log)):
                file.write((",\n" if number else "\n") + _line(message))
                spent, last = _after(spent, message), message
            found = last.get("extra")
            extra = found if isinstance(found, dict) else {}
            info = {
                "model_stats": {"instance_cost": spent.cost, "api_calls": spent.calls},
                "config": dict(config or {}),
                "mini_version": version,
                "exit_status": extra.get("exit_status", ""),
                "submission": extra.get("submission", ""),
            }
            rest = {"info": info, "instance_id": instance_id, "trajectory_format": FORMAT}
            file.write("\n], " + json.dumps(rest)[1:] + "\n")
    except OSError as error:
        raise BadInput(
            f"{error.filename or str(out)!r} cannot be read or written: {error.strerror or error}"
        ) from None
    return spent


def messages(log: str | Path) -> Iterator[ChatMessage]:
    """Return the messages of a log, one by one; an unfinished last line is none.  Raises `BadInput`, `OSError`."""
    with Path(log).open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            if not line.endswith(b"\n"):
                if len(line) == LONGEST_LINE:
                    raise BadInput(f"{str(log)!r}, line {number}, has over {LONGEST_LINE >> 20} MiB")
                return
            try:
                message = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadInput(f"{str(log)!r}, line {number}, is no message: {error}") from None
            if not isinstance(message, dict) or not isinstance(message.get("role"), str):
                raise BadInput(f"{str(log)!r}, line {number}, is no message: it has no 'role'")
            yield message


def _at(timestamp: float | None) -> ChatMessage:
    return {} if timestamp is None else {"timestamp": timestamp}


def _line(message: ChatMessage) -> str:
    """Return a message as JSON in ASCII: halves of surrogate pairs, which servers send, are text to it, too."""
    return json.dumps(message, separators=(",", ":"))


def _actions(made: list[tuple[Call, str]]) -> list[ChatMessage]:
    """Return the calls as mini lists them, if all are commands: a reader takes this list for the whole of them."""
    found = []
    for call, name in made:
        command = _command(call)
        if command is None:
            return []
        found.append({"command": command, "tool_call_id": name})
    return found


def _command(call: Call) -> str | None:
    if call.name != SHELL:
        return None
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return None
    command = arguments.get("command") if isinstance(arguments, dict) else None
    return command if isinstance(command, str) else None


def _after(spent: Cost, message: ChatMessage) -> Cost:
    if message.get("role") != "assistant":
        return spent
    extra = message.get("extra")
    cost = extra.get("cost") if isinstance(extra, dict) else None
    return Cost(spent.calls + 1, spent.cost + (cost if isinstance(cost, int | float) else 0.0))


def _whole(file: BinaryIO) -> tuple[int, int]:
    """Return how many whole lines a file has, and where they end."""
    lines, whole, place = 0, 0, 0
    while block := file.read(1 << 20):
        lines += block.count(b"\n")
        if (last := block.rfind(b"\n")) >= 0:
            whole = place + last + 1
        place += len(block)
    return lines, whole
