"""What a model returned, before anybody has read it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Usage(NamedTuple):
    """Tokens billed.  Adding two gives the sum of both."""

    prompt: int = 0
    """Input tokens, the cached ones included."""
    cached: int = 0
    """Input tokens that the server found in its prefix cache; 0 where it does not say."""
    completion: int = 0
    """Output tokens, the reasoning ones included."""
    reasoning: int = 0
    """Output tokens spent on reasoning; 0 where the server does not say."""

    @property
    def total(self) -> int:
        """Input and output tokens together."""
        return self.prompt + self.completion

    def plus(self, other: "Usage") -> "Usage":
        """Return the sum of both, field by field."""
        return Usage(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
            self.reasoning + other.reasoning,
        )

    @classmethod
    def of_all(cls, usages: "Iterable[Usage]") -> "Usage":
        """Return the sum of any number of them."""
        prompt = cached = completion = reasoning = 0
        for usage in usages:
            prompt += usage.prompt
            cached += usage.cached
            completion += usage.completion
            reasoning += usage.reasoning
        return cls(prompt, cached, completion, reasoning)


NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class Sample:
    """One raw completion from a model."""

    text: str
    finish: str | None = "stop"
    """Why the model stopped, in the words of the OpenAI API: `stop`, `length`, ...; None if it never said."""
    tokens: int | None = None
    """Output tokens of this sample; None where the server only counts several samples together."""
    usage: Usage = NOTHING
    """What this sample adds to the bill; the bill of a request for several samples is divided evenly among them."""
