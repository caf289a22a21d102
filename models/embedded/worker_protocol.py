"""What a worker that runs pebble is told and tells: one line of JSON for a chunk of asks, one for its samples."""

import json
from collections.abc import Sequence

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Prompt
from surefoot.voting.samples import Sample, Usage

VOCABULARY = 257
EOS = 256
"""Token ids are bytes; the one after them ends an answer."""
CONTEXT = 256
"""Most tokens of prompt and answer together."""
LONGEST_LINE = 1 << 24
"""Bytes of the longest line, far above what a chunk of samples takes."""

LOGPROBS = "--logprobs"
"""The option of a worker that says log-probabilities."""


def tokens(text: str) -> list[int]:
    """Return the token ids of a text: its bytes."""
    return list(text.encode())


def flat(prompt: Prompt) -> str:
    """Return a prompt as pebble reads it: a chat is the plain concatenation of its messages."""
    return prompt if isinstance(prompt, str) else "".join(message.content for message in prompt)


def checked_ask(ask: Ask) -> Ask:
    """Return an ask that pebble can answer, with a prompt that is a string; raise `BadInput` otherwise."""
    if ask.offer is not None:
        raise BadInput("pebble calls no tools: ask a server with function calling, or without an offer")
    if not isinstance(ask.prompt, str) and any(message.pictures for message in ask.prompt):
        raise BadInput("pebble sees no pictures: ask a model that does")
    prompt = flat(ask.prompt)
    try:
        length = len(tokens(prompt))
    except UnicodeEncodeError as error:
        raise BadInput(f"pebble reads text, not {prompt!r}: {error}") from None
    if not 0 < length < CONTEXT:
        raise BadInput(
            f"pebble reads prompts of 1 to {CONTEXT - 1} bytes, not of {length!r}: give it the compact style"
        )
    if ask.max_tokens < 1 or not ask.temperature >= 0:
        raise BadInput(
            f"max_tokens is at least 1 and the temperature at least 0, not {ask.max_tokens!r} and {ask.temperature!r}"
        )
    return ask if prompt is ask.prompt else ask._replace(prompt=prompt)


def write_asks(asks: Sequence[Ask]) -> bytes:
    """Return the line for a chunk of checked asks."""
    return json.dumps(asks).encode() + b"\n"


def read_asks(line: bytes) -> list[Ask]:
    """Return the asks of a line."""
    return [Ask(*fields) for fields in json.loads(line)]


def write_samples(samples: Sequence[Sample]) -> bytes:
    """Return the line for a chunk's samples."""
    found = [
        (sample.text, sample.finish, sample.tokens, sample.usage.prompt, sample.logprob) for sample in samples
    ]
    return json.dumps(found).encode() + b"\n"


def read_samples(line: bytes) -> list[Sample]:
    """Return the samples of a line."""
    return [
        Sample(text, finish, count, Usage(prompt=prompt, completion=count), logprob=logprob)
        for text, finish, count, prompt, logprob in json.loads(line)
    ]
