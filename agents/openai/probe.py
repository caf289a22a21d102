"""What a model server can do: tried once, with requests for one token, and not assumed.

Servers ignore fields that they do not know (vLLM answers 200 to any of them), so a feature counts only by its effect.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import httpx

from ..model import Message, ModelUnavailable, Prompt
from .batches import Batch, Capabilities, Endpoint
from .exchange import Call, Exchange, Refused
from .options import Options
from .wire import Reply
from .wire_server import ModelCard, ModelList, ServerSlots, ServerVersion

LISTING_S = 5.0
"""Longest wait for the list of models."""
NAMES_SHOWN = 20
"""Providers list hundreds of models."""

_PROMPTS: tuple[Prompt, ...] = ("a", "b")
_CHAT: tuple[Prompt, ...] = ((Message("user", "a"),),)
_SEEDED_TOKENS = 8
_NOT_THIS_API = (None, 404, 405)

Post = Callable[[Batch], Awaitable[Reply]]
"""Sends a request and returns its reply."""


class ServerLacks(Refused):
    """The server does not do something that the client relies on; the message names it."""


async def list_models(
    exchange: Exchange, roots: Sequence[httpx.URL], patience_s: float
) -> tuple[httpx.URL, ModelList]:
    """Return the first of `roots` that lists models, and the list; raises `Refused` if none does."""
    refusals = []
    for root in roots:
        try:
            return root, await exchange.request(_get(root, "/models", patience_s), _read_models)
        except Refused as error:
            if error.status not in _NOT_THIS_API:
                raise
            refusals.append(error)
    raise Refused(
        f"there is no OpenAI-compatible API at this address (it is the URL up to /v1): {refusals[0]}"
    )


def choose(models: ModelList, wanted: str | None, server: str) -> ModelCard:
    """Return the card of the wanted model, or of the only one there is; otherwise raise, naming those that exist."""
    for card in models.data:
        if card.id == wanted or (wanted is None and len(models.data) == 1):
            return card
    names = [repr(card.id) for card in models.data[:NAMES_SHOWN]] or ["none at all"]
    if more := len(models.data[NAMES_SHOWN:]):
        names.append(f"and {more} more")
    exist = ", ".join(names)
    if wanted is None:
        raise Refused(f"{server} does not serve exactly one model, say which: {exist}")
    raise Refused(f"{server} serves no model {wanted!r}; those that exist: {exist}")


async def probe(
    exchange: Exchange, root: httpx.URL, models: ModelList, card: ModelCard, post: Post, options: Options
) -> Capabilities:
    """Try out what the client would like to rely on; raises `ServerLacks` where it cannot do without."""
    text, chat, server, slots = await asyncio.gather(
        _endpoint(post, _PROMPTS, exchange.server),
        _endpoint(post, _CHAT, exchange.server),
        _server(exchange, root, card),
        _slots(exchange, root, card),
    )
    if not (text.works or chat.works):
        raise ServerLacks(f"{exchange.server} serves neither completions nor chat ({text.why}; {chat.why})")
    if options.seeded:
        await _check_seed(post, (_PROMPTS if text.works else _CHAT)[0], exchange.server)
    context = card.max_model_len or (card.meta.n_ctx if card.meta else None)
    return Capabilities(server, tuple(model.id for model in models.data), text, chat, slots, context)


async def _endpoint(post: Post, prompts: tuple[Prompt, ...], server: str) -> Endpoint:
    try:
        one = await post(_request(prompts[:1], 1))
    except ModelUnavailable as error:
        return Endpoint(works=False, why=str(error))
    if one.usage.completion > 1:
        raise ServerLacks(
            f"{server} ignores the token limit: asked for 1 token it wrote {one.usage.completion}"
        )
    both = await _optional(post, _request(prompts, 2))
    if len(both.choices) == 2 * len(prompts):
        return Endpoint(n=True, lists=len(prompts) > 1, counts_all=both.usage.completion > 1)
    if len(prompts) == 1:
        return Endpoint()
    pairs = [await _optional(post, _request(prompts[:1], 2)), await _optional(post, _request(prompts, 1))]
    n, lists = (len(pair.choices) == 2 for pair in pairs)
    return Endpoint(n=n, lists=lists, counts_all=max(pair.usage.completion for pair in pairs) > 1)


async def _optional(post: Post, batch: Batch) -> Reply:
    try:
        return await post(batch)
    except ModelUnavailable:
        return Reply([])


async def _check_seed(post: Post, prompt: Prompt, server: str) -> None:
    ask = Batch((prompt,), 1, 1.0, _SEEDED_TOKENS, 1, (0,))
    first, second = await post(ask), await post(ask)
    if first.choices != second.choices:
        raise ServerLacks(f"{server} ignores the seed of a request: leave `seeded` out")


async def _server(exchange: Exchange, root: httpx.URL, card: ModelCard) -> str:
    if card.owned_by == "llamacpp":
        return "llama.cpp"
    if card.owned_by != "vllm":
        return card.owned_by or "unknown"
    try:
        version = await exchange.request(_get(root, "/../version"), _read_version)
    except ModelUnavailable:
        return "vLLM"
    return f"vLLM {version.version}"


async def _slots(exchange: Exchange, root: httpx.URL, card: ModelCard) -> int | None:
    """Return the number of slots of a llama.cpp server, which is the largest n that it takes."""
    if card.owned_by != "llamacpp":
        return None
    try:
        return (await exchange.request(_get(root, "/../props"), _read_slots)).total_slots
    except ModelUnavailable:
        return None


def under(root: httpx.URL, path: str) -> httpx.URL:
    """Return the address of `path` below `root`, its query kept."""
    return root.copy_with(path=root.path.rstrip("/") + path)


def _request(prompts: tuple[Prompt, ...], n: int) -> Batch:
    return Batch(prompts, n, 1.0, 1, None, tuple(range(n * len(prompts))))


def _get(root: httpx.URL, path: str, patience_s: float = 0.0) -> Call:
    return Call("GET", under(root, path), None, patience_s, LISTING_S)


async def _read_models(response: httpx.Response, _: Callable[[], None]) -> ModelList:
    if "html" in response.headers.get("content-type", ""):
        raise Refused("it answers with a web page")
    return ModelList.model_validate_json(await response.aread())


async def _read_version(response: httpx.Response, _: Callable[[], None]) -> ServerVersion:
    return ServerVersion.model_validate_json(await response.aread())


async def _read_slots(response: httpx.Response, _: Callable[[], None]) -> ServerSlots:
    return ServerSlots.model_validate_json(await response.aread())
