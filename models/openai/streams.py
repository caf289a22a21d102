"""One stream of an OpenAI-compatible server: prefilled, read token by token, taken up again where it breaks off."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from operator import sub

import httpx
from pydantic_core import to_json

from surefoot.models.base import Message
from surefoot.models.growing_text import GrowingText
from surefoot.models.streaming import Draw, Piece, parser, whole_stream
from surefoot.models.tags import Split
from surefoot.voting.samples import NOTHING, Usage

from .answer_cache import AnswerFromCache, Draws, Names
from .answers import Leftovers
from .batches import Capabilities
from .choice_delta import ChoiceDelta
from .dialect import NO_STOP, Dialect, Wording
from .exchange import Exchange, Request
from .failures import RequestRefused, StreamInterrupted
from .function_calling import check_offer, text_messages
from .json_text import whole_characters
from .limits import poured, room_for
from .logprobs import tokens_of
from .messages import chat_messages
from .model_list import under
from .options import Options
from .prefill import Prefill, Raw, template
from .probe import ServerLacks
from .vllm import StopCutter, is_vllm, own_fields, take_stops
from .wire import Chunk, chunks

_SUM = "27+18="
_PROBE_TOKENS = 24


class Streams:
    """Draws streams from one server, whose capabilities are known."""

    def __init__(
        self,
        exchange: Exchange,
        root: httpx.URL,
        model: str,
        can: Capabilities,
        options: Options,
        names: Names,
        draws: Draws,
        dialects: Mapping[bool, Dialect],
        tell: Callable[..., None],
    ) -> None:
        self.name = model
        self._dialects = dialects
        self._tell = tell
        self._names, self._draws = names, draws
        self._exchange = exchange
        self._root = root
        self._can = can
        self._options = options
        self._prefill = Prefill(exchange, root, model, can, options)
        self._enforces_budget: bool | None = None

    async def stream(self, draw: Draw) -> AsyncGenerator[Piece, None]:
        """Yield pieces as they come; closing the generator closes the connection.

        A stream that breaks off after the model has begun goes on in another request from what has come, with the tokens
        that are left.  The result is a sample of the same model, but not the one that an unbroken stream would have been.
        """
        draw = _in_words(draw)
        reader = _Reader(draw, self._can.context)
        while True:
            left = draw.max_tokens - reader.tokens
            if reader.finish or left < 1:
                yield Piece(finish=reader.finish or "length")
                return
            # The thinking budget stays what it is: vLLM counts the thoughts that it finds in the prompt.
            rest = replace(draw, begun=draw.begun + reader.raw, max_tokens=left)
            try:
                async with aclosing(self._chunks(rest)) as received:
                    async for chunk in received:
                        for piece in reader.read(chunk):
                            yield piece
                if draw.temperature > 0:
                    self._tell(self._draws.seen(replace(draw, seed=0), [("", reader.raw)], draw.seed))
                return
            except RequestRefused as refusal:
                if not draw.begun or refusal.status != 400 or not await self._prefill.fills_context(rest):
                    raise
                yield Piece(finish="length")
                return
            except StreamInterrupted:
                reader.next_request(rendered=self._prefill.renders(draw.prompt))

    async def tokenize(self, text: str) -> list[int]:
        """Return the token ids of `text`, no special ones added; raises `RequestRefused` where the server has no /tokenize."""
        return await self._prefill.tokenize(text)

    async def native_budget(self) -> bool:
        """Return whether `thinking_token_budget` ends the thinking; many servers ignore it and say nothing."""
        if self._enforces_budget is None:
            self._enforces_budget = await self._try_budget()
        return self._enforces_budget

    async def _try_budget(self) -> bool:
        free = Draw(prompt=(Message("user", _SUM),), temperature=0.0, max_tokens=_PROBE_TOKENS, seed=1)
        if not self._can.chat.works:
            free = replace(free, prompt=_SUM, begun=free.tags.open)
        if not (await whole_stream(self, free)).thought.strip():
            return False
        try:
            held = await whole_stream(self, replace(free, thinking_budget=0))
        except RequestRefused:
            return False
        return not held.thought.strip()

    async def _chunks(self, draw: Draw) -> AsyncGenerator[Chunk, None]:
        prompt = await self._prefill.prompt(draw)
        chat = isinstance(prompt, tuple)
        endpoint, path = (self._can.chat, "/chat/completions") if chat else (self._can.text, "/completions")
        if not endpoint.works:
            raise ServerLacks(f"{self._exchange.server} has no {path}: {endpoint.why}")

        room = room_for(draw.max_tokens)

        def follow(response: httpx.Response, begun: Callable[[], None]) -> AsyncIterator[Chunk]:
            return chunks(poured(response, room.bytes), begun, room.lines)

        options = self._options
        said = self._body(draw, prompt)
        stops = take_stops(said)
        cuts = chat and is_vllm(self._can.server)
        if stops and not cuts:
            said["stop"] = stops
        call = Request(
            "POST",
            under(self._root, path),
            None,
            options.patience_s,
            options.total_s,
            fresh=draw.temperature > 0,
            private=bool(draw.begun),
        )
        # A control asks for log-probabilities because it can do nothing without them.
        own = {**options.extra, "logprobs": True} if draw.top_logprobs else options.extra
        wording = Wording(self._dialects[chat], said, draw.seed, own)
        name = ""
        understood = False
        while True:
            sent = call._replace(body=to_json(wording.sent()))
            cutter = StopCutter(stops if cuts or NO_STOP in wording.remedies else ())
            try:
                async with aclosing(self._exchange.stream(sent, follow)) as received:
                    async for chunk in received:
                        if not understood:
                            understood = True
                            self._tell(*wording.understood())
                        if not name and (name := chunk.id):
                            self._check_fresh(name, draw)
                        goes_on = not any(part.finish for part in chunk.choices[:1])
                        chunk.choices[:] = [cutter.cut(part) for part in chunk.choices[:1]]
                        yield chunk
                        if goes_on and any(part.finish for part in chunk.choices):
                            return
                return
            except RequestRefused as error:
                if understood:
                    raise
                if not wording.helped(error):
                    raise wording.refusal from None

    def _check_fresh(self, name: str, draw: Draw) -> None:
        if self._names.seen(name, (draw.prompt, draw.begun), draw.seed) and draw.temperature > 0:
            raise AnswerFromCache(
                self._exchange.server, f"two requests got the one answer {self._exchange.words(name)!r}"
            )

    def _body(self, draw: Draw, prompt: Raw | tuple[Message, ...]) -> dict[str, object]:
        options = self._options
        # vLLM refuses a limit that is longer than its context.
        limit = min(draw.max_tokens, self._can.context or draw.max_tokens)
        said: dict[str, object] = {
            "model": self.name,
            "temperature": draw.temperature,
            "seed": draw.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if isinstance(prompt, tuple):
            said.update(_chat(replace(draw, max_tokens=limit), prompt, options))
        else:
            said |= {"prompt": prompt, "max_tokens": limit}
            if draw.top_logprobs:
                said["logprobs"] = draw.top_logprobs
        stop = options.stop + draw.stop
        if stop:
            said["stop"] = stop
        if draw.logit_bias:
            said["logit_bias"] = {str(token): bias for token, bias in draw.logit_bias}
        if draw.thinking_budget is not None:
            said["thinking_token_budget"] = draw.thinking_budget
        # What an aborted stream has cost is known only if every chunk says so.
        if is_vllm(self._can.server):
            said.update(own_fields())
            said["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
        if self._can.server == "llama.cpp":
            said["timings_per_token"] = True
            # Tags that are control tokens of the model would be left out of the text.
            said["preserved_tokens"] = [draw.tags.open, draw.tags.close]
        said.update(options.extra)
        return said


def _chat(draw: Draw, messages: tuple[Message, ...], options: Options) -> Iterator[tuple[str, object]]:
    yield "messages", chat_messages(messages)
    yield options.chat_limit, draw.max_tokens
    yield from template(draw.think, options).items()
    if draw.top_logprobs:
        yield "logprobs", True
        yield "top_logprobs", draw.top_logprobs
    if draw.begun:
        yield "add_generation_prompt", False
        yield "continue_final_message", True


def _in_words(draw: Draw) -> Draw:
    """Return the draw with its offer, and what earlier calls came to, in its messages."""
    if isinstance(draw.prompt, str):
        if draw.offer is not None:
            check_offer(draw.prompt, draw.offer)
        return draw
    if draw.offer is None and all(message.role != "tool" for message in draw.prompt):
        return draw
    if draw.offer is not None:
        check_offer(draw.prompt, draw.offer)
    return replace(draw, prompt=text_messages(draw.prompt, draw.offer), offer=None)


_NOTHING_SAID = ChoiceDelta(0)


class _Reader:
    """Makes pieces of the chunks of one stream, over all requests that it takes."""

    def __init__(self, draw: Draw, context: int | None) -> None:
        self._raw = GrowingText()
        self._context = context
        self.tokens = 0
        self.finish: str | None = None
        self._draw = draw
        self._parser = parser(draw)
        self._reasoning = False
        self._answer: Leftovers | None = None
        """Reads the answer of a server that has told the thoughts apart: what looks like a tag in it is text."""
        self._billed = NOTHING

    @property
    def raw(self) -> str:
        """What the model has written, tags included."""
        return str(self._raw)

    def next_request(self, rendered: bool) -> None:
        """Begin to count anew; `rendered`: a conversation goes on as raw text."""
        self._billed = NOTHING
        if rendered:
            self._answer = None
        if self._reasoning and rendered:
            # The server told the thoughts apart so far.  What comes now closes them with a tag, if at all.
            self._parser = parser(replace(self._draw, begun=self._draw.begun + self.raw))
            self._reasoning = False

    def read(self, chunk: Chunk) -> Iterator[Piece]:
        """Yield the pieces of a chunk; tokens, finish and usage come with the last."""
        part = chunk.choices[0] if chunk.choices else _NOTHING_SAID
        text, thought = whole_characters(part.text), self._without_tag(whole_characters(part.thought))
        finish, tokens = part.finish, tokens_of(part.logprobs)
        self._note(text, thought)
        told = self._split(text, thought)
        if finish:
            self.finish = finish
            told += [Split(text=self._answer.end_of_answer())] if self._answer else self._parser.end()
        usage = self._more(chunk, len(tokens) or (1 if text or thought else 0))
        *done, last = told or [Split()]
        for split in done:
            yield Piece(*split[:2], unopened=split.unopened)
        if any(last) or tokens or finish or usage != NOTHING:
            yield Piece(*last[:2], tokens, finish, usage, last.unopened, self._room())

    def _room(self) -> int | None:
        """Return how many tokens the context has left, where the server says how long it is and how much is in it."""
        if self._context is None or not self._billed.prompt:
            return None
        return self._context - self._billed.prompt - self._billed.completion

    def _without_tag(self, thought: str) -> str:
        """Return what a server has told apart without the tag that opens it.

        vLLM's parsers of thoughts (0.32) leave it in where the tag comes in one piece with more: on a busy server, with
        `--stream-interval`, with speculation.
        """
        if self._reasoning or not thought.lstrip().startswith(self._draw.tags.open):
            return thought
        return thought.lstrip().removeprefix(self._draw.tags.open)

    def _split(self, text: str, thought: str) -> list[Split]:
        """Tell thinking from answer, as the server does or by the tags."""
        told = []
        if thought:
            told = self._parser.feed("", thought)
            self._answer = self._answer or Leftovers()
        if not text or self._answer is None:
            return told + self._parser.feed(text)
        self._parser.thinking = False
        return [*told, Split(text=self._answer.feed(text))]

    def _note(self, text: str, thought: str) -> None:
        """Put the raw text together, with the tags that a server has left out."""
        if thought:
            if not (self._reasoning or self._parser.thinking):
                self._raw.add(self._draw.tags.open)
            self._reasoning = True
            self._raw.add(thought)
        if text:
            if self._reasoning:
                self._raw.add(self._draw.tags.close)
                self._reasoning = False
            self._raw.add(text)

    def _more(self, chunk: Chunk, tokens: int) -> Usage:
        """Return what a chunk adds to the bill: by the server's own count, or estimated until that comes."""
        before, timings = self._billed, chunk.timings
        if chunk.usage and chunk.usage.completion is not None:
            self._billed = chunk.usage.usage()
        elif timings:
            self._billed = timings.usage()
        elif tokens:
            self._billed = before._replace(completion=before.completion + tokens, uncounted=1)
        more = Usage(*map(sub, self._billed, before))
        self.tokens += more.completion
        return more
