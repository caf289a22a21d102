"""Log-probabilities as servers send them, in the chat endpoint's form or that of the completions endpoint."""

from collections.abc import Iterable, Mapping
from itertools import zip_longest

from surefoot.models.streaming import Token

MISSING_LOGPROB = -9999.0
"""What vLLM sends for minus infinity, and in place of alternatives that it does not know."""
MOST_ALTERNATIVES = 1000


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
    return float(min(logprob, 0.0)) if logprob > MISSING_LOGPROB else None


def _top(pairs: Iterable[tuple[object, object]]) -> tuple[tuple[str, float], ...]:
    known = [
        (text, found)
        for text, logprob in pairs
        if isinstance(text, str) and (found := _known(logprob)) is not None
    ]
    return tuple(sorted(known, key=lambda pair: -pair[1])[:MOST_ALTERNATIVES])
