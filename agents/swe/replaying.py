"""Recorded acts made again, and what came of them beside what is recorded.

    replay = await replayed(recording.acts, do)      # do(call) makes a call and returns its output and exit code
    replay.faithful                                  # nothing came out otherwise

Two outputs are *alike* if they are equal once what changes from run to run is masked: durations, dates and times, addresses,
process ids, temporary names, the ids of new commits (they depend on the time), and the lines that pytest draws around a
duration.  Nothing else: an order that changes is a difference.
"""

import re
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Literal, NamedTuple

from surefoot.models.offers import Call

from .recorded import RecordedAct

Kind = Literal["same", "alike", "unrecorded", "code", "differs"]
"""Letter for letter; but for what changes from run to run; nothing to compare with; another exit code; another output."""
TIME_UP = -1
"""The exit code that trajectories have where a command's time was up."""
SIGNALLED = 128
"""What shells add to the number of the signal that ended a command; Python writes it as a negative code."""
MOST_DIFFERENCES = 100
LONGEST_EXCERPT, BEFORE = 240, 60
"""Characters of an excerpt, and those of them before the first difference."""
MOST_LINES = 5
"""Of an excerpt."""
_BLOCK = 4096

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = r"(?:[01]?\d|2[0-3]):[0-5]\d:[0-5]\d(?:[.,]\d{1,9})?"
_ZONE = r"(?:[ ]?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"
_UNIT = "(?:s|sec|secs|seconds?|ms|msecs?|milliseconds?|us|µs|μs|microseconds?|ns|nanoseconds?|min|mins|minutes?|h|hours?)"
# No part can run on without limit, and none that begins in the middle of a word or a number is tried: linear on any text.
_CHANGING = re.compile(
    rf"""
      (?P<commit>   ^\[[\w./-]{{1,100}}(?:[ ]\(root-commit\))?[ ][0-9a-f]{{7,64}}\] )
    | (?P<line>     (?<!=)={{3,}} )
    | (?P<address>  (?<!\w)0x[0-9a-fA-F]{{8,16}}\b )
    | (?P<temporary>(?<!\w)(?: tmp[a-z0-9_]{{8}} | tmp\.[A-Za-z0-9]{{6,12}} | pytest-of-[\w.-]{{1,64}}/pytest-\d{{1,9}} )\b )
    | (?P<process>  (?<![^\W_])(?:[Pp][Ii][Dd]|[Pp]rocess[ ][Ii][Dd])[ ]?[=:\#]?[ ]?\d{{1,9}}\b
                  | (?<=:[ ])[ ]{{0,5}}\d{{1,9}}[ ](?=Aborted|Bus|Floating|Hangup|Illegal|Killed|Segmentation|Terminated) )
    | (?P<time>     (?<![\w.:-])(?:
                      \d{{4}}-\d\d-\d\d(?:[T ]{_CLOCK}{_ZONE}|[ ](?:[01]\d|2[0-3]):[0-5]\d)?
                    | (?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?[ ])?
                      (?:{_MONTH}[ ]{{1,2}}\d{{1,2}}|\d{{1,2}}[ ]{_MONTH}[ ]\d{{4}})
                      ,?(?:[ ]{{1,2}}(?:{_CLOCK}{_ZONE}|\d\d:\d\d))?(?:[ ]{{1,2}}\d{{4}}\b)?{_ZONE}
                    | {_CLOCK}{_ZONE}
                    | 1[5-9]\d{{8}}(?:\.\d{{1,9}})?
                    )(?!\w) )
    | (?P<duration> (?<![\w.])(?:\d{{1,9}}[hm][ ]?){{0,2}}\d{{1,9}}(?:\.\d{{1,9}})?(?:e-\d\d)?[ ]?{_UNIT}\b )
    """,
    re.VERBOSE | re.MULTILINE,
)


class Difference(NamedTuple):
    """An act that came out otherwise."""

    number: int
    """Of the act, from 1."""
    call: Call
    kind: Literal["code", "differs"]
    expected: str
    """Of the recorded output, an excerpt from where the two part; what changes from run to run is masked."""
    seen: str
    expected_code: int | None
    seen_code: int | None


