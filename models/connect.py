"""From what a user types to a model that answers."""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from surefoot.errors import BadInput

from . import perceivers
from .base import Model
from .embedded import llama_cpp as embedded
from .embedded import pool
from .equivalence import Equated
from .keys import OPENAI, located
from .local.model import SCHEME, LocalModel
from .openai import OpenAIModel
from .openai.options import Options
from .openai.redaction import redacted_url as shown
from .openai.redaction import without_keys_in_query
from .replicas import Replicas

MICRO = f"{embedded.MICRO}:"
AND, OR, SAME, ALIKE = " + ", " | ", " ~ ", ", "
_BETWEEN = re.compile(r"( [+|~] |, )")
_RUN_TOGETHER = re.compile(r",https?://")
_READERS: Mapping[str, Callable[[], Model]] = {
    "glance": lambda: perceivers.GlanceModel(),
    "ocr": lambda: perceivers.OcrReader(),
    "template": lambda: perceivers.TemplateReader(),
}
"""Those that look, in this process; each needs an extra, and says so."""
_NAMED = (*embedded.MODELS, pool.NAME, *_READERS, OPENAI)


@asynccontextmanager
async def open_model(address: str | Model, *, options: Options | None = None) -> AsyncIterator[Model]:
    """Open a model for as long as the block lasts.

        pebble                        the embedded micro model, served in this process
        pebble-numpy                  the same model in processes of its own, fast where answers are expected
        ponder                        the embedded micro reasoning model, likewise
        micro:FOLDER                  a model of one task that `surefoot.training.distil` made, likewise
        glance, ocr, template         what looks at pictures, in threads of this process
        local:FOLDER                  a model of transformers in this process: see `LocalModel`
        http://gpu:8000/v1            the only model of an OpenAI-compatible server
        http://gpu:8000/v1#qwen3      the model of that name
        openai#gpt-5                  the model of that name at $OPENAI_BASE_URL, or OpenAI, with $OPENAI_API_KEY
        http://a/v1, http://b/v1      several servers of one model as one: see `Replicas`; a comma and a blank, which no URL holds
        PLANNER + PERCEIVER           two of them as one: asks with pictures go to the second, all others to the first
        ocr | template                several as one: an ask says in its first line, `[template]`, which is meant
        ANSWERS ~ JUDGE               answers in words that the second says are the same get the same words: see `Equated`
        a `Model`                     taken as it is, and left to its owner

    Replicas bind closest: `http://a/v1, http://b/v1 + glance` is a planner on two servers, and a perceiver.  A name that the last one has, `#qwen3`, is
    that of all that have none.  `options` are those of the planner, each of its replicas included; no key goes to another server.
    `Options(hedge=..., compare=...)` are for replicas.  Raises `BadInput` for anything else, `ModelUnavailable` at once if no server answers there.
    """
    if isinstance(address, str) and options is not None and (options.hedge or options.compare):
        _check_several(address)
    if not isinstance(address, str):
        yield address
    elif address in embedded.MODELS:
        async with _open_embedded(embedded.MODELS[address], None, options) as served:
            yield served
    elif address.startswith(MICRO):
        micro = embedded.MicroModel.at(address.removeprefix(MICRO))
        async with _open_embedded(micro.served, micro.path, options) as served:
            yield served
    elif address == pool.NAME:
        async with pool.NumpyPebble(logprobs=options is not None and options.logprobs) as pebble:
            yield pebble
    elif AND in address:
        planner, _, perceiver = address.partition(AND)
        async with (
            open_model(planner, options=options) as thinks,
            open_perceiver(perceiver, options) as looks,
        ):
            yield perceivers.Sighted(thinks, looks)
    elif SAME in address:
        answers, _, judge = address.rpartition(SAME)
        async with open_equated(answers, judge, options) as equated:
            yield equated
    elif OR in address:
        async with AsyncExitStack() as opened:
            parts = [open_model(part, options=options and keyless(options)) for part in address.split(OR)]
            each = [await opened.enter_async_context(part) for part in parts]
            yield perceivers.Panel(each)
    elif address in _READERS:
        yield _READERS[address]()
    elif address.startswith(SCHEME):
        async with LocalModel(address.removeprefix(SCHEME)) as within:
            yield within
    elif _RUN_TOGETHER.search(address):
        raise BadInput(
            f'several servers are given with a comma and a blank between them, "http://a/v1, http://b/v1", not as {shown(address)!r}'
        )
    elif ALIKE in address:
        async with _open_replicas(address.split(ALIKE), options or Options()) as replicas:
            yield replicas
    elif is_address(address):
        options = options or Options()
        url, name, key = located(address, options.api_key)
        async with OpenAIModel(url, name, options=replace(options, api_key=key)) as model:
            await model.ready()
            yield model
    else:
        raise BadInput(
            f"a model is one of {', '.join(_NAMED)}, micro:FOLDER, local:FOLDER or the URL of an OpenAI-compatible server, "
            f"not {shown(address)!r}"
        )


