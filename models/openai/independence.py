"""Whether samples are drawn anew for every request, judged by the samples themselves: a cache need not announce itself."""

from collections.abc import Awaitable, Callable

from surefoot.models.base import ModelUnavailable, Prompt

from .answer_cache import AnswerFromCache
from .batches import Batch
from .failures import UnreadableResponse
from .wire import Reply

TOKENS = 24
LONG = 8
"""Characters of a text that is worth comparing."""
REPEATS = 8
"""A model that is torn between two answers repeats two samples one time in two, and so often one time in hundreds."""


async def check_fresh(
    post: Callable[[Batch], Awaitable[Reply]], prompt: Prompt, n: int, one: Reply, other: Reply, server: str
) -> str:
    """Ask the same again; raise `AnswerFromCache` if what comes cannot have been drawn for it.  Return what looks odd, or "".

    `one` is the answer of one token to the same prompt, `other` to another.  Letter-equal samples alone prove nothing: a
    model may be sure.
    """
    asked = Batch((prompt,), n, 1.0, TOKENS, None, tuple(range(n)))
    try:
        first = await post(asked)
        if _is_shorter_answer(first, one, other):
            raise AnswerFromCache(
                server, f"a request for {TOKENS} tokens got the answer to one for a single token"
            )
        if not _repeated(first, await post(asked)):
            return ""
        varied = len({choice.text for choice in first.choices}) > 1
        for _ in range(REPEATS if varied else 1):
            if not _repeated(first, await post(asked)):
                return ""
    except (AnswerFromCache, UnreadableResponse):
        raise
    except ModelUnavailable:
        return ""
    if varied:
        raise AnswerFromCache(server, "the same different samples came again and again")
    return (
        f"{server} wrote the same {TOKENS} tokens each time it was asked for random words at temperature 1: if it answers "
        f"from a store or draws greedily, votes are copies of one another and prove nothing"
    )


def _is_shorter_answer(reply: Reply, one: Reply, other: Reply) -> bool:
    """Whether this is the answer of one token, although there was room for many and nothing ended it before.

    A server that answers everything alike shows nothing by it.
    """
    if not (reply.choices and one.choices and other.choices) or one.choices[0].text == other.choices[0].text:
        return False
    now, then = reply.choices[0], one.choices[0]
    cut = now.finish == then.finish == "length" and now.text == then.text and bool(now.text.strip())
    return cut and reply.counted and reply.usage.completion <= len(reply.choices)


def _repeated(before: Reply, now: Reply) -> bool:
    """Whether the texts are the same letter by letter, and so long that this is odd.

    A text that ended by itself is a sure model's own, and none at all is no text.
    """
    long = bool(before.choices) and all(len(choice.text.strip()) >= LONG for choice in before.choices)
    varied = len({choice.text for choice in before.choices}) > 1
    cut = all(choice.finish == "length" for choice in before.choices)
    return before.choices == now.choices and long and (varied or cut)
