"""The client for any OpenAI-compatible server: vLLM, llama.cpp, or a provider."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from itertools import pairwise
from operator import sub
from types import TracebackType

import httpx
from pydantic_core import to_json

from surefoot.errors import BadInput
from surefoot.models.base import Ask
from surefoot.models.gather import as_they_end
from surefoot.models.keys import is_key
from surefoot.models.streaming import Draw, Piece
from surefoot.printable import encodable
from surefoot.voting.samples import NOTHING, Sample, Usage

from .answer_cache import AnswerFromCache, Draws, Marks, Names
from .answering_model import another
from .answers import answer_in, begun_thinking
from .batches import Batch, Capabilities, batches, body
from .connections import Connections
from .dialect import NO_STOP, Dialect, Wording, cut_at
from .exchange import Exchange, Read, Request, Send
from .failures import RequestRefused
from .finish_reasons import unknown
from .limits import MOST_CHARACTERS, Room, poured, room_for
from .model_list import choose_model, list_models, under
from .options import Options
from .probe import ServerLacks, probe
from .prompt_truncation import seems_cut
from .redaction import Redactor, keys_in, redacted_url
from .streams import Streams
from .vllm import check_sampling, is_vllm
from .wire import Choice, Reply, read_reply

READY_PATIENCE_S = 3.0
MOST_PUZZLES = 5
"""Unknown words of a server that are named, and names of models."""


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
        api_key: str | None = None,
        client: httpx.AsyncClient | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        options: Options | None = None,
    ) -> None:
        self._options = options or Options()
        self._roots = _roots(base_url)
        if api_key and not is_key(api_key):
            raise BadInput(
                "the API key holds a blank, a line break or a character that no key has: copy it again"
            )
        self._model = model
        self._transport: httpx.AsyncBaseTransport | None = None
        send: Send
        if client:
            send = partial(client.send, stream=True)
        else:
            self._transport = transport or Connections(self._roots[0], self._options)
            send = self._transport.handle_async_request
        # The values of an address's query may be keys, too.
        words = Redactor([api_key or "", *keys_in(self._roots[0].params.multi_items())])
        self._exchange = Exchange(send, _shown(self._roots[0]), api_key, self._options, words)
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

    @property
    def name(self) -> str:
        """The model's name on the server, or the server's address as long as that is not known."""
        return self._model or self._exchange.server

    @property
    def usage(self) -> Usage:
        """Tokens billed so far, but for the few of the probe and what aborted streams had sent unread."""
        return self._usage

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return self._exchange.limiter.limit

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

    def _with_dialects(self, can: Capabilities) -> Capabilities:
        """Return what the server can do with what was learnt about how it is spoken to."""
        wants = {
            chat: tuple(remedy.name for remedy in dialect.remedies)
            for chat, dialect in self._dialects.items()
        }
        text, chat = can.text._replace(wants=wants[False]), can.chat._replace(wants=wants[True])
        return replace(can, text=text, chat=chat, notices=(*can.notices, *self._told))

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask and yield (position of the ask, sample) in the order of completion.

        The text of a sample is what comes after the thoughts, and "" if it ended in mid-thought; tokens and usage are
        those of everything.  Closing the iterator closes the connections of what still runs, which is how servers learn to
        stop.
        """
        can = self._capabilities or await self.ready()
        requests = batches(asks, can, self._options)
        if len(requests) == 1:
            for pair in await self._ask(requests[0], can):
                yield pair
            return
        async with aclosing(as_they_end(self._ask(batch, can) for batch in requests)) as answered:
            async for pairs in answered:
                for pair in pairs:
                    yield pair

    async def stream(self, draw: Draw) -> AsyncGenerator[Piece, None]:
        """Yield one stream as it comes (`Streaming`); closing the generator closes the connection."""
        async with aclosing((await self._streaming()).stream(draw)) as pieces:
            async for piece in pieces:
                self._usage = self._usage.plus(piece.usage)
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
        # A seed makes a request repeatable, so what marks it repeats with the seed.
        reply = await self._post(batch, self._options.patience_s, batch.seed)
        if not reply.choices:
            # Paid for, and nothing said: samples without a text and without a reason, which the red flags deal with.
            reply = reply._replace(choices=[Choice("", None)] * len(batch.positions))
        if len(reply.choices) != len(batch.positions):
            raise ServerLacks(
                f"{self._exchange.server} returned {len(reply.choices)} samples where {len(batch.positions)} were asked "
                f"for: set max_n=1 and max_batch=1"
            )
        usage = _billed(reply, batch, endpoint.counts_all)
        self._usage = self._usage.plus(usage)
        if not self._cut and seems_cut(batch.prompts, usage.prompt):
            self._cut = True
            self._tell(
                f"counts {usage.prompt:,} tokens in a prompt that must have several times as many: it seems to have cut "
                f"it to its context, which would have to be set larger on the server"
            )
        return list(_samples(batch, reply, usage))

    async def _post(self, batch: Batch, patience_s: float, number: int | None = None) -> Reply:
        assert self._model is not None
        if number is None:
            number = self._marks.next()
        said = body(batch, self._model, self._options, self._capabilities)
        fresh = batch.temperature > 0
        call = Request("POST", self._urls[batch.chat], None, patience_s, self._options.total_s, fresh)
        room = room_for(batch.max_tokens * len(batch.positions))
        reply = await self._understood(batch.chat, call, said, number, partial(self._read, room=room))
        self._puzzle_over(reply)
        self._compare_names(reply.model)
        if self._names.seen(reply.id, batch.prompts, number) and fresh:
            name = self._exchange.words(reply.id)
            raise AnswerFromCache(self._exchange.server, f"two requests got the one answer {name!r}")
        if fresh:
            asked = batch._replace(seed=None, positions=())
            samples = [(choice.thought, choice.text) for choice in reply.choices]
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
                return _cut(reply, said) if NO_STOP in wording.remedies else reply

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


