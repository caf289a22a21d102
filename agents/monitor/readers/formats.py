"""Reading the logs that people have: the format is recognised by its shape, and what is not recognised is refused."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from surefoot.agents.monitor.trajectory import Trajectory
from surefoot.errors import BadInput

from .eval_log import SUFFIX, opened_log
from .files import decoded
from .messages import langgraph, of_responses, openai, responses
from .mini import FORMAT, mini
from .openhands import completions, observations
from .swe_agent import demonstration, swe_agent

KNOWN = (
    "a list of OpenAI messages or of items of its responses endpoint, a LangGraph state, a mini-swe-agent .traj.json, a SWE-agent .traj, "
    "an OpenHands responses_observations.json or a folder of llm_completions, an Inspect log (.eval)"
)
NAME = re.compile(r"[a-z][\w.-]{0,39}", re.ASCII | re.IGNORECASE)
"""What is a field's or a format's name, and so may be quoted; anything else in a log may be a thought."""


def read(path: str | Path) -> Trajectory:
    """Read a trajectory from a file, or from the folder with OpenHands' logged calls.

    A log of Inspect has one a sample: `run.eval#NAME` is the one of that name, and `run.eval` the one that there is.
    Raises `BadInput`, which names the path, what was expected and what was found.
    """
    found = list(islice(read_each(path), 2))
    if len(found) > 1:
        raise BadInput(
            f"{str(path)!r} has more than one sample: name the one that is meant, as in {found[0][0]!r}"
        )
    ((_, run),) = found
    if isinstance(run, BadInput):
        raise run
    return run


def read_each(path: str | Path) -> Iterator[tuple[str, Trajectory | BadInput]]:
    """Yield the runs of a file, each with a name that `read` takes, or why it cannot be read: one bad run costs none of the others.

    A log of Inspect has as many as samples, any other file and OpenHands' folder one.
    """
    name = str(path)
    file, one_sample, sample = name.partition(f"{SUFFIX}#")
    if not one_sample and not name.endswith(SUFFIX):
        yield name, _or_why(name, lambda: _of_file(Path(path)))
        return
    file = f"{file}{SUFFIX}" if one_sample else name
    try:
        with opened_log(Path(file)) as log:
            for each in [sample] if one_sample else log.names:
                yield f"{file}#{each}", _or_why(f"{file}#{each}", partial(log.trajectory, each))
            if not log.names:
                yield name, BadInput(f"{name!r} is no trajectory: the log has no samples")
    except OSError as error:
        yield name, _unreadable(name, error)
    except ValueError as error:
        yield name, _none(name, error)


def _of_file(path: Path) -> Trajectory:
    return completions(path) if path.is_dir() else parse(decoded(path))


def _or_why(name: str, made: Callable[[], Trajectory]) -> Trajectory | BadInput:
    try:
        found = made()
    except OSError as error:
        return _unreadable(name, error)
    except (ValueError, MemoryError) as error:
        # `BadInput` is a `ValueError`, and so is a path that no system takes.
        return _none(name, error)
    return found if found.turns else BadInput(f"{name!r} is no trajectory: the model says nothing in it")


def _unreadable(name: str, error: OSError) -> BadInput:
    return BadInput(f"{name!r} cannot be read: {error.strerror}")


def _none(name: str, error: ValueError | MemoryError) -> BadInput:
    return BadInput(f"{name!r} is no trajectory: {error or 'it takes more memory than there is'}")


def parse(data: Any) -> Trajectory:
    """Make a trajectory of decoded JSON, or of LangChain's message objects; raises `BadInput` for unknown shapes."""
    try:
        return _parsed(data)
    except RecursionError:
        raise BadInput(f"expected {KNOWN}, but it is nested too deeply") from None


def _parsed(data: Any) -> Trajectory:
    if isinstance(data, list | tuple):
        if of_responses(data):
            return responses(list(data))
        return langgraph(data) if _of_langchain(data) else openai(list(data))
    if not isinstance(data, dict):
        raise BadInput(f"expected {KNOWN}, but found {_kind(data)}")
    if "trajectory_format" in data:
        if data["trajectory_format"] != FORMAT:
            raise BadInput(f"expected the format {FORMAT!r}, but found {_named(data['trajectory_format'])}")
        return mini(data)
    if "trajectory" in data:
        return swe_agent(data)
    if "interactions" in data:
        return observations(data)
    if isinstance(attempts := data.get("attempts"), list) and attempts:
        # SWE-agent with retries, none of which was chosen yet.
        return swe_agent(attempts[-1])
    if data.get("history") and "messages" not in data:
        return demonstration(data)
    if "messages" in data and "response" in data:
        raise BadInput("it is one logged call of OpenHands; give the folder that it lies in")
    if isinstance(data.get("messages"), list | tuple):
        return _parsed(data["messages"])
    if isinstance(data.get("values"), dict):
        return _parsed(data["values"])
    raise BadInput(f"expected {KNOWN}, but found {_kind(data)}")


def _of_langchain(messages: list[Any] | tuple[Any, ...]) -> bool:
    first = messages[0] if messages else None
    dumped = isinstance(first, dict) and "type" in first and "role" not in first
    return dumped or any(hasattr(message, "model_dump") for message in messages)


def _kind(data: Any) -> str:
    if isinstance(data, dict):
        names = sorted(name for name in map(str, data) if NAME.fullmatch(name))
        return f"an object with {names[:8]}" if data else "an empty object"
    return f"a {type(data).__name__}"


def _named(value: Any) -> str:
    return repr(value) if isinstance(value, str) and NAME.fullmatch(value) else f"a {type(value).__name__}"
