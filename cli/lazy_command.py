"""A command whose module is loaded when it is used: listing jobs and printing help do not wait for LangGraph."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command, get_group


class LazyCommand(TyperCommand):
    """Stands for the command at `module:name` in this package, until it is called."""

    def __init__(self, name: str, place: str, said: str) -> None:
        super().__init__(name, help=said, short_help=said)
        self._place = place

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the arguments as the command itself does."""
        return self.load().make_context(info_name, args, parent, **extra)

    def load(self) -> Any:
        """Load the command itself."""
        module, _, name = self._place.partition(":")
        found = getattr(import_module(f".{module}", __package__), name)
        if isinstance(found, typer.Typer):
            return get_group(found)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(self.name)(found)
        return get_command(alone)
