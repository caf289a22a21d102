"""Whether a server calls functions: tried once, before the first offer, and judged by what it does.

Servers take `tools` and ignore them (llama.cpp with a chat template that knows none), refuse them (vLLM without a parser of calls), or
refuse `tool_choice` "required" and take "auto" (DeepSeek while it thinks), or the other way round.  So a trivial tool is offered that must be called.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from surefoot.models.base import Message, ModelUnavailable
from surefoot.models.offers import Offer, ToolSchema
from surefoot.models.tags import THINK

from .answer_cache import AnswerFromCache
from .batches import Batch
from .failures import RequestRefused
from .function_calling import BAD_REQUEST, NATIVE, TEXT, TOOL_CHOICE, FunctionCalling, kimi_ids
from .wire import Reply

TOOL = ToolSchema(
    "say_colour",
    "Say which colour was asked for.",
    '{"properties":{"colour":{"enum":["red"],"type":"string"}},"required":["colour"],"type":"object"}',
)
ASKED = (Message("user", "Call the tool say_colour once, with the colour red. Write nothing else."),)
MOST_TOKENS = 1024
"""A model that thinks first needs some; any other stops after its call."""
THINKING_TOKENS = 8192
"""For one that was still thinking then."""

Post = Callable[[Batch], Awaitable[Reply]]
"""Sends a request and returns its reply."""


async def probe_tools(post: Post, context: int | None) -> tuple[FunctionCalling, str]:
    """Return how the server is to be offered tools, and what a person should know about it.

    Raises `ModelUnavailable` where it does not answer at all, which says nothing about what it can do.
    """
    room = min(MOST_TOKENS, context // 2) if context else MOST_TOKENS
    must = Batch((ASKED,), 1, 0.0, room, None, (0,), offer=Offer((TOOL,), "required"))
    more = THINKING_TOKENS if context is None or context >= 2 * THINKING_TOKENS else 0
    reply, why = await _tried(post, must, more)
    choose = must._replace(offer=Offer((TOOL,), "auto"))
    if reply and (calls := reply.choices[0].calls):
        found = replace(NATIVE, kimi_ids=kimi_ids(calls))
        _, refusal = await _tried(post, choose._replace(max_tokens=1))
        if not TOOL_CHOICE.search(refusal):  # a limit of one token may be refused for itself
            return found, "calls tools by its function calling"
        return (
            replace(found, auto=False),
            f'calls tools by its function calling where it must, but refuses tool_choice "auto" {_said(refusal)}: where it may, '
            f"they are offered in words",
        )
    may, refusal = await _tried(post, choose, more)
    if may and (calls := may.choices[0].calls):
        how = "refuses" if why else "ignores"
        found = replace(NATIVE, required=False, kimi_ids=kimi_ids(calls))
        return (
            found,
            f'calls tools by its function calling, but {how} tool_choice "required", which is said in words instead',
        )
    how = f"it refuses them {_said(refusal)}" if refusal else "it takes them and ignores them"
    return TEXT, f"has no function calling ({how}): tools are offered in words, and calls read from the text"


def _said(refusal: str) -> str:
    """Return the server's own words in a refusal."""
    return refusal.partition("refuses the request ")[2] or refusal


async def _tried(post: Post, batch: Batch, more: int = 0) -> tuple[Reply | None, str]:
    """Return the reply, None if there is none or no answer in it, and why it was refused, "" if it was not."""
    try:
        reply = await post(batch)
    except AnswerFromCache:
        raise
    except ModelUnavailable as error:
        if not (isinstance(error, RequestRefused) and error.status in BAD_REQUEST):
            # It may be gone, or answer 500 to any tool: what it does with a plain request tells.
            await post(batch._replace(max_tokens=1, offer=None))
        return None, str(error)
    if not reply.choices:
        return None, ""
    first = reply.choices[0]
    thinking = first.finish == "length" and not first.calls and (first.thought or THINK.open in first.text)
    if thinking and batch.max_tokens < more:
        return await _tried(post, batch._replace(max_tokens=more))
    return reply, ""
