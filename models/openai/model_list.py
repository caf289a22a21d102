"""Which models a server offers: its list, in whichever shape, or the name that the user gives where it has none."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import httpx

from surefoot.models.base import ModelUnavailable

from .error_bodies import FailureReported, failure_in
from .exchange import Exchange, Request
from .failures import RequestRefused
from .json_text import parsed
from .limits import MOST_CHARACTERS, few_values, read_whole
from .wire_server import Meta, ModelCard, ModelList, ResponseSchema

W = TypeVar("W", bound=ResponseSchema)

LISTING_S = 5.0
"""Longest wait for the list of models."""
NAMES_SHOWN = 20
"""Providers list hundreds of models."""

_NOT_THIS_API = (None, 404, 405, 501)
_NAMES = ("id", "name", "model", "model_name")
_LISTS = ("data", "models", "result", "results", "items")


async def list_models(
    exchange: Exchange, roots: Sequence[httpx.URL], patience_s: float, wanted: str | None = None
) -> tuple[httpx.URL, ModelList]:
    """Return the first of `roots` that lists models, and the list; raises `RequestRefused` if none does.

    Where the name of the model is given, a server without a list, or whose list the key may not read, will do: then the
    list is empty.
    """
    refusals = []
    for root in roots:
        try:
            return root, await exchange.request(get(root, "/models", patience_s), _read_models)
        except RequestRefused as error:
            if error.status not in _NOT_THIS_API and not (wanted and error.status == 403):
                raise
            refusals.append(error)
    if wanted:
        for root in roots:
            if await _answers(exchange, root):
                return root, ModelList(data=[])
    raise RequestRefused(
        f"there is no OpenAI-compatible API at this address (it is the URL up to /v1), or it does not list its models, "
        f"so that one has to be named: {refusals[0]}"
    )


async def _answers(exchange: Exchange, root: httpx.URL) -> bool:
    """Return whether there is an endpoint for samples: an empty request is refused there, but not as unknown."""
    for path in ("/chat/completions", "/completions"):
        try:
            await exchange.request(Request("POST", under(root, path), b"{}", 0.0, LISTING_S), _read_nothing)
        except RequestRefused as error:
            if error.status in _NOT_THIS_API:
                continue
        except ModelUnavailable:
            pass
        return True
    return False


def choose_model(models: ModelList, wanted: str | None, server: str) -> ModelCard:
    """Return the card of the wanted model, or of the only one there is; otherwise raise, naming those that exist."""
    if wanted is not None and not models.data:
        return ModelCard(id=wanted)
    for card in models.data:
        if card.id == wanted or (wanted is None and len(models.data) == 1):
            return card
    names = [repr(card.id) for card in models.data[:NAMES_SHOWN]] or ["none at all"]
    if more := len(models.data[NAMES_SHOWN:]):
        names.append(f"and {more} more")
    exist = ", ".join(names)
    if wanted is None:
        raise RequestRefused(f"{server} does not serve exactly one model, say which: {exist}")
    raise RequestRefused(f"{server} serves no model {wanted!r}; those that exist: {exist}")


def models_in(said: object) -> list[ModelCard]:
    """Return the models of a list as servers send it: bare, under one of several names, of names alone, by name.

    Raises `ValueError` if there is no list in it.  An entry that cannot be read hides no other.
    """
    for _ in range(2):
        if isinstance(said, Mapping):
            said = next((said[name] for name in _LISTS if isinstance(said.get(name), list | Mapping)), said)
    if isinstance(said, Mapping) and said and all(isinstance(card, Mapping) for card in said.values()):
        said = [{"id": name, **card} for name, card in said.items()]
    if not isinstance(said, list):
        raise ValueError("there is no list of models in it")
    cards = [card for entry in said for card in _cards(entry)]
    return list({card.id: card for card in cards}.values())


def _cards(entry: object) -> Iterator[ModelCard]:
    if isinstance(entry, str) and entry:
        yield ModelCard(id=entry)
    if not isinstance(entry, Mapping):
        return
    name = next((name for field in _NAMES if isinstance(name := entry.get(field), str) and name), None)
    if name is not None:
        owner, meta = entry.get("owned_by"), entry.get("meta")
        context = _count(meta.get("n_ctx")) if isinstance(meta, Mapping) else None
        yield ModelCard(
            id=name,
            owned_by=owner if isinstance(owner, str) and len(owner) <= MOST_CHARACTERS else None,
            max_model_len=_count(entry.get("max_model_len")),
            meta=Meta(n_ctx=context),
        )


def _count(number: object) -> int | None:
    return number if type(number) is int and 0 < number < 1 << 31 else None


def under(root: httpx.URL, path: str) -> httpx.URL:
    """Return the address of `path` below `root`, its query kept."""
    return root.copy_with(path=root.path.rstrip("/") + path)


def get(root: httpx.URL, path: str, patience_s: float = 0.0) -> Request:
    """Return the request for something that a server says of itself."""
    return Request("GET", under(root, path), None, patience_s, LISTING_S)


async def read_as(kind: type[W], response: httpx.Response) -> W:
    """Return what a server says of itself; raises `ValueError` if it is something else."""
    return kind.model_validate_json(few_values(await read_whole(response)))


async def _read_models(response: httpx.Response, _: object) -> ModelList:
    if "html" in response.headers.get("content-type", ""):
        raise RequestRefused("it answers with a web page")
    said = parsed(await read_whole(response))
    if (failure := failure_in(said)) is not None:
        raise FailureReported(failure)
    return ModelList(data=models_in(said))


async def _read_nothing(response: httpx.Response, _: object) -> None:
    """It has answered, though not with the page that some servers have for every address."""
    if "html" in response.headers.get("content-type", ""):
        raise RequestRefused("it answers with a web page")
