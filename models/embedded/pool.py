"""pebble on the CPU without a server: processes that run its network in numpy, and the `Model` that spreads asks over them.

Processes and not threads, because a pass is hundreds of short numpy calls that would wait for the interpreter's lock
behind a busy event loop.  Asks that wait are cut into chunks when a worker has room for one, from any caller, so
that many small requests are answered together as soon as there are more of them than the workers can take at once.
"""

import asyncio
import os
import sys
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from types import TracebackType
from typing import IO, NamedTuple, Self

from surefoot.errors import BadInput
from surefoot.models.base import Ask, ModelUnavailable
from surefoot.models.keys import without_keys
from surefoot.voting.samples import Sample

from . import PEBBLES
from .worker_protocol import LOGPROBS, LONGEST_LINE, checked_ask, read_samples, write_asks

NAME = PEBBLES[1]
LIBRARIES = ("numpy", "safetensors")
"""What the workers import, an extra."""
MOST_WORKERS = 4
CHUNK = 24
"""Most asks that travel together: enough for large matrix products, few enough to keep the answers flowing."""
AHEAD = 2
"""Chunks that a worker holds: the one that it is at, and the next, so that it never waits for the event loop."""
START_S = 60.0
"""Longest wait for a worker to load numpy and the weights."""
END_S = 5.0
"""Longest wait for a worker to end by itself."""

_ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL", "VECLIB_MAXIMUM", "NUMEXPR")
}
"""BLAS libraries read it when they are loaded.  Threads of a worker would only fight with the other workers for the cores."""


_Back = asyncio.Queue[tuple[int, Sample] | ModelUnavailable]
"""What has come back for one run of `sample` and not been handed on."""


class _Item(NamedTuple):
    """An ask on its way."""

    back: _Back
    position: int
    ask: Ask


