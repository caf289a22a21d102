"""Multiplications and long lists made smaller by vote, beside the published algorithm, by doubles that are wrong in one call of five.

python bench/planner.py --runs 20 --results bench/results

The published one (MAKER, arXiv 2511.09030, appendix F, as its authors' code does it): of three proposals, and of three answers, a judge
chooses one by its number, and the first number with two of three votes wins, or else the one with most; every problem is composed
by calls.  Its parser and its prompts differ, so that it never splits as committed: here it reads what it asks for.  It is also run with
a lead that a number needs, in place of two votes.  All are told the same in the same words, and asked of doubles of the same skill.
Exits 1 if a voted plan is wrong more often than it may be.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from statistics import median
from typing import Any

from pages import options, origin, table, write
from servers import redis_server

import surefoot
from surefoot.agents.planner import Goal, Proposal, prompts
from surefoot.models import Ask, Message
from surefoot.models.doubles import Double, goal_double
from surefoot.models.doubles.goals import goal_right, goal_wrong
from surefoot.tools.answers import Kind, combined
from surefoot.voting import NotAnAnswer, Stalled, Usage

Chat = tuple[Message, ...]
PAGE = "planner.md"
ERROR = 0.2
VOTES, DEPTH = 3, 8
ALLOWED = 0.01
"""Wrong voted plans."""
COLUMNS = (
    "problem",
    "way",
    "right",
    "calls",
    "tokens in",
    "tokens out",
    "steps",
    "parts",
    "depth",
    "seconds",
)
PAGE_TEXT = """\
# Problems made smaller

{origin}

{runs} runs a line, each with another double and another problem. The double knows how to multiply, to sort and to halve, and is wrong in {error:.0%} of its
calls. It errs as often on a large problem as on a small one, which no model does: so this page does not show that splitting helps ("not split" is right and
cheap here), but what it costs, and what keeps it right where every call may be wrong. Wrong answers differ from each other.

Voted: `surefoot.solve(votes=..., depth={depth})`; a program combines. Published: the first of up to three votes of a judge that has two, else the one with
most, to the same depth; calls combine. A token is four characters. Medians of the runs; "right" is of all, "depth" the deepest.

{table}

## Another way after a stall

6 x 6 digits, {runs} runs a line. The double is wrong in {error:.0%} of its calls, but {hard:.0%} of all prompts are hard, and there it says something else in {hard_error:.0%} of
its samples, so that nothing leads by {votes} within {limit} of them. After a stall the part is made smaller with what was tried (`replans`), which is another prompt.

{replans}

## Parts at once

6 x 6 digits, {timed} runs a line, a double that is never wrong and takes {latency:.0f} ms for an answer, however many are asked for at once. Medians.
Only the parts' answers come at once: the proposals of how to split follow one another, and take the rest of the time.

