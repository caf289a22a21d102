"""Chain of action-thought off and on: continue alone, reflections believed, reflections that a check or a vote has to confirm.

python bench/actions.py --runs 300 --results bench/results

Chains of ten sums and products, one operation a step, by doubles of known skill: one that errs anew in every sample, one that gives the same wrong
answer however often it is asked, and one whose reflections and comparisons are as stubborn.  All ways get the same problems and doubles.
Exits 1 if what the page says in its first paragraph is not what was measured.
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from statistics import fmean
from typing import Any

from pages import options, origin, table, write
from servers import redis_server

import surefoot
from surefoot.agents.actions import ActionChain, ActionStep, ChainAnswer, ChainState, Preferred, arithmetic
from surefoot.models import Message, Prompt
from surefoot.models.doubles import ActionDouble, chain_answer, chain_problem
from surefoot.voting import NotAnAnswer, Stalled

PAGE = "actions.md"
ERROR, SWAY = 0.1, 0.5
OPERATIONS, LIMIT = 10, 30
CONTINUE = "continue only"
WORDED = f"{CONTINUE}; six wordings"
ANSWER = "reflect at the answer, by vote"
EVERY = "reflect at every step, by vote"
NEVER = 10**6
"""More steps than there are: reflections are left to the answer."""
AT_ONCE = 5
"""Jobs: each has a lease, which many of them on a busy machine cannot renew in time."""
INPUT_SHARE = 0.1
"""What an input token counts of an output token."""
PLAIN = (1, 2, 3, 4)
"""The leads that plain voting is run with."""
COLUMNS = (
    "way",
    "votes a step",
    "hit / false alarm",
    "right",
    "stalled",
    "samples",
    "tokens in",
    "tokens out",
    "plain voting for no more",
)
PAGE_TEXT = """\
# Continue, reflect, explore

{origin}

**Nothing here is better than plain voting where plain voting can work.** Where samples err independently, two votes a step and no reflection are right in
{plain} of the runs; of all ways that reflect, none is right more often for as many tokens. Only for fewer, where plain voting has one vote and {one}, does a good
verifier help: asked at the answer, it leads to {cheap}. Where a step is wrong the same way in every sample, votes
change nothing ({stuck}), and reflections that are put to the vote lead to {voted_good} with a good verifier and {voted_poor} with a poor one, {stubborn_good} and
{stubborn_poor} if the verifier is as stubborn as the steps. But they owe that to another prompt being another draw, and votes over six wordings of the same
question, without any reflection, use the same and are right in {worded}.

{runs} runs a line, each with another problem and another double: a chain of {operations} sums and products, one a step, then the answer. A step is wrong in {error:.0%} of
the samples, half of them miscalculated, which the check `arithmetic` sees, half with another number than the problem's, which it does not. A
verifier finds the first bad step, or makes one up, by the chances given; a comparison by the same skill errs in {compare_good:.1%} and {compare_poor:.0%}. Told that a
right step is bad, a sample takes another in {sway:.0%}. These chances are made up: the page shows what the rules of `ActionChain` do with
them, not what a model does.

"Believed": one sample verifies, and a changed step stands. "By vote": `confirm=3` for both, the usual. At most two explores a run; without explores
nobody is asked to reflect, and that is "continue only". A red flag: the step that fails the check is no ballot. The last column is the best of "continue only" with one
to {most} votes for no more tokens, an input token counted as {share} of an output token. A token is four characters. Means.

