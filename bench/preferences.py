"""Preferences off and on: choices foreseen without a description, with every update accepted, and with those that held-out choices confirm.

python bench/preferences.py --users 50 --results bench/results

Users are doubles with hidden tastes, and a double of known skill describes them and foresees their choices.  A stream of signals comes in steps; then
choices are foreseen that no prompt has held.  Exits 1 if no description, or every update, foresees more than the gated ones beyond noise, where
tastes stay as they are.
"""

import asyncio
import math
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from pages import options, origin, table, write
from redis.asyncio import Redis
from servers import redis_server

from surefoot.agents.preferences import ChoiceSignal
from surefoot.agents.preferences.prompts import MOST_SIGNALS, describe, read_description
from surefoot.models import Ask
from surefoot.models.doubles import PreferenceDouble, TastingUser
from surefoot.models.doubles.tastes import TASTES
from surefoot.orchestration.preferences import Judging, Preferences, foresees, update
from surefoot.orchestration.redis import open_redis
from surefoot.voting import beats

PAGE = "preferences.md"
TURN, SIGNALS, LONG = 8, 16, 32
"""Tastes turn round after so many signals; choices are foreseen after all three numbers of them."""
STEP, FRESH = 2, 20
MISREADS, MISJUDGES, FIRST = 0.3, 0.1, 0.2
LEAST, MOST = 2.0, 4.0
"""Weights of tastes."""
FEWER = 4
GATED = Judging()
WAYS = (
    "without",
    "every update",
    "every update, from half of the signals",
    "gated",
    f"gated by the last {FEWER}",
)
DRIFTS = ("steady", "drifting")
MEASURED = (
    *(("steady", count) for count in (TURN, SIGNALS, LONG)),
    *(("drifting", count) for count in (SIGNALS, LONG)),
)
PAGE_TEXT = """\
# Preferences, off and on

{origin}

{users} users, each with a like or dislike of all of {tastes}, with weights of {least:g} to {most:g}: they choose what they like in {ceiling:.0%} of their choices, and
that is the most that a right description foresees. Signals come in steps of {step}, and a description is written anew after each. The double that writes them says the
opposite of what the new signals show in {misreads:.0%} of its descriptions; the one that foresees choices is wrong in {misjudges:.0%} of its samples, draws lots where the
description says nothing, and names the reply that is shown first in {first:.0%}. Programs, so this shows what the *gate* does, not how well a model describes people.

Choices foreseen, of {fresh} of each user that no prompt has held; what the votes do not decide is not foreseen. "Drifting" users have the opposite of all their tastes
after {turn} signals, and are measured by the new ones. Mean of users ± standard error.

{foreseen}

What {long} signals take, a user:

{spent}

- *every update* reads all signals, since it holds none out; *from half of the signals* reads those that the gate would show, and tells what the holding out costs.
- *gated* is `surefoot.orchestration.preferences.update`: about half of the signals are held out, and a description is taken if it foresees at least as many of the newest
  {held_out} as the old one. *by the last {fewer}* judges on fewer, `Judging(held_out={fewer})`.
"""


