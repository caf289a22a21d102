"""How a problem was made smaller as a flowchart in Mermaid's language.

    flowchart TD
        n0["What is 734 #42; 902?<br/>#61; 662068<br/>#123;1#125; #42; 10 #43; #123;2#125;<br/>12 votes, 3,456 tokens"]
        n1["What is 734 #42; 90?<br/>#61; 66060<br/>8 votes, 1,200 tokens"]
        n0 -->|"1"| n1

A problem without an answer is round at its ends.  Mermaid gives a meaning to nearly every mark, in quotes too (HTML, Markdown, TeX, its own
directives), so that of outside text only letters, digits, blanks and a few harmless marks stay as they are: all else is written by its number.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from surefoot.printable import printable
from surefoot.voting.samples import NOTHING, Usage

from .trees import Branch, Place

SHOWN = 80
"""Characters of a problem, an answer or a formula."""
_HARMLESS = frozenset(" ,?")
_MERMAIDS_OWN = frozenset("ﬂß")
"""Letters that stand for an entity within Mermaid; the other two of them, ° and ¶, are none."""


class NodeCost(NamedTuple):
    """What a problem's own steps have taken: how to make it smaller, which way, its answer; not those of its parts."""

    votes: int = 0
    usage: Usage = NOTHING


def flowchart(whole: Branch, costs: Mapping[Place, NodeCost]) -> str:
    """Draw a problem and all below it, each with its answer, how those of its parts become it, and what it cost.

    Mermaid draws no more than 500 edges and 50,000 characters unless it is told to, `maxEdges` and `maxTextSize`.
    """
    names = {place: f"n{number}" for number, (place, _) in enumerate(whole.walk())}
    lines = ["flowchart TD"]
    for place, branch in whole.walk():
        opened, closed = ("[", "]") if branch.answer is not None else ("([", "])")
        label = "<br/>".join(_label(branch, costs.get(place)))
        lines.append(f'    {names[place]}{opened}"{label}"{closed}')
        if place:
            lines.append(f'    {names[place[:-1]]} -->|"{place[-1] + 1}"| {names[place]}')
    return "\n".join(lines)


def _label(branch: Branch, cost: NodeCost | None) -> Iterator[str]:
    yield escaped(branch.problem)
    if branch.answer:  # an outline alone has none
        yield escaped(f"= {branch.answer}")
    if branch.parts and branch.split is not None:
        yield escaped(branch.split.formula or branch.split.combine)
    if cost is not None:
        tokens = cost.usage.known("total")
        yield f"{cost.votes:,} votes, {'unknown' if tokens is None else f'{tokens:,}'} tokens"


def escaped(text: str) -> str:
    """Return a text on one line, cut, in which nothing means anything to Mermaid, and nothing hides or turns what follows."""
    words = printable(" ".join(text[: 10 * SHOWN].split()))
    shown = words if len(words) <= SHOWN and len(text) <= 10 * SHOWN else f"{words[: SHOWN - 1]}…"
    return "".join(map(_character, shown))


def _character(one: str) -> str:
    kept = (one.isalnum() and one not in _MERMAIDS_OWN) or one in _HARMLESS
    return one if kept else f"#{ord(one)};"
