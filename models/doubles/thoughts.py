"""What a thinking double writes: a script, or thoughts that go wrong and are repaired at known rates."""

import random
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from surefoot.models.base import Prompt
from surefoot.models.tags import THINK, Tags

SEPARATOR = "\n\n"
CUES = ("Wait", "Hmm", "Alternatively")

_STATED = re.compile(r"it is (\S+)\.\s")
_ASKED = re.compile(r"(answer|boxed)[^\w\n]*$", re.IGNORECASE)
_TOLD = re.compile(r"(answer|boxed)[^\w\n]*[^\n]+$", re.IGNORECASE)


class Segment(NamedTuple):
    """What a double writes in one go: a thought, or the answer."""

    text: str
    probability: float = 0.9
    """Of each of its tokens, as the log-probabilities tell it."""


Writer = Callable[[Prompt, str, random.Random], Segment | None]
"""(prompt, raw text so far, dice) -> what comes next; None: the end."""


class ScriptedThought(NamedTuple):
    """A thought of a script, and what the model would answer after it."""

    thought: str
    answer: str
    probability: float = 0.9


def scripted(steps: Sequence[ScriptedThought], *, direct: str = "?", tags: Tags = THINK) -> Writer:
    """Think these thoughts one after the other, then answer; `direct` is the answer without any thought.

    A request that closes the thinking early, or asks for "the final answer" or a "boxed" one on the side, gets the answer of
    the latest thought.
    """

    def write(prompt: Prompt, raw: str, dice: random.Random) -> Segment | None:
        thought = sum(step.thought in raw for step in steps)
        latest = steps[thought - 1] if thought else ScriptedThought("", direct)
        if (ending := _ending(raw, tags)) is not None:
            return Segment(latest.answer, latest.probability) if ending else None
        if not raw:
            return Segment(f"{tags.open}\n", 1.0)
        if thought == len(steps):
            return Segment(f"{tags.close}{SEPARATOR}", latest.probability)
        return Segment(steps[thought].thought + SEPARATOR, steps[thought].probability)

    return write


def overthinker(
    right: Callable[[Prompt], str],
    wrong: Callable[[Prompt, int], str],
    *,
    error: float = 0.3,
    repair: float = 0.5,
    ruin: float = 0.05,
    rechecks: int = 4,
    tags: Tags = THINK,
) -> Writer:
    """Think once, then check again `rechecks` times, then answer what was thought last.

    The first thought is wrong with chance `error`; a check repairs a wrong answer with chance `repair` and ruins a right
    one with chance `ruin`.  Right thoughts have a token probability of 0.95, wrong ones of 0.6.  Without any thought the
    answer is wrong with twice the chance of the first thought.
    """

    def told(prompt: Prompt, correct: bool, dice: random.Random) -> str:
        return right(prompt) if correct else wrong(prompt, dice.getrandbits(32))

    def write(prompt: Prompt, raw: str, dice: random.Random) -> Segment | None:
        if not raw:
            return Segment(f"{tags.open}\n", 1.0)
        stated = _STATED.findall(raw)
        ending = _ending(raw, tags)
        if ending is False:
            return None
        if ending:
            answer = stated[-1] if stated else told(prompt, dice.random() >= 2 * error, dice)
            return Segment(answer, _probability(answer == right(prompt)))
        if len(stated) > rechecks:
            return Segment(f"{tags.close}{SEPARATOR}")
        if not stated:
            cue, correct = "First", dice.random() >= error
        else:
            cue = dice.choice(CUES)
            correct = dice.random() >= ruin if stated[-1] == right(prompt) else dice.random() < repair
        keeps = stated and not correct and stated[-1] != right(prompt)
        answer = stated[-1] if keeps else told(prompt, correct, dice)
        return Segment(f"{cue}, I see that it is {answer}.{SEPARATOR}", _probability(correct))

    return write


def _probability(correct: bool) -> float:
    return 0.95 if correct else 0.6


def _ending(raw: str, tags: Tags) -> bool | None:
    """Return whether the answer has yet to be written (True) or is there (False); None while there is thinking to do."""
    _, closed, after = raw.rpartition(tags.close)
    if _ASKED.search(after) or (closed and not after.strip()):
        return True
    return False if closed or _TOLD.search(after) else None
