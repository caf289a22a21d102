"""How the answers of parts become the answer of the whole, where a program knows how: nothing is asked, and nothing can go wrong in it.

    formula        arithmetic over {1}, {2}, ..., exact
    concatenate    lists one after the other; texts a line each
    merge          lists of numbers, each from the smallest to the largest, become one

For everything else somebody is asked.
"""

import ast
import heapq
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any, Literal

from surefoot.voting.flags import NotAnAnswer

from .normal_forms import MOST_DIGITS, as_json, as_number, json_of, written

Combine = Literal["formula", "concatenate", "merge", "ask"]

LONGEST_FORMULA = 500
"""Characters: few enough for Python to walk through whatever is nested in them."""

_TOKEN = re.compile(r"\{(\d{1,2})\}|(\d++(?:\.\d*+)?|\.\d++)", re.ASCII)
_ALLOWED = re.compile(r"(?:\{\d{1,2}\}|[\d\s.+\-*/%()])*+", re.ASCII)
_NAME = re.compile(r"_([pn])(\d++)", re.ASCII)
_OPERATORS: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
    ast.Mod: operator.mod,
}


def read_formula(formula: str, parts: int) -> str:
    """Return the one form of a formula; raises `NotAnAnswer` for what is no arithmetic over all the parts' numbers, and nothing else."""
    tree, numbers = _parsed(formula, parts)
    with suppress(ZeroDivisionError):  # of these numbers; others may do
        _evaluated(tree, {**numbers, **{f"_p{part}": Fraction(1) for part in range(1, parts + 1)}})

    def back(name: re.Match[str]) -> str:
        return f"{{{name[2]}}}" if name[1] == "p" else written(numbers[name[0]])

    try:
        return _NAME.sub(back, ast.unparse(tree))
    except RecursionError:
        raise NotAnAnswer("a formula that is nested too deeply") from None


def combined(combine: Combine, formula: str, answers: Sequence[str]) -> str | None:
    """Return the answer of the whole; None where a program does not know it, or the answers are not of the kind that it needs."""
    try:
        match combine:
            case "formula":
                tree, numbers = _parsed(formula, len(answers))
                given = {f"_p{part}": as_number(each) for part, each in enumerate(answers, 1)}
                return written(_evaluated(tree, {**numbers, **given}))
            case "merge":
                return json_of(list(heapq.merge(*map(_numbers, answers))))
            case "concatenate":
                return _joined(answers)
            case "ask":
                return None
    except (NotAnAnswer, ZeroDivisionError):
        return None


def _parsed(formula: str, parts: int) -> tuple[ast.expr, dict[str, Fraction]]:
    """Return a tree of operators and names, and the numbers that some of the names stand for, so that all of them are exact."""
    if len(formula) > LONGEST_FORMULA or not _ALLOWED.fullmatch(formula):
        raise NotAnAnswer("a formula has numbers, {1}, {2}, ..., + - * / // % ** and parentheses")
    numbers: dict[str, Fraction] = {}
    used: set[int] = set()

    def name(token: re.Match[str]) -> str:
        if token[1]:
            used.add(int(token[1]))
            return f" _p{int(token[1])} "
        numbers[name := f"_n{len(numbers)}"] = as_number(token[2])
        return f" {name} "

    named = _TOKEN.sub(name, formula).strip()
    if used != set(range(1, parts + 1)):
        raise NotAnAnswer(f"the formula has not each of {{1}} to {{{parts}}}")
    try:
        return ast.parse(named, mode="eval").body, numbers
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotAnAnswer(f"the formula cannot be read: {str(error)[:100]}") from None


def _evaluated(tree: ast.expr, numbers: Mapping[str, Fraction]) -> Fraction:
    try:
        return _value(tree, numbers)
    except RecursionError:
        raise NotAnAnswer("a formula that is nested too deeply") from None


def _value(node: ast.expr, numbers: Mapping[str, Fraction]) -> Fraction:
    match node:
        case ast.Name(id=name):
            return numbers[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, numbers)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, numbers)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left, numbers), _value(right, numbers))
        case ast.BinOp(left=left, op=op, right=right):
            return _bounded(_OPERATORS[type(op)](_value(left, numbers), _value(right, numbers)))
    raise NotAnAnswer("the formula is no arithmetic")


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    digits = max(abs(base.numerator), base.denominator).bit_length() // 3
    if exponent.denominator != 1 or abs(exponent) * max(digits, 1) > MOST_DIGITS:
        raise NotAnAnswer("a power that is no whole number, or too large")
    return _bounded(base ** int(exponent))


def _bounded(value: Fraction) -> Fraction:
    if max(abs(value.numerator), value.denominator).bit_length() > 4 * MOST_DIGITS:
        raise NotAnAnswer(f"a number of more than {MOST_DIGITS:,} digits")
    return value


def _numbers(text: str) -> list[Fraction]:
    value = as_json(text)
    if not isinstance(value, list) or not all(isinstance(each, Fraction) for each in value):
        raise NotAnAnswer("no list of numbers")
    if value != sorted(value):
        raise NotAnAnswer("a list that is not sorted")
    return value


def _joined(answers: Sequence[str]) -> str:
    lists: list[Any] = []
    for each in answers:
        try:
            value = as_json(each)
        except NotAnAnswer:
            if each.lstrip().startswith("["):
                raise  # a list that cannot be read
            return "\n".join(answers)
        if not isinstance(value, list):
            return "\n".join(answers)
        lists += value
    return json_of(lists)
