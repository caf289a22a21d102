"""From what a user types to a model that answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from surefoot.errors import BadInput

from .base import Model
from .embedded import llama_cpp as embedded
from .embedded import pool
from .keys import OPENAI, located
from .openai import OpenAIModel
from .openai.options import Options
from .openai.redaction import redacted_url as shown


@asynccontextmanager
async def open_model(address: str | Model, *, options: Options | None = None) -> AsyncIterator[Model]:
    """Open a model for as long as the block lasts.

        pebble                        the embedded micro model, served in this process
        pebble-numpy                  the same model in processes of its own, fast where answers are expected
        ponder                        the embedded micro reasoning model, likewise
        http://gpu:8000/v1            the only model of an OpenAI-compatible server
        http://gpu:8000/v1#qwen3      the model of that name
        openai#gpt-5                  the model of that name at $OPENAI_BASE_URL, or OpenAI, with $OPENAI_API_KEY
        a `Model`                     taken as it is, and left to its owner

    Raises `BadInput` for anything else, `ModelUnavailable` at once if no server answers there.
    """
    if not isinstance(address, str):
        yield address
    elif address in embedded.MODELS:
        with embedded.EmbeddedServer(name=address) as server:
            async with OpenAIModel(server.url, address, options=_embedded(address, options)) as model:
                await model.ready()
                yield model
    elif address == pool.NAME:
        async with pool.NumpyPebble() as pebble:
            yield pebble
    elif is_address(address):
        options = options or Options()
        url, name, key = located(address, options.api_key)
        async with OpenAIModel(url, name, options=replace(options, api_key=key)) as model:
            await model.ready()
            yield model
    else:
        raise BadInput(
            f"a model is one of {', '.join((*embedded.MODELS, pool.NAME, OPENAI))} or the URL of an OpenAI-compatible server, "
            f"not {shown(address)!r}"
        )


def is_address(name: str) -> bool:
    """Whether a model is found by this text: if not, it is the name of one that was made in Python."""
    known = (*embedded.MODELS, pool.NAME)
    return name in known or name.startswith(("http://", "https://")) or name.partition("#")[0] == OPENAI


def _embedded(name: str, options: Options | None) -> Options:
    """Keep the caller's callbacks and patience, but ask the embedded server in the way that it needs, and without a key."""
    own = embedded.embedded_options(name)
    if options is None:
        return own
    extra = {**own.extra, **options.extra}
    return replace(options, api_key=None, extra=extra, max_n=own.max_n, max_batch=own.max_batch)
