"""What a model server can do: tried once, with requests for one token, and not assumed.

Servers ignore fields that they do not know (vLLM answers 200 to any of them), so a feature counts only by its effect.
"""

import asyncio
from collections.abc import Callable

import httpx

from surefoot.models.base import Message, ModelUnavailable, Prompt

from .answer_cache import AnswerFromCache
from .batches import Batch, Capabilities, Endpoint
from .exchange import Exchange
from .failures import RequestRefused
from .function_probe import Post
from .independence import check_fresh
from .model_list import get, read_as
from .options import Options
from .wire import Reply
from .wire_server import ModelCard, ModelList, ServerSlots, ServerVersion

_FREE, _TOWERS = "Write down some random words: ", "---;AabcBC>"
"""Two prompts that no model goes on from alike; to the first there is no end of different answers."""
_TELLING: tuple[Prompt, ...] = ("aAB;AbcBaC>", "48+67=", "bAC;AcBaCb>", "31+22=")
"""At least three of them any model goes on from in different ways, even one that knows of nothing else; sorted by nothing."""
_TOLD_APART = 3
_PROMPTS: tuple[Prompt, ...] = (_FREE, _TOWERS)
_CHAT: tuple[Prompt, ...] = tuple((Message("user", text),) for text in (_FREE, _TOWERS))
_SEEDED_TOKENS = 8
_NEARLY_GREEDY = 0.01
"""vLLM takes it for the least temperature at which it draws, and refuses n at 0."""
_TELLING_TOKENS = 8
_MORE_TOKENS = 64
"""For servers that refuse to be stopped at the first token."""
_BAD_REQUEST = (400, 422)


class ServerLacks(RequestRefused):
    """The server does not do something that the client relies on; the message names it."""


async def probe(
    exchange: Exchange, root: httpx.URL, models: ModelList, card: ModelCard, post: Post, options: Options
) -> Capabilities:
    """Try out what the client would like to rely on; raises `ServerLacks` where it cannot do without."""
    (text, *text_ones), (chat, *chat_ones), server, slots = await asyncio.gather(
        _endpoint(post, _PROMPTS, exchange.server),
        _endpoint(post, _CHAT, exchange.server),
        _server(exchange, root, card),
        _slots(exchange, root, card),
    )
    if not (text.works or chat.works):
        raise ServerLacks(_useless(exchange.server, text.why, chat.why))
    if options.seeded:
        await _check_seed(post, (_PROMPTS if text.works else _CHAT)[0], exchange.server)
    tried = [
        check_fresh(post, prompts[0], 2 if endpoint.n else 1, ones[0], ones[1], exchange.server)
        for prompts, endpoint, ones in ((_PROMPTS, text, text_ones), (_CHAT, chat, chat_ones))
        if endpoint.works
    ]
    notices = dict.fromkeys(notice for notice in await asyncio.gather(*tried) if notice)
    context = card.max_model_len or (card.meta.n_ctx if card.meta else None)
    known, said = tuple(model.id for model in models.data), tuple(notices)
    return Capabilities(
        server=server, models=known, text=text, chat=chat, max_n=slots, context=context, notices=said
    )


def _useless(server: str, text: str, chat: str) -> str:
    """Say why no endpoint can be used; what both of them lack is said once."""
    why = "; ".join(dict.fromkeys((text, chat)))
    return f"{server} serves neither completions nor chat in a way that can be used: {why}"


async def _endpoint(post: Post, prompts: tuple[Prompt, ...], server: str) -> tuple[Endpoint, Reply, Reply]:
    """Return what an endpoint does, and its answers of one token to the two prompts."""
    try:
        one = await _first(post, _request(prompts[:1], 1), server)
        # Another prompt, before the same one comes again: see `Names`.
        other = await _optional(post, _request(prompts[1:], 1)._replace(temperature=0.0))
    except AnswerFromCache:
        raise
    except ModelUnavailable as error:
        return Endpoint(works=False, why=str(error)), Reply([]), Reply([])
    if isinstance(prompts[0], str):
        return await _text_endpoint(post, one), one, other
    # Neither 0 nor 1: some servers take no other temperature than these.
    both = await _optional(post, _request(prompts[:1], 2)._replace(temperature=0.5))
    n = _tells_ends(both, 2, one)
    return Endpoint(n=n, counts_all=not n or both.usage.completion > 1), one, other


