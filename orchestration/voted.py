"""An election around any async function that asks a model.

    @surefoot.voted(k=3)
    async def capital(country: str) -> str:
        text = await ask(f"The capital of {country}, one word:")
        if not text.strip().isalpha():
            raise surefoot.NotAnAnswer("not one word")
        return text.strip().title()

    await capital("France")  # the name that is three votes ahead of every other

One call is one decision: nothing is written down and nothing resumed.  Many of them in a row are a `Task`.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from contextlib import aclosing
from typing import Any, ParamSpec, TypeVar

from surefoot.errors import BadInput
from surefoot.models.gather import as_they_end
from surefoot.typed_input import checked
from surefoot.voting.election import Election, Verdict
from surefoot.voting.flags import NotAnAnswer, RedFlag
from surefoot.voting.rules import FirstToAheadBy

from .settings import USUAL

P = ParamSpec("P")
B = TypeVar("B", bound=Hashable)


@checked
def voted(
    *,
    k: int,
    limit: int = USUAL.limit,
    number: str | None = None,
    on_verdict: Callable[[Verdict[Any]], object] | None = None,
) -> Callable[[Callable[P, Awaitable[B]]], Callable[P, Coroutine[Any, Any, B]]]:
    """Let an async function vote on what it returns: first-to-ahead-by-`k`, over at most `limit` samples.

    A sample is one call of the function, a ballot what it returns: hashable, compared as a whole, so bring it into one form.
    `NotAnAnswer` is a red flag: the sample is thrown away and another one drawn.  Anything else that is raised ends the election,
    for a transport that fails is no red flag; retry inside.  As many samples are drawn at once as could decide, and they count in
    the order in which they were begun.

    The same arguments go to every call, so the function has to draw anew each time: at a temperature above 0, from no cache.
    `number` names a keyword argument that gets the sample's number, 0, 1, ...: for a seed, or one of several wordings.
    `on_verdict` is told each decision with its tally.

    Raises `Stalled` if `limit` samples decide nothing, and `BadInput` for a `k` or a `limit` that cannot decide and for ballots that
    cannot be counted.
    """
    rule = FirstToAheadBy(k)
    if limit < k:
        raise BadInput(f"limit must be at least k = {k} samples, not {limit!r}")

    def around(function: Callable[P, Awaitable[B]]) -> Callable[P, Coroutine[Any, Any, B]]:
        if inspect.isfunction(function) and not inspect.iscoroutinefunction(inspect.unwrap(function)):
            raise BadInput(
                f"{function.__name__} cannot be awaited: write it as `async def` to have it voted on"
            )

        async def sample(place: int, args: Any, kwargs: Any) -> tuple[int, B | RedFlag]:
            numbered = {} if number is None else {number: place}
            try:
                return place, await function(*args, **{**kwargs, **numbered})
            except NotAnAnswer as error:
                return place, RedFlag("malformed", str(error))

        @functools.wraps(function)
        async def elected(*args: P.args, **kwargs: P.kwargs) -> B:
            election: Election[B] = Election(rule, limit)
            while wanted := election.wanted:
                draws = [sample(place, args, kwargs) for place in election.submit(wanted)]
                async with aclosing(as_they_end(draws)) as outcomes:
                    async for place, outcome in outcomes:
                        _cast(election, place, outcome)
            verdict = election.verdict()
            if on_verdict is not None:
                on_verdict(verdict)
            return verdict.winner

        return elected

    return around


def _cast(election: Election[B], place: int, outcome: B | RedFlag) -> None:
    try:
        election.cast(place, outcome)
    except TypeError as error:
        raise BadInput(
            f"a ballot is counted and compared, and {outcome!r} cannot be ({error}): return a text, a number, a tuple or a frozen "
            "dataclass"
        ) from None
