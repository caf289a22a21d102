"""Answers from a cache are no samples: how requests are made to differ, and how a cache is detected.

Gateways keep answers by what they take for the request: the whole body (Portkey, Cloudflare, Helicone), chosen fields of it
(model, messages and temperature: LiteLLM, OrcaRouter), or the prompt alone.  k votes would then be one vote k times.  So
each request has a temperature of its own: it differs in the digits that no model can tell, it is in nearly every
store's key, no server refuses it, it costs no speed (vLLM draws samples with a seed one by one) and does not tie the
samples of a request together, as a seed does for a list of prompts.
"""

import itertools
import secrets
from collections.abc import Hashable, Mapping, Sequence

import httpx

from .failures import RequestRefused

PLEASE_DO_NOT = {
    "cache-control": "no-cache, no-store",
    "pragma": "no-cache",
    "cf-aig-skip-cache": "true",
    "helicone-cache-enabled": "false",
    "x-portkey-cache-force-refresh": "true",
    "x-openrouter-cache": "false",
    "x-higress-skip-ai-cache": "on",
}
"""How the common gateways are told to ask the model; a gateway ignores the headers that it does not know."""

FINE = 2.0**-52
"""The mark is this often in the temperature, relative to it: at most a millionth in all, less than a 32-bit float can tell."""
MARKS = 1 << 32
NAMES_KEPT = 4096
"""Names of answers that are remembered."""
TELLING = 16
"""A name of fewer characters may come twice by chance: Ollama draws one of 999."""
REPEATED = 16
"""First prompts that are looked at: where one sample in ten differs, three of each are alike at all of them once in 150 times."""
LONG = 500
"""Characters of a sample, thoughts included, that few models write twice."""
REMEMBERED = 1024
"""Prompts whose samples are remembered, by their hashes."""
_OF_PROMPTS = ("prompt", "prefix", "kv")


class AnswerFromCache(RequestRefused):
    """The server answered from a store where samples were asked for."""

    def __init__(self, server: str, sign: str) -> None:
        super().__init__(
            f"{server} answers from a store ({sign}), so that votes would be copies of one another: switch the "
            f"gateway's cache of answers off for this key or route, or give the address of the model server itself"
        )


class Marks:
    """Gives every request a number of its own, unlike those of any other client."""

    def __init__(self) -> None:
        self._numbers = itertools.count(secrets.randbelow(MARKS))

    def next(self) -> int:
        """Return the next number."""
        return next(self._numbers)


def mark(said: dict[str, object], number: int, seeds: bool = True) -> None:
    """Make the request differ from every other: the same for the same number.  A greedy one may be answered from a store."""
    temperature = said.get("temperature")
    if isinstance(temperature, int | float) and temperature > 0:
        said["temperature"] = temperature * (1 - (1 + number % (MARKS - 1)) * FINE)
    elif temperature is None and seeds and said.get("n", 1) == 1:
        # The server does not let it be set, so something else must tell requests apart.
        said.setdefault("seed", number % (1 << 31))


class Names:
    """Remembers what answers are called: two requests whose answers have one name were answered once.

    Some servers call every answer the same.  They are found out by the probe, which asks different things first: a name
    that comes for different prompts means nothing from then on.
    """

    def __init__(self) -> None:
        # Of the prompts their hash: they may hold pictures.
        self._known: dict[str, tuple[int, int]] = {}
        self._mean_something = True

    def seen(self, name: str, prompts: Hashable, number: int) -> bool:
        """Note the name of an answer; return whether another request for the same prompts got an answer of that name.

        `number` is what marks the request: the very same request may well get the very same answer.
        """
        if not self._mean_something or not _telling(name):
            return False
        if name not in self._known:
            self._known[name] = hash(prompts), number
            if len(self._known) > NAMES_KEPT:
                del self._known[next(iter(self._known))]
            return False
        before, its_number = self._known[name]
        self._mean_something = before == hash(prompts)
        return self._mean_something and number != its_number


class Draws:
    """Watches whether the samples of one prompt, drawn by separate requests, ever differ: a store shows nothing else if it hides.

    Letter-equal samples prove nothing by themselves, for a model may be sure of a short answer.  So they are told of only if the
    server has never been seen to draw anew, not even the probe's random words, or if each is so long that few models write it twice.
    The first difference after the probe ends the watch.
    """

    def __init__(self) -> None:
        self._first: dict[int, tuple[int, int]] = {}
        """By the prompt and all else that a request asks: the first request's number, and its samples."""
        self._alike: set[int] = set()
        self._shortest = LONG
        self._drawn = self._probed = self._over = False

    def probed(self) -> None:
        """Begin with the prompts that matter."""
        self._first.clear()
        self._alike.clear()
        self._shortest, self._probed = LONG, True

    def seen(self, asked: Hashable, samples: Sequence[tuple[str, str]], number: int) -> str:
        """Note the samples of a request, (thoughts, text) each; return what a person should know now, or "".

        `number` is what marks the request: the very same request may well get the very same samples.
        """
        if self._over or not samples:
            return ""
        key, now = hash(asked), hash(tuple(samples))
        its_number, first = self._first.setdefault(key, (number, now))
        if len(self._first) > REMEMBERED:
            del self._first[next(iter(self._first))]
        if its_number == number:
            return ""
        if first != now:
            self._drawn, self._over = True, self._probed
            return ""
        self._alike.add(key)
        self._shortest = min([self._shortest, *(len(thought) + len(text) for thought, text in samples)])
        if len(self._alike) < REPEATED:
            return ""
        self._over = True
        return self._told()

    def _told(self) -> str:
        alike = f"gave letter-equal samples to separate requests at each of the first {REPEATED} prompts that it got more than once"
        if self._shortest >= LONG:
            alike += f", {LONG} characters or more each, as few models write twice"
        elif self._drawn:
            return ""  # it was seen to draw, so the model is sure of these short answers
        else:
            alike += ", and has not been seen to draw a different one: a model that is sure of short answers does so, too"
        return (
            f"{alike}; if something on the way answers from a store, votes are copies of one another and prove nothing: see "
            f"that no cache of answers is on for this key or route"
        )


def sign_of_store(headers: Mapping[str, str] | httpx.Headers) -> str:
    """Return the header by which a gateway says that the answer is out of its store; "" if none does."""
    for name, value in headers.items():
        name, value = name.lower(), value.strip().lower()
        if "cache" not in name or any(word in name for word in _OF_PROMPTS):
            continue
        if value.startswith("hit") or (name.endswith(("cache-hit", "cached")) and value in ("true", "1")):
            return f"{name}: {value[:40]}"
    return ""


def _telling(name: str) -> bool:
    """Whether it is drawn from so many that it never comes twice by chance, and is not the time of day."""
    return len(name) >= TELLING and not name.rpartition("-")[2].isdigit()