class _Worker:
    """A process, and the chunks that it holds."""

    def __init__(self, process: asyncio.subprocess.Process, errors: IO[bytes]) -> None:
        self.process = process
        self.errors = errors
        self.chunks: deque[list[_Item]] = deque()

    @classmethod
    async def start(cls, *options: str) -> Self:
        """Start a process; it is not waited for."""
        path = os.pathsep.join(entry or os.curdir for entry in sys.path)
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "surefoot.models.embedded.worker", *options),
            env={**without_keys(os.environ), **_ONE_THREAD, "PYTHONPATH": path},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=LONGEST_LINE,
            # Ctrl-C in a terminal goes to every process of a group; it is the parent that decides what it means.
            start_new_session=True,
        )
        return cls(process, errors)

    def send(self, chunk: list[_Item]) -> None:
        """Give it one more chunk."""
        assert self.process.stdin is not None
        self.chunks.append(chunk)
        self.process.stdin.write(write_asks([item.ask for item in chunk]))

    async def line(self) -> bytes:
        """Return the next line that it says; raise `ModelUnavailable` if it has ended."""
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line.endswith(b"\n"):
            await self.process.wait()
            raise ModelUnavailable(
                f"a worker process of {NAME} has ended ({self._last_words()}): start again"
            )
        return line

    def _last_words(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return f"exit status {self.process.returncode}, {said}"

    async def close(self) -> None:
        """End the process: its input ends, and if that is not enough it is killed."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            async with asyncio.timeout(END_S):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        finally:
            self.errors.close()


class NumpyPebble:
    """pebble in `workers` processes (None: one a core, at most four), for as long as the `async with` block lasts.

        async with NumpyPebble() as model:
            async for position, sample in model.sample(asks):
                ...

    `logprobs`: samples have a `logprob`.  They are the same without, and take less time.  Raises `ModelUnavailable` if a worker
    cannot start or dies; it is not started again.
    """

    name = NAME

    def __init__(self, workers: int | None = None, *, chunk: int = CHUNK, logprobs: bool = False) -> None:
        count = min(os.cpu_count() or 1, MOST_WORKERS) if workers is None else workers
        for what, value in (("workers", count), ("chunk", chunk)):
            if value < 1:
                raise BadInput(f"{what} must be at least 1, not {value!r}")
        self._count = count
        self._chunk = chunk
        self._options = (LOGPROBS,) if logprobs else ()
        self._workers: list[_Worker] = []
        self._readers: list[asyncio.Task[None]] = []
        self._waiting: deque[_Item] = deque()
        self._calls: set[_Back] = set()
        self._over: ModelUnavailable | None = ModelUnavailable(
            f"{NAME} is not open: use it in an `async with`"
        )
        self._spreading = False

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as unless_it_starts:
            unless_it_starts.push_async_callback(self.aclose)
            await self._start()
            unless_it_starts.pop_all()
        self._over = None
        self._readers = [asyncio.create_task(self._read(worker)) for worker in self._workers]
        return self

    async def _start(self) -> None:
        if not all(map(find_spec, LIBRARIES)):
            raise ModelUnavailable(
                f"{NAME} needs {' and '.join(LIBRARIES)}: `pip install 'surefoot[embedded]'`, or give --model with the URL of a server of "
                "your own"
            )
        for _ in range(self._count):
            self._workers.append(await _Worker.start(*self._options))
        try:
            async with asyncio.timeout(START_S):
                for worker in self._workers:
                    await worker.line()
        except TimeoutError:
            raise ModelUnavailable(
                f"{NAME} took more than {START_S:.0f} s to start: try again on a machine with less to do"
            ) from None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the workers; calls that still wait for samples raise `ModelUnavailable`."""
        self._fail(ModelUnavailable(f"{NAME} was closed"))
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        await asyncio.gather(*(worker.close() for worker in self._workers))
        self._readers, self._workers = [], []

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask; see `Model`.  The same ask gets the same sample, with any guess.

        Raises `BadInput` for an ask that pebble cannot read.  Closing the generator takes back what no worker has yet.
        """
        checked = [checked_ask(ask) for ask in asks]
        if self._over:
            raise self._over
        back: _Back = asyncio.Queue()
        self._calls.add(back)
        self._waiting.extend(_Item(back, position, ask) for position, ask in enumerate(checked))
        self._spread_soon()
        try:
            for _ in checked:
                found = await back.get()
                if isinstance(found, ModelUnavailable):
                    raise found
                yield found
        finally:
            self._calls.discard(back)
            if any(item.back is back for item in self._waiting):
                self._waiting = deque(item for item in self._waiting if item.back is not back)

    def _spread_soon(self) -> None:
        """Let all requests of this turn of the event loop come in, then share them out."""
        if not self._spreading:
            self._spreading = True
            asyncio.get_running_loop().call_soon(self._spread)

    def _spread(self) -> None:
        """Give waiting asks to workers with room, the idlest first, equal shares as far as they go."""
        self._spreading = False
        while self._waiting and not self._over:
            held = min(len(worker.chunks) for worker in self._workers)
            if held == AHEAD:
                break
            idlest = [worker for worker in self._workers if len(worker.chunks) == held]
            share = min(self._chunk, -(-len(self._waiting) // len(idlest)))
            idlest[0].send([self._waiting.popleft() for _ in range(share)])

    async def _read(self, worker: _Worker) -> None:
        """Hand on what a worker says until it ends."""
        try:
            while True:
                samples = read_samples(await worker.line())
                for item, sample in zip(worker.chunks.popleft(), samples, strict=True):
                    item.back.put_nowait((item.position, sample))
                self._spread()
        except ModelUnavailable as error:
            self._fail(error)
        except Exception as error:
            # What it says cannot be read, so that no answer can be told from another: every waiting call fails.
            self._fail(
                ModelUnavailable(
                    f"a worker process of {NAME} said what cannot be read ({error!r}): start again"
                )
            )

    def _fail(self, error: ModelUnavailable) -> None:
        """Fail every waiting call, and every later one."""
        self._over = error
        for back in self._calls:
            back.put_nowait(error)
