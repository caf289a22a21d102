"""Right and wrong answers to the compact text of a Towers of Hanoi step, for the towers double.

Written on the text itself rather than with the strict parser: benches call this once a step and time everything else.
"""

import re
from collections.abc import Sequence

from surefoot.models.base import Prompt
from surefoot.tools.towers import compact

CANNOT_READ = "not a compact prompt"
"""The answer to anything else."""

_COMPACT = re.compile(r"(...);A(?!BC[>?])([^ABC]*)B([^ABC]*)C([^ABC]*)([>?])")
_RANK = {name: rank for rank, name in enumerate(compact.DISK_NAMES)} | {"": len(compact.DISK_NAMES)}
"""An empty peg comes last."""


def towers_right(prompt: Prompt) -> str:
    """Answer a compact prompt by the rule, or `CANNOT_READ`.

    Unless disk 1 has just moved it goes one peg on, A -> B -> C -> A; otherwise the only other legal move is made.
    """
    found = _read(prompt)
    if found is None:
        return CANNOT_READ
    previous, pegs, full = found
    tops = [_RANK[peg[:1]] for peg in pegs]
    smallest = tops.index(min(tops))
    one, other = (smallest + 1) % 3, (smallest + 2) % 3
    if previous[0] != compact.DISK_NAMES[0]:
        return _answer(pegs, smallest, one, full)
    source, target = (one, other) if tops[one] <= tops[other] else (other, one)
    return _answer(pegs, source, target, full)


def towers_wrong(prompt: Prompt, which: int) -> str:
    """Answer a compact prompt wrongly but in form: another move, legal or not, or a board that does not follow."""
    found = _read(prompt)
    if found is None:
        return CANNOT_READ
    _, pegs, full = found
    right = towers_right(prompt)
    moves = [
        (source, target) for source in range(3) if pegs[source] for target in range(3) if target != source
    ]
    answers = [_answer(pegs, source, target, full) for source, target in moves]
    if full:
        stale = ";" + _write(pegs)
        answers += [answer[: -len(stale)] + stale for answer in answers]
    wrong = [answer for answer in answers if answer != right]
    return wrong[which % len(wrong)]


def _read(prompt: Prompt) -> tuple[str, tuple[str, str, str], bool] | None:
    """Split a compact prompt into the previous move, the pegs (top first) and whether the full answer is wanted; None if it is none."""
    match = _COMPACT.fullmatch(prompt if isinstance(prompt, str) else prompt[-1].content)
    if match is None:
        return None
    previous, a, b, c, mark = match.groups()
    return previous, (a, b, c), mark == compact.FULL


def _answer(pegs: Sequence[str], source: int, target: int, full: bool) -> str:
    disk = pegs[source][:1]
    move = disk + compact.PEG_NAMES[source] + compact.PEG_NAMES[target]
    if not full:
        return move
    after = list(pegs)
    after[source] = pegs[source][1:]
    after[target] = disk + pegs[target]
    return f"{move};{_write(after)}"


def _write(pegs: Sequence[str]) -> str:
    return f"A{pegs[0]}B{pegs[1]}C{pegs[2]}"
