"""What requests to vLLM say besides what everybody's do, and what its answers need therefore."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import httpx
from pydantic_core import to_json

from ..model import ModelUnavailable, Prompt
from ..thinking.tags import ThinkParser
from .exchange import Call, Exchange, Refused
from .limits import MOST_BYTES, poured
from .logprobs import tokens_of
from .wire import Chunk, Part, Reply, chunks

IMPOSSIBLE = -30.0
"""Log-probability of a token that no sample at temperature 1 ever holds: once in ten trillion."""
CHECKED_S = 60.0
"""Longest wait for the samples that are looked at: the first with log-probabilities takes vLLM 16 s on a CPU."""

WHOLE_DISTRIBUTION: Mapping[str, object] = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}
"""What vLLM truncates unasked where the model's folder has a generation_config.json that says so."""


def is_vllm(server: str) -> bool:
    """Whether this is how a server of that name calls itself (`Capabilities.server`)."""
    return server.startswith("vLLM")


def own_fields(chat: bool, streamed: bool, stop: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Yield the fields of a request for samples that only vLLM knows.

    Streamed chats hold text back that may become a stop string, while vLLM's parser of thoughts goes by token ids: the
    end of the thoughts comes out as answer (0.32).  With the stop string in the output nothing is held back.  In all others
    control tokens are part of the text, for they may be the tags around the thoughts; both together would show the token
    that ends every answer.
    """
    yield from WHOLE_DISTRIBUTION.items()
    if chat and streamed and stop:
        yield "include_stop_str_in_output", True
    else:
        yield "skip_special_tokens", False


def goes_on_after_thinking(prompt: Prompt) -> bool:
    """Whether a conversation ends in a thought of the assistant that is closed.

    What vLLM's parser of thoughts (0.32) finds no closing tag in it calls thoughts, unless it is streamed.
    """
    if isinstance(prompt, str) or not prompt or prompt[-1].role != "assistant":
        return False
    return ThinkParser(prompt[-1].content).closed


async def check_sampling(exchange: Exchange, completions: httpx.URL, model: str, patience_s: float) -> None:
    """Raise `Refused` if the server's samples hold tokens that by its own word cannot come.

    Speculation by n-grams on the CPU build (0.32) does that at temperatures above 0, to two samples of three.  It guesses
    where the text repeats, so that is what it is given.
    """
    said = {"model": model, "prompt": "ab" * 16, "temperature": 1.0, "max_tokens": 8, "n": 32, "logprobs": 0}
    content = to_json({**said, **WHOLE_DISTRIBUTION})
    call = Call("POST", completions, content, patience_s, CHECKED_S)
    try:
        answer = await exchange.request(call, _read_whole)
    except ModelUnavailable:
        return  # What the server cannot do is for the requests that need it to say.
    known = [token.logprob for part in answer.choices for token in tokens_of(part.logprobs)]
    least = min((logprob for logprob in known if logprob is not None), default=0.0)
    if least < IMPOSSIBLE:
        raise Refused(
            f"{exchange.server} samples tokens that its own model takes for impossible (log-probability {least:.0f}), so "
            f"its votes are not the model's: start it without --speculative-config"
        )


async def _read_whole(response: httpx.Response, begun: Callable[[], None]) -> Chunk:
    async for chunk in chunks(poured(response, MOST_BYTES), begun):
        return chunk
    raise ValueError("there is no answer in it")


def stops_to_cut(said: Mapping[str, object]) -> tuple[str, ...]:
    """Return the stop strings that come along because of `own_fields` of such a request."""
    stops = said.get("stop")
    return stops if "include_stop_str_in_output" in said and isinstance(stops, tuple) else ()


def without_stops(reply: Reply, said: Mapping[str, object]) -> Reply:
    """Return the reply to a request that said this, without the stop strings that it asked for itself."""
    stops = stops_to_cut(said)
    if not stops:
        return reply
    cut = [
        choice._replace(text=StopCutter(stops).cut(Part(0, choice.text, "", "stop")).text)
        for choice in reply.choices
    ]
    return reply._replace(choices=cut)


class StopCutter:
    """Takes the stop string off a stream that ends with it, and holds back what may become one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._longest = max(map(len, self._stops), default=0)
        self._text = self._thought = ""
        """What is held back; of only one of them, as a stop string lies on one side of a tag."""

    def cut(self, part: Part) -> Part:
        """Return the part as it would have come without a stop string in the output."""
        thought, self._thought = self._thought + part.thought, ""
        text, self._text = self._text + part.text, ""
        last = text or thought
        keep = self._certain(last, over=part.finish is not None)
        held = last[keep:] if part.finish is None else ""
        if text:
            self._text, text = held, text[:keep]
        else:
            self._thought, thought = held, thought[:keep]
        return part._replace(text=text, thought=thought)

    def _certain(self, text: str, over: bool) -> int:
        """Return how many characters of it are no part of a stop string."""
        if over:
            return min(
                (len(text) - len(stop) for stop in self._stops if text.endswith(stop)), default=len(text)
            )
        begins = range(max(0, len(text) - self._longest), len(text))
        return next(
            (at for at in begins if any(stop.startswith(text[at:]) for stop in self._stops)), len(text)
        )