class Replayed(NamedTuple):
    """What came of making acts again."""

    acts: int
    kinds: dict[Kind, int]
    """How many acts came out so; kinds that did not occur are absent."""
    differing: tuple[Difference, ...]
    """The first `MOST_DIFFERENCES` of those with another exit code or output."""

    @property
    def faithful(self) -> bool:
        """Whether every act came out as recorded, as far as that is recorded."""
        return not self.kinds.get("code") and not self.kinds.get("differs")


async def replayed(
    acts: AsyncIterable[RecordedAct] | Iterable[RecordedAct],
    do: Callable[[Call], Awaitable[tuple[str, int | None]]],
) -> Replayed:
    """Make recorded acts again, one after another, and compare what comes of them with what is recorded.

    `do` makes a call and returns its output and exit code, None where it has none or its time was up; what it raises ends the
    replay.
    """
    kinds: Counter[Kind] = Counter()
    differing: list[Difference] = []
    async for act in _each(acts):
        output, code = await do(act.call)
        kind = compare(act, output, code)
        kinds[kind] += 1
        if kind in ("code", "differs") and len(differing) < MOST_DIFFERENCES:
            expected, seen = apart(act.output or "", output)
            differing.append(Difference(kinds.total(), act.call, kind, expected, seen, act.code, code))
    return Replayed(kinds.total(), dict(kinds), tuple(differing))


def compare(act: RecordedAct, output: str, code: int | None) -> Kind:
    """Say how an output and an exit code are beside those of a recorded act; takes time linear in the lengths."""
    if act.output is None and act.code is None:
        return "unrecorded"
    if not _same_code(act.code, code):
        return "code"
    if act.output is None or act.output == output:
        return "same"
    recorded, seen = act.output.split("\n"), output.split("\n")
    place = _parting_line(recorded, seen)
    if place == len(recorded) == len(seen):
        return "alike"
    if act.code == TIME_UP and code is None and _goes_on(recorded, seen, place):
        return "alike"
    return "differs"


def masked(text: str) -> str:
    """Return a text with what changes from run to run replaced by what it is: `⟨duration⟩`."""
    return _CHANGING.sub(lambda found: f"⟨{found.lastgroup}⟩", text)


def _same_code(recorded: int | None, seen: int | None) -> bool:
    if recorded is None or recorded == seen:
        return True
    if seen is None:
        return recorded == TIME_UP
    return recorded < 0 and seen == SIGNALLED - recorded


def _parting_line(one: list[str], other: list[str]) -> int:
    """Return how many lines at the beginning are alike.  No mask reaches over a line's end: equal lines need none."""
    for number, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right and masked(left) != masked(right):
            return number
    return min(len(one), len(other))


def _goes_on(one: list[str], other: list[str], place: int) -> bool:
    """Say whether one output begins with the other: how much a command had printed when its time was up is chance."""
    shorter, longer = (one, other) if len(one) <= len(other) else (other, one)
    if place < len(shorter) - 1:
        return False
    return masked(longer[len(shorter) - 1]).startswith(masked(shorter[-1])) or (
        len(one) == len(other) and masked(shorter[-1]).startswith(masked(longer[-1]))
    )


def apart(recorded: str, output: str) -> tuple[str, str]:
    """Return excerpts of two texts from where they part."""
    one, other = recorded.split("\n"), output.split("\n")
    first = _parting_line(one, other)
    left, right = (masked("\n".join(lines[first : first + MOST_LINES])) for lines in (one, other))
    place = _parting(left, right)
    return _excerpt(left, place, first > 0), _excerpt(right, place, first > 0)


def _parting(one: str, other: str) -> int:
    """Return the first place where two texts are different."""
    place, longest = 0, min(len(one), len(other))
    while place < longest and one[place : place + _BLOCK] == other[place : place + _BLOCK]:
        place += _BLOCK
    place = min(place, longest)
    while place < longest and one[place] == other[place]:
        place += 1
    return place


def _excerpt(text: str, place: int, begun: bool) -> str:
    start = max(place - BEFORE, 0)
    end = start + LONGEST_EXCERPT
    before = "..." if start else "...\n" if begun else ""
    return f"{before}{text[start:end]}{'...' if end < len(text) else ''}"


async def _each(acts: AsyncIterable[RecordedAct] | Iterable[RecordedAct]) -> AsyncIterator[RecordedAct]:
    if isinstance(acts, AsyncIterable):
        async for act in acts:
            yield act
    else:
        for act in acts:
            yield act
