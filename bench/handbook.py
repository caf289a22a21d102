"""A handbook switched on and off: errors and tokens without it, with all that is proposed, and with what earned its place.

python bench/handbook.py --rounds 20 --ponder 200 --results bench/results

The double heeds instructions by known factors: some make it err less or write less, some change nothing, some harm.  In each round another
double is weighed on the comparisons of one list, and measured on those of another.  `ponder`, the embedded reasoning model, is real, and
knows no instructions.  Exits 1 if a behaviour that harms, or changes nothing, was kept more often than the level explains, or one
that helps much in less than half of the rounds.
"""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from pages import options, origin, table, write
from pydantic_core import from_json
from servers import redis_server

import surefoot
from surefoot.agents.handbook import Behaviour, WithHandbook, block
from surefoot.agents.tasks.task import Value
from surefoot.models import Prompt, open_model
from surefoot.models.doubles import BehavedDouble, Effect
from surefoot.orchestration.calibrate import calibrate
from surefoot.orchestration.handbook import Weighed, Weighing, earn
from surefoot.training.ponder.problems import answer_of, draw
from surefoot.voting import PAPER, binomial_lower

PAGE = "handbook.md"
ERROR, THOUGHTS, K = 0.2, 40, 5
ITEMS, WEIGHED_ITEMS = 60, 120
WEIGHING = Weighing()
MUCH = 0.7
"""A factor below which a behaviour helps much."""


@dataclass(frozen=True)
class Known:
    """A behaviour, and what it does."""

    name: str
    instruction: str
    effect: Effect

    @property
    def behaviour(self) -> Behaviour:
        return Behaviour(name=f"behavior_{self.name}", instruction=self.instruction, task="sorting")

    @property
    def kind(self) -> str:
        if self.effect == Effect():
            return "useless"
        if self.effect.error > 1 or self.effect.tokens > 1:
            return "harmful"
        return "helpful" if min(self.effect.error, self.effect.tokens) < MUCH else "a little helpful"


KNOWN = (
    Known("answer_at_once", "Answer at once, without a look at every digit.", Effect(error=1.5, tokens=0.5)),
    Known("compare_last_digits", "Compare the last digits first.", Effect(error=1.5)),
    Known("count_the_digits", "Count the digits of both numbers before you compare them.", Effect(error=0.5)),
    Known("explain_each_digit", "Explain each digit in a sentence of its own.", Effect(tokens=2)),
    Known("mind_the_zeros", "Mind the zeros inside a number.", Effect(error=0.8)),
    Known("read_carefully", "Read both numbers carefully before you answer.", Effect()),
    Known("stay_calm", "Take a deep breath and work step by step.", Effect()),
    Known("stop_at_a_difference", "Stop at the first digit that differs.", Effect(tokens=0.6)),
)
WAYS = ("without", "all proposed", "those that earned their place")
PAGE_TEXT = """\
# A handbook, off and on

{origin}

{rounds} rounds, each with another double and other lists. The double compares two numbers, is wrong in {error:.0%} of its samples, and thinks for about
{thoughts} tokens of four characters before it answers. It heeds each instruction by the factors below, and several by their product: a program, so this shows what the
*weighing* finds, not what instructions do to a model.

## What earns its place

Each of the {proposed} is asked about {states} states, in two views, with and without it, beside those kept before; level {level} for all together, an input token
counts {share} of an output token (`surefoot.orchestration.handbook.earn`). "A little helpful" is at the edge of what so many states show.

{earned}

## Off and on

Measured on lists that were not weighed on. Errors and tokens are of a sample; votes, tokens a step and solved of sorting {items} numbers with k = {k}, where
segments that fail the task's own check are decided again.

{measured}
{ponder}"""
PONDER_TEXT = """
## ponder

The embedded reasoning model on sums of two numbers of two digits, {states} states, one sample each at temperature 0.6. It was trained on nothing but such sums, so no
instruction can mean anything to it: a block of one behaviour is {long} characters of noise before the sum, and it reads 512 in all. What the weighing makes of that:

{table}
"""


