"""What a micro model learns from: prompts with their elected answers, as `surefoot export JOB --table examples` writes them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from pydantic import TypeAdapter, ValidationError

from surefoot.errors import BadInput

HELD_OUT = 10
"""One prompt in so many is kept for measuring."""
LONGEST = 4096
"""Bytes of a prompt and its answer; a micro model reads bytes, and attention grows with their square."""


@dataclass
class _Message:
    role: str
    content: str


@dataclass
class _Line:
    prompt: list[_Message]
    answer: str


_LINE = TypeAdapter(_Line)
Messages = tuple[tuple[str, str], ...]
"""Roles and contents."""


class DistilExample(NamedTuple):
    """One prompt, and the answer that was elected most often."""

    messages: Messages
    answer: str


def read_examples(files: Sequence[Path]) -> tuple[list[DistilExample], int]:
    """Return each prompt once, with the answer that it has most often, and how many prompts had several answers.

    Files are lines of JSON with `prompt`, a list of messages, and `answer`.  Raises `BadInput` for anything else.
    """
    found: dict[Messages, Counter[str]] = {}
    for file in files:
        try:
            lines = file.read_bytes().splitlines()
        except OSError as error:
            raise BadInput(f"the examples in {str(file)!r} cannot be read: {error.strerror}") from None
        for number, line in enumerate(lines, 1):
            try:
                row = _LINE.validate_json(line)
            except ValidationError as error:
                raise BadInput(
                    f"line {number} of {str(file)!r} is no example: {error.errors()[0]['msg']}"
                ) from None
            messages = tuple((message.role, message.content) for message in row.prompt)
            found.setdefault(messages, Counter())[row.answer] += 1
    if not found:
        raise BadInput("there is nothing to learn from: the files have no examples")
    examples = [DistilExample(messages, answers.most_common(1)[0][0]) for messages, answers in found.items()]
    return examples, sum(len(answers) > 1 for answers in found.values())


def shared_instructions(examples: Iterable[DistilExample]) -> tuple[str, ...]:
    """Return the system messages, if all prompts have the same: they tell no prompt from another, and a model that knows one task does without them."""
    found = {tuple(text for role, text in each.messages if role == "system") for each in examples}
    return found.pop() if len(found) == 1 else ()


def as_text(messages: Messages, without: Sequence[str] = ()) -> str:
    """Return a prompt as the model reads it: its messages one after the other, without these system messages."""
    return "".join(text for role, text in messages if role != "system" or text not in without)


def is_held_out(text: str) -> bool:
    """Whether a prompt is kept for measuring."""
    return crc32(text.encode()) % HELD_OUT == 0
