"""How one may vote on an answer."""

from typing import Literal, get_args

from surefoot.errors import BadInput

Equality = Literal["auto", "none", "any", "text", "number", "list", "set", "json", "date", "quantity", "code"]
"""When two texts are one ballot: a `Kind` of `surefoot.tools.answers`; `auto`: as the answer shows; `none`: no vote."""

MOST_VOTES = 100
MOST_SAMPLES = 1000


def check_vote(*, votes: int, limit: int, equality: str, accuracy: float | None) -> None:
    """Raise `BadInput` for a way to vote that there is not: the fields are those of `Poll`, `equality` is that of its ballots."""
    if not 1 <= votes <= MOST_VOTES:
        raise BadInput(f"votes, the lead that decides, lie between 1 and {MOST_VOTES}, not {votes!r}")
    if not votes <= limit <= MOST_SAMPLES:
        raise BadInput(
            f"the limit of samples lies between the {votes} votes that decide and {MOST_SAMPLES:,}, not {limit!r}"
        )
    if equality not in get_args(Equality):
        raise BadInput(f"equality is one of {', '.join(get_args(Equality))}, not {equality!r}")
    if accuracy is not None and not 0.5 < accuracy < 1:
        raise BadInput(f"accuracy is a share of right samples above 0.5 and below 1, not {accuracy!r}")


def check_that_samples_differ(temperature: float | None, seed: int | None) -> None:
    """Raise `BadInput` for a client whose samples are copies of one another; None is what it does not say."""
    if temperature == 0:
        raise BadInput("samples at temperature 0 are copies of one another: a vote needs one above 0")
    if seed is not None:
        raise BadInput("samples with one seed are copies of one another: a vote needs the seed left out")
