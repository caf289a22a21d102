"""Normal forms of free-text answers: two that mean the same are one text, and one ballot.

| kind | the same are |
| --- | --- |
| `number` | `1,200.50`, `1200.5`, `12005e-1`, `2401/2` |
| `list` | JSON arrays of equal items in the same order |
| `set` | JSON arrays of equal items in any order, however often |
| `json` | equal values, whatever the order of their keys |
| `date` | `2026-11-30`, `2026/11/30`, `30 November 2026`, `Nov 30, 2026` |
| `quantity` | equal amounts: `5 km`, `5.0 km`, `5000 m`, `5 kilometres`; of units that are not known, equal numbers of the same (`units`) |
| `code` | Python with the same syntax tree: neither blanks nor comments count |
| `text` | the same words but for blanks, capitals, quotes around them, and a full stop |
| `any` | numbers, quantities, JSON arrays and objects as what they are, all else as text; where that holds a digit, capitals count |

What is not of its kind is no answer (`NotAnAnswer`): a date that may be read in two ways, half a list.  All of it takes time in proportion
to the text.
"""

import ast
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from fractions import Fraction
from typing import Any, Literal, get_args

from surefoot.errors import BadInput
from surefoot.voting.flags import NotAnAnswer

from .units import in_base_units

Kind = Literal["any", "text", "number", "list", "set", "json", "date", "quantity", "code"]

LONGEST = 1_000_000
"""Characters of an answer."""
LONGEST_CODE = 100_000
MOST_DIGITS = 4_000
"""Of a number, and of what it is raised to; Python reads no more than 4,300 at a time."""

MOST_DIGITS_IN_ALL = 200_000
"""Of the numbers of one text, what they are raised to included: `1e-3999` is short, and takes as long as 4,000 digits."""
MOST_MARKS = 30
"""Combining marks in a row, as in Unicode's Stream-Safe Text Format (UAX 15)."""
_POWERS = (2048, 512, 128, 32, 8, 2, 1)
_MOST_BITS = MOST_DIGITS * 10 // 3

