"""A description is written anew from new signals, and taken where it foresees held-out choices no worse than the old one."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import NamedTuple

from redis.asyncio import Redis

from surefoot.agents.preferences import ChoiceSignal, Preference
from surefoot.agents.preferences.prompts import MOST_SIGNALS, describe, read_description
from surefoot.models.base import Ask, Model
from surefoot.models.connect import open_model
from surefoot.models.gather import as_they_end, in_order
from surefoot.models.openai.options import Options
from surefoot.orchestration.redis.open import open_redis
from surefoot.typed_input import checked
from surefoot.voting.flags import PAPER, Reading, RedFlag, screen
from surefoot.voting.paired import beats
from surefoot.voting.samples import NOTHING, Usage

from .judging import USUAL, Judgement, Judging, foresees
from .store import Known, Preferences


class Updated(NamedTuple):
    """What became of an update."""

    preference: Preference
    """What is kept now."""
    accepted: bool
    why: str
    """In words."""
    proposed: str = ""
    """The description that the model wrote; empty if it wrote none that can be read."""
    shown: int = 0
    """Signals in the prompt for it."""
    held_out: int = 0
    """Choices that the old and the new description were judged on."""
    right: tuple[int, int] = (0, 0)
    """How many of these the old one and the new one foresee."""
    won: int = 0
    """Choices that the new one alone foresees."""
    lost: int = 0
    """Choices that the old one alone foresees."""
    usage: Usage = NOTHING

    @property
    def beyond_noise(self) -> bool:
        """Whether the new one is better by the exact sign test at 0.025, `surefoot.voting.beats`; no condition for taking it."""
        return beats(self.won, self.lost)


@checked
async def update(
    user: str,
    *,
    model: str | Model,
    redis: str | Redis | None = None,
    judging: Judging = USUAL,
    options: Options | None = None,
) -> Updated:
    """Let a model write a user's description anew from their new signals, and keep it if it foresees held-out choices no worse.

    About every second signal is held out, by a hash of its texts: no prompt for a description ever holds it.  The old description, or none, and
    the new one are judged on the newest of these, each by vote.  The new one is accepted if it foresees at least as many.  Else the old one stays,
    and its signals are shown again with those that come next.

    Raises `BadInput` for a user of whom nothing is kept, `CorruptJournal`, and what the model raises.
    """
    async with open_redis(redis) as store:
        preferences = Preferences(store)
        known = await preferences.read(user)
        shown, held_out = split(known, judging)
        if not shown:
            return Updated(known.preference, False, "there are no new signals to learn from")
        if len(held_out) < judging.fewest:
            why = f"there are {len(held_out)} held-out choices to judge by, and it takes {judging.fewest}"
            return Updated(known.preference, False, why)
        async with open_model(model, options=options) as opened:
            found = await _proposed(known.preference, shown, held_out, opened, judging)
        if not found.accepted:
            return found
        taken = await preferences.accept(known, found.proposed, len(shown))
        now = await preferences.get(user)
        return found._replace(preference=now, accepted=taken, why=found.why if taken else MOVED)


MOVED = "the description was edited, deleted or updated by somebody else meanwhile"


def split(known: Known, judging: Judging = USUAL) -> tuple[list[ChoiceSignal], list[ChoiceSignal]]:
    """Return the new signals that are shown, and the choices that are held out; no signal is ever among both."""
    fresh = known.signals[len(known.signals) - known.fresh :]
    shown = [each for each in fresh if not each.held_out]
    held_out = [each for each in known.signals if each.held_out]
    return shown[-MOST_SIGNALS:], held_out[-judging.held_out :]


async def _proposed(
    old: Preference,
    shown: Sequence[ChoiceSignal],
    held_out: Sequence[ChoiceSignal],
    model: Model,
    judging: Judging,
) -> Updated:
    ask = Ask(describe(old.description, shown), 0.0, judging.max_tokens, judging.seed)
    (sample,) = await in_order(model, [ask])
    new = screen(Reading(sample, read_description), PAPER)
    if isinstance(new, RedFlag):
        why = f"the model wrote no description ({new.detail})"
        return Updated(old, False, why, shown=len(shown), usage=sample.usage)
    if new == old.description:
        why = "the model would leave the description as it is"
        return Updated(old, False, why, new, len(shown), usage=sample.usage)
    judged = await _judged([old.description, new], held_out, model, judging)
    found = compared(old, new, *judged)
    return found._replace(shown=len(shown), usage=found.usage + sample.usage)


def compared(old: Preference, new: str, before: Sequence[Judgement], after: Sequence[Judgement]) -> Updated:
    """Say whether a new description is taken, given what the old one and the new one foresee of the same choices; see `update`."""
    pairs = [(one.right, other.right) for one, other in zip(before, after, strict=True)]
    right = sum(one for one, _ in pairs), sum(other for _, other in pairs)
    won, lost = sum(one < other for one, other in pairs), sum(one > other for one, other in pairs)
    usage = Usage.of_all([each.usage for each in (*before, *after)])
    why = f"it foresees {right[1]} of {len(pairs)} held-out choices, the old one {right[0]}"
    return Updated(
        old, won >= lost, why, new, held_out=len(pairs), right=right, won=won, lost=lost, usage=usage
    )


async def _judged(
    descriptions: Sequence[str], held_out: Sequence[ChoiceSignal], model: Model, judging: Judging
) -> list[list[Judgement]]:
    """Judge all descriptions on all choices at once."""

    async def one(place: tuple[int, int]) -> tuple[tuple[int, int], Judgement]:
        which, signal = place
        return place, await foresees(descriptions[which], held_out[signal], model=model, judging=judging)

    places = [(which, signal) for which in range(len(descriptions)) for signal in range(len(held_out))]
    async with aclosing(as_they_end(map(one, places))) as judged:
        found = {place: judgement async for place, judgement in judged}
    return [[found[which, signal] for signal in range(len(held_out))] for which in range(len(descriptions))]
