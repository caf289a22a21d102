"""What a server wants otherwise than the API says, learnt from its refusals: remedied, remembered, and said once.

OpenAI's reasoning models want `max_completion_tokens` and refuse to have the temperature set, TGI has no temperature 0, Mistral
knows no `stream_options`, ... and which model is which changes every month.  A refusal names the field; what is done about
it counts only if the server then answers.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .answer_cache import mark
from .failures import RequestRefused

LEAST_TEMPERATURE = 0.01
"""In place of 0 where that is refused."""
MOST_REMEDIES = 6
"""Tried for one request."""
BAD_REQUEST = (400, 422)

_LIMITS = ("max_tokens", "max_completion_tokens")
_UNKNOWN = re.compile(
    r"support|recogni|unknown|unexpected|extra|not permitted|not allowed|deprecated|instead", re.IGNORECASE
)
"""Words for a field that is not wanted at all.  A limit may also be refused for what it is, which no other name cures."""
_BOUND = re.compile(
    r"less than|greater than|at (most|least)|between|range|maximum|minimum|[<>]=", re.IGNORECASE
)
"""Words for a temperature that is out of bounds, which is for the user to mend."""
_PARAM = re.compile(r'"(?:param|loc)"\s*:\s*(?:"|\[[^\]]*")(\w+)"')


class Remedy(NamedTuple):
    """One way to say something otherwise."""

    name: str
    field: str
    """Which field of a request it is about."""
    notice: str
    """What a person should know about it; "" for nothing."""


LIMIT = Remedy("the other name of the token limit", "max_tokens", "")
WARMER = Remedy(
    "no temperature 0", "temperature", f"refuses temperature 0, which becomes {LEAST_TEMPERATURE}"
)
NO_TEMPERATURE = Remedy(
    "no temperature",
    "temperature",
    "does not let the temperature be set: every sample is drawn at the server's own",
)
NO_STOP = Remedy(
    "no stop", "stop", "refuses stop strings: answers are cut off here, and paid for to their end"
)
NO_SEED = Remedy("no seed", "seed", "")
NO_STREAM = Remedy("no stream", "stream", "")
NO_STREAM_OPTIONS = Remedy(
    "no stream_options",
    "stream_options",
    "refuses stream_options: what streamed answers cost may stay unknown",
)
NO_PARALLEL = Remedy(
    "no parallel_tool_calls",
    "parallel_tool_calls",
    "refuses parallel_tool_calls: an answer may make several calls where one was asked for",
)
NO_LOGPROBS = Remedy(
    "no logprobs", "logprobs", "refuses log-probabilities: samples have none, and `Unsure` throws none away"
)
REMEDIES = (
    LIMIT,
    WARMER,
    NO_TEMPERATURE,
    NO_STOP,
    NO_SEED,
    NO_STREAM_OPTIONS,
    NO_STREAM,
    NO_PARALLEL,
    NO_LOGPROBS,
)


@dataclass(slots=True)
class Dialect:
    """How one endpoint of a server is spoken to."""

    remedies: list[Remedy] = field(default_factory=list)

    def spoken(
        self,
        said: Mapping[str, object],
        number: int,
        own: Mapping[str, object],
        more: tuple[Remedy, ...] = (),
    ) -> dict[str, object]:
        """Return what is sent for what a request says, marked as the request of that number (`mark`); `own` is never left out."""
        known = (*self.remedies, *more)
        sent = dict(said)
        for remedy in known:
            if remedy is LIMIT:
                sent = {_other(name): value for name, value in sent.items()}
            elif remedy is WARMER:
                if not sent.get("temperature", 1):
                    sent["temperature"] = LEAST_TEMPERATURE
            elif remedy.field not in own:
                sent.pop(remedy.field, None)
                if remedy is NO_LOGPROBS:
                    sent.pop("top_logprobs", None)
        mark(sent, number, seeds=NO_SEED not in known)
        return sent

    def cures(
        self, refused: RequestRefused, sent: Mapping[str, object], own: Mapping[str, object]
    ) -> Iterator[Remedy]:
        """Yield what may help against a refusal of what was sent, the likeliest first.

        What the user put into every request (`own`) is never left out: it is for the user to take back.
        """
        if refused.status not in BAD_REQUEST:
            return
        param = _PARAM.findall(refused.words)
        named = [name for name in _named(refused.words) if name in sent]
        for remedy in sorted(REMEDIES, key=lambda remedy: remedy.field not in param):
            about = {*_LIMITS} if remedy is LIMIT else {remedy.field}
            if about.isdisjoint(named) or not about.isdisjoint(own) or remedy in self.remedies:
                continue
            if remedy is LIMIT and not _UNKNOWN.search(refused.words):
                continue
            if remedy is WARMER and sent.get("temperature") != 0:
                continue
            if remedy is NO_TEMPERATURE and _BOUND.search(refused.words):
                continue
            if remedy is NO_STREAM and sent.get("stream"):
                continue
            yield remedy

    def learn(self, remedies: tuple[Remedy, ...]) -> list[str]:
        """Remember what has helped; return what a person should know about it."""
        new = [remedy for remedy in remedies if remedy not in self.remedies]
        if NO_TEMPERATURE in new:
            new = [remedy for remedy in new if remedy is not WARMER]
        self.remedies += new
        return [remedy.notice for remedy in new if remedy.notice]


class Wording:
    """What one request says, in the server's dialect and with more remedies after each refusal, until it is understood.

    wording = Wording(dialect, said, number, own)
    while True:
        try:
            reply = await ask(wording.sent())
        except RequestRefused as error:
            if not wording.helped(error):
                raise wording.refusal from None
        else:
            notices = wording.understood()
    """

    def __init__(
        self, dialect: Dialect, said: Mapping[str, object], number: int, own: Mapping[str, object]
    ) -> None:
        self._dialect, self._said, self._number, self._own = dialect, said, number, own
        self._sent: Mapping[str, object] = {}
        self._tried: list[Remedy] = []
        self._helping: tuple[Remedy, ...] = ()
        self._errors: list[RequestRefused] = []

    @property
    def refusal(self) -> RequestRefused:
        """What the server said first."""
        return self._errors[0]

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What is said otherwise: what is known of the server, and what is being tried."""
        return (*self._dialect.remedies, *self._helping)

    def sent(self) -> dict[str, object]:
        """Return the request's fields as they are to be sent next."""
        sent = self._dialect.spoken(self._said, self._number, self._own, self._helping)
        self._sent = sent
        return sent

    def helped(self, error: RequestRefused) -> bool:
        """Take a refusal in; return whether there is a remedy left to be tried."""
        if self._errors and str(error) == str(self._errors[-1]):
            self._helping = self._helping[:-1]
        self._errors.append(error)
        cures = self._dialect.cures(error, self._sent, self._own)
        cure = next((cure for cure in cures if cure not in self._tried), None)
        if cure is None or len(self._tried) >= MOST_REMEDIES:
            return False
        self._tried.append(cure)
        self._helping = (*self._helping, cure)
        return True

    def understood(self) -> list[str]:
        """Remember what has helped; return what a person should know about it."""
        return self._dialect.learn(self._helping)


def cut_at(text: str, stops: tuple[str, ...]) -> str:
    """Return the text up to the first of the stop strings."""
    return text[: min((at for stop in stops if stop and (at := text.find(stop)) >= 0), default=len(text))]


def _named(words: str) -> set[str]:
    """Return the words of a refusal that could be fields."""
    return set(re.findall(r"[a-z_]+", words.lower()))


def _other(name: str) -> str:
    return _LIMITS[1 - _LIMITS.index(name)] if name in _LIMITS else name
