"""What a model returned, before it is read."""

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple


class Usage(NamedTuple):
    """Tokens billed.  `+` gives the sum of two, `sum` that of any number."""

    prompt: int = 0
    """Input tokens, the cached ones included."""
    cached: int = 0
    """Input tokens that the server says it found in its prefix cache: at least so many, for few servers say it of all."""
    completion: int = 0
    """Output tokens, the reasoning ones included."""
    reasoning: int = 0
    """Output tokens spent on reasoning; 0 where the server does not say."""
    uncounted: int = 0
    """Samples of which the server did not say what they cost, or not all of it: the numbers above leave that out."""

    @property
    def total(self) -> int:
        """Input and output tokens together."""
        return self.prompt + self.completion

    def known(self, name: str) -> int | None:
        """Return a field or the total; None if nothing at all is known of it, which is not the same as 0."""
        tokens: int = getattr(self, name)
        return None if self.uncounted and not tokens else tokens

    def known_all(self) -> dict[str, int | None]:
        """Return every field and the total as a report has them: None where nothing is known, `uncounted` beside it."""
        names = ("prompt", "cached", "completion", "reasoning", "total")
        return {**{name: self.known(name) for name in names}, "uncounted": self.uncounted}

    def __add__(self, other: object) -> "Usage":  # a tuple would be appended
        if not isinstance(other, Usage):
            return NotImplemented
        return Usage(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
            self.reasoning + other.reasoning,
            self.uncounted + other.uncounted,
        )

    def __radd__(self, other: object) -> "Usage":
        """Let `sum` begin with 0."""
        return self if other == 0 else NotImplemented

    @staticmethod
    def of_all(usages: "Iterable[Usage]") -> "Usage":
        """Return the sum of any number of them."""
        prompt = cached = completion = reasoning = uncounted = 0
        for one, two, three, four, five in usages:  # a step has its own sum: by name it takes twice as long
            prompt += one
            cached += two
            completion += three
            reasoning += four
            uncounted += five
        return new_usage((prompt, cached, completion, reasoning, uncounted))


new_usage = partial(tuple.__new__, Usage)
"""`Usage(...)` of all its fields, as a tuple, in two thirds of the time: every step makes two."""

NOTHING = Usage()
"""No tokens at all."""
UNCOUNTED = Usage(uncounted=1)
"""A sample of which nobody said what it cost."""


class Sample(NamedTuple):
    """One raw completion from a model."""

    text: str
    finish: str | None = "stop"
    """Why the model stopped, in the words of the OpenAI API: `stop`, `length`, ...; None if it never said."""
    tokens: int | None = None
    """Output tokens of this sample; None where the server only counts several samples together."""
    usage: Usage = UNCOUNTED
    """What this sample adds to the bill; the bill of a request for several samples is divided evenly among them."""
    prompt_tokens: int | None = None
    """How long the whole prompt is, as the server counted it; None where it does not say."""
    logprob: float | None = None
    """Mean natural-log probability of its output tokens, 0 or less; None unless asked for (`Options.logprobs`) and told.

    Of the model's own distribution, as at temperature 1, whatever it was drawn at, with pebble, vLLM and llama.cpp; of other servers
    it is what they report.  Thoughts count, where the server sends theirs.
    """
