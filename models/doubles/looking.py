"""Right and wrong answers of a planner that cannot see, for sums over a bar chart of which it is told how many bars there are.

It looks at the columns that it needs, one question each, in whatever picture the question is about, and then calculates.  A caption with as many
numbers as there are bars it takes for theirs, in that order.  What it could not see, or may not ask for any more, it takes for 0.
"""

import re
from collections.abc import Mapping

from pydantic_core import from_json, to_json

from surefoot.models.base import Prompt

CANNOT_READ = "not a question that this double knows"
"""The answer to anything else."""
MOST_QUESTIONS = 3
MOST_OFF = 9
VALUE = "value?"
LEADING = "The value is 12, isn't it?"
"""A question that tells what to see."""

_PROBLEM = re.compile(
    r"A bar chart has (\d) bars, A to [A-I]\. What is \(([A-I](?: [+-] [A-I]){0,8})\) \* (\d{1,4})\?"
)
_SIZE = re.compile(r"^1\. (\d{1,5}) x (\d{1,5}) pixels$", re.MULTILINE)
_SEEN = re.compile(
    r'^- picture 1(?: \[(\d+), \d+, \d+, \d+\])?: "value(?: ([A-I]))?\?" ("[^"\n]*")$', re.MULTILINE
)
_CAPTION = re.compile(r'^- picture 1: "(?:[^"\\\n]|\\.)*+" ("(?:[^"\\\n]|\\.)*+")$', re.MULTILINE)
_NUMBER = re.compile(r"\b\d{1,5}\b", re.ASCII)
_NO_QUESTIONS = "There are no questions left"
"""What a planner is told when it has to answer."""
_HOW_SURE = '"confidence"'
"""What it is told when it has to say how sure it is."""


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


def leading_right(prompt: Prompt) -> str:
    """Ask for a column, and tell what to see there."""
    return _answer(prompt, None, focus=True, question=LEADING)


def leading_wrong(prompt: Prompt, which: int) -> str:
    """Do so wrongly."""
    return _answer(prompt, which, focus=True, question=LEADING)


def _answer(prompt: Prompt, which: int | None, *, focus: bool, question: str = VALUE) -> str:
    rules, text = ("", "") if isinstance(prompt, str) else (prompt[0].content, prompt[-1].content)
    if text == f"Question:\n{to_json(LEADING).decode()}":
        return to_json({"question": VALUE if which is None else LEADING}).decode()
    found, size = _PROBLEM.search(text), _SIZE.search(text)
    if found is None or size is None:
        return CANNOT_READ
    bars, terms, times = int(found[1]), found[2], int(found[3])
    width, height = int(size[1]) // bars, int(size[2])
    looked = _looked(text, width)
    seen = _captioned(text, bars) | {name: value for name, value in looked.items() if value is not None}
    wanted = list(dict.fromkeys(terms.split()[::2]))
    missing = [name for name in wanted if name not in seen]
    names = [name for name in missing if name not in looked][:MOST_QUESTIONS]
    if not names or _NO_QUESTIONS in rules:
        off = 0 if which is None else 1 + which % MOST_OFF
        return f"answer = {chart_answer(terms, times, dict.fromkeys(missing, 0) | seen) + off}"
    if which is not None:
        names = [chr(ord("A") + which % bars)]
    asked = [
        _look(question, name, width, height) if focus else {"question": f"value {name}?"} for name in names
    ]
    sure = {"confidence": 100 - 100 * len(missing) // len(wanted)} if _HOW_SURE in rules else {}
    return to_json({**sure, "ask": asked}).decode()


def _look(question: str, name: str, width: int, height: int) -> dict[str, object]:
    left = (ord(name) - ord("A")) * width
    return {"question": question, "region": [left, 0, left + width, height]}


def _looked(text: str, width: int) -> dict[str, int | None]:
    """Return the number that was seen at each bar that was looked at; None if there was none, or several."""
    found: dict[str, int | None] = {}
    for left, name, answer in _SEEN.findall(text):
        numbers = _NUMBER.findall(from_json(answer))
        number = (
            int(numbers[0]) if len(numbers) == 1 else None
        )  # a reader of text reads the bar's letter, too
        found[name or chr(ord("A") + int(left) // width)] = number
    return found


def _captioned(text: str, bars: int) -> dict[str, int]:
    """Return the numbers of the first description that has one for each bar."""
    for answer in _CAPTION.findall(text):
        numbers = _NUMBER.findall(from_json(answer))
        if len(numbers) == bars:
            return {chr(ord("A") + place): int(number) for place, number in enumerate(numbers)}
    return {}
