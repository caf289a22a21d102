"""What a difficulty adds to `Adapt`: budgets from uncertainty, from difficulty and from their product, beside one budget for all.

python bench/difficulty.py [--problems 400] [--ponder 400] [--results bench/results]

On doubles whose problems need a known number of thoughts, of which the uncertainty of a short answer, a difficulty, or both tell
something; and on ponder, with the same number of problems of each kind, the difficulty being the digits or operations of a problem.
Every rule is run with ten ranges, its ramp fitted on 200 other problems.  Every setting really runs, on the same problems and seeds;
streams that two of them would draw alike are drawn once.
"""

import argparse
import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import cache
from itertools import product, starmap
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from pages import options, origin, shown, table, write
from rich.console import Console
from thinking_laboratory import ANSWER_TOKENS, PROBING, THINK_TOKENS
from thinking_replay import Replay

from surefoot.agents.reasoning import Adapt, Elastic, Probing, Ramp, Reasoner
from surefoot.agents.reasoning.adapt import TOP, Difficulty, Measure, margin_uncertainty
from surefoot.agents.reasoning.control import Control
from surefoot.models.base import Ask, Prompt
from surefoot.models.connect import open_model
from surefoot.models.doubles.thinking import ThinkingDouble
from surefoot.models.doubles.thoughts import ScriptedThought, Segment, Writer, scripted
from surefoot.models.gather import in_order
from surefoot.models.streaming import Streaming
from surefoot.training.ponder.problems import DIFFICULTIES, answer_of, several

FITTED = 200
"""Problems that the ramps are fitted on."""
LEASTS, MOSTS = (0, 40), (80, 120, 160, 240, 320)
FIXED = (20, 40, 60, 80, 120, 160, 200, 240, 320)
TOLERATED = (0.01, 0.05)
"""Shares of answers that may be less right than plain."""
SPENT = 0.6
"""Of plain's tokens."""
RESAMPLES = 1000
SLOTS = 32
SEEDS = 64
PLAIN, UNCERTAINTY, PRODUCT = "left alone", "uncertainty alone", "difficulty x uncertainty"
THOUGHT = "Thought {} ends: after all of what was said above it should, as I see it, be {}."
HARDEST = 8
"""Most thoughts that a double's problem needs."""
RECHECKS = 6
GUESS, SLIP = 0.1, 0.03
"""How often an answer is right before the last thought that it needs, and wrong after it."""
MORE = ("more than uncertainty alone", "95 %")
COLUMNS = ("budget", "tokens, less 1 point", *MORE, "tokens, less 5 points", *MORE, "right for 60 %", *MORE)

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]


class Problem(NamedTuple):
    prompt: str
    right: str


class Hidden(NamedTuple):
    """What a double's problem is like."""

    needs: int
    uncertainty: float
    """Of the short answer, by its margin."""
    wrong: str


class Field(NamedTuple):
    """Problems, and who thinks about them."""

    name: str
    about: str
    model: Streaming
    problems: Sequence[Problem]
    others: Sequence[Problem]
    """What ramps are fitted on."""
    difficulty: Difficulty
    probing: Probing
    read: Callable[[str], str | None]

    def reasoner(self, *controls: Control) -> Reasoner:
        return Reasoner(self.model, *controls, answer_tokens=ANSWER_TOKENS, think_tokens=THINK_TOKENS)


class Curve(NamedTuple):
    """One way to give budgets: for each of its settings (rows) and problems, whether the answer was right and what it has cost."""

    name: str
    right: Flags
    tokens: Numbers


Tells = Callable[[float, random.Random], float]
"""What is told of a problem that needs this share of the most thoughts, 0 to 1."""


def truly(share: float, dice: random.Random) -> float:
    return min(1.0, max(0.0, dice.gauss(share, 0.2)))


def nothing(share: float, dice: random.Random) -> float:
    return dice.random()


def often(share: float, dice: random.Random) -> float:
    """Tell the truth but for one problem in five, of which a model is sure without knowing."""
    return 0.02 if dice.random() < 0.2 else truly(share, dice)


WORLDS: dict[str, tuple[str, Tells, Tells]] = {
    "both tell": ("the truth and noise, independent of each other", truly, truly),
    "uncertainty tells": ("the difficulty is drawn at random", truly, nothing),
    "difficulty tells": ("the uncertainty is drawn at random", nothing, truly),
    "sure and wrong": (
        "both tell, but on one problem in five the short answer is surely wrong",
        often,
        truly,
    ),
}


def doubles(world: str, count: int) -> Field:
    """Return a double's problems; their difficulty stands in the prompt."""
    about, uncertainty, difficulty = WORLDS[world]
    dice = random.Random(f"bench/difficulty {world}")
    hidden: dict[str, Hidden] = {}
    problems = []
    for number in range(count + FITTED):
        needs = dice.randrange(HARDEST + 1)
        share = needs / HARDEST
        prompt = f"Problem {number}, of difficulty {difficulty(share, dice):.3f}."
        hidden[prompt] = Hidden(needs, uncertainty(share, dice), f"no {number}")
        problems.append(Problem(prompt, f"yes {number}"))
    rights = dict(problems)
    model = ThinkingDouble(_writer(hidden, rights), seed=1)
    return Field(
        world,
        about,
        Replay(model, 0),
        problems[:count],
        problems[count:],
        _told,
        Probing(tokens=ANSWER_TOKENS),
        str.strip,
    )


