"""What requests to vLLM say besides what all requests do, and what its answers need therefore."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import httpx
from pydantic_core import to_json

from surefoot.models.base import ModelUnavailable, Prompt
from surefoot.models.streaming import Token
from surefoot.models.tags import ThinkParser

from .choice_delta import ChoiceDelta
from .exchange import Exchange, Request
from .failures import RequestRefused
from .limits import MOST_BYTES, poured
from .logprobs import tokens_of
from .options import Options
from .wire import Chunk, chunks

IMPOSSIBLE = -30.0
"""Log-probability of a token that no sample at temperature 1 ever holds: once in ten trillion."""
UNLIKELY = 1e-3
"""How small the share of all tokens that are no likelier than the one sampled is, once in a thousand tokens at most."""
REPETITIVE = ("1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2,", "12" * 10, "one two one two one two one")
"""What an n-gram speculation has guesses for."""
CHECKED_S = 60.0
"""Longest wait for the samples that are looked at: the first with log-probabilities takes vLLM 16 s on a CPU."""
WHOLE_DISTRIBUTION: Mapping[str, object] = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}
"""What vLLM truncates unasked where the model's folder has a generation_config.json that says so."""


def is_vllm(server: str) -> bool:
    """Whether this is how a server of that name calls itself (`Capabilities.server`)."""
    return server.startswith("vLLM")


def own_fields() -> Iterator[tuple[str, object]]:
    """Yield the fields of a request for samples that only vLLM knows.

    Tags that are control tokens of the model would be left out of the text, and raw thoughts pass for an answer.
    """
    yield from WHOLE_DISTRIBUTION.items()
    yield "skip_special_tokens", False


def wants_stream(prompt: Prompt, options: Options) -> bool:
    """Whether the samples of this prompt are asked for as a stream.

    Streamed chats hold text back that may become a stop string, while vLLM's parser of thoughts goes by token ids (0.32):
    the end of the thoughts comes out as answer.  vLLM notices without a stream, too, that the client has gone.
    """
    spoiled = not isinstance(prompt, str) and (options.stop or "stop" in options.extra)
    return goes_on_after_thinking(prompt) or (options.stream and not spoiled)


def goes_on_after_thinking(prompt: Prompt) -> bool:
    """Whether a conversation ends in a thought of the assistant that is closed.

    What vLLM's parser of thoughts (0.32) finds no closing tag in it calls thoughts, unless it is streamed.
    """
    if isinstance(prompt, str) or not prompt or prompt[-1].role != "assistant":
        return False
    return ThinkParser(prompt[-1].content).closed


async def check_sampling(exchange: Exchange, completions: httpx.URL, model: str, patience_s: float) -> None:
    """Raise `RequestRefused` if the server's samples hold tokens that by its own word hardly ever come.

    Speculation by n-grams on the CPU build (0.32) draws them at temperatures above 0, and spoils two samples of three.  It
    guesses where the text repeats, so that is what it is given.
    """
    said = {
        "model": model,
        "prompt": REPETITIVE,
        "temperature": 1.0,
        "max_tokens": 24,
        "n": 16,
        "logprobs": 5,
    }
    content = to_json({**said, **WHOLE_DISTRIBUTION})
    call = Request("POST", completions, content, patience_s, CHECKED_S)
    try:
        answer = await exchange.request(call, _read_whole)
    except ModelUnavailable:
        return  # What the server cannot do is for the requests that need it to say.
    tokens = [token for part in answer.choices for token in tokens_of(part.logprobs)]
    if spoiled(tokens):
        raise RequestRefused(
            f"{exchange.server} samples tokens that its own model takes for impossible, so its votes are not the model's: "
            f"start it without --speculative-config"
        )


def spoiled(tokens: Sequence[Token]) -> bool:
    """Whether these, sampled at temperature 1, cannot have been drawn from the probabilities that came along.

    The chance of a token that is no likelier than the one sampled is what the likelier ones leave over; where sampling is
    right it is below x with a chance of at most x, whatever the distributions.  By chance alone five times as many as are to
    be expected, and five more, come once in ten million times.
    """
    known = [token for token in tokens if token.logprob is not None]
    left = [1 - math.fsum(math.exp(p) for _, p in token.top if p > (token.logprob or 0.0)) for token in known]
    unlikely = sum(chance < UNLIKELY for chance in left)
    return unlikely > 5 + 5 * UNLIKELY * len(known) or any(
        (token.logprob or 0.0) < IMPOSSIBLE for token in known
    )


async def _read_whole(response: httpx.Response, begun: Callable[[], None]) -> Chunk:
    async for chunk in chunks(poured(response, MOST_BYTES), begun):
        return chunk
    raise ValueError("there is no answer in it")


def take_stops(said: dict[str, object]) -> tuple[str, ...]:
    """Take the stop strings out of what a streamed chat says, for `StopCutter`: see `wants_stream`."""
    stops = said.pop("stop", ())
    return (stops,) if isinstance(stops, str) else tuple(stops) if isinstance(stops, Sequence) else ()


class StopCutter:
    """Ends a stream at the first stop string, and holds back what may become one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._longest = max(map(len, self._stops), default=0)
        self._text = self._thought = ""
        """What is held back; of only one of them, as a stop string lies on one side of a tag."""

    def cut(self, part: ChoiceDelta) -> ChoiceDelta:
        """Return what is certain now; it finishes with "stop" where a stop string has come."""
        if not self._stops:
            return part
        thought, self._thought = self._thought + part.thought, ""
        text, self._text = self._text + part.text, ""
        if (found := self._found(thought)) is not None:
            return part._replace(thought=thought[:found], text="", finish="stop")
        if (found := self._found(text)) is not None:
            return part._replace(thought=thought, text=text[:found], finish="stop")
        if part.finish is None and text:
            text, self._text = self._halves(text)
        elif part.finish is None:
            thought, self._thought = self._halves(thought)
        return part._replace(text=text, thought=thought)

    def _found(self, text: str) -> int | None:
        """Return where the stop string begins that is complete first."""
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        return min(found)[1] if found else None

    def _halves(self, text: str) -> tuple[str, str]:
        """Return what is certain, and what may become a stop string."""
        begins = range(max(0, len(text) - self._longest + 1), len(text))
        held = (at for at in begins if any(stop.startswith(text[at:]) for stop in self._stops))
        keep = next(held, len(text))
        return text[:keep], text[keep:]
