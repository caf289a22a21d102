"""The answers of the OpenAI API, streamed or in one piece, from either endpoint: strict about what a sample needs, and no more.

A choice is needed, and its text, and the end of the stream.  Every other field may be missing or odd: an answer that has
been paid for is not thrown away for it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Any, NamedTuple

from surefoot.voting.samples import NOTHING, Usage

from .call_deltas import FUNCTION_CALL, CallsSoFar, SentCall, deltas_in
from .choice_delta import ChoiceDelta
from .cumulative import SoFar
from .error_bodies import FailureReported, ReportedError, failure_in, failure_of
from .finish_reasons import FAILURES, finish_word
from .json_text import parsed, whole_characters
from .kept_thoughts import ThoughtsSoFar
from .limits import MOST_LINES, MOST_TOKENS
from .logprobs import MeanLogprob
from .sse import ByteStream, EventReader, json_or_events

_DONE = (b"[DONE]", b'"[DONE]"')
_THOUGHTS = dict.fromkeys(("reasoning", "reasoning_content", "thinking", "reasoning_details")).keys()
"""Where servers put thoughts; some put the same into two of them."""
_PARTS = ("text", "content", "thinking", "reasoning", "summary")
"""Where the parts of a text have theirs."""
_DEEPEST = 8


class MalformedResponse(ValueError):
    """The body of a response is not what the API says; the transport or the server is to blame, not the model."""


_NOTHING_RETURNED: Mapping[str, object] = MappingProxyType({})


class WireUsage(NamedTuple):
    """Tokens of one request, or of one choice, as far as the server says; a number that none can be counts as not said."""

    prompt: int | None = None
    completion: int | None = None
    cached: int = 0
    reasoning: int = 0
    beside: int = 0
    """Output tokens that the server counts in its total alone: thoughts, for which its limit need not hold."""

    def usage(self, samples: int = 1) -> Usage:
        """Return it in our own words, for a request of so many samples."""
        known = None not in (self.prompt, self.completion)
        return Usage(
            self.prompt or 0, self.cached, self.completion or 0, self.reasoning, 0 if known else samples
        )


class Choice(NamedTuple):
    """One sample as the server sent it."""

    text: str
    finish: str | None
    thought: str = ""
    """The thoughts that the server told apart; "" where it did not, so that any are in the text."""
    calls: tuple[SentCall, ...] = ()
    returned: Mapping[str, object] = _NOTHING_RETURNED
    """The fields that held the thoughts, to be sent back where a server wants that."""
    logprob: float | None = None
    """Mean log-probability of its tokens; None where the server did not say it of each."""


class Reply(NamedTuple):
    """The answer to one request."""

    choices: list[Choice]
    """By index: with a list of prompts, all samples of the first prompt come first."""
    usage: Usage = NOTHING
    counted: bool = False
    """Whether the server said anything about output tokens."""
    id: str = ""
    """What the server calls this answer; "" where it has no name."""
    each: tuple[WireUsage, ...] = ()
    """The usage of each choice, where the server says that (llama.cpp's streams)."""
    model: str = ""
    """The model that has answered, by the server's word."""
    beside: int = 0
    """Output tokens that the server counts in its total alone."""


class Chunk(NamedTuple):
    """One event of a stream, or a whole answer."""

    choices: list[ChoiceDelta]
    usage: WireUsage | None = None
    timings: WireUsage | None = None
    """What llama.cpp says with every chunk if asked to."""
    id: str = ""
    model: str = ""


async def read_reply(
    body: ByteStream, begun: Callable[[], None], most_lines: int = MOST_LINES, *, offered: bool = False
) -> Reply:
    """Put the answer to one request together; calls `begun` whenever the model has written.

    `offered`: the model was offered tools, so that its calls count, and its thoughts may be wanted back.

    Raises `ValueError` if the answer is not complete or none at all, `FailureReported` among them, and `ResponseTooLarge`.
    """
    told: dict[int, _ChoiceSoFar] = {}
    each: dict[int, WireUsage] = {}
    total: WireUsage | None = None
    name = model = ""
    async for chunk in chunks(body, begun, most_lines):
        name, model = name or chunk.id, model or chunk.model
        for part in chunk.choices:
            if part.index not in told:
                told[part.index] = _ChoiceSoFar()
            told[part.index].add(part, offered)
        if chunk.usage and len(chunk.choices) == 1 and not total:
            # Its own with each choice's last chunk (llama.cpp), or what has come so far with every chunk.
            each[chunk.choices[0].index] = chunk.usage
        elif chunk.usage:
            total = chunk.usage
    if sorted(told) != list(range(len(told))):
        raise MalformedResponse(f"choices are numbered {sorted(told)[:20]!r}")
    choices = [told[i].choice() for i in range(len(told))]
    reply = _reply(choices, total, [each.get(i, WireUsage()) for i in range(len(told))], name)
    return reply._replace(model=model)


class _ChoiceSoFar:
    """One choice, put together from its pieces."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._thought: list[str] = []
        self._finish: str | None = None
        self._calls: CallsSoFar | None = None
        self._returned: ThoughtsSoFar | None = None
        self._logprob = MeanLogprob()

    def add(self, part: ChoiceDelta, offered: bool) -> None:
        self._text.append(part.text)
        self._thought.append(part.thought)
        self._finish = part.finish or self._finish
        if part.logprobs is not None or part.text:
            self._logprob.add(part.logprobs)
            if part.all:
                self._logprob.lose()  # of the tokens of this piece, or of all: nobody says which
        if offered and part.calls:
            if self._calls is None or part.all:
                self._calls = CallsSoFar()
            self._calls.add(part.calls)
        if offered and part.returned is not None:
            self._returned = self._returned or ThoughtsSoFar()
            self._returned.add(part.returned, part.all)

    def choice(self) -> Choice:
        return Choice(
            whole_characters("".join(self._text)),
            self._finish,
            "".join(self._thought),
            self._calls.whole() if self._calls else (),
            self._returned.all() if self._returned else _NOTHING_RETURNED,
            self._logprob.value,
        )


def _reply(choices: list[Choice], total: WireUsage | None, each: list[WireUsage], name: str) -> Reply:
    said = [usage for usage in each if usage != WireUsage()]
    if total or len(said) < len(choices) or len(said) == 1 or any(own.completion is None for own in said):
        total = total or (said[-1] if said else WireUsage())
        counted = total.completion is not None
        return Reply(choices, total.usage(len(choices)), counted, name, beside=total.beside)
    return Reply(choices, Usage.of_all(usage.usage() for usage in said), True, name, tuple(said))


async def chunks(
    body: ByteStream, begun: Callable[[], None], most_lines: int = MOST_LINES
) -> AsyncIterator[Chunk]:
    """Yield the chunks of an answer, one only where it comes in one piece; calls `begun` whenever the model has written.

    A stream is complete when the server says so, or when it ends after each choice has finished.  One without any choice is
    an answer if it was paid for: the model had nothing to say, or was not let.  Raises `ValueError` if
    it ends before, `FailureReported` if the server reports a failure, and `ResponseTooLarge`.
    """
    in_one_piece, body = await json_or_events(body, most_lines)
    if in_one_piece:
        answer = _whole(parsed(b"".join([block async for block in body])))
        begun()
        yield answer
        return
    finished: dict[int, bool] = {}
    so_far = SoFar()
    paid = False
    async with aclosing(body), aclosing(_said(body, most_lines)) as sayings:
        async for said in sayings:
            if said is _END and (finished or paid):
                return
            if said is _UNREADABLE:
                if not finished or not all(finished.values()):
                    raise MalformedResponse("a part of the stream is no JSON")
                continue
            chunk = _chunk(said, streamed=True)
            paid = paid or _paid(chunk)
            for place, part in enumerate(chunk.choices):
                part = chunk.choices[place] = so_far.next(part)
                finished[part.index] = finished.get(part.index, False) or part.finish is not None
                if part.text or part.thought or part.finish or part.calls:
                    begun()
            yield chunk
    if not finished and not paid:
        raise MalformedResponse("there is no answer in it")
    if not all(finished.values()):
        raise MalformedResponse("the stream broke off")


_END: dict[str, Any] = {}
"""Stands for the server's word that a stream is complete."""
_UNREADABLE: dict[str, Any] = {}
"""Stands for an event that is no JSON."""


async def _said(body: ByteStream, most_lines: int) -> AsyncGenerator[Mapping[str, Any], None]:
    """Yield the JSON objects of a stream, `_UNREADABLE` and `_END`; other JSON is passed over (llama.cpp begins with null)."""
    events, held = EventReader(most_lines), list[bytes]()
    async for block in body:
        for event in events.read(block):
            if event.name == "error" and event.data:
                raise FailureReported(_failure(event.data))
            if event.data in _DONE:
                yield _END
                return
            if event.data.startswith(b":") and not held:
                continue  # A server's comment that a gateway has turned into data: no JSON begins so.
            if event.data:
                held.append(event.data)
            if not held or (event.data and len(held) > 1):
                continue
            try:
                said = parsed(b"\n".join(held))
            except ValueError:
                if event.data:
                    continue  # It may make JSON together with the next lines of its event.
                said = _UNREADABLE
            held.clear()
            if isinstance(said, dict):
                yield said
    if held:
        yield _UNREADABLE


def _failure(data: bytes) -> ReportedError:
    """Return what an `error` event says, which need not be JSON."""
    try:
        said = parsed(data)
    except ValueError:
        return failure_of(data.decode(errors="replace"))
    return failure_in(said) or failure_of(said)


def _whole(said: object) -> Chunk:
    """Read an answer that came in one piece; its choices have the order of the list where they have no numbers."""
    if (failure := failure_in(said)) is not None:
        raise FailureReported(failure)
    if not isinstance(said, dict) or not isinstance(said.get("choices"), list):
        raise MalformedResponse("there is no answer in it")
    chunk = _chunk(said)
    if not chunk.choices and not _paid(chunk):
        raise MalformedResponse("there is no answer in it")
    for choice in said["choices"]:
        if not any(name in choice for name in ("message", "delta", "text")):
            raise MalformedResponse("a choice without a text")
    if len({part.index for part in chunk.choices}) < len(chunk.choices):
        return chunk._replace(choices=[part._replace(index=i) for i, part in enumerate(chunk.choices)])
    return chunk


def _paid(chunk: Chunk) -> bool:
    return chunk.usage is not None and bool(chunk.usage.prompt or chunk.usage.completion)


def _chunk(said: Mapping[str, Any], streamed: bool = False) -> Chunk:
    if (failure := failure_in(said)) is not None:
        raise FailureReported(failure)
    choices = said.get("choices")
    name, model = said.get("id"), said.get("model")
    choices = choices if isinstance(choices, list) else []
    return Chunk(
        [_part(choice, place, streamed) for place, choice in enumerate(choices)],
        _usage(said.get("usage")),
        _timings(said.get("timings")),
        name if isinstance(name, str) else "",
        model if isinstance(model, str) else "",
    )


def _part(choice: object, place: int, streamed: bool) -> ChoiceDelta:
    if not isinstance(choice, dict):
        raise MalformedResponse(f"a choice is {type(choice).__name__}")
    # Where both are there the delta is what comes next, the message all that has come (Perplexity).
    fields = ("delta", "message") if streamed else ("message", "delta")
    where = next((name for name in fields if isinstance(choice.get(name), dict)), None)
    said = choice[where] if where else {"content": choice.get("text")}
    finish = finish_word(choice.get("finish_reason"))
    if choice.get("error") or finish in FAILURES:
        failure = failure_in({"error": choice["error"]}) if choice.get("error") else None
        if failure or finish in FAILURES:
            raise FailureReported(failure or ReportedError(f"it ended its answer with {finish!r}"))
    text, thought = _content(said.get("content"))
    returned = None
    if not _THOUGHTS.isdisjoint(said):
        returned = said
        thought = next((words for name in _THOUGHTS if (words := _words(said.get(name)))), "") + thought
    index = _index(choice.get("index"))
    return ChoiceDelta(
        place if index is None else index,
        text,
        thought,
        finish,
        choice.get("logprobs"),
        streamed and where == "message",
        deltas_in(said, whole=where == "message") if "tool_calls" in said or FUNCTION_CALL in said else (),
        returned,
    )


def _content(content: object) -> tuple[str, str]:
    """Return (answer, thoughts) of a message's content: a text, nothing, or blocks of several types."""
    if content is None or isinstance(content, str):
        return content or "", ""
    if not isinstance(content, list | dict):
        raise MalformedResponse(f"the content of an answer is {type(content).__name__}")
    text, thoughts = [], []
    for block in content if isinstance(content, list) else [content]:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind in (None, "text", "output_text"):
            text.append(_words(block))
        elif "thinking" in str(kind) or "reasoning" in str(kind):
            thoughts.append(_words(block))
    return "".join(text), "".join(thoughts)


def _words(said: object, depth: int = 0) -> str:
    """Return the text of something that should be a text, and may be an object or a list of its parts."""
    if isinstance(said, str):
        return said
    if isinstance(said, list) and depth < _DEEPEST:
        return "".join([_words(part, depth + 1) for part in said])
    if isinstance(said, dict) and depth < _DEEPEST:
        return next((words for name in _PARTS if (words := _words(said.get(name), depth + 1))), "")
    return ""


def _index(index: object) -> int | None:
    if isinstance(index, str) and len(index) < 10 and index.isdecimal():
        return int(index)
    return index if type(index) is int and index >= 0 else None


def _usage(said: object) -> WireUsage | None:
    if not isinstance(said, dict):
        return None
    prompt, completion = _count(said, ("prompt_tokens",)), _count(said, ("completion_tokens",))
    if prompt is completion is None:
        return None
    cached = _count(said, ("prompt_tokens_details", "cached_tokens")) or 0
    reasoning = _count(said, ("completion_tokens_details", "reasoning_tokens")) or 0
    total = _count(said, ("total_tokens",))
    if prompt is None or completion is None or total is None or total <= prompt + completion:
        return WireUsage(prompt, completion, min(cached, prompt or 0), reasoning)
    beside = total - prompt - completion
    if cached > prompt:
        # What came from the cache is counted beside the rest of the prompt, as Anthropic does.
        return WireUsage(prompt + beside, completion, min(cached, prompt + beside), reasoning)
    # Thoughts are counted beside the answer, as xAI and Gemini do.
    return WireUsage(prompt, completion + beside, cached, reasoning or beside, beside)


def _timings(said: object) -> WireUsage | None:
    if not isinstance(said, dict):
        return None
    cached, fresh, made = (_count(said, (name,)) for name in ("cache_n", "prompt_n", "predicted_n"))
    return None if made is None else WireUsage((cached or 0) + (fresh or 0), made, cached or 0)


def _count(said: object, path: Iterable[str]) -> int | None:
    """Return a number of tokens; None where there is none, or one that no number of tokens can be."""
    for name in path:
        said = said.get(name) if isinstance(said, dict) else None
    if isinstance(said, float) and said.is_integer():
        said = int(said)
    return said if type(said) is int and 0 <= said <= MOST_TOKENS else None
