"""What a trajectory has an agent do: the calls that were made, in order, and what came of each, for doing it again."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from surefoot.agents.monitor.readers.files import decoded
from surefoot.agents.monitor.readers.mini import FORMAT
from surefoot.errors import BadInput
from surefoot.models.offers import Call, arguments_of
from surefoot.printable import encodable

from .trajectory import SHELL

LONGEST_TIMEOUT_S = 86_400.0
"""Of a command; a longer one, or none, is not taken from a trajectory."""


class RecordedAct(NamedTuple):
    """One call, and what the environment answered."""

    call: Call
    output: str | None
    """What it printed; None if the trajectory does not say, as of the call that ended the run."""
    code: int | None
    """The exit code; None if the trajectory does not say."""
    problem: str
    """Why it came to nothing, "" if it did not: its time was up, say."""


class RecordedPlace(NamedTuple):
    """Where commands ran; empty and None where the trajectory does not say."""

    environment: str = ""
    """The class, as mini-swe-agent writes it."""
    folder: str = ""
    """The working folder of every command."""
    timeout_s: float | None = None


class Recording(NamedTuple):
    """A trajectory, as far as it can be done again."""

    acts: tuple[RecordedAct, ...]
    instance_id: str
    """"" if the trajectory does not say."""
    exit_status: str
    submission: str
    """The patch that was handed in."""
    program: str = ""
    """What wrote it: the version of mini-swe-agent, or `surefoot` and its version."""
    place: RecordedPlace = RecordedPlace()

    @property
    def is_ours(self) -> bool:
        """Whether outputs are what the model was told, as ours are, and not what commands printed, as mini-swe-agent's are."""
        return self.program.startswith("surefoot")


def read_recording(path: str | Path) -> Recording:
    """Read a .traj.json of mini-swe-agent's format 1.1, its own or ours.

    Answers that were refused for their form have no acts.  Raises `BadInput` that names the file and what is wrong.
    """
    try:
        data = decoded(Path(path))
        return parse_recording(data)
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be read: {error.strerror or error}") from None
    except BadInput as error:
        raise BadInput(f"{str(path)!r} is no trajectory that can be replayed: {error}") from None


def parse_recording(data: Any) -> Recording:
    """Make a recording of decoded JSON; raises `BadInput`."""
    if not isinstance(data, dict) or data.get("trajectory_format") != FORMAT:
        raise BadInput(f"expected an object with the 'trajectory_format' {FORMAT!r}")
    messages, info = data.get("messages"), data.get("info")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise BadInput("its 'messages' are no list of objects")
    info = _object(info)
    return Recording(
        tuple(_acts(messages)),
        _string(data.get("instance_id")),
        _string(info.get("exit_status")),
        _string(info.get("submission")),
        _string(info.get("mini_version")),
        _place(_object(info.get("config"))),
    )


def _place(config: Mapping[str, Any]) -> RecordedPlace:
    environment = _object(config.get("environment"))
    timeout_s = environment.get("timeout")
    folder = _string(environment.get("cwd"))
    if (
        isinstance(timeout_s, bool)
        or not isinstance(timeout_s, int | float)
        or not 0 < timeout_s <= LONGEST_TIMEOUT_S
    ):
        timeout_s = None
    return RecordedPlace(
        _string(config.get("environment_type")),
        folder if encodable(folder) else "",
        timeout_s,
    )


def _acts(messages: list[Mapping[str, Any]]) -> Iterator[RecordedAct]:
    """Pair calls with what follows them up to the next answer: by the calls' ids, else by their order."""
    waiting: list[tuple[Call, str]] = []
    heard: list[Mapping[str, Any]] = []
    for message in messages:
        if message.get("role") == "assistant" or message.get("object") == "response":
            yield from _paired(waiting, heard)
            waiting, heard = _calls(message), []
        elif "raw_output" in _extra(message):
            heard.append(message)
    yield from _paired(waiting, heard)


def _paired(calls: list[tuple[Call, str]], heard: list[Mapping[str, Any]]) -> Iterator[RecordedAct]:
    by_id = {_id(message): message for message in heard if _id(message)}
    in_order = iter(message for message in heard if not _id(message))
    for call, name in calls:
        message = by_id.get(name) if name in by_id else next(in_order, None)
        extra = _extra(message or {})
        output, code = extra.get("raw_output"), extra.get("returncode")
        yield RecordedAct(
            call,
            output if isinstance(output, str) else None,
            code if isinstance(code, int) else None,
            _string(extra.get("exception_info")),
        )


def _calls(message: Mapping[str, Any]) -> list[tuple[Call, str]]:
    actions = _extra(message).get("actions")
    found = [entry for entry in actions if isinstance(entry, dict)] if isinstance(actions, list) else []
    commands = [entry for entry in found if isinstance(entry.get("command"), str)]
    if commands:
        return [
            (Call(SHELL, _arguments({"command": entry["command"]})), _string(entry.get("tool_call_id")))
            for entry in commands
        ]
    calls = message.get("tool_calls")
    made = []
    for entry in calls if isinstance(calls, list) else []:
        function = entry.get("function") if isinstance(entry, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            made.append(
                (
                    Call(function["name"], _arguments(function.get("arguments", ""))),
                    _string(entry.get("id")),
                )
            )
    return made


def _arguments(value: Any) -> str:
    # By way of text: half of a surrogate pair, which is no JSON in UTF-8, then stays an escape.
    return arguments_of(value if isinstance(value, str) else json.dumps(value))


def _extra(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(message.get("extra"))


def _id(message: Mapping[str, Any]) -> str:
    return _string(message.get("tool_call_id")) or _string(message.get("call_id"))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