@asynccontextmanager
async def open_perceiver(address: str | Model, options: Options | None = None) -> AsyncIterator[Model]:
    """Open who looks at pictures, with the patience and the callbacks of the planner's `options`, but without its key.

    Raises `BadInput` for a model that is known to see nothing, and what `open_model` raises.
    """
    if isinstance(address, str) and (address in (*embedded.MODELS, pool.NAME) or address.startswith(MICRO)):
        raise BadInput(
            f"{address} sees no pictures: a perceiver is glance, ocr, template, or a server that takes them"
        )
    async with open_model(address, options=options and keyless(options)) as model:
        yield model


@asynccontextmanager
async def open_equated(
    address: str | Model, judge: str | Model, options: Options | None = None
) -> AsyncIterator[Equated]:
    """Open who is asked, and who says which answers are the same; `options` are those of the first.

    The key goes to the judge only if that is at the very same URL.
    """
    at_one = isinstance(address, str) and isinstance(judge, str) and _url(address) == _url(judge)
    async with (
        open_model(address, options=options) as answers,
        open_model(judge, options=options and (alone if at_one else keyless)(options)) as says,
    ):
        equated = Equated(answers, says, on_notice=options.on_notice if options else None)
        try:
            yield equated
        finally:
            equated.conclude()


@asynccontextmanager
async def _open_replicas(addresses: list[str], options: Options) -> AsyncIterator[Replicas]:
    """Open several servers of one model; each fails at once, so that its asks go elsewhere, and all have the patience of `options` together."""
    own = replace(alone(options), patience_s=0.0, on_wait=None, on_back=None)
    last = addresses[-1].partition("#")[2]
    async with AsyncExitStack() as opened:
        models = []
        for address in map(str.strip, addresses):
            if not is_address(address) or address in _NAMED[:-1]:
                raise BadInput(f"replicas are the URLs of servers of one model, not {shown(address)!r}")
            url, name, key = located(address, options.api_key)
            model = OpenAIModel(url, name or last or None, options=replace(own, api_key=key))
            models.append(await opened.enter_async_context(model))
        async with Replicas(models, options=options) as replicas:
            await replicas.ready()
            yield replicas


def _check_several(address: str) -> None:
    """Refuse to hedge, or to compare, where the planner is not several servers of one model."""
    planner = address.partition(AND)[0].rpartition(SAME)
    asked = planner[0] or planner[2]
    if OR in asked or (ALIKE not in asked and not _RUN_TOGETHER.search(asked)):
        raise BadInput(
            f"to hedge or to compare takes several servers of one model, their addresses with a comma and a blank between them, "
            f"not {shown(asked)!r}"
        )


def with_judge(address: str, judge: str) -> str:
    """Return an address whose answers in words are compared by the model at another; raises `BadInput` if that is more than one."""
    if any(sign in judge for sign in (AND, OR, SAME)):
        raise BadInput(f"who says which answers are the same is one model, not {shown(judge)!r}")
    planner, plus, perceiver = address.partition(AND)
    return f"{planner}{SAME}{judge}{plus}{perceiver}"


def is_address(name: str) -> bool:
    """Whether a model is found by this text: if not, it is the name of one that was made in Python."""
    return all(
        part in _NAMED or part.startswith(("http://", "https://", SCHEME)) or part.partition("#")[0] == OPENAI
        for part in _BETWEEN.split(name)[::2]
    )


def as_kept(address: str) -> str:
    """Return an address as a journal keeps it: without keys."""
    return "".join(
        part if _BETWEEN.fullmatch(part) else without_keys_in_query(part) for part in _BETWEEN.split(address)
    )


def _url(address: str) -> str:
    return address.partition("#")[0]


def keyless(options: Options) -> Options:
    """Return options for another server: neither the key nor fields of one server's own go there."""
    return replace(alone(options), api_key=None, extra={})


def alone(options: Options) -> Options:
    """Return options for a model that may have no replicas."""
    return replace(options, hedge=0.0, compare=0.0)


@asynccontextmanager
async def _open_embedded(
    served: embedded.Embedded, path: Path | None, options: Options | None
) -> AsyncIterator[Model]:
    with embedded.EmbeddedServer(path, name=served) as server:
        async with OpenAIModel(server.url, served.name, options=_embedded(served, options)) as model:
            await model.ready()
            yield model


def _embedded(served: embedded.Embedded, options: Options | None) -> Options:
    """Keep the caller's callbacks and patience, but ask the embedded server in the way that it needs, and without a key."""
    own = embedded.embedded_options(served)
    if options is None:
        return own
    extra = {**own.extra, **options.extra}
    return replace(options, api_key=None, extra=extra, max_n=own.max_n, max_batch=own.max_batch)
