"""Log-probabilities as servers send them, in the chat endpoint's form or that of the completions endpoint."""

from collections.abc import Iterable, Mapping
from itertools import zip_longest

from surefoot.models.streaming import Token

MISSING_LOGPROB = -9999.0
"""What vLLM sends for minus infinity, and in place of alternatives that it does not know."""
MOST_ALTERNATIVES = 1000
ROUNDING = 1e-2
"""How far above 0 a log-probability may come out; beyond that it is none, but a probability, say."""


def tokens_of(said: object) -> tuple[Token, ...]:
    """Return the tokens of a chunk, one for each place; what is odd about one is not known of it."""
    if not isinstance(said, Mapping):
        return ()
    content, texts = said.get("content"), said.get("tokens")
    if isinstance(content, list):
        return tuple(_token(entry) for entry in content)
    if not isinstance(texts, list):
        return ()
    known, tops = (_list(said.get(name))[: len(texts)] for name in ("token_logprobs", "top_logprobs"))
    return tuple(
        Token(text if isinstance(text, str) else "", _known(logprob), _top(_alternatives(top)))
        for text, logprob, top in zip_longest(texts, known, tops)
    )


class MeanLogprob:
    """The mean log-probability of one answer's tokens, however many pieces it comes in.

    It is known if that of every token is: a mean of some tokens would be the mean of others than the answer's.
    """

    def __init__(self) -> None:
        self._sum = 0.0
        self._tokens = 0
        self._known = True

    def add(self, said: object) -> None:
        """Count the tokens of a piece; those of one that says nothing of them are not known."""
        if not isinstance(said, Mapping):
            self._known = False
            return
        content = said.get("content")
        found = (
            [entry.get("logprob") if isinstance(entry, Mapping) else None for entry in content]
            if isinstance(content, list)
            else _list(said.get("token_logprobs"))
        )
        for logprob in map(_known, found):
            if logprob is None:
                self._known = False
            else:
                self._sum += logprob
                self._tokens += 1

    def lose(self) -> None:
        """Take note that it cannot be known."""
        self._known = False

    @property
    def value(self) -> float | None:
        """The mean; None where it is not known."""
        return self._sum / self._tokens if self._known and self._tokens else None


def _token(entry: object) -> Token:
    """Read one place.  llama.cpp names a token by the text that it sends with it, none while that may be a stop string."""
    if not isinstance(entry, Mapping):
        return Token("", None)
    listed = [other for other in _list(entry.get("top_logprobs")) if isinstance(other, Mapping)]
    same = (other for other in listed if other.get("id") == entry["id"]) if "id" in entry else iter(())
    text = next(same, entry).get("token")
    top = _top((other.get("token"), other.get("logprob")) for other in listed)
    return Token(text if isinstance(text, str) else "", _known(entry.get("logprob")), top)


def _alternatives(top: object) -> Iterable[tuple[object, object]]:
    return top.items() if isinstance(top, Mapping) else ()


def _list(said: object) -> list[object]:
    return said if isinstance(said, list) else []


def _known(logprob: object) -> float | None:
    """Return a log-probability; None for what none can be, vLLM's stand-in for none included."""
    if isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    return float(min(logprob, 0.0)) if MISSING_LOGPROB < logprob <= ROUNDING else None


def _top(pairs: Iterable[tuple[object, object]]) -> tuple[tuple[str, float], ...]:
    known = [
        (text, found)
        for text, logprob in pairs
        if isinstance(text, str) and (found := _known(logprob)) is not None
    ]
    return tuple(sorted(known, key=lambda pair: -pair[1])[:MOST_ALTERNATIVES])
