"""Right and wrong answers of a planner that cannot see, for sums over a bar chart of which it is told how many bars there are.

It looks at the columns that it needs, one question each, in whatever picture the question is about, and then calculates.
"""

import re
from collections.abc import Mapping

from pydantic_core import from_json, to_json

from surefoot.models.base import Prompt

CANNOT_READ = "not a question that this double knows"
"""The answer to anything else."""
MOST_QUESTIONS = 3
MOST_OFF = 9

_PROBLEM = re.compile(
    r"A bar chart has (\d) bars, A to [A-I]\. What is \(([A-I](?: [+-] [A-I]){0,8})\) \* (\d{1,4})\?"
)
_SIZE = re.compile(r"^1\. (\d{1,5}) x (\d{1,5}) pixels$", re.MULTILINE)
_SEEN = re.compile(
    r'^- picture 1(?: \[(\d+), \d+, \d+, \d+\])?: "value(?: ([A-I]))?\?" ("[^"\n]*")$', re.MULTILINE
)


def chart_problem(bars: int, terms: str, times: int) -> str:
    """Write a problem that this double knows; `terms` such as `A + C - B`."""
    return f"A bar chart has {bars} bars, A to {chr(ord('A') + bars - 1)}. What is ({terms}) * {times}?"


def chart_answer(terms: str, times: int, values: Mapping[str, int]) -> int:
    """Return the right answer."""
    words = terms.split()
    signs = [1, *(1 if word == "+" else -1 for word in words[1::2])]
    return times * sum(sign * values[name] for sign, name in zip(signs, words[::2], strict=True))


def looking_right(prompt: Prompt) -> str:
    """Ask for a column that has not been looked at, or answer."""
    return _answer(prompt, None, focus=True)


def looking_wrong(prompt: Prompt, which: int) -> str:
    """Miscalculate, or look at another column."""
    return _answer(prompt, which, focus=True)


def naming_right(prompt: Prompt) -> str:
    """Ask about the whole picture, the bar by its name."""
    return _answer(prompt, None, focus=False)


def naming_wrong(prompt: Prompt, which: int) -> str:
    """Do so wrongly."""
    return _answer(prompt, which, focus=False)


def _answer(prompt: Prompt, which: int | None, *, focus: bool) -> str:
    text = "" if isinstance(prompt, str) else prompt[-1].content
    found, size = _PROBLEM.search(text), _SIZE.search(text)
    if found is None or size is None:
        return CANNOT_READ
    bars, terms, times = int(found[1]), found[2], int(found[3])
    width, height = int(size[1]) // bars, int(size[2])
    seen = _seen(text, width)
    missing = [name for name in dict.fromkeys(terms.split()[::2]) if name not in seen][:MOST_QUESTIONS]
    if not missing:
        off = 0 if which is None else 1 + which % MOST_OFF
        return f"answer = {chart_answer(terms, times, seen) + off}"
    if which is not None:
        missing = [chr(ord("A") + which % bars)]
    asked = [_look(name, width, height) if focus else {"question": f"value {name}?"} for name in missing]
    return to_json({"ask": asked}).decode()


def _look(name: str, width: int, height: int) -> dict[str, object]:
    left = (ord(name) - ord("A")) * width
    return {"question": "value?", "region": [left, 0, left + width, height]}


def _seen(text: str, width: int) -> dict[str, int]:
    found = {}
    for left, name, answer in _SEEN.findall(text):
        said = from_json(answer)
        if said.isascii() and said.isdigit():
            found[name or chr(ord("A") + int(left) // width)] = int(said)
    return found
