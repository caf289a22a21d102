"""What is printed for a person.  The words of servers, models, logs and journals end here: none of them gives an order to a terminal."""

import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from surefoot.printable import printable

UNBOUNDED = 10_000
"""Columns of a pipe or a file, in which nothing has to be folded or cut."""


class Terminal(Console):
    """A rich console that shows every text as it is: nothing is markup, an emoji or a link, and no character steers.

    A plain `str` is escaped before it is laid out, so that columns stand where they should and a line break within it
    makes no second line.  Whatever comes by another way is escaped when it is written.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)
        if not self.is_terminal:
            self.width = UNBOUNDED

    @property
    def is_live(self) -> bool:
        """Whether what was written can be written over."""
        return self.is_terminal and not self.is_dumb_terminal

    def render_str(
        self, text: str, *, style: Any = "", justify: Any = None, overflow: Any = None, **_: Any
    ) -> Text:
        """Turn a text into what rich lays out."""
        return Text(printable(text), style=style, justify=justify, overflow=overflow)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Lay something out; the orders to the terminal are rich's own."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text, keep="\n"))

    def page(self, shown: RenderableType) -> None:
        """Print a page; in a pipe no line ends in the blanks that fill a column."""
        if self.is_terminal:
            self.print(shown)
            return
        with self.capture() as captured:
            self.print(shown, crop=False)
        self.file.writelines(line.rstrip() + "\n" for line in captured.get().splitlines())
        self.file.flush()


def styled(text: str, style: str) -> Text:
    """Return a text of one line with a style."""
    return Text(printable(text), style)


def to_json(data: Any, indent: int | None = None) -> str:
    """Return data as JSON in ASCII, without the one control character that the standard library leaves as it is."""
    return json.dumps(data, indent=indent, default=_plain).replace("\x7f", "\\u007f")


def fail(sentence: str, as_json: bool, code: int, more: Mapping[str, Any] | None = None) -> NoReturn:
    """End with a sentence on standard error; if JSON is wanted, with the same and `more` on standard output."""
    if as_json:
        sys.stdout.write(to_json({"error": sentence, **(more or {})}) + "\n")
    complain(sentence)
    raise typer.Exit(code)


def complain(sentence: str) -> None:
    """Say on standard error what is wrong, if it is still open: the exit code is right in any case."""
    with suppress(OSError):
        Terminal(stderr=True).print(f"surefoot: {sentence}", style="red", soft_wrap=True)


def _plain(value: Any) -> Any:
    """JSON for what json does not know: a mapping that is no dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} cannot be written as JSON")
