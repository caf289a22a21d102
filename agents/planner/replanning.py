"""Another way to make a problem smaller, after one that did not get to an answer: what is answered stays, and what is known is told.

A part on which no answer came to lead is opened again with a hint, and made smaller; one that was opened again before stays as it is, and the
problem that it is a part of is opened again.
"""

from collections.abc import Mapping

from surefoot.printable import printable

from .outlines import Outline
from .prompts import shown
from .state import GoalState
from .trees import Place

NAMED = 5
"""So many answers that stood against one another are named in a hint."""
LONGEST_NAMED = 200
"""Characters of each."""
LONGEST_HINT = 4000


def known(state: GoalState, before: Outline) -> Outline:
    """Return what is decided and answered at a state, with the hints that `before`, the outline gone by, has for what is still open."""
    found = Outline.of(state, answers=True)
    for place, leaf in before.open_leaves():
        if leaf.hint and found.has(place) and found.at(place) == Outline(leaf.problem):
            found = found.put(place, leaf)
    return found


def reopened(
    outline: Outline, place: Place, state: GoalState, tally: Mapping[str, int], before: Outline
) -> tuple[Place, Outline]:
    """Return the outline to go on by after nothing was agreed on at `place`, the last node of `state`; and which place it opens again.

    `tally` has the votes of each candidate, as `Goal.show` writes it (`Report.stall`); `before` is the outline gone by.
    """
    tried = before.at(place).hint if before.has(place) else ""
    if tried and place:
        place = place[:-1]
        told = f"One of these parts could not be answered: {'; '.join(_cut(part.problem) for part in outline.at(place).parts)}."
    else:
        told = f"{tried} {_told(state, tally)}"
    return place, _hinted(outline, place, told)


def rejected(outline: Outline, answer: str, why: str) -> Outline:
    """Return the outline to go on by after the answer of the whole was found wrong: nothing else is kept."""
    return _hinted(outline, (), f"{outline.hint} The answer {_cut(answer)} was found wrong: {_cut(why)}.")


def _hinted(outline: Outline, place: Place, hint: str) -> Outline:
    return outline.put(place, Outline(outline.at(place).problem, hint=hint[-LONGEST_HINT:].strip()))


def _told(state: GoalState, tally: Mapping[str, int]) -> str:
    """Say what was tried, in words that help whoever is asked next."""
    first = sorted(tally.items(), key=lambda each: -each[1])[:NAMED]
    votes = ", ".join(f"{_cut(answer)} ({count} votes)" for answer, count in first) or "none in form"
    node = state.nodes[-1]
    match state.stage:
        case "solve":
            return f"Asked for as it is, its answer was not agreed on: {votes}.  Make the problem smaller."
        case "compose":
            assert node.split is not None
            known = "; ".join(
                f"{_cut(part)} -> {_cut(answer)}"
                for part, answer in zip(node.split.parts, node.answers, strict=True)
            )
            return f"Its parts were answered, and what they make was not agreed on: {votes}.  The parts: {known}."
        case _:
            ways = "; ".join(_cut(shown(way)) for way in dict.fromkeys(state.proposals[:NAMED]))
            said = f"  Some ways that were proposed: {ways}." if ways else ""
            return f"How to make it smaller was not agreed on.{said}"


def _cut(text: str) -> str:
    words = printable(" ".join(text[: 4 * LONGEST_NAMED].split()))
    return words if len(words) <= LONGEST_NAMED else f"{words[: LONGEST_NAMED - 1]}…"