{tables}"""


@dataclass(frozen=True)
class Critic:
    """How well a double verifies and compares."""

    hit: float
    false_alarm: float

    @property
    def compare_error(self) -> float:
        """Of a comparison by the same skill: half of what it misses and of what it makes up."""
        return (1 - self.hit + self.false_alarm) / 2

    @property
    def name(self) -> str:
        return f"{self.hit:g} / {self.false_alarm:g}"


GOOD, POOR = Critic(0.9, 0.05), Critic(0.6, 0.3)


class Believed(ActionChain):
    """Takes a changed step at its word, as a model does that is simply told to reflect."""

    name = "believed-chain"

    def advance(self, state: ChainState, answer: ChainAnswer) -> ChainState:
        after = super().advance(state, answer)
        return after if after.candidate is None else super().advance(after, Preferred(new=True))


class Unhinted(ActionChain):
    """Goes back without a word why."""

    name = "unhinted-chain"

    def ask(self, state: ChainState, view: int = 0) -> Prompt:
        return super().ask(replace(state, undone=()) if state.stage == "explore" else state, view)


class Flagged(ActionChain):
    """Uses the check in the other way that a task has: a step that fails it is no ballot."""

    name = "flagged-chain"

    def read(self, text: str, state: ChainState, view: int = 0) -> ChainAnswer:
        answer = super().read(text, state, view)
        if isinstance(answer, ActionStep) and (wrong := arithmetic("", [answer])):
            raise NotAnAnswer(wrong)
        return answer


class Reworded(ActionChain):
    """Asks for each ballot in other words; here a mark stands for them."""

    name = "reworded-chain"
    views = 6

    def ask(self, state: ChainState, view: int = 0) -> Prompt:
        (_, said), *rest = ((each.role, each.content) for each in super().ask(state, view))  # type: ignore[union-attr]
        return Message("system", f"{said}\n\nwording {view + 1}"), *(Message(*each) for each in rest)


@dataclass(frozen=True)
class Way:
    """One line of a table."""

    name: str
    votes: int
    critic: Critic | None = None
    kind: type[ActionChain] = ActionChain
    how: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass
class Measured:
    """What became of a way, a number a run."""

    right: list[bool] = field(default_factory=list)
    stalled: int = 0
    samples: list[int] = field(default_factory=list)
    input: list[int] = field(default_factory=list)
    output: list[int] = field(default_factory=list)

    @property
    def share(self) -> float:
        return fmean(self.right)

    @property
    def price(self) -> float:
        return fmean(self.output) + INPUT_SHARE * fmean(self.input)


def ways() -> Iterator[Way]:
    """Yield all that is compared."""
    yield from (Way(CONTINUE, votes) for votes in PLAIN)
    yield from (Way(f"{CONTINUE}; a failed check is a red flag", votes, kind=Flagged) for votes in (1, 2))
    yield from (Way(WORDED, votes, kind=Reworded) for votes in (2, 3))
    for critic in (POOR, GOOD):
        for votes in (1, 2):
            yield Way("reflect at every step, believed", votes, critic, Believed, {"every": 1, "confirm": 1})
            yield Way(EVERY, votes, critic, how={"every": 1})
            yield Way(ANSWER, votes, critic, how={"every": NEVER})
            yield Way("reflect on a failed check, by vote", votes, critic, how={"check": "arithmetic"})
    yield Way(f"{EVERY}; explore without the hint", 1, GOOD, Unhinted, {"every": 1})


WORLDS: Mapping[str, Mapping[str, float]] = {
    "Errors that differ from sample to sample": {},
    "Steps that are wrong the same way in every sample": {"correlation": 1.0},
    "The same, with reflections and comparisons as stubborn": {"correlation": 1.0, "critic_correlation": 1.0},
}


def drawn(rng: Random) -> tuple[str, str]:
    """Draw a problem and its answer."""
    start = rng.randrange(2, 100)
    operations = [
        f"* {rng.randrange(2, 4)}" if rng.random() < 0.2 else f"{rng.choice('+-')} {rng.randrange(1, 100)}"
        for _ in range(OPERATIONS)
    ]
    return chain_problem(start, operations), str(chain_answer(start, operations))


async def solved(way: Way, world: Mapping[str, float], seed: int, redis: str, found: Measured) -> None:
    """Solve one problem in one way."""
    problem, right = drawn(Random(seed))
    critic = way.critic or GOOD
    model = ActionDouble(
        error=ERROR,
        sway=SWAY,
        hit=critic.hit,
        false_alarm=critic.false_alarm,
        compare_error=critic.compare_error,
        seed=seed,
        **world,  # type: ignore[arg-type]
    )
    task = way.kind(problem, kind="number", votes=way.votes, **way.how)
    job = f"{seed} {way.name} {way.votes} {way.critic} {world}"
    try:
        report = await surefoot.run(
            task, surefoot.Settings(k=1, limit=LIMIT), model=model, redis=redis, job=job
        )
    except Stalled:
        found.stalled += 1
        report = await surefoot.report(job, redis=redis)
    state: ChainState = await surefoot.state(job, task=task, redis=redis)
    found.right.append(state.answer == right)
    found.samples.append(report.samples)
    found.input.append(report.tokens.prompt or 0)
    found.output.append(report.tokens.completion or 0)


async def measured(runs: int, redis: str) -> dict[str, dict[Way, Measured]]:
    """Solve the same problems in all ways, in all worlds."""
    found: dict[str, dict[Way, Measured]] = {}
    for name, world in WORLDS.items():
        found[name] = {}
        for way in ways():
            each = found[name][way] = Measured()
            for first in range(0, runs, AT_ONCE):
                seeds = range(first, min(runs, first + AT_ONCE))
                await asyncio.gather(*(solved(way, world, seed, redis, each) for seed in seeds))
    return found


def plain_for(price: float, found: Mapping[Way, Measured]) -> Measured | None:
    """Return what plain voting makes of so many tokens; None if even one sample a step costs more."""
    paid = [each for way, each in found.items() if way.name == CONTINUE and each.price <= price]
    return max(paid, key=lambda each: each.share, default=None)


def of(found: Mapping[Way, Measured], name: str, votes: int, critic: Critic | None = None) -> Measured:
    """Return the line of a way."""
    return next(
        each for way, each in found.items() if (way.name, way.votes, way.critic) == (name, votes, critic)
    )


def said(found: Sequence[Mapping[Way, Measured]]) -> Mapping[str, str]:
    """Return the figures of the first paragraph."""
    anew, same, stubborn = found
    return {
        "plain": f"{of(anew, CONTINUE, 2).share:.0%}",
        "one": f"{of(anew, CONTINUE, 1).share:.0%}",
        "cheap": f"{of(anew, ANSWER, 1, GOOD).share:.0%}",
        "stuck": f"{of(same, CONTINUE, 1).share:.0%} with one, {of(same, CONTINUE, PLAIN[-1]).share:.0%} with {PLAIN[-1]}",
        "voted_good": f"{of(same, EVERY, 1, GOOD).share:.0%}",
        "voted_poor": f"{of(same, EVERY, 1, POOR).share:.0%}",
        "stubborn_good": f"{of(stubborn, EVERY, 1, GOOD).share:.0%}",
        "stubborn_poor": f"{of(stubborn, EVERY, 1, POOR).share:.0%}",
        "worded": f"{of(same, WORDED, 2).share:.0%}",
    }


def as_said(found: Sequence[Mapping[Way, Measured]]) -> bool:
    """Whether no way that reflects is better: for the tokens of two votes a step, and than votes over wordings for any."""
    anew, *stuck = found
    two = of(anew, CONTINUE, 2)
    reflecting = [[each for way, each in world.items() if way.critic] for world in found]
    return all(each.share <= two.share for each in reflecting[0] if each.price <= two.price) and all(
        each.share <= of(world, WORDED, 2).share
        for world, ways in zip(stuck, reflecting[1:], strict=True)
        for each in ways
    )


def rows(found: Mapping[Way, Measured]) -> Iterator[Sequence[str]]:
    """Yield a row a way."""
    for way, each in found.items():
        plain = plain_for(each.price, found)
        yield (
            way.name,
            str(way.votes),
            way.critic.name if way.critic else "",
            f"{each.share:.0%}",
            str(each.stalled or ""),
            f"{fmean(each.samples):.0f}",
            f"{fmean(each.input):,.0f}",
            f"{fmean(each.output):,.0f}",
            "" if plain is None or plain is each else f"{plain.share:.0%}",
        )


def main() -> int:
    """Measure and print."""
    parser = options(__doc__, PAGE)
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    with redis_server() as redis:
        found = asyncio.run(measured(arguments.runs, redis))
    worlds = list(found.values())
    page = PAGE_TEXT.format(
        origin=origin("actions", arguments.results),
        runs=arguments.runs,
        operations=OPERATIONS,
        error=ERROR,
        sway=SWAY,
        most=PLAIN[-1],
        share=INPUT_SHARE,
        compare_good=GOOD.compare_error,
        compare_poor=POOR.compare_error,
        tables="\n".join(f"## {name}\n\n{table(COLUMNS, rows(each))}\n" for name, each in found.items()),
        **said(worlds),
    )
    print(page)
    write(arguments.results, PAGE, page)
    return int(not as_said(worlds))


if __name__ == "__main__":
    sys.exit(main())
