"""Streams that say again what they have said: the whole message beside its pieces or after them, or in place of every piece.

Put together as they come such pieces make a text that no model has written, and votes on it would be votes on nothing.
"""

from collections import defaultdict

from .choice_delta import ChoiceDelta

TELLING = 4
"""Pieces, each of which begins with the one before it and goes on: tokens do not grow like that, and by so much."""
LONG = 8
"""Characters of the last of them."""


class CumulativeStream(Exception):
    """Each piece of a stream holds all pieces before it."""


class SoFar:
    """What has come of each choice of one stream."""

    def __init__(self) -> None:
        self._texts: defaultdict[int, _Text] = defaultdict(_Text)
        self._thoughts: defaultdict[int, _Text] = defaultdict(_Text)

    def next(self, part: ChoiceDelta) -> ChoiceDelta:
        """Return what is new in a part; raises `CumulativeStream` once it is certain that every piece is all that has come."""
        text = part.text and self._texts[part.index].next(part.text, part.all)
        thought = part.thought and self._thoughts[part.index].next(part.thought, part.all)
        return part._replace(text=text, thought=thought) if part.all else part


class _Text:
    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._last = ""
        self._growths: int | None = 0
        """None: the pieces are pieces."""

    def next(self, piece: str, may_be_all: bool) -> str:
        if may_be_all:
            piece = self._new_in(piece)
        elif self._growths is not None and piece != self._last:
            self._watch(piece, self._growths)
        self._pieces.append(piece)
        return piece

    def _new_in(self, message: str) -> str:
        """Return what a message adds to what has come, if it repeats that, and all of it if it does not."""
        said = "".join(self._pieces)
        self._pieces = [said]
        if message.startswith(said):
            return message[len(said) :]
        return "" if message.strip() == said.strip() else message

    def _watch(self, piece: str, growths: int) -> None:
        self._growths = growths + bool(self._last) if piece.startswith(self._last) else None
        self._last = piece if self._growths is not None else ""
        if self._growths == TELLING and len(piece.strip()) < LONG:
            self._growths = TELLING - 1
        if self._growths == TELLING:
            raise CumulativeStream(
                "each piece of its stream holds all pieces before it: ask it without `stream`, or another gateway"
            )