@dataclass
class Way:
    """What was measured of a way, a number a round."""

    errors: list[float] = field(default_factory=list)
    output: list[float] = field(default_factory=list)
    input: list[float] = field(default_factory=list)
    votes: list[float] = field(default_factory=list)
    a_step: list[float] = field(default_factory=list)
    solved: list[bool] = field(default_factory=list)


class Sums(surefoot.Task[str, str]):
    """One sum, as ponder knows it."""

    name = "sums"
    sampling = surefoot.Sampling(temperature=0.6, first_temperature=None, max_tokens=460)
    flags = PAPER

    def spec(self) -> dict[str, Value]:
        return {}

    def start(self) -> str:
        return "48+67="

    def ask(self, state: str, view: int = 0) -> Prompt:
        return state

    def read(self, text: str, state: str, view: int = 0) -> str:
        answer = answer_of(text)
        if answer is None:
            raise surefoot.NotAnAnswer("no answer after the thoughts")
        return answer

    def advance(self, state: str, answer: str) -> str:
        return answer

    def finished(self, state: str) -> bool:
        return not state.endswith("=")

    def case(self, rng: random.Random) -> surefoot.Case[str, str]:
        problem = draw("sum2", rng)
        return surefoot.Case(problem.prompt, problem.answer)


def right(prompt: Prompt) -> str:
    """Compare two numbers."""
    first, second = (from_json(line[3:]) for line in prompt[-1].content.splitlines())  # type: ignore[union-attr]
    return f"first = {'A' if first < second else 'B'}"


def wrong(prompt: Prompt, which: int) -> str:
    """Say the opposite."""
    return f"first = {'B' if right(prompt).endswith('A') else 'A'}"


def double(seed: int) -> BehavedDouble:
    """Make the double of a round."""
    effects = {each.instruction: each.effect for each in KNOWN}
    return BehavedDouble(right, wrong, effects, error=ERROR, thoughts=THOUGHTS, seed=seed)


def sorting(seed: int, items: int) -> surefoot.Sorting:
    """Make a job."""
    return surefoot.Sorting(tuple(random.Random(seed).sample(range(100_000), items)))


async def measure(way: Way, behaviours: Sequence[Behaviour], seed: int, redis: str) -> None:
    """Ask about states, and do a job, that were not weighed on."""
    task: WithHandbook[Any, Any] = WithHandbook(sorting(-1 - seed, ITEMS), behaviours)
    model = double(seed)
    found = await calibrate(task, model, surefoot.Settings(states=WEIGHING.states))
    way.errors.append(found.error_rate)
    way.output.append(found.usage.completion / found.samples)
    way.input.append(found.usage.prompt / found.samples)
    report = await surefoot.run(task, surefoot.Settings(k=K), model=model, redis=redis)
    way.votes.append(report.votes / report.steps)
    way.a_step.append((report.tokens.completion or 0) / report.steps)
    way.solved.append(report.solved)


async def rounds(count: int, redis: str) -> tuple[list[list[Weighed]], list[Way]]:
    """Weigh and measure so many times."""
    proposed = [each.behaviour for each in KNOWN]
    weighed, ways = [], [Way() for _ in WAYS]
    for seed in range(count):
        found = await earn(proposed, sorting(seed, WEIGHED_ITEMS), model=double(seed), weighing=WEIGHING)
        weighed.append(found)
        kept = [each.behaviour for each in found if each.kept]
        for way, behaviours in zip(ways, ([], proposed, kept), strict=True):
            await measure(way, behaviours, seed, redis)
    return weighed, ways


async def on_ponder(states: int) -> str:
    """Weigh two behaviours on ponder."""
    tried = {"check_once": "Check the sum once, then stop.", "check_thrice": "Check the sum three times."}
    proposed = [
        Behaviour(name=f"behavior_{name}", instruction=said, task=Sums.name) for name, said in tried.items()
    ]
    async with open_model("ponder") as model:
        weighed = await earn(proposed, Sums(), model=model, weighing=Weighing(states=states))
    lines = [(f"`{found.behaviour.instruction}`", *shown(found)) for found in weighed]
    columns = ("instruction", "errors off", "on", "tokens, on minus off", "kept")
    long = len(block(proposed[:1]))
    return PONDER_TEXT.format(states=states, long=long, table=table(columns, lines))


