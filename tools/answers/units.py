"""Units of measurement that are multiples of one another: `3.0 km` and `3000 m` are one quantity.

A table of our own, since answers to problems name few units: SI units with their prefixes, those of time, area, volume and speed.  What has several
meanings is left out (`MB`, `pm`, `oz`), and so are scales that begin elsewhere (`°C`): such a unit is equal to itself alone.
"""

from collections.abc import Iterator
from fractions import Fraction

_PREFIXES = {"n": -9, "µ": -6, "μ": -6, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_SYMBOLS = ("m", "g", "s", "l", "J", "W", "V", "A", "Hz", "N", "Pa", "Ω", "mol")
_TIMES = {"min": 60, "h": 3600, "d": 86_400}
_NAMES = {
    "meter": "m", "metre": "m", "kilometer": "km", "kilometre": "km", "centimeter": "cm", "centimetre": "cm", "millimeter": "mm",
    "millimetre": "mm", "gram": "g", "kilogram": "kg", "milligram": "mg", "tonne": "t", "liter": "l", "litre": "l", "milliliter": "ml",
    "millilitre": "ml", "second": "s", "sec": "s", "millisecond": "ms", "minute": "min", "min": "min", "hour": "h", "hr": "h",
    "day": "d", "joule": "J", "watt": "W", "kilowatt": "kW", "volt": "V", "ampere": "A", "amp": "A", "newton": "N", "pascal": "Pa",
    "hertz": "Hz", "ohm": "Ω",
}  # fmt: skip
"""With an `s` at the end, too."""

Multiple = tuple[Fraction, str]
"""How many of which unit."""


def _multiples() -> Iterator[tuple[str, Multiple]]:
    for symbol in _SYMBOLS:
        for prefix, power in _PREFIXES.items():
            yield prefix + symbol, (Fraction(10) ** power, symbol)
    for prefix, power in _PREFIXES.items():
        yield f"{prefix}Wh", (3600 * Fraction(10) ** power, "J")
    for unit, seconds in _TIMES.items():
        yield unit, (Fraction(seconds), "s")
    for length, power in (("mm", -3), ("cm", -2), ("dm", -1), ("m", 0), ("km", 3)):
        yield length, (Fraction(10) ** power, "m")
        for exponent, mark in ((2, "²"), (3, "³")):
            for written in (mark, str(exponent), f"^{exponent}"):
                yield length + written, (Fraction(10) ** (power * exponent), f"m{mark}")
    for litres in ("l", "L"):
        for prefix, power in (("m", -3), ("c", -2), ("d", -1), ("", 0)):
            yield prefix + litres, (Fraction(10) ** power, "l")
    yield "t", (Fraction(10) ** 6, "g")
    yield "ha", (Fraction(10) ** 4, "m²")
    yield "km/h", (Fraction(1), "km/h")
    yield "m/s", (Fraction(18, 5), "km/h")  # the other way round most would be ratios


_KNOWN = dict(_multiples())


def in_base_units(unit: str) -> Multiple:
    """Return what one of a unit is; one that is not known is one of itself.  Capitals count in symbols (`mW`, `MW`), and not in names."""
    name = unit.lower()
    symbol = _NAMES.get(name) or _NAMES.get(name.removesuffix("s")) or unit
    return _KNOWN.get(symbol, (Fraction(1), unit))
