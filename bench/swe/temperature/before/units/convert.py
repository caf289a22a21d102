"""Converting between units of one kind."""

from importlib import import_module
from pkgutil import iter_modules

import units.kinds


def kinds():
    """Return the modules of `units.kinds`."""
    return [import_module(f"units.kinds.{each.name}") for each in iter_modules(units.kinds.__path__)]


def convert(text, unit, to):
    """Return a number of one unit in another; every kind has `UNITS`, `to_base` and `from_base`."""
    for kind in kinds():
        if unit in kind.UNITS and to in kind.UNITS:
            return round(kind.from_base(kind.to_base(float(text), unit), to), 6)
    raise ValueError(f"cannot convert {unit!r} to {to!r}")