async def _first(post: Post, request: Batch, server: str) -> Reply:
    try:
        one = await post(request)
    except RequestRefused as error:
        if error.status not in _BAD_REQUEST:
            raise
        return await post(request._replace(max_tokens=_MORE_TOKENS))
    if one.usage.completion - one.beside > 1:
        raise ServerLacks(
            f"{server} ignores the token limit: asked for 1 token it wrote {one.usage.completion - one.beside}; ask a "
            "server that heeds `max_tokens`, or name the field that it heeds (--chat-limit)"
        )
    return one


def _tells_ends(reply: Reply, count: int, one: Reply) -> bool:
    """Whether so many answers came, and each says why it stopped if one alone does.

    Some servers say it of the last one only (SGLang's streams): all others would be thrown away.
    """
    alone = bool(one.choices and one.choices[0].finish)
    return len(reply.choices) == count and (not alone or all(choice.finish for choice in reply.choices))


async def _text_endpoint(post: Post, one: Reply) -> Endpoint:
    everything = await _optional(post, _request(_TELLING, 2)._replace(echo=True))
    if _tells_ends(everything, 2 * len(_TELLING), one):
        counts_all = everything.usage.completion > 1
        return Endpoint(
            n=True, lists=_echoed(everything, 2) or await _in_order(post, 2), counts_all=counts_all
        )
    several = await _optional(post, _request(_TELLING[:1], 2))
    listed = await _optional(post, _request(_TELLING, 1)._replace(echo=True))
    lists = _tells_ends(listed, len(_TELLING), one) and (_echoed(listed, 1) or await _in_order(post, 1))
    counts_all = max(several.usage.completion, listed.usage.completion) > 1
    return Endpoint(n=_tells_ends(several, 2, one), lists=lists, counts_all=counts_all)


def _echoed(reply: Reply, n: int) -> bool:
    """Whether each answer begins with the prompt that it belongs to."""
    asked = [prompt for prompt in _TELLING for _ in range(n)]
    return all(
        choice.text.startswith(str(prompt)) for choice, prompt in zip(reply.choices, asked, strict=True)
    )


async def _in_order(post: Post, n: int) -> bool:
    """Whether the answers to a list, all samples of the first prompt first, are those that the prompts get one by one.

    A server that cannot show it is not sent lists: its answers might belong to other prompts.
    """
    requests = [*(_request((prompt,), 1) for prompt in _TELLING), _request(_TELLING, n)]
    *alone, together = [
        [choice.text for choice in (await _optional(post, _calm(request))).choices] for request in requests
    ]
    return len({*map(tuple, alone)}) >= _TOLD_APART and together == [
        text for own in alone for text in own * n
    ]


def _calm(request: Batch) -> Batch:
    """Return the request with samples that are nearly certain, and long enough to be told apart."""
    return request._replace(temperature=_NEARLY_GREEDY, max_tokens=_TELLING_TOKENS)


async def _optional(post: Post, batch: Batch) -> Reply:
    try:
        return await post(batch)
    except AnswerFromCache:
        raise
    except ModelUnavailable:
        return Reply([])


async def _check_seed(post: Post, prompt: Prompt, server: str) -> None:
    ask = Batch((prompt,), 1, 1.0, _SEEDED_TOKENS, 1, (0,))
    first, second = await post(ask), await post(ask)
    # Log-probabilities, if the user asks for them in every request, differ in their last digits.
    if [choice._replace(logprob=None) for choice in first.choices] != [
        choice._replace(logprob=None) for choice in second.choices
    ]:
        raise ServerLacks(f"{server} ignores the seed of a request: leave `seeded` out")


async def _server(exchange: Exchange, root: httpx.URL, card: ModelCard) -> str:
    if card.owned_by == "llamacpp":
        return "llama.cpp"
    if card.owned_by != "vllm":
        return card.owned_by or "unknown"
    try:
        version = await exchange.request(get(root, "/../version"), _read_version)
    except ModelUnavailable:
        return "vLLM"
    return f"vLLM {version.version}"


async def _slots(exchange: Exchange, root: httpx.URL, card: ModelCard) -> int | None:
    """Return the number of slots of a llama.cpp server, which is the largest n that it takes."""
    if card.owned_by != "llamacpp":
        return None
    try:
        return (await exchange.request(get(root, "/../props"), _read_slots)).total_slots
    except ModelUnavailable:
        return None


def _request(prompts: tuple[Prompt, ...], n: int) -> Batch:
    return Batch(prompts, n, 1.0, 1, None, tuple(range(n * len(prompts))))


async def _read_version(response: httpx.Response, _: Callable[[], None]) -> ServerVersion:
    return await read_as(ServerVersion, response)


async def _read_slots(response: httpx.Response, _: Callable[[], None]) -> ServerSlots:
    return await read_as(ServerSlots, response)
