"""How the proxy votes, and what it lets in."""

from dataclasses import dataclass, field

from surefoot.errors import BadInput
from surefoot.models.base import Sampling
from surefoot.models.elected_answers.bounds import Equality, check_vote
from surefoot.models.keys import is_key
from surefoot.typed_input import check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """How the proxy votes, and what it lets in; times are in seconds, sizes in bytes."""

    votes: int = 3
    """The lead that decides: first-to-ahead-by-`votes`.  A request may ask for another."""
    limit: int = 24
    """Most samples of one request; a request may ask for fewer.  A vote that is open then is stalled."""
    equality: Equality = "auto"
    """When two texts are one ballot; a request may say otherwise."""
    accuracy: float | None = None
    """How often one sample is right, as you have measured it on requests like these; the risk of an answer follows from it."""
    sampling: Sampling = field(
        default_factory=lambda: Sampling(temperature=0.7, first_temperature=None, max_tokens=4096)
    )
    """How samples are drawn where a request does not say; `max_tokens` is also the most that it may ask for."""
    api_key: str | None = field(default=None, repr=False)
    """What clients have to send; it can be left out on loopback alone."""
    most_requests: int = 512
    """Requests in flight; one more is told to come back."""
    most_body: int = 8 << 20
    """Longest body of a request."""
    most_held: int = 256 << 20
    """Longest bodies of all requests in flight together."""
    body_s: float = 30.0
    """Longest time for a body to arrive."""
    election_s: float = 600.0
    """Longest time for a vote."""
    keep_alive_s: float = 5.0
    """A streamed answer that is not decided by then begins with comments, one each time so long has passed."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_vote(votes=self.votes, limit=self.limit, equality=self.equality, accuracy=self.accuracy)
        if self.api_key is not None and not is_key(self.api_key):
            raise BadInput("the proxy's API key is visible ASCII without blanks, for it travels in a header")
        if self.votes > 1 and not self.sampling.temperature:
            raise BadInput("a vote needs samples that differ: their temperature is above 0")
        for what in ("most_requests", "most_body", "most_held"):
            if getattr(self, what) < 1:
                raise BadInput(f"{what} must be at least 1, not {getattr(self, what)!r}")
        for what in ("body_s", "election_s", "keep_alive_s"):
            if not getattr(self, what) > 0:
                raise BadInput(f"{what} is a number of seconds above 0, not {getattr(self, what)!r}")
