"""How the acceptance of a draft grows with its size and with the tokens that it was trained on.

Scylla (arXiv 2505.07858) finds acceptance log-linear in both.  A share cannot grow without end, so a law of its odds or of what is rejected,
or one with a bend, may fit better: `chosen_law` finds out on the drafts that it is given, and on no others.

    form          linear in the terms      acceptance
    log-linear    a                        as the paper has it
    odds          ln(a / (1 - a))          never leaves 0..1
    rejection     ln(1 - a)                what is rejected falls by powers of size and tokens, as losses do
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import mul
from statistics import fmean
from typing import NamedTuple

from surefoot.errors import BadInput


class DraftPoint(NamedTuple):
    """What was measured of one draft."""

    parameters: float
    tokens: float
    acceptance: float
    """The mean over positions of the sum over tokens of min(target's chance, draft's chance)."""


class _Link(NamedTuple):
    """Between acceptance and what is linear in the terms."""

    linear: Callable[[float], float]
    acceptance: Callable[[float], float]


FORMS = {
    "log-linear": _Link(lambda a: a, lambda x: min(1.0, max(0.0, x))),
    "odds": _Link(lambda a: math.log(a / (1 - a)), lambda x: 1 / (1 + math.exp(min(-x, 700.0)))),
    "rejection": _Link(lambda a: math.log(1 - a), lambda x: 1 - math.exp(min(x, 0.0))),
}
TERMS: dict[str, Callable[[float, float], float]] = {
    "1": lambda size, trained: 1.0,
    "size": lambda size, trained: size,
    "tokens": lambda size, trained: trained,
    "size x tokens": lambda size, trained: size * trained,
    "tokens^2": lambda size, trained: trained * trained,
}
"""Of the natural logarithms of parameters and tokens."""
PLAIN = ("1", "size", "tokens")
"""The terms of the paper's law."""
CHOICES = (PLAIN, (*PLAIN, "size x tokens"), (*PLAIN, "tokens^2"), tuple(TERMS))


@dataclass(frozen=True)
class AcceptanceLaw:
    """One of FORMS, some of TERMS, and a coefficient for each."""

    form: str
    terms: tuple[str, ...]
    coefficients: tuple[float, ...]

    def acceptance(self, parameters: float, tokens: float) -> float:
        """Return the acceptance, 0 to 1, of a draft of so many parameters that was trained on so many tokens."""
        row = _row(self.terms, parameters, tokens)
        return FORMS[self.form].acceptance(sum(map(mul, self.coefficients, row)))

    def errors(self, points: Iterable[DraftPoint]) -> list[float]:
        """Return what the law says of each draft less what was measured."""
        return [self.acceptance(point.parameters, point.tokens) - point.acceptance for point in points]


def fitted_law(points: Sequence[DraftPoint], form: str, terms: Sequence[str] = PLAIN) -> AcceptanceLaw:
    """Fit a law by least squares in what it is linear in; raises `BadInput` for too few drafts, or drafts too much alike."""
    if form not in FORMS:
        raise BadInput(f"a law is one of {', '.join(FORMS)}, not {form!r}")
    for point in points:
        if not (0 < point.parameters < math.inf and 0 < point.tokens < math.inf and 0 < point.acceptance < 1):
            raise BadInput(
                f"a draft has parameters, tokens and an acceptance between 0 and 1, not {tuple(point)!r}"
            )
    if len(points) < len(terms):
        raise BadInput(f"a law of {len(terms)} terms needs as many drafts, not {len(points)}")
    rows = [_row(terms, point.parameters, point.tokens) for point in points]
    values = [FORMS[form].linear(point.acceptance) for point in points]
    return AcceptanceLaw(form, tuple(terms), tuple(_least_squares(rows, values)))


def chosen_law(points: Sequence[DraftPoint]) -> AcceptanceLaw:
    """Fit the form and the terms that foretell each of these drafts best by the others; of equally good ones the first of FORMS and CHOICES."""
    kinds = [
        (form, terms) for terms in CHOICES for form in FORMS if len(terms) + 1 < len(points) or terms == PLAIN
    ]
    form, terms = min(kinds, key=lambda kind: round(left_out(points, *kind), 6))
    return fitted_law(points, form, terms)


def left_out(points: Sequence[DraftPoint], form: str, terms: Sequence[str] = PLAIN) -> float:
    """Return the mean absolute error of laws fitted to all drafts but one, at that one."""
    others = ([*points[:n], *points[n + 1 :]] for n in range(len(points)))
    return fmean(
        abs(fitted_law(rest, form, terms).errors([point])[0])
        for rest, point in zip(others, points, strict=True)
    )


def _row(terms: Iterable[str], parameters: float, tokens: float) -> list[float]:
    size, trained = math.log(parameters), math.log(tokens)
    return [TERMS[term](size, trained) for term in terms]


def _least_squares(rows: Sequence[Sequence[float]], values: Sequence[float]) -> list[float]:
    """Return the coefficients of the least squares, by Gram and Schmidt: normal equations would square what rounding costs."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    basis: list[list[float]] = []
    upper: list[list[float]] = []
    for column in columns:
        left, parts = column, []
        for one in basis:
            part = _dot(one, left)
            left = [a - part * b for a, b in zip(left, one, strict=True)]
            parts.append(part)
        size = math.sqrt(_dot(left, left))
        if size <= 1e-9 * math.sqrt(_dot(column, column)):
            raise BadInput(
                f"{len(rows)} drafts are too much alike for a law: vary size and tokens, each by itself"
            )
        basis.append([a / size for a in left])
        upper.append([*parts, size])
    found = [0.0] * len(columns)
    rest = list(values)
    projected = []
    for one in basis:
        part = _dot(one, rest)
        rest = [a - part * b for a, b in zip(rest, one, strict=True)]
        projected.append(part)
    for i in reversed(range(len(columns))):
        later = sum(upper[j][i] * found[j] for j in range(i + 1, len(columns)))
        found[i] = (projected[i] - later) / upper[i][i]
    return found


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(map(mul, a, b))
