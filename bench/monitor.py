"""What watching a run costs, and how well the watchers find what is wrong.

python bench/monitor.py [--judge URL[#MODEL]] [--results bench/results]

Four things: what the node of a LangGraph graph takes for one turn more, microseconds that making a turn of usual size (`turn`: kinds and failures recognised) and `Signals.see` take
together, seconds for 10,000 trajectories of 30 turns, and precision and recall on the labelled trajectories of `surefoot.agents.monitor.labelled.trajectories`.  With --judge an LLM judges the
same trajectories, of the first seed only.
"""

import asyncio
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from statistics import median
from typing import NamedTuple

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from pages import options, origin, table, write

from surefoot.agents.monitor.judge import open_judge
from surefoot.agents.monitor.labelled.teller import Teller
from surefoot.agents.monitor.labelled.trajectories import Labelled, PatternScore, grade, labelled
from surefoot.agents.monitor.signals import FLAGGED, readings
from surefoot.agents.monitor.trajectory import action, turn
from surefoot.orchestration.monitoring import monitor_node

THOUGHT_TOKENS, OBSERVED = 250, 2000
"""Of a turn of usual size: 1 kB and 2 kB."""
TRAJECTORIES, TURNS = 10_000, 30
DIFFERENT = 100
"""So many different ones are scored again and again, each from scratch: 10,000 would not fit into memory."""
SEEDS = 20
FOLLOWED = (20, 200, 2000)
AIM_US, AIM_S = 50.0, 20.0
JUDGED_AT_ONCE = 8
GRADES = ("pattern", "trajectories", "found", "false alarms", "precision", "recall")


class Logged(NamedTuple):
    """A turn before anything in it is recognised."""

    thought: str
    name: str
    arguments: str
    observation: str


def usual(teller: Teller) -> Logged:
    """Return a turn with a thought of 1 kB, one action, and an observation of 2 kB."""
    seen = ""
    while len(seen) < OBSERVED:
        seen += teller.thought(40) + f"\n{teller.rng.random()} s\n"
    called = teller.tools.check(teller.name())
    return Logged(teller.thought(THOUGHT_TOKENS), called.name, called.arguments, seen[:OBSERVED])


def scored(runs: Iterable[Sequence[Logged]]) -> None:
    """Make turns of runs and score them, keeping nothing."""
    for run in runs:
        turns = (turn(each.thought, (action(each.name, each.arguments),), each.observation) for each in run)
        deque(readings(turns), maxlen=0)


def seconds(runs: Sequence[Sequence[Logged]], times: int = 1) -> float:
    """Return the processor time that scoring takes, the runs taken `times` times; other work does not count."""
    began = time.process_time()
    for _ in range(times):
        scored(runs)
    return time.process_time() - began


def node_us(turns: int, rounds: int) -> float:
    """Return the processor time in µs that the graph's node takes for one turn of usual size after so many others."""
    teller, node = Teller(random.Random(0)), monitor_node()
    said: list[AnyMessage] = [HumanMessage("Go.")]
    for number in range(turns + 1):
        each = usual(teller)
        call = {"name": each.name, "args": {"text": each.arguments}, "id": str(number), "type": "tool_call"}
        said += [
            AIMessage(each.thought, tool_calls=[call], id=f"a{number}"),
            ToolMessage(each.observation, tool_call_id=str(number)),
        ]
    before = node({"messages": said[:-2]}).update
    assert isinstance(before, dict)
    began = time.process_time()
    for _ in range(rounds):
        node({"messages": said, "monitor": before["monitor"]})
    return (time.process_time() - began) / rounds * 1e6


def found_by_signals(told: Iterable[Labelled]) -> list[frozenset[str]]:
    """Return which patterns the signals flag in each."""
    return [
        frozenset(signal.pattern for signal in deque(readings(each.trajectory.turns), maxlen=1)[0].flagged)
        for each in told
    ]


