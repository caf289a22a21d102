"""OpenHands: a folder of logged calls (`llm_completions/INSTANCE`, its openhands/llm/llm.py), and what the authors of
arXiv 2502.08235 make of one (`responses_observations.json`, their format_message.py)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from ...errors import BadInput
from .reader_events import Heard, Said, Wire, text_of, turns_of, validated
from .reader_messages import ChatMessage, issue_of
from .trajectory import Trajectory, action

CALL = "one logged call of OpenHands (`messages`, `response`, `timestamp`)"
OBSERVATIONS = "`initial_issue`, `interactions` (a list of `response` and `observation`), `final_response`"
NOT_THE_AGENT = "draft_editor"
"""Calls of the editor's own model."""


class _Choice(Wire):
    message: ChatMessage
    finish_reason: str | None = None


class _Reasoning(Wire):
    reasoning_tokens: int | None = None


class _Usage(Wire):
    completion_tokens_details: _Reasoning | None = None


class _Response(Wire):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


class _Call(Wire):
    messages: list[ChatMessage]
    response: _Response
    timestamp: float
    fncall_messages: list[ChatMessage] | None = None
    """The same with native tool calls, where OpenHands translates them for the model."""
    fncall_response: _Response | None = None

    @property
    def prompt(self) -> list[ChatMessage]:
        return self.fncall_messages or self.messages

    @property
    def answer(self) -> _Response:
        return self.fncall_response or self.response


class _Interaction(Wire):
    response: str
    observation: str | None = None


class _Item(Wire):
    text: str | None = None
    content: str | None = None


class _Observations(Wire):
    initial_issue: str | list[str | _Item]
    interactions: list[_Interaction]
    final_response: str | None = None
    final_finish_reason: str | None = None


def completions(folder: Path) -> Trajectory:
    """Read a folder with one JSON file a call: what follows an answer is what the next call's prompt ends with."""
    paths = [path for path in folder.glob("*.json") if NOT_THE_AGENT not in path.name]
    calls = sorted((_call(path) for path in paths), key=lambda call: call.timestamp)
    if not calls:
        raise BadInput(
            f"expected {CALL} in each file of the folder, but found no .json file in {str(folder)!r}"
        )
    native = any(call.answer.choices[0].message.calls for call in calls)
    last = calls[-1].answer.choices[0].finish_reason
    return Trajectory(
        issue_of(calls[0].prompt), turns_of(_events(calls, native)), last, "OpenHands completions"
    )


def _call(path: Path) -> _Call:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInput(f"expected {CALL} in {path.name!r}, but it is no JSON: {error}") from None
    return validated(_Call, data, f"{CALL} in {path.name!r}")


def _events(calls: list[_Call], native: bool) -> Iterator[Said | Heard]:
    for place, call in enumerate(calls):
        if place:
            yield from _heard(call.prompt)
        choice, usage = call.answer.choices[0], call.answer.usage
        details = usage.completion_tokens_details if usage else None
        tokens = (details.reasoning_tokens or 0) if details else 0
        yield choice.message.said(native, tokens, choice.finish_reason)


def _heard(prompt: list[ChatMessage]) -> Iterator[Heard]:
    """Return what the prompt has after the last answer in it: its last message, or one for each of several calls."""
    after = next((place for place, message in enumerate(reversed(prompt)) if message.role == "assistant"), 1)
    for message in prompt[len(prompt) - max(after, 1) :]:
        if message.role != "assistant":
            yield Heard(text_of(message.content))


def observations(data: Any) -> Trajectory:
    """Read `responses_observations.json`; calls stand in the responses as `Function: name(arguments)`."""
    file = validated(_Observations, data, OBSERVATIONS)
    told = [file.initial_issue] if isinstance(file.initial_issue, str) else file.initial_issue
    issue = "\n\n".join(item if isinstance(item, str) else item.text or item.content or "" for item in told)
    finish = file.final_finish_reason

    def events() -> Iterator[Said | Heard]:
        for interaction in file.interactions:
            yield _written(interaction.response)
            if interaction.observation is not None:
                yield Heard(interaction.observation)
        if file.final_response:
            yield _written(file.final_response, "length" if finish == "EXCEEDED_MAX_LENGTH" else finish)

    return Trajectory(issue, turns_of(events()), finish, "OpenHands observations")


def _written(response: str, finish: str | None = None) -> Said:
    text, *called = f"\n{response}".split("\nFunction: ")
    actions = []
    for call in called:
        name, _, arguments = call.partition("(")
        actions.append(action(name.strip(), arguments.rstrip().removesuffix(")")))
    return Said(text.strip(), tuple(actions), 0, finish)