def _told(prompt: Prompt) -> float:
    found = re.search(r"difficulty ([\d.]+)\.", cast(str, prompt))
    assert found
    return float(found[1])


def _writer(hidden: dict[str, Hidden], rights: dict[str, str]) -> Writer:
    @cache
    def planned(asked: str) -> tuple[str, Writer]:
        """Return the answer without a thought, and what writes the thoughts."""
        needs, _, wrong = hidden[asked]
        dice = random.Random(asked)
        chances = [GUESS if done < needs else 1 - SLIP for done in range(needs + RECHECKS + 1)]
        direct, *later = [rights[asked] if dice.random() < chance else wrong for chance in chances]
        thoughts = [
            ScriptedThought(THOUGHT.format(number, answer), answer) for number, answer in enumerate(later, 1)
        ]
        return direct, scripted(thoughts, direct=direct)

    def write(prompt: Prompt, raw: str, dice: random.Random) -> Segment | None:
        asked = cast(str, prompt)
        direct, thinks = planned(asked)
        segment = thinks(prompt, raw, dice)
        if segment is None or segment.text != direct or "Thought" in raw:
            return segment
        return segment._replace(probability=_probability(hidden[asked].uncertainty))

    return write


def _probability(uncertainty: float) -> float:
    """Return the probability of a token beside `TOP` - 1 others that leaves this much: u = 1 - (p - (1 - p) / 19)."""
    others = TOP - 1
    return max(1e-6, (1 - uncertainty + 1 / others) / (1 + 1 / others))


def of_ponder(model: Streaming, count: int) -> Field:
    """Return ponder's problems, as many of each kind."""
    rng = random.Random("bench/difficulty ponder")
    each = (count + FITTED) // len(DIFFICULTIES)
    drawn = [
        [Problem(problem.prompt, problem.answer) for problem in several(kind, each, rng)]
        for kind in DIFFICULTIES
    ]
    mixed = [problem for four in zip(*drawn, strict=True) for problem in four]
    about = "sums of two and of four digits, chains of three and of six operations; the difficulty is how many, of six"
    return Field("ponder", about, Replay(model, 0), mixed[:count], mixed[count:], _work, PROBING, answer_of)


def _work(prompt: Prompt) -> float:
    """Return how many digits or operations there are, of six."""
    text = cast(str, prompt)
    return (len(re.findall(r"[-+*]", text)) if "mod" in text else text.index("+")) / 6


async def curves(field: Field) -> list[Curve]:
    """Run every rule with every setting."""
    rules: dict[str, tuple[Measure | None, Difficulty | None]] = {
        UNCERTAINTY: (margin_uncertainty, None),
        "difficulty alone": (None, field.difficulty),
        PRODUCT: (margin_uncertainty, field.difficulty),
    }
    found = [await _run(field, PLAIN, [()])]
    found.append(
        await _run(field, "the same for all", [(Elastic(n, ANSWER_TOKENS, native=False),) for n in FIXED])
    )
    for name, (measure, difficulty) in rules.items():
        ramp = await _ramp(field, Adapt(measure=measure, difficulty=difficulty, probing=field.probing))
        controls = [
            (Adapt(least, most, ramp=ramp, measure=measure, difficulty=difficulty, probing=field.probing),)
            for least, most in product(LEASTS, MOSTS)
        ]
        found.append(await _run(field, name, controls))
    return found


async def _ramp(field: Field, control: Adapt) -> Ramp:
    reasoner = field.reasoner()
    draws = [reasoner.draw(_ask(number, problem)) for number, problem in enumerate(field.others)]
    return Ramp.of([(await control.demand(field.model, draw))[0] for draw in draws])


async def _run(field: Field, name: str, settings: Sequence[tuple[Control, ...]]) -> Curve:
    right, tokens = [], []
    for controls in settings:
        asks = starmap(_ask, enumerate(field.problems))
        samples = await _slots(_one(field.reasoner(*controls), ask) for ask in asks)
        right.append(
            [
                field.read(text) == problem.right
                for (text, _), problem in zip(samples, field.problems, strict=True)
            ]
        )
        tokens.append([float(spent) for _, spent in samples])
    return Curve(name, np.array(right), np.array(tokens))


async def _one(reasoner: Reasoner, ask: Ask) -> tuple[str, int]:
    (sample,) = await in_order(reasoner, [ask])
    return sample.text, sample.usage.completion


def _ask(number: int, problem: Problem) -> Ask:
    return Ask(problem.prompt, 1.0, ANSWER_TOKENS, number * SEEDS)


async def _slots(works: Iterator[Awaitable[Any]]) -> list[Any]:
    slots = asyncio.Semaphore(SLOTS)

    async def one(work: Awaitable[Any]) -> Any:
        async with slots:
            return await work

    return await asyncio.gather(*map(one, works))


