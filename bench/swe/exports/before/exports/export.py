"""Rows as text in some format."""

from importlib import import_module
from pathlib import Path


def formats():
    """Return the names of the formats."""
    folder = Path(__file__).parent / "formats"
    return sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")


def export(rows, name):
    """Return rows, which are dicts, in a format."""
    return import_module(f"exports.formats.{name}").write(rows)
