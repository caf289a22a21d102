"""Which asks travel in one request, and what that request says."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from pydantic_core import from_json

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message, Prompt
from surefoot.models.offers import Offer
from surefoot.models.tags import THINK

from .function_calling import TEXT, FunctionCalling, native_messages, text_messages, tool_fields
from .kept_thoughts import KeptThoughts, opening
from .limits import MOST_VALUES, VALUES_A_LOGPROB
from .messages import chat_messages
from .options import Options
from .vllm import is_vllm, own_fields, wants_stream

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What one of the two endpoints turned out to do."""

    works: bool = True
    n: bool = False
    """It returns as many samples of a prompt as it is asked for."""
    lists: bool = False
    """It takes a list of prompts."""
    counts_all: bool = True
    """The tokens of a request for several samples are those of all; llama.cpp counts only one of them."""
    why: str = ""
    """The server's own words where the endpoint does not work."""
    wants: tuple[str, ...] = ()
    """What its requests say otherwise than the API does: see `dialect`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a server turned out to do when it was tried."""

    server: str
    """`vLLM 0.32.0`, `llama.cpp`, ... as far as it tells."""
    models: tuple[str, ...]
    """Every model that it serves."""
    text: Endpoint
    """`/v1/completions`, for prompts that are strings."""
    chat: Endpoint
    """`/v1/chat/completions`, for messages."""
    max_n: int | None = None
    """Most samples of one prompt in a request, where the server says so."""
    context: int | None = None
    """Tokens of prompt and answer together, where the server says so."""
    notices: tuple[str, ...] = ()
    """What a person should know before anything is spent, a sentence each."""

    def endpoint(self, batch: "Batch") -> Endpoint:
        """Return the endpoint that a request goes to."""
        return self.chat if batch.chat else self.text


class Batch(NamedTuple):
    """One request: prompts, and samples of each."""

    prompts: tuple[Prompt, ...]
    n: int
    temperature: float
    max_tokens: int
    seed: int | None
    positions: tuple[int, ...]
    """Which ask each sample answers: all samples of the first prompt come first."""
    echo: bool = False
    """Let the server repeat each prompt before what it writes."""
    offer: Offer | None = None
    """What the model may call in any of its answers."""
    extra: str | None = None
    """More fields, a JSON object: see `Ask.extra`."""

    @property
    def chat(self) -> bool:
        """Whether it goes to the chat endpoint."""
        return not isinstance(self.prompts[0], str)


