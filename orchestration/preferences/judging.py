"""A description is judged by what it foresees: which of two replies its user chose, decided by vote."""

from dataclasses import dataclass
from typing import NamedTuple

from surefoot.agents.preferences import ChoiceSignal
from surefoot.agents.preferences.prompts import judge, read_judgement
from surefoot.errors import BadInput
from surefoot.models.base import Ask, Model
from surefoot.models.gather import in_order
from surefoot.orchestration.voted import voted
from surefoot.typed_input import check_fields
from surefoot.voting.election import Stalled
from surefoot.voting.flags import PAPER, NotAnAnswer, Reading, RedFlag, screen
from surefoot.voting.samples import NOTHING, Usage

TEMPERATURE = 0.7
"""Of every ballot: at 0 all of them would be one sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """How descriptions are judged.  Raises `BadInput` for what cannot be."""

    votes: int = 2
    """The lead that decides a judgement.  An even lead sees both orders equally often, as far as no sample is thrown away."""
    limit: int = 20
    """Samples of a judgement; what they do not decide is not foreseen."""
    held_out: int = 8
    """Choices that are judged, the newest ones: fewer follow a change of taste sooner, more are less a matter of chance."""
    fewest: int = 2
    """With fewer of them no description is written."""
    max_tokens: int = 1024
    """Of a sample, and of a proposal."""
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if not 1 <= self.votes <= self.limit:
            raise BadInput(
                f"votes are a lead from 1 to the limit of {self.limit!r} samples, not {self.votes!r}"
            )
        if not 1 <= self.fewest <= self.held_out:
            raise BadInput(
                f"descriptions are judged on 1 choice or more, and at most {self.held_out!r}, not {self.fewest!r}"
            )
        if self.max_tokens < 1:
            raise BadInput(f"a sample has 1 token or more, not {self.max_tokens!r}")


USUAL = Judging()


class Judgement(NamedTuple):
    """What a description foresees of one choice."""

    right: bool
    """Whether it foresees what the user chose; False where the votes decide nothing."""
    decided: bool = True
    usage: Usage = NOTHING


async def foresees(
    description: str, signal: ChoiceSignal, *, model: Model, judging: Judging = USUAL
) -> Judgement:
    """Vote on which reply of a signal its user chose, given a description, empty for none; raises what the model raises.

    The replies change places from sample to sample, so that a model that prefers a place decides nothing by it.
    """
    orders = [judge(description, signal, view) for view in (0, 1)]
    spent: list[Usage] = []

    @voted(k=judging.votes, limit=judging.limit, number="view")
    async def says(*, view: int = 0) -> bool:
        ask = Ask(orders[view % 2], TEMPERATURE, judging.max_tokens, judging.seed + view)
        (sample,) = await in_order(model, [ask])
        spent.append(sample.usage)
        ballot = screen(Reading(sample, lambda text: read_judgement(text, signal, view)), PAPER)
        if isinstance(ballot, RedFlag):
            raise NotAnAnswer(ballot.detail)
        return ballot

    try:
        right = await says()
    except Stalled:
        return Judgement(False, False, Usage.of_all(spent))
    return Judgement(right, True, Usage.of_all(spent))