@dataclass
class Way:
    """What was measured of a way, a number a user."""

    foreseen: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By the number of signals that came before."""
    accepted: list[int] = field(default_factory=list)
    proposed: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)


class Person:
    """A user, whose tastes may turn round."""

    def __init__(self, seed: int, *, drifts: bool) -> None:
        rng = random.Random(seed)
        weights = {taste: rng.choice((-1, 1)) * rng.uniform(LEAST, MOST) for taste in TASTES}
        self.ceiling = fmean(1 / (1 + math.exp(-abs(weight))) for weight in weights.values())
        """The share of choices in which they choose what they like."""
        turned = {taste: -weight for taste, weight in weights.items()} if drifts else weights
        self._before, self._after = TastingUser(weights, seed=seed), TastingUser(turned, seed=seed)

    def signal(self, number: int) -> ChoiceSignal:
        """Return one of the stream."""
        return ChoiceSignal(*(self._before if number < TURN else self._after).choice(number))

    def fresh(self, count: int) -> list[ChoiceSignal]:
        """Return choices that are in no stream, as they are made after so many signals."""
        user = self._before if count <= TURN else self._after
        return [ChoiceSignal(*user.choice(LONG + number)) for number in range(FRESH)]


async def every_update(
    model: PreferenceDouble, description: str, signals: Sequence[ChoiceSignal], way: Way
) -> str:
    """Take what the model writes, as it is."""
    if not signals:
        return description
    sample = model.draw(Ask(describe(description, signals[-MOST_SIGNALS:]), 0.0, 1024, 0))
    way.proposed[-1] += 1
    way.tokens[-1] += sample.usage.total
    new = read_description(sample.text)
    way.accepted[-1] += new != description
    return new


async def gated(model: PreferenceDouble, user: str, redis: Redis, judging: Judging, way: Way) -> str:
    """Take what held-out choices confirm."""
    found = await update(user, model=model, redis=redis, judging=judging)
    way.proposed[-1] += bool(found.proposed)
    way.accepted[-1] += found.accepted
    way.tokens[-1] += found.usage.total
    return found.preference.description


def halved(signals: Sequence[ChoiceSignal]) -> list[ChoiceSignal]:
    """Return those that may be shown beside held-out ones."""
    return [each for each in signals if not each.held_out]


async def share(model: PreferenceDouble, description: str, choices: Sequence[ChoiceSignal]) -> float:
    """Return how many choices are foreseen."""
    found = [await foresees(description, each, model=model) for each in choices]
    return fmean(each.right for each in found)


async def stream(seed: int, name: str, drift: str, redis: Redis, way: Way) -> None:
    """Let one user's signals come, and measure on the way."""
    person, preferences, user = (
        Person(seed, drifts=drift == "drifting"),
        Preferences(redis),
        f"{name} {drift} {seed}",
    )
    model = PreferenceDouble(misreads=MISREADS, misjudges=MISJUDGES, first=FIRST, seed=seed)
    for numbers in (way.accepted, way.proposed, way.tokens):
        numbers.append(0)
    description = ""
    for first in range(0, LONG, STEP):
        signals = [person.signal(number) for number in range(first, first + STEP)]
        if name.startswith("gated"):
            await preferences.add(user, *signals)
            judging = GATED if name == "gated" else Judging(held_out=FEWER)
            description = await gated(model, user, redis, judging, way)
        elif name.startswith("every"):
            shown = halved(signals) if "half" in name else signals
            description = await every_update(model, description, shown, way)
        if (drift, count := first + STEP) in MEASURED:
            way.foreseen[count].append(await share(model, description, person.fresh(count)))


async def measure(users: int, redis: str) -> dict[tuple[str, str], Way]:
    """Measure all ways with all users."""
    ways = {(name, drift): Way() for name in WAYS for drift in DRIFTS}
    async with open_redis(redis) as store:
        for (name, drift), way in ways.items():
            for seed in range(users):
                await stream(seed, name, drift, store, way)
    return ways


def with_error(values: Sequence[float]) -> str:
    """Write a mean and its standard error."""
    error = f" ± {stdev(values) / len(values) ** 0.5:.1%}" if len(values) > 1 else ""
    return f"{fmean(values):.1%}{error}"


def foreseen_table(ways: dict[tuple[str, str], Way]) -> str:
    """A row a way."""
    lines = [
        (name, *(with_error(ways[name, drift].foreseen[count]) for drift, count in MEASURED)) for name in WAYS
    ]
    return table(("description", *(f"{drift}, after {count} signals" for drift, count in MEASURED)), lines)


def spent_table(ways: dict[tuple[str, str], Way]) -> str:
    """A row a way."""
    lines = [
        (
            f"{name}, {drift}",
            f"{fmean(way.proposed):.1f}",
            f"{fmean(way.accepted):.1f}",
            f"{fmean(way.tokens):,.0f}",
        )
        for (name, drift), way in ways.items()
        if name != "without"
    ]
    return table(("way", "descriptions proposed", "taken", "tokens"), lines)


def as_it_should(ways: dict[tuple[str, str], Way]) -> bool:
    """Whether no way foresees more than the gated updates beyond noise, by a sign test on users whose tastes stay as they are."""
    best = ways["gated", "steady"].foreseen[LONG]
    pairs = [[*zip(ways[name, "steady"].foreseen[LONG], best, strict=True)] for name in WAYS[:2]]
    return not any(
        beats(sum(one > other for one, other in each), sum(one < other for one, other in each))
        for each in pairs
    )


def main() -> int:
    """Measure and print."""
    parser = options(__doc__, PAGE)
    parser.add_argument("--users", type=int, default=50)
    arguments = parser.parse_args()
    with redis_server() as redis:
        ways = asyncio.run(measure(arguments.users, redis))
    page = PAGE_TEXT.format(
        origin=origin("preferences", arguments.results),
        users=arguments.users,
        tastes=", ".join(TASTES),
        least=LEAST,
        most=MOST,
        ceiling=fmean(Person(seed, drifts=False).ceiling for seed in range(arguments.users)),
        turn=TURN,
        long=LONG,
        step=STEP,
        misreads=MISREADS,
        misjudges=MISJUDGES,
        first=FIRST,
        fresh=FRESH,
        held_out=GATED.held_out,
        fewer=FEWER,
        foreseen=foreseen_table(ways),
        spent=spent_table(ways),
    )
    print(page)
    write(arguments.results, PAGE, page)
    return int(not as_it_should(ways))


if __name__ == "__main__":
    sys.exit(main())