def batches(asks: Sequence[Ask], can: Capabilities, options: Options) -> list[Batch]:
    """Group asks into as few requests as the server allows.

    Asks for the same prompt, temperature and limit become one request with n > 1; different strings with the same
    temperature, limit and n become one with a list of prompts.  Greedy samples never use n, which vLLM refuses.
    """
    if options.seeded or len(asks) == 1:
        return [_alone(position, ask, options.seeded) for position, ask in enumerate(asks)]
    shared: dict[
        tuple[bool, int, float, int, Offer | None, str | None], list[tuple[Prompt, tuple[int, ...]]]
    ] = {}
    for ask, positions in _samples_of_one_prompt(asks, can, options):
        text, drawn = isinstance(ask.prompt, str), (ask.temperature, ask.max_tokens, ask.offer, ask.extra)
        kind = (text, len(positions), *drawn)
        shared.setdefault(kind, []).append((ask.prompt, positions))
    found = []
    for (text, n, temperature, max_tokens, offer, extra), units in shared.items():
        size = max(1, _most_samples(options, max_tokens) // n) if text and can.text.lists else 1
        for part in _parts(units, size):
            prompts = tuple(prompt for prompt, _ in part)
            positions = tuple(position for _, own in part for position in own)
            found.append(
                Batch(prompts, n, temperature, max_tokens, None, positions, offer=offer, extra=extra)
            )
    return found


def body(
    batch: Batch,
    model: str,
    options: Options,
    can: Capabilities | None = None,
    calling: FunctionCalling = TEXT,
    kept: KeptThoughts | None = None,
) -> dict[str, object]:
    """Return what the request says, as JSON values; `options.extra` has the last word, over the ask's own.

    `can` is None as long as that is being found out.  `calling` is how an offer is made, `kept` what goes back to the server
    with the answers that it gave.
    """
    prompt, *others = batch.prompts
    vllm = can is not None and is_vllm(can.server)
    stream = wants_stream(prompt, options) if vllm else options.stream
    limit = min(batch.max_tokens, (can and can.context) or batch.max_tokens)
    # Some servers stream unless told not to.
    said: dict[str, object] = {"model": model, "temperature": batch.temperature, "stream": stream}
    if isinstance(prompt, str):
        said["prompt"] = batch.prompts if others else prompt
        said["max_tokens"] = limit
    else:
        said.update(_conversation(prompt, batch.offer, calling, kept))
        said[options.chat_limit] = limit
    if batch.n > 1:
        said["n"] = batch.n
    if batch.seed is not None:
        said["seed"] = batch.seed
    if batch.echo:
        said["echo"] = True
    if options.logprobs and can is not None:
        # The completions endpoint takes a number of alternatives, of which llama.cpp understands 0 as no log-probabilities.
        said["logprobs"] = True if batch.chat else 1
    if options.stop:
        said["stop"] = options.stop
    if stream:
        said["stream_options"] = {"include_usage": True}
    if vllm:
        said.update(own_fields())
    if can is not None and can.server == "llama.cpp":
        # Tags that are control tokens of the model would be left out of the text, and thoughts pass for an answer.
        said["preserved_tokens"] = [THINK.open, THINK.close]
        if options.logprobs and batch.chat:
            said["top_logprobs"] = 1  # it lists twenty unless told
    if batch.extra is not None:
        said.update(_fields(batch.extra))
    said.update(options.extra)
    return said


def _fields(extra: str) -> dict[str, object]:
    with suppress(ValueError, TypeError):
        if isinstance(found := from_json(extra), dict):
            return found
    raise BadInput('extra of an ask must be a JSON object as text: {"top_p": 0.9}')


def _conversation(
    prompt: tuple[Message, ...], offer: Offer | None, calling: FunctionCalling, kept: KeptThoughts | None
) -> Iterator[tuple[str, object]]:
    if offer is not None and (calling := calling.of(offer)).native:
        begun = opening(prompt)
        yield (
            "messages",
            native_messages(prompt, offer, calling, lambda text: kept.of(begun, text) if kept else None),
        )
        yield from tool_fields(offer, calling)
        return
    if offer is not None or any(message.role == "tool" for message in prompt):
        prompt = text_messages(prompt, offer)
    yield "messages", chat_messages(prompt)


def _alone(position: int, ask: Ask, seeded: bool) -> Batch:
    seed = ask.seed if seeded else None
    return Batch(
        (ask.prompt,), 1, ask.temperature, ask.max_tokens, seed, (position,), offer=ask.offer, extra=ask.extra
    )


def _samples_of_one_prompt(
    asks: Sequence[Ask], can: Capabilities, options: Options
) -> Iterator[tuple[Ask, tuple[int, ...]]]:
    same: dict[tuple[Prompt, float, int, Offer | None, str | None], list[int]] = {}
    for position, (prompt, temperature, max_tokens, _, _, offer, extra) in enumerate(asks):
        same.setdefault((prompt, temperature, max_tokens, offer, extra), []).append(position)
    for (prompt, temperature, max_tokens, *_), positions in same.items():
        able = (can.text if isinstance(prompt, str) else can.chat).n
        limit = min(options.max_n, _most_samples(options, max_tokens), can.max_n or options.max_n)
        for part in _parts(positions, limit if able and temperature > 0 else 1):
            yield asks[part[0]], tuple(part)


def _most_samples(options: Options, max_tokens: int) -> int:
    """Return how many samples may come in one request: with log-probabilities its answer must still be read in one piece."""
    if not options.logprobs:
        return options.max_batch
    return min(options.max_batch, max(1, MOST_VALUES // (VALUES_A_LOGPROB * max_tokens)))


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]