{branches}
"""
HARD, HARD_ERROR, LIMIT = 0.03, 0.97, 30
LATENCY_S = 0.05


@dataclass(frozen=True)
class Problem:
    """What is to be solved."""

    name: str
    kind: Kind
    drawn: Callable[[Random], tuple[str, str]]
    """A text and its answer."""


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    right: bool
    calls: int
    usage: Usage
    seconds: float
    steps: int | None = None
    parts: int = 0
    depth: int = 0


def product(digits: int) -> Callable[[Random], tuple[str, str]]:
    """Draw two factors of so many digits."""

    def drawn(rng: Random) -> tuple[str, str]:
        a, b = (rng.randrange(10 ** (digits - 1), 10**digits) for _ in range(2))
        return f"What is {a} * {b}?", str(a * b)

    return drawn


def unsorted(length: int) -> Callable[[Random], tuple[str, str]]:
    """Draw a list of so many numbers."""

    def drawn(rng: Random) -> tuple[str, str]:
        items = [rng.randrange(1000) for _ in range(length)]
        return f"Sort these numbers, smallest first: {items}", str(sorted(items))

    return drawn


PROBLEMS = (
    Problem("6 x 6 digits", "number", product(6)),
    Problem("10 x 10 digits", "number", product(10)),
    Problem("sorting 500 numbers", "list", unsorted(500)),
)


async def voted(
    votes: int, depth: int, problem: Problem, text: str, answer: str, seed: int, redis: str
) -> Outcome:
    """Let surefoot solve it."""
    began = time.monotonic()
    model = goal_double(error=ERROR, seed=seed)
    job = f"{problem.name} {votes} {depth} {seed}"
    try:
        solution = await surefoot.solve(
            text, kind=problem.kind, votes=votes, depth=depth, model=model, redis=redis, job=job, replans=0
        )
    except Stalled:
        state = await surefoot.state(job, task=Goal(text, problem.kind, votes, depth), redis=redis)
        solution = surefoot.Solution(None, state.done, await surefoot.report(job, redis=redis))
    report = solution.report
    usage = Usage(report.tokens.prompt or 0, 0, report.tokens.completion or 0)
    return Outcome(
        solution.answer == answer,
        report.samples,
        usage,
        time.monotonic() - began,
        report.steps,
        len(solution.parts),
        max((part.depth for part in solution.parts), default=0),
    )


class Published:
    """The published algorithm, on a double of the same skill; with a `lead` a number wins that leads every other by so much."""

    def __init__(self, seed: int, lead: int | None) -> None:
        self._lead = lead
        self._known: dict[Any, tuple[str, Callable[[int], str]]] = {}
        self._double = Double(
            lambda prompt: self._known[prompt][0],
            lambda prompt, which: self._known[prompt][1](which),
            error=ERROR,
            seed=seed,
        )
        self.calls, self.usage, self.parts, self.depth = 0, Usage(), 0, 0

    def solve(self, problem: str, depth: int = 0) -> str:
        """Return an answer, however sure."""
        self.parts, self.depth = self.parts + 1, max(self.depth, depth)
        split = Proposal() if depth >= DEPTH else self._split(problem)
        if not split.parts:
            asked = prompts.solve(problem)
            return self._answered(problem, asked, goal_right(asked))
        answers = [self.solve(part, depth + 1) for part in split.parts]
        asked = prompts.compose(problem, split.parts, answers)
        told = Message("user", f"{asked[-1].content}\nCombine: {split.formula or split.combine}")
        made = combined(split.combine, split.formula, answers)
        # Whoever is asked sees the answers of the parts alone: from wrong ones follows a wrong one.
        right = goal_wrong(prompts.solve(problem), 0) if made is None else f"answer = {made}"
        return self._answered(problem, (asked[0], told), right)

    def _split(self, problem: str) -> Proposal:
        asked = prompts.propose(problem)
        found = []
        for _ in range(3):
            try:
                text = self._call(asked, goal_right(asked), lambda which: goal_wrong(asked, which))
                found.append(prompts.read_proposal(text, [problem]))
            except NotAnAnswer:
                continue
        if not found:
            return Proposal()
        judged = prompts.choose(problem, found)
        right = goal_right(judged).partition(",")[0]  # this judge names one
        return found[self._judged(judged, right, len(found))]

    def _answered(self, problem: str, asked: Chat, right: str) -> str:
        """Draw three answers, and let a judge choose."""
        alone = prompts.solve(problem)
        texts = [self._call(asked, right, lambda which: goal_wrong(alone, which)) for _ in range(3)]
        answers = [text.removeprefix("answer = ") for text in texts]
        lines = "\n".join(f"{number}. {answer}" for number, answer in enumerate(answers, 1))
        judged = (
            Message("system", "Which answer is right?  End with one line:\nchoice = ..."),
            Message("user", f"{asked[-1].content}\n\nAnswers:\n{lines}"),
        )
        place = next((place for place, text in enumerate(texts, 1) if text == right), 1)
        return answers[self._judged(judged, f"choice = {place}", 3)]

    def _judged(self, asked: Chat, right: str, of: int) -> int:
        """Return the place that wins; the first if there are no votes."""
        tally: Counter[int] = Counter()
        others = [f"choice = {number}" for number in range(1, of + 1) if f"choice = {number}" != right]
        while not self._decided(tally):
            text = self._call(asked, right, lambda which: others[which % len(others)] if others else right)
            tally[int(text.removeprefix("choice = ")) - 1] += 1
        places = [place for place, _ in tally.most_common() if place >= 0]
        return places[0] if places else 0

    def _decided(self, tally: Counter[int]) -> bool:
        first, second, *_ = [votes for _, votes in tally.most_common(2)] + [0, 0]
        if self._lead is not None:
            return first - second >= self._lead
        return tally.total() == 3 or first == 2

    def _call(self, prompt: Chat, right: str, wrong: Callable[[int], str]) -> str:
        self._known[prompt] = right, wrong
        self.calls += 1
        sample = self._double.draw(Ask(prompt, 0.5, 1 << 20, self.calls))
        self.usage += sample.usage
        return sample.text


async def published(
    lead: int | None, problem: Problem, text: str, answer: str, seed: int, redis: str
) -> Outcome:
    """Let the published algorithm solve it."""
    began, way = time.monotonic(), Published(seed, lead)
    found = way.solve(text)
    return Outcome(
        found == answer, way.calls, way.usage, time.monotonic() - began, parts=way.parts, depth=way.depth
    )


CHECKED = f"voted, votes={VOTES}"
WAYS: dict[str, Callable[[Problem, str, str, int, str], Awaitable[Outcome]]] = {
    CHECKED: partial(voted, VOTES, DEPTH),
    "voted, votes=2": partial(voted, 2, DEPTH),
    "published": partial(published, None),
    f"published, a lead of {VOTES}": partial(published, VOTES),
    f"not split, votes={VOTES}": partial(voted, VOTES, 0),
}


async def measured(problem: Problem, runs: int, redis: str) -> dict[str, list[Outcome]]:
    """Return the outcomes of all ways, on the same problems."""
    found: dict[str, list[Outcome]] = {way: [] for way in WAYS}
    for seed in range(runs):
        text, answer = problem.drawn(Random(seed))
        for way, run in WAYS.items():
            found[way].append(await run(problem, text, answer, seed, redis))
    return found


def rows(name: str, found: dict[str, list[Outcome]]) -> Iterator[Sequence[str]]:
    """Yield a row a way."""
    for way, outcomes in found.items():
        yield (
            name,
            way,
            f"{sum(each.right for each in outcomes)} of {len(outcomes)}",
            f"{median(each.calls for each in outcomes):,.0f}",
            f"{median(each.usage.prompt for each in outcomes):,.0f}",
            f"{median(each.usage.completion for each in outcomes):,.0f}",
            "" if outcomes[0].steps is None else f"{median(each.steps or 0 for each in outcomes):,.0f}",
            f"{median(each.parts for each in outcomes):,.0f}",
            f"{max(each.depth for each in outcomes)}",
            f"{median(each.seconds for each in outcomes):.2f}",
        )


async def replanned(runs: int, replans: int, redis: str) -> Sequence[str]:
    """Solve products of a double that is stuck on some prompts, with so many other ways."""
    found: Counter[str] = Counter()
    samples = tokens = 0
    for seed in range(runs):
        text, answer = PROBLEMS[0].drawn(Random(seed))
        model = goal_double(error=ERROR, hard=HARD, hard_error=HARD_ERROR, seed=seed)
        job = f"replanned {replans} {seed:03}"
        try:
            solution = await surefoot.solve(
                text, kind="number", votes=VOTES, depth=DEPTH, model=model, redis=redis, job=job, limit=LIMIT, replans=replans
            )  # fmt: skip
            found["right" if solution.answer == answer else "wrong"] += 1
        except Stalled:
            found["stalled"] += 1
        reports = [
            await surefoot.report(each.id, redis=redis)
            for each in await surefoot.jobs(redis=redis)
            if each.id.startswith(job)
        ]
        samples += sum(report.samples for report in reports)
        tokens += sum(report.tokens.total or 0 for report in reports)
    counts = [f"{found[what]} of {runs}" for what in ("right", "wrong", "stalled")]
    return [str(replans), *counts, f"{samples / runs:,.0f}", f"{tokens / runs:,.0f}"]


async def at_once(runs: int, branches: int, redis: str) -> Sequence[str]:
    """Solve products with so many parts at once."""
    took, right, jobs = [], 0, []
    for seed in range(runs):
        text, answer = PROBLEMS[0].drawn(Random(seed))
        began = time.monotonic()
        solution = await surefoot.solve(
            text, kind="number", votes=VOTES, depth=DEPTH, model=goal_double(latency=LATENCY_S), redis=redis, branches=branches
        )  # fmt: skip
        took.append(time.monotonic() - began)
        right += solution.answer == answer
        jobs.append(len(solution.runs))
    return [str(branches), f"{right} of {runs}", f"{median(jobs):.0f}", f"{median(took):.2f}"]


def main() -> int:
    """Measure and print."""
    parser = options(__doc__, PAGE)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--small", action="store_true", help="the smallest problem alone")
    arguments = parser.parse_args()
    lines: list[Sequence[str]] = []
    wrong = of = 0
    with redis_server() as redis:
        for problem in PROBLEMS[: 1 if arguments.small else None]:
            found = asyncio.run(measured(problem, arguments.runs, redis))
            lines += rows(problem.name, found)
            wrong += sum(not each.right for each in found[CHECKED])
            of += len(found[CHECKED])
        again = [asyncio.run(replanned(arguments.runs, replans, redis)) for replans in (0, 1, 2)]
        timed = min(arguments.runs, 5)
        faster = [asyncio.run(at_once(timed, branches, redis)) for branches in (1, 2, 4, 8)]
    page = PAGE_TEXT.format(
        origin=origin("planner", arguments.results),
        runs=arguments.runs,
        error=ERROR,
        depth=DEPTH,
        table=table(COLUMNS, lines),
        hard=HARD,
        hard_error=HARD_ERROR,
        votes=VOTES,
        limit=LIMIT,
        replans=table(("replans", "right", "wrong", "stalled", "samples", "tokens"), again),
        timed=timed,
        latency=1000 * LATENCY_S,
        branches=table(("branches", "right", "jobs", "seconds"), faster),
    )
    print(page)
    write(arguments.results, PAGE, page)
    return int(wrong > max(1, ALLOWED * of))


if __name__ == "__main__":
    sys.exit(main())
