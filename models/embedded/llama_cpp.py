"""The embedded models, pebble and ponder, and micro models of a user's own, served by llama.cpp over HTTP on loopback, in this process or in one of its own.

The server is `xllamacpp`'s, OpenAI-compatible; it runs on threads of its own that hold no Python lock, and is asked through
the same client as any other server.  `python -m surefoot.models.embedded.llama_cpp --port N` serves until it is told to end.
"""

import argparse
import signal
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import httpx
from pydantic_core import from_json

from surefoot.errors import BadInput, SurefootError
from surefoot.models.openai.options import Options

from . import WEIGHTS

try:
    import xllamacpp
except ImportError as error:
    # It is an extra, and everything but the embedded models works without it: say so only when one is asked for.
    MISSING: ImportError | None = error
else:
    MISSING = None


class Embedded(NamedTuple):
    """A model of this package, or a micro model, and how it is best served."""

    name: str
    slots: int
    """Sequences decoded at once; more slots make small requests slower."""
    context: int
    """Tokens per sequence, prompt and answer together."""


PEBBLE = Embedded("pebble", slots=12, context=128)
"""Slots for the ballots of a few steps; a 20-disk step takes 56 tokens."""
PONDER = Embedded("ponder", slots=48, context=512)
"""Slots for many streams at once, which is how thinking is measured."""
MODELS = {model.name: model for model in (PEBBLE, PONDER)}
NAME = PEBBLE.name
MICRO = "micro"
"""What models of a user's own are called."""
THREADS = 1
"""Threads that compute.  These models are so small that a second one gains nothing on idle cores; on busy ones the two wait
for each other after every small matrix, and both take ten times as long."""
CONNECTIONS = 256
"""Each holds a thread of the server for as long as it is kept open; a client with one more waits for seconds until another closes."""

CLOSE_S = 5.0
"""Longest wait for a last answer before the server is stopped."""

FULL_DISTRIBUTION = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "samplers": ["temperature"]}
"""llama.cpp truncates the distribution unless told not to; errors must come at the model's own rate."""


class DraftFile(NamedTuple):
    """A smaller model that drafts tokens for the one that is served; it must know the same tokens."""

    path: Path
    length: int
    """Tokens drafted before they are verified together."""


class NoEmbeddedModel(SurefootError):
    """The embedded model's server could not be started."""


def weights(name: str = NAME) -> Path:
    """Return the GGUF file of an embedded model."""
    return WEIGHTS / name / f"{name}.gguf"


class MicroModel(NamedTuple):
    """A model of one task, as `surefoot.training.distil` makes them."""

    path: Path
    served: Embedded

    @classmethod
    def at(cls, folder: str | Path) -> Self:
        """Find a model's weights, and read how long its texts may be; `BadInput` for a folder without either."""
        path, config = Path(folder) / f"{MICRO}.gguf", Path(folder) / "config.json"
        try:
            positions = from_json(config.read_bytes())["max_position_embeddings"]
        except (OSError, ValueError, KeyError, TypeError):
            positions = None
        if not path.is_file() or type(positions) is not int or positions < 1:
            raise BadInput(
                f"a micro model is a folder with {path.name} and config.json, as surefoot.training.distil writes them, not {str(folder)!r}"
            )
        return cls(path, Embedded(MICRO, PEBBLE.slots, positions))


def embedded_options(model: str | Embedded = NAME) -> Options:
    """How the client has to ask the server of an embedded model, of MODELS by its name."""
    slots = (MODELS[model] if isinstance(model, str) else model).slots
    return Options(extra=FULL_DISTRIBUTION, max_n=slots, max_batch=4 * slots)


class EmbeddedServer:
    """A llama.cpp server on loopback; `url` is where it listens.  It ends with the `with` block, or with the process.

    `name` is one of MODELS, or any `Embedded`, which says how many `slots` there are unless that is given; `model` serves another file instead
    of its weights.  A `draft` proposes tokens; greedy answers stay the same.
    """

    def __init__(
        self,
        model: Path | None = None,
        *,
        name: str | Embedded = NAME,
        port: int = 0,
        slots: int | None = None,
        threads: int = THREADS,
        draft: DraftFile | None = None,
    ) -> None:
        if isinstance(name, str) and name not in MODELS:
            raise BadInput(f"the embedded models are {', '.join(MODELS)}, not {name!r}")
        served = MODELS[name] if isinstance(name, str) else name
        if not 0 <= port < 65536:
            raise BadInput(f"a port is a number from 0 to 65535, not {port!r}")
        if MISSING is not None:
            raise NoEmbeddedModel(_why(served.name, MISSING))
        path = model or weights(served.name)
        if not path.exists():
            raise NoEmbeddedModel(f"the weights of the embedded model are missing: {str(path)!r}")
        try:
            self._server: xllamacpp.Server | None = xllamacpp.Server(
                _parameters(path, served, port, slots, threads, draft)
            )
        except RuntimeError as error:
            raise NoEmbeddedModel(f"llama.cpp cannot serve {str(path)!r} on port {port}: {error}") from None
        self.url = f"{self._server.listening_address}/v1"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving; the server's threads end with its object.

        llama.cpp loses the order to stop, and never ends, if it comes before the server's loop has begun.  An
        answer shows that it has.
        """
        if self._server is not None:
            with suppress(httpx.HTTPError):
                httpx.post(f"{self.url}/completions", json={"prompt": "-", "max_tokens": 1}, timeout=CLOSE_S)
        self._server = None


def _why(name: str, missing: ImportError) -> str:
    """Say what to do where llama.cpp cannot be loaded: it is not there, or lacks a library of the system's."""
    otherwise = "or give --model with the URL of a server of your own"
    if missing.name == "xllamacpp":
        return f"the embedded model {name} needs llama.cpp: `pip install 'surefoot[embedded]'`, {otherwise}"
    return (
        f"llama.cpp cannot be loaded ({missing}): install what is missing (on a slim Debian image `apt-get install libgomp1`), "
        f"{otherwise}"
    )


def _parameters(
    path: Path, served: Embedded, port: int, slots: int | None, threads: int, draft: DraftFile | None
) -> "xllamacpp.CommonParams":
    slots = slots or served.slots
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.model_alias = {served.name}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.n_parallel = slots
    parameters.n_ctx = served.context * slots
    parameters.n_batch = parameters.n_ubatch = 512
    parameters.kv_unified = False
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    if draft:
        speculative = parameters.speculative
        speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]
        speculative.draft.mparams.path = str(draft.path)
        speculative.draft.n_max = draft.length
        for given in (speculative.draft.cpuparams, speculative.draft.cpuparams_batch):
            given.n_threads = threads
    # Features for long chats that cost time on every short request.
    parameters.cache_ram_mib = 0
    parameters.n_ctx_checkpoints = 0
    parameters.cache_idle_slots = False
    parameters.fit_params = False
    parameters.warmup = False
    parameters.n_threads_http = CONNECTIONS
    parameters.ui = False
    parameters.verbosity = -1
    return parameters


def main() -> None:
    """Serve an embedded model until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="Serve an embedded model over HTTP on loopback.")
    parser.add_argument("--model", choices=MODELS, default=NAME)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--slots", type=int)
    arguments = parser.parse_args()
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with EmbeddedServer(name=arguments.model, port=arguments.port, slots=arguments.slots) as server:
        print(server.url, flush=True)  # noqa: T201 - its standard output is how a parent learns the address
        over.wait()


if __name__ == "__main__":
    main()