async def found_by_judge(address: str, told: Sequence[Labelled]) -> list[frozenset[str] | None]:
    """Return which patterns a judge puts at the same level, or None for a run without a score."""
    room = asyncio.Semaphore(JUDGED_AT_ONCE)
    async with open_judge(address) as judge:

        async def one(each: Labelled) -> frozenset[str] | None:
            async with room:
                judged = await judge.score(each.trajectory)
            if judged.score is None:
                return None
            return frozenset(pattern for pattern, level in judged.patterns.items() if level >= FLAGGED)

        return await asyncio.gather(*map(one, told))


def grades(told: Sequence[Labelled], found: Sequence[Collection[str] | None]) -> str:
    """Return precision and recall as a table, runs without a score left out; of the patterns that were found at all or are in the rubric."""
    graded = grade([each.patterns for each in told], found)
    return table(GRADES, [_row(each) for each in graded if each.hits or each.pattern != "loops"])


def _row(g: PatternScore) -> list[str]:
    shares = ["-" if share is None else f"{share:.3f}" for share in (g.precision, g.recall)]
    return [g.pattern, str(g.there), str(g.hits), str(g.false_alarms), *shares]


def missed(told: Sequence[Labelled], found: Sequence[Collection[str]]) -> str:
    """Return the stories that are not always read as they are told."""
    total: Counter[str] = Counter(each.story for each in told)
    lost: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    for each, seen in zip(told, found, strict=True):
        lost[each.story] += not each.patterns <= set(seen)
        alarms[each.story] += not set(seen) <= each.patterns
    rows = [
        (story, str(total[story]), str(lost[story]), str(alarms[story]))
        for story in total
        if lost[story] or alarms[story]
    ]
    return table(("story", "told", "not found", "false alarm"), rows)


def measured(rounds: int, trajectories: int) -> tuple[list[str], bool]:
    """Measure the costs; returns what is to be said of them, and whether both aims are met."""
    teller = Teller(random.Random(0))
    runs = [[usual(teller) for _ in range(TURNS)] for _ in range(DIFFERENT)]
    scored(runs)
    times = [seconds([run]) / TURNS * 1e6 for run in runs * rounds]
    whole = seconds(runs, trajectories // DIFFERENT)
    low, middle, high = (sorted(times)[round(share * (len(times) - 1))] for share in (0.05, 0.5, 0.95))
    size = median(len(each.thought) + len(each.observation) for run in runs for each in run)
    return [
        f"A turn of {size / 1000:.1f} kB, recognised and scored: {middle:.1f} µs of one core, 5 % to 95 % of runs: {low:.1f} to {high:.1f} µs (aim: {AIM_US:.0f}).",
        "The node of a LangGraph graph, for one turn more: "
        + ", ".join(f"{node_us(turns, 50 * rounds):.0f} µs after {turns:,} turns" for turns in FOLLOWED)
        + ".",
        f"{trajectories:,} trajectories of {TURNS} turns, the same: {whole:.1f} s of one core (aim: {AIM_S:.0f}).",
    ], middle < AIM_US and whole < AIM_S


def main() -> None:
    parser = options(__doc__, "monitor.md")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--trajectories", type=int, default=TRAJECTORIES)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of labelled trajectories")
    parser.add_argument("--judge", metavar="URL[#MODEL]")
    given = parser.parse_args()
    costs, met = measured(given.rounds, given.trajectories)
    first = list(labelled())
    every = [each for seed in range(given.seeds) for each in labelled(seed)]
    found = found_by_signals(every)
    parts = [
        "# The monitor: what it costs, what it finds",
        origin("monitor", given.results),
        "\n".join(f"- {cost}" for cost in costs),
        f"## Signals, seed 0: {len(first)} trajectories",
        grades(first, found[: len(first)]),
        f"## Signals, seeds 0 to {given.seeds - 1}: {len(every):,} trajectories",
        grades(every, found),
        "Stories that are not always read as they are told, each told on purpose:",
        missed(every, found),
    ]
    if given.judge:
        judged = asyncio.run(found_by_judge(given.judge, first))
        left_out = f"{judged.count(None)} of them got no score and are left out"
        parts += [f"## Judge, seed 0: {len(first)} trajectories, {left_out}", grades(first, judged)]
    page = "\n\n".join(parts) + "\n"
    print(page)
    write(given.results, "monitor.md", page)
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