def _cut(reply: Reply, said: Mapping[str, object]) -> Reply:
    """Return the reply as a server that knows stop strings would have sent it."""
    stops = said.get("stop")
    stops = (stops,) if isinstance(stops, str) else tuple(stops) if isinstance(stops, tuple | list) else ()
    cut = [(choice, cut_at(choice.text, stops)) for choice in reply.choices]
    return reply._replace(
        choices=[
            choice if text == choice.text else choice._replace(text=text, finish="stop")
            for choice, text in cut
        ]
    )


def _samples(batch: Batch, reply: Reply, usage: Usage) -> Iterator[tuple[int, Sample]]:
    several = len(batch.positions) > 1
    shares = _shared_out(usage, len(batch.positions))
    begun = [text for prompt in batch.prompts for text in [begun_thinking(prompt)] * batch.n]
    for place, (position, choice) in enumerate(zip(batch.positions, reply.choices, strict=True)):
        share, tokens = shares[place], None if several or not reply.counted else usage.completion
        if reply.each:
            own = reply.each[place].usage()
            tokens, share = own.completion, share._replace(completion=own.completion, reasoning=own.reasoning)
        text = answer_in(choice.text, begun[place], told=bool(choice.thought))
        yield position, Sample(text, choice.finish, tokens, share)


def _billed(reply: Reply, batch: Batch, counts_all: bool) -> Usage:
    """Return the usage of a whole request.

    llama.cpp reports that of its first sample only, which is multiplied: an estimate.  Where it reports each choice by
    itself, the prompt is in every one.  What came from the cache is said of one prompt of a list, and taken for no more.
    """
    usage, samples = reply.usage, len(batch.positions)
    if reply.each:
        return usage._replace(prompt=usage.prompt // batch.n, cached=usage.cached // batch.n)
    if counts_all:
        return usage
    return usage._replace(
        prompt=usage.prompt * len(batch.prompts),
        completion=usage.completion * samples,
        reasoning=usage.reasoning * samples,
    )


def _shared_out(usage: Usage, samples: int) -> list[Usage]:
    """Divide the usage of a request evenly among its samples, which may belong to different steps; the sum is exact."""
    if samples == 1:
        return [usage]
    bounds = [Usage(*(tokens * number // samples for tokens in usage)) for number in range(samples + 1)]
    return [Usage(*map(sub, after, before)) for before, after in pairwise(bounds)]


async def _read_at_once(response: httpx.Response, begun: Callable[[], None], room: Room) -> Reply:
    begun()
    return await read_reply(poured(response, room.bytes), _nothing, room.lines)


async def _read_as_it_comes(response: httpx.Response, begun: Callable[[], None], room: Room) -> Reply:
    return await read_reply(poured(response, room.bytes), begun, room.lines)


def _nothing() -> None:
    """An answer in one piece has been told to have begun already."""


def _roots(base_url: str) -> list[httpx.URL]:
    """Return the places where the API may begin: a base URL that does not end in /v1 may need it or not."""
    url, why = httpx.URL(), "" if encodable(base_url) else "it is no UTF-8"
    try:
        url = url if why else httpx.URL(base_url)
    except httpx.InvalidURL as error:
        why = str(error).partition(":")[0]
    if why:
        # Outside of the handler: the error of httpx quotes the address as it is, and would go along as the context.
        raise BadInput(f"the model server's address is not a URL: {redacted_url(base_url)!r} ({why})")
    if url.scheme not in ("http", "https") or not url.host:
        raise BadInput(
            f"the model server's address looks like http://host:8000/v1, not {redacted_url(base_url)!r}"
        )
    if url.userinfo:
        raise BadInput(
            "the model server's address holds a user name or password: pass the key as `api_key` instead"
        )
    root = under(url.copy_with(fragment=None), "")
    return [root] if root.path.endswith("/v1") else [under(root, "/v1"), root]


def _shown(url: httpx.URL) -> str:
    return f"the model server at {url.copy_with(query=None)}".removesuffix("/v1")
