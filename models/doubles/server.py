"""An OpenAI-compatible server on loopback around a double, with faults on demand.

In this process:

    async with DoubleServer(towers_double(error=0.05)) as server:
        server.fail(Fault("status", status=429, retry_after="1"), times=3)
        async with OpenAIModel(server.url) as model:
            ...

or as one of its own, which prints `{"url": "http://127.0.0.1:40123/v1"}` once it listens:

    python -m surefoot.models.doubles.server --port 0 --error 0.05 --latency 0.01
    python -m surefoot.models.doubles.server --double issues --instances instances.jsonl
"""

import argparse
import asyncio
import itertools
import json
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Literal, Protocol, Self, get_args

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from surefoot.errors import BadInput
from surefoot.models.base import Ask
from surefoot.voting.samples import Sample

from .calls import refused_tools
from .double import (
    CHARACTERS_PER_TOKEN,
    Garbage,
    Latency,
    goal_double,
    looking_double,
    puzzle_double,
    towers_double,
)
from .faults import Fault
from .fixes import read_fixes
from .issue_workers import Conduct, issue_worker
from .replies import Body, echoed, refusal, token_ids
from .response_shapes import Manner, Telling
from .streams import ThoughtField, send_at_once, send_live
from .thinking import ThinkingDouble

HOST = "127.0.0.1"
BODIES_KEPT = 1000
UNLIMITED = 1 << 20

Feature = Literal["completions", "chat", "n", "lists", "seed", "max_tokens", "tools"]
"""What some servers do not have: an endpoint, or a field that they ignore (`lists` are refused)."""


class Drawing(Protocol):
    """A double that draws at once and says how long the answer would have taken."""

    @property
    def name(self) -> str:
        """What the server calls the model."""
        ...

    def draw(self, ask: Ask) -> Sample:
        """Return the sample of this ask."""
        ...

    def delay(self, ask: Ask) -> float:
        """Return its answer time in seconds."""
        ...


_FAULTS = TypeAdapter(list[Fault])


@dataclass(slots=True, kw_only=True)
class Stats:
    """What the server has seen of requests for samples."""

    requests: int = 0
    samples: int = 0
    failed: int = 0
    """Requests that met a fault or were turned away."""
    aborted: int = 0
    """Requests whose client went away before the answer was complete."""
    in_flight: int = 0
    most_in_flight: int = 0