def shown(found: Weighed) -> tuple[str, str, str, str]:
    """Write errors, tokens and the verdict."""
    off, on = found.errors
    change = "unknown" if found.tokens is None else "{:+.1f} ({:+.1f} to {:+.1f})".format(*found.tokens)
    return f"{off:.1%}", f"{on:.1%}", change, "yes" if found.kept else f"no: {found.why}"


def earned_table(weighed: Sequence[Sequence[Weighed]]) -> str:
    """A row a behaviour."""
    kept = kept_of(weighed)
    lines = []
    for place, each in enumerate(KNOWN):
        firsts = [found[place] for found in weighed]
        off, on = (fmean(found.errors[side] for found in firsts) for side in (0, 1))
        tokens = fmean(found.tokens.mean for found in firsts if found.tokens)
        effect = f"{each.effect.error:g} / {each.effect.tokens:g}"
        lines.append(
            (f"`{each.instruction}`", effect, each.kind, f"{off:.1%}", f"{on:.1%}", f"{tokens:+.1f}",
             f"{kept[each.name]} of {len(weighed)}")
        )  # fmt: skip
    columns = (
        "instruction",
        "factor of errors / tokens",
        "so it is",
        "errors before",
        "with it",
        "tokens",
        "kept",
    )
    return table(columns, lines)


def kept_of(weighed: Sequence[Sequence[Weighed]]) -> Counter[str]:
    """Count the rounds in which each was kept."""
    names = [each.behaviour.name for found in weighed for each in found if each.kept]
    return Counter(name.removeprefix("behavior_") for name in names)


def measured_table(ways: Sequence[Way]) -> str:
    """A row a way."""
    lines = [
        (name, f"{fmean(way.errors):.1%}", f"{fmean(way.output):.1f}", f"{fmean(way.input):.0f}", f"{fmean(way.votes):.2f}",
         f"{fmean(way.a_step):,.0f}", f"{sum(way.solved)} of {len(way.solved)}")
        for name, way in zip(WAYS, ways, strict=True)
    ]  # fmt: skip
    columns = ("handbook", "errors", "tokens out", "tokens in", "votes a step", "tokens out a step", "solved")
    return table(columns, lines)


def as_it_should(weighed: Sequence[Sequence[Weighed]]) -> bool:
    """Whether what harms, or changes nothing, was kept no more often than the level explains, and what helps much mostly."""
    kept, count = kept_of(weighed), len(weighed)

    def as_often(kind: str, times: int) -> bool:
        if kind in ("harmful", "useless"):
            return binomial_lower(times, count, 0.99) <= WEIGHING.level
        return kind != "helpful" or 2 * times >= count

    return all(as_often(each.kind, kept[each.name]) for each in KNOWN)


def main() -> int:
    """Measure and print."""
    parser = options(__doc__, PAGE)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--ponder", type=int, default=0, metavar="STATES", help="ask ponder, too, about so many"
    )
    arguments = parser.parse_args()
    with redis_server() as redis:
        weighed, ways = asyncio.run(rounds(arguments.rounds, redis))
    page = PAGE_TEXT.format(
        origin=origin("handbook", arguments.results),
        rounds=arguments.rounds,
        error=ERROR,
        thoughts=THOUGHTS,
        proposed=len(KNOWN),
        states=WEIGHING.states,
        level=WEIGHING.level,
        share=WEIGHING.input_share,
        items=ITEMS,
        k=K,
        earned=earned_table(weighed),
        measured=measured_table(ways),
        ponder=asyncio.run(on_ponder(arguments.ponder)) if arguments.ponder else "",
    )
    print(page)
    write(arguments.results, PAGE, page)
    return int(not as_it_should(weighed))


if __name__ == "__main__":
    sys.exit(main())
