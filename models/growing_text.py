"""Text that a model writes piece by piece, kept so that it costs what it is long, however many pieces it comes in."""


class GrowingText:
    """Text that grows at its end.

    Adding costs the length of what is added, `since` that of what it returns.  A `str` would be copied whole at every
    addition, which makes four million pieces a day's work.
    """

    __slots__ = ("_parts", "blank", "length")

    def __init__(self, text: str = "") -> None:
        self._parts: list[str] = []
        self.length = 0
        self.blank = True
        """Whether it is white space alone."""
        self.add(text)

    def add(self, text: str) -> None:
        """Put `text` at the end."""
        if text:
            self._parts.append(text)
            self.length += len(text)
            self.blank = self.blank and text.isspace()

    def since(self, start: int) -> str:
        """Return what follows the first `start` characters."""
        wanted, parts = self.length - start, []
        for part in reversed(self._parts):
            if wanted <= 0:
                break
            parts.append(part[-wanted:])
            wanted -= len(part)
        return "".join(reversed(parts))

    def __str__(self) -> str:
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""