class Measured(NamedTuple):
    """One rule: tokens for as many right answers as plain has, less each of `TOLERATED`; the share right for `SPENT` of plain's tokens."""

    name: str
    values: Numbers
    more: Numbers
    """Than uncertainty alone."""
    low: Numbers
    """Ends of the 95 % interval of that, over problems drawn anew."""
    high: Numbers


def measured(found: Sequence[Curve], resamples: int = RESAMPLES) -> list[Measured]:
    """Return every rule beside uncertainty alone; the first is plain.

    A rule may mix two of its settings, and plain, and does so in the best way; the resamples choose anew.
    """
    plain, *rules = found
    count = plain.tokens.shape[1]
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=resamples)
    weights = np.vstack([np.ones(count), drawn]) / count
    values = {rule.name: np.array([_values(rule, plain, each) for each in weights]) for rule in rules}
    made = []
    for name, own in values.items():
        more = own - values[UNCERTAINTY]
        low, high = np.quantile(more[1:], (0.025, 0.975), axis=0)
        made.append(Measured(name, own[0], more[0], low, high))
    return made


def _values(rule: Curve, plain: Curve, weights: Numbers) -> Numbers:
    right = np.append(rule.right @ weights, plain.right @ weights)
    tokens = np.append(rule.tokens @ weights, plain.tokens @ weights)
    front_tokens: list[float] = []
    front_right: list[float] = []
    for place in np.lexsort((-right, tokens)):
        if not front_right or right[place] > front_right[-1]:
            front_tokens.append(tokens[place])
            front_right.append(right[place])
    costs = np.interp(right[-1] - np.array(TOLERATED), front_right, front_tokens)
    return np.append(costs, np.interp(SPENT * tokens[-1], front_tokens, front_right))


FORMS: Sequence[tuple[str, str, float]] = (
    *(("{:.0f}", "{:+.0f}", 1.0) for _ in TOLERATED),
    ("{:.1f} %", "{:+.1f}", 100.0),
)
"""How a value and a difference are written, and in which unit."""


def rows(rules: Sequence[Measured]) -> Iterator[list[str]]:
    for rule in rules:
        row = [rule.name]
        for place, (value, _, times) in enumerate(FORMS):
            alone = rule.name == UNCERTAINTY
            row += [value.format(times * rule.values[place]), *(["", ""] if alone else _more(rule, place))]
        yield row


def _more(rule: Measured, place: int) -> list[str]:
    _, form, times = FORMS[place]
    more, low, high = (form.format(times * each[place]) for each in (rule.more, rule.low, rule.high))
    return [more, f"{low} to {high}"]


def verdict(rules: Sequence[Measured]) -> str:
    """Say whether the product pays."""
    paid = next(rule for rule in rules if rule.name == PRODUCT)
    one, five, right = ("{} ({})".format(*_more(paid, place)) for place in range(3))
    return (
        f"The product beside uncertainty alone: {one} tokens a problem for as many right less a point, {five} less five points, "
        f"{right} points right for {SPENT:.0%} of the tokens."
    )


LEGEND = """\
*Tokens*: mean output tokens of a problem, short answers included, for as many right answers as the model left alone has, less one point or five. *Right for 60 %*:
share of right answers for 60 % of the tokens that it takes left alone. A rule may mix two of its settings. Intervals: 1,000 resamples of the problems."""


async def measure(given: argparse.Namespace, console: Console) -> list[str]:
    parts = []
    async with open_model(given.model) as ponder:
        fields = [doubles(world, given.problems) for world in WORLDS]
        for field in [*fields, of_ponder(cast(Streaming, ponder), given.ponder)]:
            plain, *_ = found = await curves(field)
            rules = measured(found)
            right, tokens = float(plain.right.mean()), float(plain.tokens.mean())
            told = [
                f"{field.about[0].upper()}{field.about[1:]}. Left alone: {right:.1%} of {len(field.problems):,} right for {tokens:.0f} tokens.",
                verdict(rules),
            ]
            console.print(shown(field.name, COLUMNS, rows(rules)))
            console.print(*told, sep="\n")
            parts += [
                f"## {field.name[0].upper()}{field.name[1:]}",
                " ".join(told),
                table(COLUMNS, rows(rules)),
            ]
    return parts


def main() -> None:
    parser = options(__doc__, "difficulty.md")
    parser.add_argument("--problems", type=int, default=400, help="of each double")
    parser.add_argument("--ponder", type=int, default=400, help="problems of ponder, a multiple of four")
    parser.add_argument("--model", default="ponder", help="who stands in for ponder, as for `surefoot run`")
    given = parser.parse_args()
    parts = asyncio.run(measure(given, Console(width=200)))
    about = origin(
        "difficulty", given.results, " Temperature 1, the same problems and seeds for every setting."
    )
    page = "\n\n".join(["# What a difficulty adds to Adapt", about, LEGEND, *parts]) + "\n"
    write(given.results, "difficulty.md", page)


if __name__ == "__main__":
    main()
