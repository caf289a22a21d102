"""A model of transformers in this process, behind the seams of a server: batched, seeded, streamed, interrupted.

    async with LocalModel("models/qwen3", dtype="bfloat16", device="cuda") as model:
        reasoner = Reasoner(model, Exit(ProbeExit("exits.json")))

A pass draws one token of every text that somebody waits for.  Nothing is written ahead: what a stream that is closed has cost is
what was read of it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from heapq import heappop, heappush
from importlib import import_module
from importlib.util import find_spec
from itertools import starmap
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from surefoot.errors import BadInput, SurefootError
from surefoot.models.base import Ask, ModelUnavailable
from surefoot.models.gather import as_they_end
from surefoot.models.streaming import Draw, Piece, Token, parser
from surefoot.models.tags import Split
from surefoot.voting.samples import NOTHING, Sample, Usage

from .heads import CacheShape, CompressedKV
from .stops import Stops

if TYPE_CHECKING:
    from .cache import RowCache
    from .network import DrawnToken, TransformersNetwork

SCHEME = "local:"
"""What an address of such a model begins with; the folder follows."""
LIBRARIES = ("numpy", "torch", "transformers")
SLOTS = 64


class NoLocalModel(SurefootError):
    """A model in a folder cannot be loaded into this process."""


@dataclass(slots=True, eq=False)
class _Writing:
    """A text that is being written."""

    draw: Draw
    ids: list[int]
    after: int
    """Tokens of the prompt."""
    row: int | None = None
    """Where the cache has it; None until it begins, and after its row was given to another."""
    begins: bool = True
    """Whether the next pass has to read all of it."""
    drawn: "asyncio.Future[DrawnToken] | None" = None
    """What somebody waits for."""
    over: bool = False


class LocalModel:
    """The model in `folder`, as long as the `async with` block lasts: a `Model`, a `Streaming`, and `Inspectable`.

    `dtype` is a name of torch's, or "auto", what the weights were saved in.  At most `slots` texts have a row of the cache; of more, those that nobody
    waits for lose theirs, and are read once more later.  `threads` of torch that compute; None leaves them as they are, for a micro
    model 1 is best.  `kv` compresses the cache.

    The same draw gets the same text whatever else is drawn, but for rounding: on a CPU nothing was seen to depend on it.

    `sample` leaves thoughts out, as a server with a reasoning parser does.  No calls are offered, and no pictures are read.  Raises
    `NoLocalModel` if it cannot be loaded, `ModelUnavailable` if a pass fails (out of memory).
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        name: str | None = None,
        device: str = "cpu",
        dtype: str = "auto",
        slots: int = SLOTS,
        threads: int | None = None,
        kv: CompressedKV | None = None,
    ) -> None:
        if slots < 1 or (threads is not None and threads < 1):
            raise BadInput(f"slots and threads must be at least 1, not {slots!r} and {threads!r}")
        self._folder = Path(folder)
        self._name = name or f"{SCHEME}{folder}"
        self._device, self._dtype, self._slots, self._threads, self._kv = device, dtype, slots, threads, kv
        self._thread: ThreadPoolExecutor | None = None
        self._shared = False
        self._network: TransformersNetwork | None = None
        self._cache: RowCache | None = None
        self._free: list[int] = []
        self._rows: dict[int, _Writing] = {}
        """Who has which row."""
        self._waiting: deque[_Writing] = deque()
        self._drawing: frozenset[_Writing] = frozenset()
        """Those that a pass is at: their rows are not given away."""
        self._driver: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._network is None:
            if lacking := [library for library in LIBRARIES if find_spec(library) is None]:
                raise NoLocalModel(
                    f"a model in this process needs {' and '.join(lacking)}: `pip install 'surefoot[local]'`"
                )
            if not (self._folder / "config.json").is_file():
                raise BadInput(
                    f"{str(self._folder)!r} is no folder with a model of transformers: it has no config.json"
                )
            self._thread = ThreadPoolExecutor(1, "surefoot-local", self._set_threads)
            try:
                self._network = await self._in_thread(self._load)
            except Exception as error:
                self._thread.shutdown()
                raise NoLocalModel(f"the model in {str(self._folder)!r} cannot be loaded: {error}") from error
        self._cache = self._network.cache(self._kv)
        self._free = list(range(self._slots))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give the memory back; streams that are not closed raise `ModelUnavailable`."""
        for writing in self._waiting:
            if writing.drawn and not writing.drawn.done():
                writing.drawn.set_exception(ModelUnavailable(f"{self.name} was closed"))
        self._waiting.clear()
        if self._driver:
            await asyncio.gather(self._driver, return_exceptions=True)
        self._network = self._cache = None
        if self._thread and not self._shared:
            self._thread.shutdown()

    def compressed(self, kv: CompressedKV | None) -> "LocalModel":
        """Return a model of the same weights with a cache of its own, to be opened while this one is."""
        kept = kv.windowed if kv else ()
        name = f"{self.name} with {len(kept)} windowed heads" if kept else self.name
        other = LocalModel(self._folder, name=name, slots=self._slots, kv=kv)
        other._network, other._thread, other._shared = self._open, self._thread, True
        return other

    @property
    def name(self) -> str:
        """What reports call it: `local:` and the folder, unless another name was given."""
        return self._name

    @property
    def depth(self) -> int:
        """How many layers it has."""
        return self.shape.layers

    @property
    def shape(self) -> CacheShape:
        """The sizes of its cache."""
        return self._open.shape

    async def digest(self) -> str:
        """Return the SHA-256 of the weights and the configuration."""
        return await self._in_thread(self._open.digest)

    async def context(self) -> int:
        """Return how many tokens a prompt and its answer may have together."""
        return self._open.context

    async def tokenize(self, text: str) -> list[int]:
        """Return the token ids of `text`, no special ones added."""
        return self._open.encode(text)

    async def native_budget(self) -> bool:
        """Return False: budgets are kept from outside."""
        return False

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask; see `Model`.  Raises `BadInput` for an ask that offers calls or shows pictures."""
        slots = asyncio.Semaphore(self._slots)

        async def one(position: int, ask: Ask) -> tuple[int, Sample]:
            async with slots:
                return position, await self._whole(ask)

        async with aclosing(as_they_end(starmap(one, enumerate(asks)))) as samples:
            async for pair in samples:
                yield pair

    async def _whole(self, ask: Ask) -> Sample:
        draw = Draw(
            prompt=ask.prompt,
            temperature=ask.temperature,
            max_tokens=ask.max_tokens,
            seed=ask.seed,
            offer=ask.offer,
        )
        text, usage, reasoning, finish = "", NOTHING, 0, None
        async with aclosing(self.stream(draw)) as pieces:
            async for piece in pieces:
                if piece.unopened:
                    text, reasoning = "", usage.completion
                text += piece.text
                usage += piece.usage
                reasoning += piece.usage.completion if piece.thought else 0
                finish = piece.finish or finish
        return Sample(
            text, finish, usage.completion, usage._replace(reasoning=reasoning), prompt_tokens=usage.prompt
        )

    async def stream(self, draw: Draw) -> AsyncGenerator[Piece, None]:
        """Yield a piece for each token; see `Streaming`.  Raises `BadInput` for a draw that the model cannot read."""
        network = self._open
        writing, decoder = self._begin(draw, network)
        told, stops, usage = parser(draw), Stops(draw.stop), Usage(prompt=len(writing.ids))
        try:
            if draw.max_tokens < 1:
                yield Piece(finish="length", usage=usage)
            for made in range(1, draw.max_tokens + 1):
                drawn = await self._next(writing)
                writing.ids.append(drawn.token)
                ended, room = drawn.token in network.ends, network.context - len(writing.ids)
                text = stops.feed("" if ended else decoder.step(drawn.token))
                finish = "stop" if ended or stops.stopped else None
                if finish is None and (made == draw.max_tokens or room < 1):
                    finish = "length"
                if finish and not stops.stopped:
                    text += stops.feed(decoder.end())
                    text += stops.end()
                splits = told.feed(text) + (told.end() if finish else [])
                *earlier, last = [Piece(*split[:2], unopened=split.unopened) for split in splits or [Split()]]
                for piece in earlier:
                    yield piece
                yield last._replace(
                    tokens=(_token(network, drawn),) if draw.top_logprobs else (),
                    finish=finish,
                    usage=usage + Usage(completion=1),
                    room=room,
                    states=drawn.states,
                )
                usage = NOTHING
                if finish:
                    return
        finally:
            self._end(writing)

    def _begin(self, draw: Draw, network: "TransformersNetwork") -> tuple[_Writing, Any]:
        if draw.offer is not None:
            raise BadInput("a model in this process is offered no calls: use a server for agents with tools")
        network.check(draw.layers, draw.added, draw.logit_bias)
        special = isinstance(draw.prompt, str)
        before = network.render(draw.prompt, draw.think)
        ids = network.encode(before + draw.begun, special=special)
        if not 0 < len(ids) < network.context:
            raise BadInput(
                f"a prompt of {self.name} has 1 to {network.context - 1} tokens, with what has begun, not {len(ids)}"
            )
        after = len(network.encode(before, special=special)) if draw.added else 0
        decoder = import_module(".network", __package__).TextOfTokens(network, ids)
        return _Writing(draw, ids, after), decoder

    async def _next(self, writing: _Writing) -> "DrawnToken":
        writing.drawn = asyncio.get_running_loop().create_future()
        self._waiting.append(writing)
        if self._driver is None or self._driver.done():
            self._driver = asyncio.create_task(self._drive())
        return await writing.drawn

    async def _drive(self) -> None:
        """Make passes as long as somebody waits for a token."""
        while self._waiting:
            # Whoever got a token from the last pass has asked for another after this turn of the loop.
            await asyncio.sleep(0)
            turn = self._admitted()
            if not turn:
                continue
            self._drawing = frozenset(turn)
            found: Sequence[DrawnToken] | Exception
            try:
                found = await self._in_thread(self._draw, turn)
            except SurefootError as error:
                found = error
            except Exception as error:
                found = ModelUnavailable(f"{self.name} failed: {type(error).__name__}: {error}")
            self._drawing = frozenset()
            for number, writing in enumerate(turn):
                self._hand_over(writing, found if isinstance(found, Exception) else found[number])

    def _hand_over(self, writing: _Writing, found: "DrawnToken | Exception") -> None:
        if writing.over:
            self._give_back(writing)
        if writing.drawn and not writing.drawn.done():
            if isinstance(found, Exception):
                writing.drawn.set_exception(found)
            else:
                writing.drawn.set_result(found)

    def _admitted(self) -> list[_Writing]:
        """Return whose token is drawn in the next pass, each with a row; whoever finds none waits on.

        All rows cannot be with texts that wait for nothing: those give theirs away.  So some text always goes on, also where the streams that hold
        rows wait for others to begin, as those of an exit wait for its forced answers.
        """
        waiting = [writing for writing in self._waiting if not writing.over]
        wanted = set(waiting)
        for writing in waiting:
            writing.begins = writing.row is None
            if writing.begins and (row := self._row_for(wanted)) is not None:
                writing.row, self._rows[row] = row, writing
        self._waiting = deque(writing for writing in waiting if writing.row is None)
        return [writing for writing in waiting if writing.row is not None]

    def _row_for(self, wanted: set[_Writing]) -> int | None:
        if self._free:
            return heappop(self._free)  # the lowest: a pass looks at all rows up to the highest
        for row, writing in self._rows.items():
            if writing not in wanted:
                writing.row = None
                del self._rows[row]
                return row
        return None

    def _end(self, writing: _Writing) -> None:
        writing.over = True
        if writing not in self._drawing:
            self._give_back(writing)

    def _give_back(self, writing: _Writing) -> None:
        if writing.row is not None:
            del self._rows[writing.row]
            heappush(self._free, writing.row)
            writing.row = None

    def _draw(self, turn: Sequence[_Writing]) -> "list[DrawnToken]":
        network = import_module(".network", __package__)
        texts = [
            network.NextToken(
                ids=writing.ids,
                row=writing.row,
                begins=writing.begins,
                seed=writing.draw.seed,
                temperature=writing.draw.temperature,
                bias=writing.draw.logit_bias,
                alternatives=writing.draw.top_logprobs,
                layers=writing.draw.layers,
                added=writing.draw.added,
                after=writing.after,
            )
            for writing in turn
        ]
        assert self._cache is not None
        return self._open.draw(self._cache, texts)

    @property
    def _open(self) -> "TransformersNetwork":
        if self._network is None:
            raise ModelUnavailable(f"{self.name} is not open: use it in an `async with`")
        return self._network

    def _load(self) -> "TransformersNetwork":
        network = import_module(".network", __package__)
        made: TransformersNetwork = network.TransformersNetwork(self._folder, self._device, self._dtype)
        return made

    def _set_threads(self) -> None:
        if self._threads is not None:
            import_module("torch").set_num_threads(self._threads)

    async def _in_thread(self, work: Any, *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)


def _token(network: "TransformersNetwork", drawn: "DrawnToken") -> Token:
    top = tuple((network.text_of(token), logprob) for token, logprob in drawn.top)
    return Token(network.text_of(drawn.token), drawn.logprob, top)
