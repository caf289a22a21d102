"""How the answers of a model of inspect_ai are elected."""

from dataclasses import dataclass
from typing import Literal

from surefoot.errors import BadInput
from surefoot.models.elected_answers import Equality, check_vote
from surefoot.typed_input import check_fields

OnStall = Literal["error", "miss"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VotedSettings:
    """How the answers of a model of inspect_ai are elected: the arguments (`-M`) of the provider, and (`-S`) of the solver."""

    votes: int = 3
    """The lead that decides: first-to-ahead-by-`votes`."""
    limit: int = 24
    """Most samples of one answer.  A vote that is open then is stalled."""
    equality: Equality = "auto"
    """When two texts are one ballot; calls of tools and answers to a `response_schema` are compared as JSON."""
    temperature: float = 0.7
    """Of all samples but the first, where an eval asks for 0: greedy samples are copies.  Any other is kept."""
    accuracy: float | None = None
    """How often one sample is right, as you have measured it; the risk of an answer follows from it."""
    on_stall: OnStall = "error"
    """What a stalled vote is to the eval: an `error` of the sample, or a `miss`, an empty answer that is scored as wrong."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_vote(votes=self.votes, limit=self.limit, equality=self.equality, accuracy=self.accuracy)
        if not 0 < self.temperature <= 2:
            raise BadInput(
                f"a vote needs samples that differ: their temperature is above 0 and at most 2, not {self.temperature!r}"
            )