def _estimated(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


class DoubleServer:
    """Serves a double: `/v1/models`, `/v1/completions`, `/v1/chat/completions`, `/health`, `/stats`, `/faults`.

    `slots` samples are drawn at a time; the others wait, or are turned away with status 429 if `queue` is false.
    Thoughts of a `ThinkingDouble` are streamed in chat as `thoughts` says; it also has `/tokenize`.  Owned by "vllm", it
    is as vLLM in what a client relies on: `/tokenize` renders conversations, and completions go on from token ids.
    With a `context` it refuses what does not fit, and cuts off what grows out of it, as vLLM does.
    A POST of a JSON list of faults to `/faults` does from outside what `fail` does.
    """

    def __init__(
        self,
        model: Drawing,
        *,
        port: int = 0,
        slots: int = 256,
        queue: bool = True,
        api_key: str | None = None,
        without: Collection[Feature] = (),
        thoughts: ThoughtField = "content",
        owned_by: str = "surefoot",
        context: int | None = None,
        manner: Manner | None = None,
    ) -> None:
        if lacking := [name for name in ("name", "draw", "delay") if not hasattr(model, name)]:
            raise BadInput(
                f"DoubleServer serves a double, but {type(model).__name__} has no `{lacking[0]}`: pass a model of your own "
                "as `model` itself, it needs no server"
            )
        self.stats = Stats()
        self.bodies: deque[dict[str, object]] = deque(maxlen=BODIES_KEPT)
        """The latest requests for samples, as they came."""
        self.without = set(without)
        """What is left out; endpoints only from the start, the other features also in mid-run."""
        self.manner = manner or Manner()
        """What is odd about its answers; also to be changed in mid-run."""
        self._model = model
        self._port = port
        self._slots = asyncio.Semaphore(slots)
        self._queue = queue
        self._api_key = api_key
        self._thoughts = thoughts
        self._owned_by = owned_by
        self._context = context
        self._faults: deque[Fault] = deque()
        self._seed = itertools.count()
        self._runner = web.AppRunner(
            self._app(), handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )

    @property
    def url(self) -> str:
        """The base URL, /v1 included."""
        return f"http://{HOST}:{self._port}/v1"

    def fail(self, fault: Fault, times: int = 1) -> None:
        """Let the next requests for samples go wrong, after those already told to."""
        self._faults.extend([fault] * times)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_get("/health", self._health)
        app.router.add_get("/stats", self._tell_stats)
        app.router.add_post("/faults", self._take_faults)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/tokenize", self._tokenize)
        if "completions" not in self.without:
            app.router.add_post("/v1/completions", self._answer)
        if "chat" not in self.without:
            app.router.add_post("/v1/chat/completions", self._answer)
        return app

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _tell_stats(self, _: web.Request) -> web.Response:
        return web.json_response(asdict(self.stats))

    async def _take_faults(self, request: web.Request) -> web.Response:
        try:
            self._faults.extend(_FAULTS.validate_json(await request.read()))
        except ValidationError as error:
            return refusal(400, str(error))
        return web.json_response({"waiting": len(self._faults)})

    async def _models(self, request: web.Request) -> web.Response:
        if "no list" in self.manner.quirks:
            return refusal(404, "Not Found")
        card: dict[str, object] = {"id": self._model.name, "object": "model", "owned_by": self._owned_by}
        if self._context is not None:
            card["max_model_len"] = self._context
        said = [card] if "bare list" in self.manner.quirks else {"object": "list", "data": [card]}
        return self._unauthorised(request) or web.json_response(said)

    async def _tokenize(self, request: web.Request) -> web.Response:
        if not isinstance(self._model, ThinkingDouble):
            return refusal(404, "Not Found")
        said = await request.json()
        if self._owned_by == "vllm":
            return web.json_response({"tokens": token_ids(said, self._model.tags)})
        return web.json_response({"tokens": await self._model.tokenize(said["prompt"])})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        async with self._counted():
            content = await request.read()
            try:
                body = Body.model_validate_json(content)
            except ValidationError as error:
                return refusal(400, str(error))
            self.bodies.append(json.loads(content))
            if "tools" in self.without:
                body.tools = None
            fault = self._faults.popleft() if self._faults else None
            if fault:
                self.stats.failed += 1
            if fault and fault.kind != "break":
                return await fault.befall(request)
            if no := self._unauthorised(request) or self._refused(body) or self._turned_away():
                self.stats.failed += 1
                return no
            if "streams" in self.manner.quirks:
                body.stream = True
            telling = Telling(body, self.manner)
            if body.stream and isinstance(self._model, ThinkingDouble) and body.tools is None:
                seed = next(self._seed) if body.seed is None else body.seed
                async with self._slots:
                    return await send_live(
                        *(request, body, self._model, self._thoughts, seed),
                        breaks_after=fault.tokens if fault else None,
                        room=self._room(body),
                        as_vllm=self._owned_by == "vllm",
                        telling=telling,
                    )
            samples = echoed(body, await self._draw(list(self._asks(body))))
            return await send_at_once(request, body, samples, telling, self.manner.quirks)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        stats = self.stats
        stats.requests += 1
        stats.in_flight += 1
        stats.most_in_flight = max(stats.most_in_flight, stats.in_flight)
        try:
            yield
        except (asyncio.CancelledError, ConnectionResetError):
            stats.aborted += 1
            raise
        finally:
            stats.in_flight -= 1

    def _unauthorised(self, request: web.Request) -> web.Response | None:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._api_key in (None, key):
            return None
        return refusal(401, f"Incorrect API key provided: {key}")

    def _turned_away(self) -> web.Response | None:
        return refusal(429, "too many requests") if self._slots.locked() and not self._queue else None

    def _refused(self, body: Body) -> web.Response | None:
        if body.model != self._model.name:
            return refusal(404, f"The model `{body.model}` does not exist.")
        if self._context is not None and body.limit > self._context:
            return refusal(
                400, f"max_tokens={body.limit} cannot be greater than max_model_len={self._context}."
            )
        if self._room(body) < 1:
            return refusal(400, f"This model's maximum context length is {self._context} tokens.")
        if isinstance(body.prompt, list) and "lists" in self.without:
            return refusal(400, "prompt must be a string")
        if "no single tokens" in self.manner.quirks and (body.max_completion_tokens or body.max_tokens) < 16:
            return refusal(400, "limit reached before the answer")
        if body.logprobs and "no logprobs" in self.manner.quirks:
            return refusal(400, "logprobs is not supported with this model")
        if no := refused_tools(body, self.manner.quirks):
            return refusal(400, no)
        if body.n > 1 and body.temperature == 0:
            return refusal(400, f"n must be 1 when using greedy sampling, got {body.n}")
        return None

    def _room(self, body: Body) -> int:
        """Return how many tokens fit after the longest prompt."""
        if self._context is None:
            return UNLIMITED
        count = self._model.count if isinstance(self._model, ThinkingDouble) else _estimated
        texts = (
            each if isinstance(each, str) else "\n".join(message.content for message in each)
            for each in body.prompts()
        )
        return self._context - max(map(count, texts))

    def _asks(self, body: Body) -> Iterator[Ask]:
        """Yield one ask per sample.  A given seed serves every prompt of the request alike, as it does in vLLM."""
        limit = min(body.limit, self._room(body))
        for prompt in body.prompts():
            for sample in range(1 if "n" in self.without else body.n):
                given = None if body.seed is None or "seed" in self.without else body.seed + sample
                seed = next(self._seed) if given is None else given
                most = UNLIMITED if "max_tokens" in self.without else limit
                yield Ask(prompt, body.temperature, most, seed, offer=body.offer)

    async def _draw(self, asks: list[Ask]) -> list[Sample]:
        delays = [delay for ask in asks if (delay := self._model.delay(ask))]
        await asyncio.gather(*(self._take(delay) for delay in delays))
        self.stats.samples += len(asks)
        return [self._model.draw(ask) for ask in asks]

    async def _take(self, delay_s: float) -> None:
        async with self._slots:
            await asyncio.sleep(delay_s)


async def serve(server: DoubleServer) -> None:
    """Serve until SIGINT or SIGTERM, the address as a line of JSON on standard output."""
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    async with server:
        sys.stdout.write(json.dumps({"url": server.url}) + "\n")
        sys.stdout.flush()
        await over.wait()


def main() -> None:
    """Read the command line and serve; what it cannot take is one sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m surefoot.models.doubles.server",
        description="Serve a deterministic double on loopback.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--double", choices=["towers", "puzzles", "goals", "looking", "garbage", "issues"], default="towers"
    )
    parser.add_argument(
        "--conduct", choices=get_args(Conduct), default="fixes", help="of the double for issues"
    )
    parser.add_argument("--instances", help="SWE-bench rows (.json, .jsonl) whose fixes it knows")
    parser.add_argument("--slots", type=int, default=256, help="samples drawn at a time")
    parser.add_argument("--without", action="append", default=[], choices=get_args(Feature))
    for chance, usual in {"error": 0, "hard": 0, "hard-error": 0.9, "correlation": 0, "invalid": 0}.items():
        parser.add_argument(f"--{chance}", type=float, default=usual)
    parser.add_argument("--latency", type=float, default=0.0, help="answer time in seconds, or its median")
    parser.add_argument("--latency-p99", type=float, help="makes answer times long-tailed")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        asyncio.run(_serve_double(given))
    except BadInput as error:
        parser.error(str(error))


async def _serve_double(given: argparse.Namespace) -> None:
    await serve(DoubleServer(_double(given), port=given.port, slots=given.slots, without=given.without))


def _double(given: argparse.Namespace) -> Drawing:
    if given.double == "garbage":
        return Garbage(seed=given.seed)
    if given.double == "issues":
        fixes = read_fixes(given.instances) if given.instances else None
        return issue_worker(given.conduct, fixes, latency_s=given.latency)
    known = {"puzzles": puzzle_double, "goals": goal_double, "looking": looking_double}.get(
        given.double, towers_double
    )
    return known(
        error=given.error,
        hard=given.hard,
        hard_error=given.hard_error,
        correlation=given.correlation,
        invalid=given.invalid,
        latency=given.latency if given.latency_p99 is None else Latency(given.latency, given.latency_p99),
        seed=given.seed,
    )


if __name__ == "__main__":
    main()
