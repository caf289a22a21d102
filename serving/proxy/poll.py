"""From a client's request to what a model is asked, and to how its answers are compared."""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message, Prompt, Sampling
from surefoot.models.elected_answers.ballots import Ballots, answer_form
from surefoot.models.elected_answers.bounds import Equality
from surefoot.models.elected_answers.offering import offer_of, tool_schema
from surefoot.models.elected_answers.vote import Poll
from surefoot.models.offers import Call, Offer, arguments_of, write_calls
from surefoot.orchestration.engine.open_step import seed_of
from surefoot.tools.pictures.picture import Picture

from .requests import (
    ChatMessage,
    ChatRequest,
    ContentPart,
    ForcedTool,
    SampleRequest,
    TextRequest,
)
from .settings import ProxySettings

MOST_PICTURES = 64
_SEEDS = 1 << 31


def chat_poll(request: ChatRequest, settings: ProxySettings) -> Poll:
    """Return what a chat request asks; raises `BadInput` for one that cannot be voted on, or not be asked."""
    wanted = request.response_format
    form = None
    if wanted is not None and wanted.type != "text":
        schema = wanted.json_schema.schema_ if wanted.json_schema else None
        form = answer_form(_json(schema) if schema and wanted.type == "json_schema" else None)
    return _poll(
        request,
        settings,
        prompt=tuple(_messages(request.messages)),
        max_tokens=request.max_completion_tokens or request.max_tokens,
        ballots=Ballots(_equality(request, settings), _offer(request), form),
    )


def text_poll(request: TextRequest, settings: ProxySettings) -> Poll:
    """Return what a request for a completion asks; raises as `chat_poll` does."""
    return _poll(
        request,
        settings,
        prompt=request.prompt if isinstance(request.prompt, str) else request.prompt[0],
        max_tokens=request.max_tokens,
        ballots=Ballots(_equality(request, settings)),
    )


def _poll(
    request: SampleRequest,
    settings: ProxySettings,
    *,
    prompt: Prompt,
    max_tokens: int | None,
    ballots: Ballots,
) -> Poll:
    limit = request.surefoot.limit or settings.limit
    if limit > settings.limit:
        raise BadInput(f"surefoot.limit is at most {settings.limit} samples here, not {limit}")
    extra = request.forwarded()
    sampling = _sampling(request.temperature, max_tokens, settings.sampling)
    seed = secrets.randbelow(_SEEDS) if request.seed is None else request.seed
    more = _json(extra) if extra else None

    def ask(number: int) -> Ask:
        return Ask(
            prompt=prompt,
            temperature=sampling.temperature_of(number),
            max_tokens=sampling.max_tokens,
            seed=seed_of(seed, 0, number),
            offer=ballots.offer,
            extra=more,
        )

    poll = Poll(
        ask=ask,
        ballots=ballots,
        votes=request.surefoot.votes or settings.votes,
        limit=limit,
        accuracy=settings.accuracy,
    )
    if poll.lead > limit:
        raise BadInput(f"a lead of {poll.lead} votes cannot be reached with {limit} samples")
    return poll


def _equality(request: SampleRequest, settings: ProxySettings) -> Equality:
    return request.surefoot.equality or settings.equality


@lru_cache(maxsize=1024)
def _sampling(temperature: float | None, max_tokens: int | None, usual: Sampling) -> Sampling:
    """Return how samples are drawn.

    A request with temperature 0 has its first sample drawn with that: greedy samples are copies, so the others are drawn as usual.
    """
    if max_tokens is not None and max_tokens > usual.max_tokens:
        raise BadInput(f"max_tokens is at most {usual.max_tokens:,} here, not {max_tokens:,}")
    drawn = replace(usual, max_tokens=max_tokens or usual.max_tokens)
    if temperature is None:
        return drawn
    if temperature == 0:
        return replace(drawn, first_temperature=0.0)
    return replace(drawn, temperature=temperature, first_temperature=None)


# --- messages ---


def _messages(said: Sequence[ChatMessage]) -> Iterator[Message]:
    """Yield a conversation in the form of the `Model` seam: calls in the text, results in the order of the calls."""
    pictures = 0
    waiting: dict[str, int] = {}
    results: dict[str, str] = {}
    for message in said:
        text, shown = _content(message)
        pictures += len(shown)
        if pictures > MOST_PICTURES:
            raise BadInput(f"a request shows at most {MOST_PICTURES} pictures")
        if message.role == "tool":
            if message.tool_call_id not in waiting or message.tool_call_id in results:
                raise BadInput(f"tool_call_id {message.tool_call_id[:64]!r} belongs to no call before it")
            results[message.tool_call_id] = text
            if len(results) == len(waiting):
                yield from (Message("tool", results[own]) for own in waiting)
                waiting, results = {}, {}
            continue
        _check_answered(waiting)
        if message.role == "assistant" and message.tool_calls:
            calls = [
                Call(call.function.name, arguments_of(call.function.arguments)) for call in message.tool_calls
            ]
            waiting = {call.id: place for place, call in enumerate(message.tool_calls)}
            if len(waiting) < len(calls):
                raise BadInput("two calls of one message have the same id")
            text = write_calls(text, calls)
        yield Message(message.role, text, shown)
    _check_answered(waiting)


def _check_answered(waiting: dict[str, int]) -> None:
    if waiting:
        raise BadInput(
            f"the call {next(iter(waiting))[:64]!r} has no result: a message of the role `tool` follows it"
        )


def _content(message: ChatMessage) -> tuple[str, tuple[Picture, ...]]:
    if message.content is None or isinstance(message.content, str):
        return message.content or "", ()
    text = "".join(part.text or part.refusal for part in message.content)
    return text, tuple(_picture(part) for part in message.content if part.type == "image_url")


def _picture(part: ContentPart) -> Picture:
    if part.image_url is None:
        raise BadInput("a part of the type image_url has no image_url")
    try:
        return Picture.of_url(part.image_url.url)
    except ValueError as error:
        raise BadInput(f"{error}: the proxy fetches nothing") from None


# --- tools ---


def _offer(request: ChatRequest) -> Offer | None:
    given, choice = [tool.function for tool in request.tools or ()], request.tool_choice
    tools = [tool_schema(each.name, each.description, each.parameters) for each in given]
    parallel = request.parallel_tool_calls is not False
    if isinstance(choice, ForcedTool):
        return offer_of(tools, forced=choice.function.name, parallel=parallel)
    return offer_of(tools, choice or "auto", parallel=parallel)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
