"""Thinking told from answer in a stream of text, wherever the stream is cut into chunks."""

import re
from typing import NamedTuple


class Tags(NamedTuple):
    """What surrounds the thinking in a model's raw text."""

    open: str = "<think>"
    close: str = "</think>"
    opened: bool = False
    """The chat template writes the opening tag, so that the model begins in mid-thought (DeepSeek-R1, QwQ)."""


THINK = Tags()
"""`<think>` and `</think>`."""


class Split(NamedTuple):
    """A stretch of a stream: thinking, or answer, or the news that what was taken for answer was thinking."""

    thought: str = ""
    text: str = ""
    unopened: bool = False
    """A closing tag came that nothing had opened: all the text before it was thinking."""


class ThinkParser:
    """Splits what a model writes into thinking and answer; any chunking of the same text gives the same result.

    Tags are left out of both.  Tags do not nest: an opening tag within thinking is dropped, and the first closing tag
    ends it.  What is opened again after that is thinking again; what is never closed is thinking to the end.  A closing
    tag that nothing opened means that all before it was thinking (`Split.unopened`).  `begun` is raw text that came
    before; only the state in which it ends matters.
    """

    def __init__(self, begun: str = "", tags: Tags = THINK) -> None:
        self._tags = (tags.open, tags.close)
        # One pass over the text finds either: two searches would each read to its end for a tag that never comes.
        self._tag = re.compile("|".join(map(re.escape, sorted(self._tags))))
        self._held = ""
        self._reasoned = False
        self.thinking = tags.opened
        """Whether what comes next is thinking."""
        self.closed = False
        """Whether the latest tag was a closing one."""
        self.feed(begun)
        self.end()

    def feed(self, content: str = "", reasoning: str | None = None) -> list[Split]:
        """Return what is certain now, in order; what may be the beginning of a tag is held back.

        `reasoning` is what a server has told apart itself: what it sends as content afterwards is answer.
        """
        if reasoning:
            self._reasoned = True
            return [*self.end(), Split(thought=reasoning)]
        if content and self._reasoned:
            self._reasoned = self.thinking = False
        found: list[Split] = []
        rest, done = self._held + content, 0
        for tag in self._tag.finditer(rest):
            found += self._told(rest[done : tag.start()])
            done = tag.end()
            self.closed = tag[0] == self._tags[1]
            if self.closed and not self.thinking:
                found.append(Split(unopened=True))
            self.thinking = not self.closed
        rest = rest[done:]
        keep = len(rest) - self._beginning_of_tag(rest)
        self._held = rest[keep:]
        return [*found, *self._told(rest[:keep])]

    def end(self) -> list[Split]:
        """Return what was held back: no tag came of it."""
        held, self._held = self._held, ""
        return self._told(held)

    def _told(self, text: str) -> list[Split]:
        if not text:
            return []
        return [Split(thought=text) if self.thinking else Split(text=text)]

    def _beginning_of_tag(self, text: str) -> int:
        """Return how many of the last characters may become a tag."""
        longest = min(len(text), max(map(len, self._tags)) - 1)
        return next(
            (n for n in range(longest, 0, -1) if any(tag.startswith(text[-n:]) for tag in self._tags)), 0
        )
