"""What all readers share: a log as what was said and what was heard, and turns made of that."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ...errors import BadInput
from .trajectory import Action, Turn, action, turn

T = TypeVar("T")

SHELLS = frozenset(("bash", "sh", "shell", "mswea_bash_command"))
"""Languages of fenced blocks that text-based agents write their commands in."""
PLACE = re.compile(r"\d+|[a-z_]+")
"""What of a place that pydantic names is a key or an index, and no type."""
UNREADABLE = frozenset(("image_url", "input_image", "input_audio", "file"))
CUT = frozenset(("length", "max_tokens"))


class Wire(BaseModel):
    """A shape of somebody else's file: strict about what is read, tolerant of the rest."""

    model_config = ConfigDict(strict=True, extra="ignore")


PartType = Literal[
    "text",
    "input_text",
    "output_text",
    "summary_text",
    "reasoning_text",
    "reasoning",
    "thinking",
    "refusal",
    "image_url",
    "input_image",
    "input_audio",
    "file",
]


class Part(Wire):
    """One part of a message."""

    type: PartType
    text: str | None = None
    reasoning: str | None = None
    thinking: str | None = None
    refusal: str | None = None


Content = str | list[str | Part] | None


class Said(NamedTuple):
    """An answer of the model."""

    thought: str
    actions: tuple[Action, ...] = ()
    reasoning_tokens: int = 0
    finish: str | None = None


class Heard(NamedTuple):
    """What came back: the result of a tool, or somebody's word."""

    text: str
    failed: bool | None = None


def validated(kind: type[T], data: Any, expected: str) -> T:
    """Return `data` as `kind`, or raise `BadInput` with what was expected and where something else was found.

    Of what was found only the type is named: anything in a log may be a thought.
    """
    try:
        found: T = TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        # Of a union every branch complains: the one that got furthest is the one that was meant.
        first = max(error.errors(), key=lambda each: len(each["loc"]))
        where = ".".join(
            str(place) for place in first["loc"] if PLACE.fullmatch(str(place)) and place != "str"
        )
        found_type = type(first["input"]).__name__
        raise BadInput(
            f"expected {expected}, but found a {found_type} at {where or 'the top'!r}: {first['msg']}"
        ) from None
    return found


def text_of(content: Content) -> str:
    """Return what a message says; a part without text is named."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part if isinstance(part, str) else _part_text(part) for part in content)


def _part_text(part: Part) -> str:
    words = part.text or part.reasoning or part.thinking or part.refusal
    return words or (f"[{part.type}]" if part.type in UNREADABLE else "")


def written_actions(text: str) -> tuple[Action, ...]:
    """Find the actions of an agent that writes them into its text: `<function=NAME>`, or fenced shell commands."""
    called = [_function(part) for part in text.split("<function=")[1:]]
    if called:
        return tuple(called)
    blocks = (block.partition("\n") for block in text.split("```")[1::2])
    return tuple(action("bash", body.strip()) for language, _, body in blocks if language.strip() in SHELLS)


def _function(part: str) -> Action:
    name, _, rest = part.partition(">")
    body = rest.partition("</function>")[0]
    given: Mapping[str, str] = {
        key: value.partition("</parameter>")[0].strip()
        for key, _, value in (piece.partition(">") for piece in body.split("<parameter=")[1:])
    }
    return action(name.strip(), to_text(given) if given else body.strip())


def joined(*texts: str | None) -> str:
    """Return reasoning and visible text as one thought."""
    return "\n\n".join(text for text in texts if text)


def to_text(arguments: object) -> str:
    """Return the arguments of a call as text: as they are, or as JSON."""
    return arguments if isinstance(arguments, str) else TypeAdapter(Any).dump_json(arguments).decode()


def turns_of(events: Iterable[Said | Heard]) -> tuple[Turn, ...]:
    """Make turns; what is heard before the model first speaks is left out.

    A log that ends with an answer that calls no tool and was not cut off ends with the action `answer`: the agent is done.
    """
    turns: list[Turn] = []
    said: Said | None = None
    heard: list[Heard] = []
    for event in events:
        if isinstance(event, Heard):
            heard.append(event)
            continue
        if said is not None:
            turns.append(_turn(said, heard))
        said, heard = event, []
    if said is not None:
        if not said.actions and not heard and said.finish not in CUT and said.thought:
            said = said._replace(actions=(action("answer"),))
        turns.append(_turn(said, heard))
    return tuple(turns)


def _turn(said: Said, heard: list[Heard]) -> Turn:
    observation = "\n\n".join(each.text for each in heard) if heard else None
    known = [each.failed for each in heard if each.failed is not None]
    return turn(said.thought, said.actions, observation, any(known) if known else None, said.reasoning_tokens)
