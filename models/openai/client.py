"""The client for any OpenAI-compatible server: vLLM, llama.cpp, or a provider."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Literal

import httpx
from pydantic_core import to_json

from surefoot.errors import BadInput
from surefoot.models.base import Ask
from surefoot.models.gather import as_they_end
from surefoot.models.keys import is_key
from surefoot.models.server_load import ServerLoad
from surefoot.models.streaming import Draw, Piece
from surefoot.voting.samples import NOTHING, Sample, Usage

from .addresses import roots_of, shown
from .answer_cache import AnswerFromCache, Draws, Marks, Names
from .answering_model import another
from .batches import Batch, Capabilities, batches, body
from .connections import Connections
from .dialect import NO_LOGPROBS, NO_STOP, Dialect, Wording
from .exchange import Exchange, Read, Request, Send
from .failures import RequestRefused
from .finish_reasons import unknown
from .function_calling import NATIVE, TEXT, FunctionCalling, check_offer, kimi_ids, returns_thoughts
from .function_probe import probe_tools
from .kept_thoughts import KeptThoughts, opening
from .limits import MOST_CHARACTERS, Room, poured, room_for
from .model_list import choose_model, list_models, under
from .options import Options
from .probe import ServerLacks, probe
from .prompt_truncation import seems_cut
from .redaction import Redactor, keys_in
from .samples import billed, cut_at_stops, samples_of
from .streams import Streams
from .vllm import check_sampling, is_vllm
from .wire import Choice, Reply, read_reply

READY_PATIENCE_S = 3.0
MOST_PUZZLES = 5
"""Unknown words of a server that are named, and names of models."""
_CALLING = {None: None, "native": NATIVE, "text": TEXT}


class OpenAIModel:
    """A model on an OpenAI-compatible server.

        async with OpenAIModel("http://gpu:8000") as model:
            capabilities = await model.ready()
            async with aclosing(model.sample(asks)) as samples:
                async for position, sample in samples:
                    ...

    `base_url` may end in /v1 or not.  Without `model` the only one that the server offers is taken.  A `client` stays
    its caller's to close and brings its own proxies and certificates; a `transport` is closed with the model; with
    neither the model opens connections of its own.  The key appears in no message and no `repr`.
    """

    def __init__(
        self,
        base_url: str,
        model: str | None = None,
        *,
        client: httpx.AsyncClient | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        options: Options | None = None,
    ) -> None:
        self._options = options or Options()
        key = self._options.api_key
        if key and not is_key(key):
            raise BadInput(
                "the API key holds a blank, a line break or a character that no key has: copy it again"
            )
        if self._options.hedge or self._options.compare:
            raise BadInput("to hedge or to compare takes several servers: give these options to `Replicas`")
        self._roots = roots_of(base_url)
        self._model = model
        self._transport: httpx.AsyncBaseTransport | None = None
        send: Send
        if client:
            send = partial(client.send, stream=True)
        else:
            self._transport = transport or Connections(self._roots[0], self._options)
            send = self._transport.handle_async_request
        # The values of an address's query may be keys, too.
        words = Redactor([key or "", *keys_in(self._roots[0].params.multi_items())])
        own = client.headers if client else None
        self._exchange = Exchange(send, shown(self._roots[0]), self._options, words, own)
        self._read = _read_as_it_comes if self._options.stream else _read_at_once
        self._urls: dict[bool, httpx.URL] = {}
        self._probing, self._probing_budget = asyncio.Lock(), asyncio.Lock()
        self._capabilities: Capabilities | None = None
        self._streams: Streams | None = None
        self._marks, self._names, self._draws = Marks(), Names(), Draws()
        self._dialects = {False: Dialect(), True: Dialect()}
        self._told: list[str] = []
        self._usage = NOTHING
        self._puzzles: set[str] = set()
        self._signatures: set[str] = set()
        self._cut = False
        self._trying_tools = asyncio.Lock()
        self._calling = _CALLING[self._options.tools]
        self._kept = KeptThoughts()

    @property
    def name(self) -> str:
        """The model's name on the server, or the server's address as long as that is not known."""
        return self._model or self._exchange.server

    @property
    def server(self) -> str:
        """What sentences call the server: its address, without what may be a key."""
        return self._exchange.server

    @property
    def usage(self) -> Usage:
        """Tokens billed so far, but for the few of the probe and what aborted streams had sent unread."""
        return self._usage

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return self._exchange.limiter.limit

    def server_load(self) -> ServerLoad:
        """Return what was asked of the server so far."""
        requests, busy_s, allowed_s = self._exchange.limiter.so_far()
        return ServerLoad(requests, self._exchange.retries, busy_s, allowed_s)

    @property
    def tools(self) -> Literal["native", "text"] | None:
        """How it is offered tools: by the server's function calling, or in words; None as long as that is not known."""
        return None if self._calling is None else "native" if self._calling.native else "text"

    async def ready(self, patience_s: float = READY_PATIENCE_S) -> Capabilities:
        """Find out whether the server is there, has the model, and what it can do; asked once, then remembered.

        Raises `ModelUnavailable` within a few seconds, or after `patience_s` of an outage.
        """
        async with self._probing:
            if self._capabilities is None:
                root, models = await list_models(self._exchange, self._roots, patience_s, self._model)
                card = choose_model(models, self._model, self._exchange.server)
                self._model = card.id
                self._urls = {chat: under(root, _path(chat)) for chat in (False, True)}
                post = partial(self._post, patience_s=patience_s)
                can = await probe(self._exchange, root, models, card, post, self._options)
                if is_vllm(can.server) and can.text.works:
                    await check_sampling(self._exchange, self._urls[False], card.id, patience_s)
                self._draws.probed()
                self._streams = Streams(
                    self._exchange,
                    root,
                    card.id,
                    can,
                    self._options,
                    self._names,
                    self._draws,
                    self._dialects,
                    self._tell,
                )
                self._capabilities = can = self._with_dialects(can)
                if tell := self._options.on_notice:
                    for notice in can.notices:
                        if notice not in self._told:
                            tell(notice)
            return self._capabilities

    async def context(self) -> int | None:
        """Return how many tokens a prompt and its answer may have together; None if the server does not say."""
        return (self._capabilities or await self.ready()).context

    def _with_dialects(self, can: Capabilities) -> Capabilities:
        """Return what the server can do with what was learnt about how it is spoken to."""
        wants = {
            chat: tuple(remedy.name for remedy in dialect.remedies)
            for chat, dialect in self._dialects.items()
        }
        text, chat = replace(can.text, wants=wants[False]), replace(can.chat, wants=wants[True])
        return replace(can, text=text, chat=chat, notices=(*can.notices, *self._told))

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask and yield (position of the ask, sample) in the order of completion.

        The text of a sample is what comes after the thoughts, and "" if it ended in mid-thought; tokens and usage are
        those of everything.  Closing the iterator closes the connections of what still runs, which is how servers learn to
        stop.
        """
        can = self._capabilities or await self.ready()
        if any(ask.offer is not None for ask in asks):
            await self._offer(asks, can)
        requests = batches(asks, can, self._options)
        if len(requests) == 1:
            for pair in await self._ask(requests[0], can):
                yield pair
            return
        async with aclosing(as_they_end(self._ask(batch, can) for batch in requests)) as answered:
            async for pairs in answered:
                for pair in pairs:
                    yield pair

    async def _offer(self, asks: Sequence[Ask], can: Capabilities) -> None:
        """Check the offers, and find out how this server is made any; tried once, then remembered."""
        kinds = {(ask.offer, isinstance(ask.prompt, str)): ask.prompt for ask in asks}
        for (offer, _), prompt in kinds.items():
            if offer is not None:
                check_offer(prompt, offer)
        async with self._trying_tools:
            if self._calling is None:
                post = partial(self._post, patience_s=READY_PATIENCE_S, calling=NATIVE)
                self._calling, found = await probe_tools(post, can.context)
                self._tell(found)

    async def stream(self, draw: Draw) -> AsyncGenerator[Piece, None]:
        """Yield one stream as it comes (`Streaming`); closing the generator closes the connection."""
        async with aclosing((await self._streaming()).stream(draw)) as pieces:
            async for piece in pieces:
                self._usage += piece.usage
                yield piece

    async def tokenize(self, text: str) -> list[int]:
        """Return the token ids of `text`, no special ones added; raises `RequestRefused` where the server has no /tokenize."""
        return await (await self._streaming()).tokenize(text)

    async def native_budget(self) -> bool:
        """Return whether the server enforces `thinking_token_budget`: tried once, then remembered."""
        async with self._probing_budget:
            return await (await self._streaming()).native_budget()

    async def _streaming(self) -> Streams:
        await self.ready()
        assert self._streams is not None
        return self._streams

    async def aclose(self) -> None:
        """Close the connections, unless they are the caller's."""
        if self._transport:
            await self._transport.aclose()

    async def __aenter__(self) -> "OpenAIModel":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"OpenAIModel({self._exchange.server!r}, {self._model!r})"

    async def _ask(self, batch: Batch, can: Capabilities) -> list[tuple[int, Sample]]:
        endpoint = can.endpoint(batch)
        if not endpoint.works:
            raise ServerLacks(f"{self._exchange.server} has no {_path(batch.chat)}: {endpoint.why}")
        reply = await self._answered(batch)
        if not reply.choices:
            # Paid for, and nothing said: samples without a text and without a reason, which the red flags deal with.
            reply = reply._replace(choices=[Choice("", None)] * len(batch.positions))
        if len(reply.choices) != len(batch.positions):
            raise ServerLacks(
                f"{self._exchange.server} returned {len(reply.choices)} samples where {len(batch.positions)} were asked "
                f"for: set max_n=1 and max_batch=1"
            )
        usage = billed(reply, batch, endpoint.counts_all)
        self._usage += usage
        if not self._cut and seems_cut(batch.prompts, usage.prompt):
            self._cut = True
            self._tell(
                f"counts {usage.prompt:,} tokens in a prompt that must have several times as many: it seems to have cut "
                f"it to its context, which would have to be set larger on the server"
            )
        samples = list(samples_of(batch, reply, usage))
        if self._options.logprobs:
            self._miss_logprobs(reply, batch.chat)
        if batch.offer is not None:
            for (_, sample), choice in zip(samples, reply.choices, strict=True):
                self._kept.keep(opening(batch.prompts[0]), sample.text, choice.returned)
        return samples

    async def _answered(self, batch: Batch) -> Reply:
        """Send a request, and learn from refusals how this server is offered tools; raises the first of them."""
        calling, first, tried = self._calling or TEXT, None, list[FunctionCalling]()
        while True:
            try:
                # A seed makes a request repeatable, so what marks it repeats with the seed.
                reply = await self._post(batch, self._options.patience_s, batch.seed, calling)
            except RequestRefused as error:
                first = first or error
                better = calling.corrected(error, self._said(batch, calling)) if batch.offer else ()
                found = next((other for other in better if other not in tried), None)
                if found is None:
                    raise first from None
                tried.append(found)
                calling = found
            else:
                if tried:
                    self._calling = calling
                    self._tell(*calling.notices())
                if any(kimi_ids(choice.calls) for choice in reply.choices):
                    self._calling = replace(calling, kimi_ids=True)
                return reply

    def _said(self, batch: Batch, calling: FunctionCalling) -> dict[str, object]:
        assert self._model is not None
        return body(batch, self._model, self._options, self._capabilities, calling, self._kept)

    async def _post(
        self, batch: Batch, patience_s: float, number: int | None = None, calling: FunctionCalling = TEXT
    ) -> Reply:
        if number is None:
            number = self._marks.next()
        said = self._said(batch, calling)
        fresh, private = batch.temperature > 0, batch.offer is not None and returns_thoughts(said)
        call = Request(
            "POST", self._urls[batch.chat], None, patience_s, self._options.total_s, fresh, private
        )
        read = partial(
            self._read,
            room=room_for(batch.max_tokens * len(batch.positions)),
            offered=batch.offer is not None,
        )
        reply = await self._understood(batch.chat, call, said, number, read)
        self._puzzle_over(reply)
        self._compare_names(reply.model)
        if self._names.seen(reply.id, batch.prompts, number) and fresh:
            name = self._exchange.words(reply.id)
            raise AnswerFromCache(self._exchange.server, f"two requests got the one answer {name!r}")
        if fresh:
            asked = batch._replace(seed=None, positions=())
            samples = [(choice.thought, choice.text + _written(choice)) for choice in reply.choices]
            self._tell(self._draws.seen(asked, samples, number))
        return reply

    async def _understood(
        self, chat: bool, call: Request, said: Mapping[str, object], number: int, read: Read[Reply]
    ) -> Reply:
        """Send a request in the server's dialect, and learn that from its refusals; raises `RequestRefused` as it came first."""
        wording = Wording(self._dialects[chat], said, number, self._options.extra)
        while True:
            try:
                reply = await self._exchange.request(call._replace(body=to_json(wording.sent())), read)
            except RequestRefused as error:
                if not wording.helped(error):
                    raise wording.refusal from None
            else:
                self._tell(*wording.understood())
                return cut_at_stops(reply, said) if NO_STOP in wording.remedies else reply

    def _tell(self, *notices: str) -> None:
        for notice in filter(None, notices):
            notice = f"{self._exchange.server} {notice}"
            if notice not in self._told and self._options.on_notice:
                self._options.on_notice(notice)
            self._told.append(notice)

    def _compare_names(self, signed: str) -> None:
        """Name each other model that signs an answer, once."""
        if signed in self._signatures or len(self._signatures) >= MOST_PUZZLES:
            return
        self._signatures.add(signed)
        if another(self._model or "", signed):
            name = self._exchange.words(signed)[:MOST_CHARACTERS]
            self._tell(
                f"signs an answer as {name!r} where {self._model!r} was asked: unless these are names of one "
                f"model, votes and calibration mix several"
            )

    def _miss_logprobs(self, reply: Reply, chat: bool) -> None:
        """Say once that there are none, unless that is known."""
        told = [choice.logprob for choice in reply.choices if choice.text]
        if told and told == [None] * len(told) and NO_LOGPROBS not in self._dialects[chat].remedies:
            self._tell(
                "was asked for log-probabilities and sends none, or not of every token: `Unsure` throws nothing away"
            )

    def _puzzle_over(self, reply: Reply) -> None:
        """Name each unknown finish reason once: its samples count as cut off."""
        words = {
            choice.finish for choice in reply.choices if choice.finish and unknown(choice.finish)
        } - self._puzzles
        for word in sorted(words)[: MOST_PUZZLES - len(self._puzzles)]:
            self._puzzles.add(word)
            self._tell(
                f"ends answers with {word!r}, which is no word of the OpenAI API: they count as cut off"
            )


def _path(chat: bool) -> str:
    return "/chat/completions" if chat else "/completions"


def _written(choice: Choice) -> str:
    return repr(choice.calls) if choice.calls else ""


async def _read_at_once(
    response: httpx.Response, begun: Callable[[], None], room: Room, offered: bool
) -> Reply:
    begun()
    return await read_reply(poured(response, room.bytes), _nothing, room.lines, offered=offered)


async def _read_as_it_comes(
    response: httpx.Response, begun: Callable[[], None], room: Room, offered: bool
) -> Reply:
    return await read_reply(poured(response, room.bytes), begun, room.lines, offered=offered)


def _nothing() -> None:
    """An answer in one piece has been told to have begun already."""
