"""Right and wrong answers to what an action chain asks, for chains of sums and products with one operation a step, found in the question."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from pydantic_core import from_json, to_json

from surefoot.models.base import Prompt

CANNOT_READ = "not a chain that this double knows"
"""The answer to anything else."""
MOST_OFF = 9

_PROBLEM = re.compile(
    r"Take (\d{1,9})\. Then, one after the other: ([+*-] \d{1,4}(?:, [+*-] \d{1,4}){0,199})\. What is the result\?"
)
_STEP = re.compile(r"(?:\d{1,3}\. )?(\{.*\})")

Asked = Literal["next step", "a right step taken back", "right steps", "bad steps", "two steps", "unknown"]
"""What a question is about; skills differ by it."""


class _Taken(NamedTuple):
    """A step as the prompt shows it."""

    text: str
    result: int
    final: bool


class _Chain(NamedTuple):
    """A problem, and how far it has come."""

    start: int
    operations: tuple[tuple[str, int], ...]
    steps: tuple[_Taken, ...]

    def value(self, taken: int) -> int:
        """The number after so many of the steps, right or wrong."""
        return self.steps[taken - 1].result if taken else self.start

    def after(self, taken: int, off: int = 0) -> _Taken:
        """The right next step after so many; `off` is what is misread of its number."""
        value = self.value(taken)
        if taken >= len(self.operations):
            return _Taken("", value, True)
        sign, number = self.operations[taken]
        number += off
        result = value * number if sign == "*" else value + (number if sign == "+" else -number)
        return _Taken(f"{value} {sign} {number}", result, False)

    def first_bad(self) -> int | None:
        """The first step that does not follow, from 1."""
        for place, step in enumerate(self.steps):
            if not _same(step, self.after(place)):
                return place + 1
        return None


def chain_problem(start: int, operations: Sequence[str]) -> str:
    """Write a problem that this double knows; `operations` such as `+ 8`, done one after the other."""
    return f"Take {start}. Then, one after the other: {', '.join(operations)}. What is the result?"


def chain_answer(start: int, operations: Sequence[str]) -> int:
    """Return the right answer."""
    chain = _Chain(start, _operations(", ".join(operations)), ())
    for place in range(len(operations)):
        chain = chain._replace(steps=(*chain.steps, chain.after(place)))
    return chain.value(len(operations))


def action_right(prompt: Prompt) -> str:
    """Answer what an action chain asks; `CANNOT_READ` where that cannot be."""
    chain, shown = _read(prompt)
    if chain is None:
        return CANNOT_READ
    if _verifies(prompt):
        bad = chain.first_bad()
        return '{"ok": true}' if bad is None else _found(bad)
    right = chain.after(len(chain.steps))
    if len(shown) == 2:
        return f"choice = {_better(shown, right) + 1}"
    return _written(right)


def action_wrong(prompt: Prompt, which: int) -> str:
    """Answer it wrongly, but in form."""
    chain, shown = _read(prompt)
    if chain is None:
        return CANNOT_READ
    if _verifies(prompt):
        clear = chain.first_bad() is None and chain.steps
        return _found(1 + which % len(chain.steps)) if clear else '{"ok": true}'
    taken, off = len(chain.steps), 1 + which // 2 % MOST_OFF
    if len(shown) == 2:
        return f"choice = {2 - _better(shown, chain.after(taken))}"
    right = chain.after(taken)
    misread = not right.final and which % 2 and chain.after(taken, off).result != right.result
    return _written(chain.after(taken, off) if misread else right._replace(result=right.result + off))


def asked(prompt: Prompt) -> Asked:
    """Say what kind of question it is."""
    chain, shown = _read(prompt)
    if chain is None:
        return "unknown"
    if _verifies(prompt):
        return "right steps" if chain.first_bad() is None else "bad steps"
    if len(shown) == 2:
        return "two steps"
    doubted = bool(shown) and _same(shown[0], chain.after(len(chain.steps)))
    return "a right step taken back" if doubted else "next step"


def _verifies(prompt: Prompt) -> bool:
    return not isinstance(prompt, str) and "You verify how a problem is being solved" in prompt[0].content


def _read(prompt: Prompt) -> tuple[_Chain | None, list[_Taken]]:
    """Return the chain, and the steps beside it: one that was taken back, or two to choose among."""
    text = "" if isinstance(prompt, str) or not prompt else prompt[-1].content
    told, _, rest = text.removeprefix("Problem:\n").partition("\n\nSteps:\n")
    found, (stand, _, beside) = _PROBLEM.fullmatch(told), rest.partition("\n\n")
    if found is None:
        return None, []
    with suppress(ValueError, KeyError, TypeError):
        title, _, ways = beside.partition("\n")
        shown = _steps(ways) if title in ("Taken back:", "Next:") else []
        return _Chain(int(found[1]), _operations(found[2]), tuple(_steps(stand))), shown
    return None, []


def _steps(lines: str) -> list[_Taken]:
    return [_taken(each[1]) for line in lines.splitlines() if (each := _STEP.fullmatch(line))]


def _taken(line: str) -> _Taken:
    step = from_json(line)
    if step["action"] == "answer":
        return _Taken("", int(step["answer"]), True)
    return _Taken(step["step"], int(step["result"]), False)


def _operations(text: str) -> tuple[tuple[str, int], ...]:
    pairs = (each.split() for each in text.split(", ")) if text else ()
    return tuple((sign, int(number)) for sign, number in pairs)


def _same(step: _Taken, right: _Taken) -> bool:
    return (step.result, step.final) == (right.result, right.final)


def _better(shown: Sequence[_Taken], right: _Taken) -> int:
    """Return the place of the right one; where neither is, always the same one, wherever it stands."""
    good = [place for place, step in enumerate(shown) if _same(step, right)]
    return good[0] if good else shown.index(min(shown))


def _found(bad: int) -> str:
    return to_json({"ok": False, "first_bad_step": bad, "why": "it does not follow"}).decode()


def _written(step: _Taken) -> str:
    fields = {"action": "answer", "answer": str(step.result)}
    if not step.final:
        fields = {"action": "continue", "step": step.text, "result": str(step.result)}
    return to_json(fields).decode()
