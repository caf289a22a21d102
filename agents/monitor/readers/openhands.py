"""OpenHands: a folder of logged calls (`llm_completions/INSTANCE`, its openhands/llm/llm.py), and what the authors of
arXiv 2502.08235 make of one (`responses_observations.json`, their format_message.py)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from surefoot.agents.monitor.trajectory import Trajectory, action
from surefoot.errors import BadInput

from .files import MOST_BYTES, decoded
from .log_entries import Heard, LogSchema, Parts, Said, string, turns_of, validated
from .messages import Chat, calls, chat, issue_of
from .text_actions import written_actions

CALL = "one logged call of OpenHands (`messages`, `response`, `timestamp`)"
OBSERVATIONS = "`initial_issue`, `interactions` (a list of `response` and `observation`), `final_response`"
MADE_NATIVE = "\nFunction: "
"""How the authors write a native call down."""
MOST_OF_A_FOLDER = 2 * MOST_BYTES
NOT_THE_AGENT = "draft_editor"
"""Calls of the editor's own model."""


class _Logged(LogSchema):
    messages: list[Any]
    response: dict[str, Any]
    timestamp: float


class _Call(NamedTuple):
    """One logged call: with native tool calls, where OpenHands translates them for the model."""

    prompt: Chat
    response: Mapping[str, Any]
    timestamp: float

    @property
    def message(self) -> Mapping[str, Any]:
        choices = self.response.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        message = first.get("message") if isinstance(first, Mapping) else None
        return message if isinstance(message, Mapping) else {}


class _Interaction(LogSchema):
    response: str | list[Any] | None
    observation: Any = None


class _Observations(LogSchema):
    initial_issue: Any
    interactions: list[_Interaction]
    final_response: Any = None
    final_finish_reason: Any = None


def completions(folder: Path) -> Trajectory:
    """Read a folder with one JSON file a call: what follows an answer is what the next call's prompt ends with."""
    paths = [path for path in folder.glob("*.json") if NOT_THE_AGENT not in path.name]
    size = sum(path.stat().st_size for path in paths)
    if size > MOST_OF_A_FOLDER:
        raise BadInput(
            f"expected at most {MOST_OF_A_FOLDER >> 20} MiB in the folder, but found {size >> 20:,} MiB"
        )
    logged = sorted((_call(path) for path in paths), key=lambda call: call.timestamp)
    if not logged:
        raise BadInput(
            f"expected {CALL} in each file of the folder, but found no .json file in {str(folder)!r}"
        )
    parts = Parts()
    turns = turns_of(_events(logged, parts, not any(calls(call.message) for call in logged)))
    return Trajectory(
        issue_of(logged[0].prompt), turns, _finish(logged[-1]), "OpenHands completions", parts.passed_over
    )


def _finish(call: _Call) -> str | None:
    said = Parts().reply(call.response)
    return said.finish if said else None


def _call(path: Path) -> _Call:
    try:
        data = decoded(path)
    except BadInput as error:
        raise BadInput(f"{path.name!r}: {error}") from None
    expected = f"{CALL} in {path.name!r}"
    found = validated(_Logged, data, expected)
    prompt = chat(data.get("fncall_messages") or found.messages, expected)
    translated = data.get("fncall_response")
    return _Call(prompt, translated if isinstance(translated, dict) else found.response, found.timestamp)


def _events(logged: Sequence[_Call], parts: Parts, written: bool) -> Iterator[Said | Heard]:
    for place, call in enumerate(logged):
        if place:
            yield from _heard(call.prompt, parts)
        said = parts.reply(call.response, written)
        parts.passed_over += said is None
        yield said or Said("")


def _heard(prompt: Chat, parts: Parts) -> Iterator[Heard]:
    """Return what the prompt has after the last answer in it: its last message, or one for each of several calls."""
    after = next(
        (place for place, message in enumerate(reversed(prompt)) if message["role"] == "assistant"), 1
    )
    for message in prompt[len(prompt) - max(after, 1) :]:
        if message["role"] != "assistant":
            yield from parts.heard(message)


def observations(data: Any) -> Trajectory:
    """Read `responses_observations.json`: calls stand in the responses as `Function: name(arguments)`, or as models write them.

    Those are `<function=name>` blocks, of models without native calls; their end may be missing, for it is a stop word.
    """
    file = validated(_Observations, data, OBSERVATIONS)
    parts = Parts()
    told = file.initial_issue if isinstance(file.initial_issue, list) else [file.initial_issue]
    issue = "\n\n".join(filter(None, map(parts.text, told)))
    finish = string(file.final_finish_reason)
    last = parts.text(file.final_response)
    responses = [*(parts.text(each.response) for each in file.interactions), last]
    written = not any(MADE_NATIVE in f"\n{response}" for response in responses)

    def events() -> Iterator[Said | Heard]:
        for interaction, response in zip(file.interactions, responses, strict=False):
            yield _said(response, written)
            if interaction.observation is not None:
                yield Heard(parts.text(interaction.observation))
        if last:
            yield _said(last, written, "length" if finish == "EXCEEDED_MAX_LENGTH" else finish)

    return Trajectory(issue, turns_of(events()), finish, "OpenHands observations", parts.passed_over)


def _said(response: str, written: bool, finish: str | None = None) -> Said:
    if written:
        return Said(*written_actions(response), 0, finish)
    text, *called = f"\n{response}".split(MADE_NATIVE)
    actions = []
    for call in called:
        name, _, arguments = call.partition("(")
        actions.append(action(name.strip(), arguments.rstrip().removesuffix(")")))
    return Said(text.strip(), tuple(actions), 0, finish)
