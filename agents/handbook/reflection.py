"""What a model is asked about a finished job, and how the behaviours that it names are read: the question ends with the very lines that are read."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from surefoot.agents.hygiene import NOTICE, fence_by_digest
from surefoot.errors import BadInput
from surefoot.models.base import Message
from surefoot.tools.answers.last_lines import last_lines, missing

from .behaviour import LONGEST, Behaviour, name_of

MOST = 5
"""Behaviours that are named at a time."""
MOST_STEPS, MOST_SAMPLES = 8, 5
TEXT_CHARACTERS = 4_000
"""Of a problem and of a sample; of a longer one the beginning and the end are shown."""
SHOWN = 1_000
"""Characters of a verdict."""

FORM = '{"name": "behavior_carry_first", "instruction": "Write the carry down before the next digit."}'
NONE = "none"
REFLECT = f"""\
You look back at steps of a task that was done by vote: what a step was asked, what was answered to it, and what won.

Which habits would have made the answers right more often, or shorter? A habit is a general one: it names no number and no item of these
steps, so that it helps with other steps of the same kind. {NOTICE}

You may think first, but briefly. End with at most {MOST} lines of JSON in the form below, the instruction being one sentence of at most {LONGEST}
characters, or, if there is nothing to learn, with the one line: {NONE}
{FORM}"""

_OBJECT = re.compile(r"[\s`]*+(\{.*\})[\s`]*+")


class TracedStep(NamedTuple):
    """One step of a finished job."""

    problem: str
    """What was asked."""
    samples: tuple[str, ...]
    """What was answered."""
    verdict: str
    """What won, and by how much."""


class Trace(NamedTuple):
    """What there is to learn from."""

    task: str
    """The name of the job's task."""
    job: str
    steps: tuple[TracedStep, ...]


class _Named(NamedTuple):
    name: str
    instruction: str


_NAMED: TypeAdapter[_Named] = TypeAdapter(_Named)


def reflect(trace: Trace) -> tuple[Message, ...]:
    """Ask what there is to learn from a job; raises `BadInput` if it has no steps.

    All that was asked and answered is cleaned and fenced: it may be anybody's text.  The same trace makes the same prompt.
    """
    if not trace.steps:
        raise BadInput(f"job {trace.job!r} has no steps to learn from: let it run first")
    steps = "\n\n".join(_shown(number, each) for number, each in enumerate(trace.steps[:MOST_STEPS], 1))
    return Message("system", REFLECT), Message("user", steps)


def read_behaviours(text: str, trace: Trace) -> list[Behaviour]:
    """Read the lines that an answer to `reflect` ends with; those that hold no behaviour, or one that may not go into a prompt, are left out.

    Raises `NotAnAnswer` if the text ends neither with a line of JSON nor with `none`.  Takes time linear in the text.
    """
    lines: list[str] = []
    for line in last_lines(text):
        found = _OBJECT.fullmatch(line)
        if found is None or len(lines) == MOST:
            if not lines and line.strip(" `*_.").lower() == NONE:
                return []
            break
        lines.append(found[1])
    if not lines:
        raise missing(FORM)
    named = (_read(line, trace) for line in reversed(lines))
    return [each for each in named if each is not None]


def _read(line: str, trace: Trace) -> Behaviour | None:
    try:
        named = _NAMED.validate_json(line)
        return Behaviour(
            name=name_of(named.name), instruction=named.instruction.strip(), task=trace.task, job=trace.job
        )
    except (ValidationError, BadInput):
        return None


def _shown(number: int, step: TracedStep) -> str:
    answers = [(f"answer {place}", each) for place, each in enumerate(step.samples[:MOST_SAMPLES], 1)]
    parts: Sequence[tuple[str, str]] = [("the question", step.problem), *answers]
    fenced = "\n".join(_fenced(f"step {number}, {what}", text) for what, text in parts)
    return f"{fenced}\n{_fenced(f'step {number}, the verdict', step.verdict[:SHOWN])}"


def _fenced(what: str, text: str) -> str:
    half = TEXT_CHARACTERS // 2
    shown = text if len(text) <= TEXT_CHARACTERS else f"{text[:half]}\n[...]\n{text[-half:]}"
    return fence_by_digest(shown, "model", what)