_WHOLE = r"(?:[1-9]\d{0,2}(?:,\d{3})++|\d++)"
_NUMBER = re.compile(rf"([+-]?)({_WHOLE})?(?:\.(\d*+))?(?:[eE]([+-]?\d{{1,4}}))?", re.ASCII)
_RATIO = re.compile(rf"([+-]?)({_WHOLE})\s*+/\s*+({_WHOLE})", re.ASCII)
_QUANTITY = re.compile(r"([+-]?[\d.,]++(?:[eE][+-]?\d++)?+)\s*+([^\d\s][^\n]*+)", re.ASCII)
_MONEY = re.compile(r"([+-]?)\s*+([$€£¥])\s*+([\d.,]++)", re.ASCII)
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_LEADING_ZERO = re.compile(r"[+-]?0\d")
_YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})", re.ASCII)
_DAY_FIRST = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?\s++([A-Za-z]{3,9})\.?,?\s++(\d{4})", re.ASCII)
_MONTH_FIRST = re.compile(r"([A-Za-z]{3,9})\.?\s++(\d{1,2})(?:st|nd|rd|th)?,?\s++(\d{4})", re.ASCII)
_FENCE = re.compile(r"```[\w+-]*\n(.*)\n```", re.DOTALL)
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`"}


def normal(text: str, kind: Kind = "any") -> str:
    """Return the normal form of an answer; raises `NotAnAnswer` for a text that is not of its kind."""
    if kind not in get_args(Kind):
        raise BadInput(f"an answer is one of {', '.join(get_args(Kind))}, not {kind!r}")
    if len(text) > LONGEST:
        raise NotAnAnswer(f"an answer of {len(text):,} characters, {LONGEST:,} at most")
    found = _READERS[kind](_composed(text).strip())
    if not found:
        raise NotAnAnswer("an empty answer")
    return found


def _composed(text: str) -> str:
    """Return a text with its letters and their marks in one form, Unicode's NFC."""
    if text.isascii():
        return text
    _check_marks(text)
    return unicodedata.normalize("NFC", text)


def _check_marks(text: str) -> None:
    """Refuse long runs of combining marks: Unicode's normal forms sort them, in Python in quadratic time."""
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > MOST_MARKS:
            raise NotAnAnswer(f"more than {MOST_MARKS} combining marks in a row")


def as_number(text: str) -> Fraction:
    """Read a number exactly; `NotAnAnswer` if it is none, or has too many digits."""
    if len(text) > MOST_DIGITS:
        raise NotAnAnswer(f"a number of more than {MOST_DIGITS:,} characters")
    text = text.replace("−", "-").strip()
    if ratio := _RATIO.fullmatch(text):
        sign, above, below = ratio.groups()
        if not int(below.replace(",", "")):
            raise NotAnAnswer("a division by zero")
        value = Fraction(int(above.replace(",", "")), int(below.replace(",", "")))
        return -value if sign == "-" else value
    found = _NUMBER.fullmatch(text)
    if found is None or not (found[2] or found[3]):
        raise NotAnAnswer(f"{text[:40]!r} is not a number")
    sign, whole, part, power = found.groups()
    digits = (whole or "").replace(",", "") + (part or "")
    shift = int(power or 0) - len(part or "")
    if len(digits) + abs(shift) > MOST_DIGITS:
        raise NotAnAnswer(f"a number of more than {MOST_DIGITS:,} digits")
    value = Fraction(int(digits)) * Fraction(10) ** shift
    return -value if sign == "-" else value


def written(number: Fraction) -> str:
    """Write a number exactly: as digits where they end, else as a ratio; `NotAnAnswer` if it has too many."""
    above, below = number.numerator, number.denominator
    twos = (below & -below).bit_length() - 1
    rest, fives = below >> twos, 0
    for power in _POWERS:  # one by one takes seconds for what a text may hold
        while not rest % 5**power:
            rest, fives = rest // 5**power, fives + power
    places = max(twos, fives) if rest == 1 else 0
    if places > MOST_DIGITS:
        raise NotAnAnswer(f"a number of more than {MOST_DIGITS:,} digits")
    scaled = abs(above) * 10**places // below if rest == 1 else abs(above)
    if max(scaled.bit_length(), below.bit_length() if rest != 1 else 0) > _MOST_BITS:
        raise NotAnAnswer(f"a number of more than {MOST_DIGITS:,} digits")
    digits = str(scaled).rjust(places + 1, "0")
    digits = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    found = f"{'-' if above < 0 else ''}{digits}{f'/{below}' if rest != 1 else ''}"
    if len(found) > MOST_DIGITS:
        raise NotAnAnswer(f"a number of more than {MOST_DIGITS:,} characters")
    return found


def as_json(text: str) -> Any:
    """Read JSON with exact numbers; `NotAnAnswer` if it is none."""
    left = MOST_DIGITS_IN_ALL

    def number(written: str) -> Fraction:
        nonlocal left
        _, _, power = written.lower().partition("e")
        left -= len(written) + min(abs(int(power or 0)), MOST_DIGITS)
        if left < 0:
            raise NotAnAnswer(f"numbers of more than {MOST_DIGITS_IN_ALL:,} digits in all")
        return as_number(written)

    try:
        return json.loads(text, parse_float=number, parse_int=number, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise NotAnAnswer(f"not JSON: {str(error)[:100]}") from None


def json_of(value: Any) -> str:
    """Write what `as_json` has read, in its one form; `NotAnAnswer` if it is nested too deeply."""
    try:
        return _json(value)
    except RecursionError:
        raise NotAnAnswer("JSON that is nested too deeply") from None


def _json(value: Any) -> str:
    if isinstance(value, Fraction):
        return written(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    if isinstance(value, dict):
        # What was escaped has not been composed yet.
        composed = {_composed(key): inner for key, inner in value.items()}
        pairs = (f"{_json(key)}: {_json(composed[key])}" for key in sorted(composed))
        return "{" + ", ".join(pairs) + "}"
    return json.dumps(_composed(value) if isinstance(value, str) else value, ensure_ascii=False)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _list(text: str) -> str:
    return json_of(_array(text))


def _set(text: str) -> str:
    return "[" + ", ".join(sorted(set(map(json_of, _array(text))))) + "]"


def _array(text: str) -> list[Any]:
    value = as_json(text)
    if not isinstance(value, list):
        raise NotAnAnswer("JSON, but no array")
    return value


def _date(text: str) -> str:
    if found := _YEAR_FIRST.fullmatch(text):
        year, month, day = found[1], int(found[3]), found[4]
    elif found := _DAY_FIRST.fullmatch(text):
        day, month, year = found[1], _month(found[2]), found[3]
    elif found := _MONTH_FIRST.fullmatch(text):
        month, day, year = _month(found[1]), found[2], found[3]
    else:
        raise NotAnAnswer(f"{text[:40]!r} is not a date that can be read in one way alone")
    try:
        return date(int(year), month, int(day)).isoformat()
    except ValueError as error:
        raise NotAnAnswer(f"{text[:40]!r} is not a date: {error}") from None


def _month(name: str) -> int:
    for number, month in enumerate(_MONTHS, 1):
        if name.lower() in (month, month[:3], month[:4]):
            return number
    raise NotAnAnswer(f"{name!r} is not a month")


def _quantity(text: str) -> str:
    text = text.replace("−", "-")
    if found := _MONEY.fullmatch(text):
        return f"{written(as_number(found[1] + found[3]))} {found[2]}"
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise NotAnAnswer(f"{text[:40]!r} is not a number and its unit")
    times, unit = in_base_units(" ".join(found[2].split()).rstrip("."))
    return f"{written(as_number(found[1]) * times)} {unit}"


def _code(text: str) -> str:
    fenced = _FENCE.fullmatch(text)
    source = fenced[1] if fenced else text
    if len(source) > LONGEST_CODE:
        raise NotAnAnswer(f"code of {len(source):,} characters, {LONGEST_CODE:,} at most")
    try:
        return ast.unparse(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotAnAnswer(f"not Python: {str(error)[:100]}") from None


def _text(text: str) -> str:
    return _words(text).casefold()


def _words(text: str) -> str:
    return unquoted(" ".join(text.split()).removesuffix(".")).removesuffix(".")


def unquoted(words: str) -> str:
    """Return words without quotes around them."""
    return words[1:-1].strip() if len(words) > 1 and _QUOTES.get(words[0]) == words[-1] else words


def _any(text: str) -> str:
    if _LEADING_ZERO.match(text):
        return _words(text)  # a code, not a count
    if text[:1] in ("[", "{"):
        with suppress(NotAnAnswer):
            return json_of(as_json(text))
    with suppress(NotAnAnswer):
        return written(as_number(text))
    with suppress(NotAnAnswer):
        return _quantity(text)
    if any(map(str.isnumeric, text)):
        return _words(text)  # about 5 MW: capitals tell a milli from a mega
    return _text(text)


_READERS: Mapping[Kind, Callable[[str], str]] = {
    "any": _any,
    "text": _text,
    "number": lambda text: written(as_number(text)),
    "list": _list,
    "set": _set,
    "json": lambda text: json_of(as_json(text)),
    "date": _date,
    "quantity": _quantity,
    "code": _code,
}
