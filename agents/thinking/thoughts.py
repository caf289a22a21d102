"""Thoughts: a model's thinking in segments, each told by its cue words to execute, to reflect or to change course.

Kinds and words are SEAL's (Chen et al. 2025, arXiv 2504.07986).
"""

import re
from collections import deque
from collections.abc import Iterator
from typing import Literal, NamedTuple

Kind = Literal["execution", "reflection", "transition"]


class Cues(NamedTuple):
    """What tells one kind of thought from another, in lower case, and where one thought ends."""

    reflection: tuple[str, ...] = (
        "wait",
        "hmm",
        "verify",
        "make sure",
        "hold on",
        "think again",
        "'s correct",
        "'s incorrect",
        "let me check",
        "seems right",
    )
    transition: tuple[str, ...] = (
        "alternatively",
        "think differently",
        "another way",
        "another approach",
        "another method",
        "another solution",
        "another strategy",
        "another technique",
    )
    separator: str = "\n\n"


CUES = Cues()


class Thought(NamedTuple):
    """One segment of thinking; `text` has its separator with it, so that the thoughts joined are the whole."""

    text: str
    kind: Kind = "execution"
    tokens: int = 0

    def __repr__(self) -> str:
        """Show no text: raw thoughts do not belong into logs."""
        return f"Thought({self.kind}, {self.tokens} tokens)"


class Thoughts:
    """Splits thinking into thoughts as it comes; any chunking of the same text gives the same thoughts.

    A thought ends at the separator, and where a sentence begins with a cue word; white space alone is no thought.
    """

    def __init__(self, cues: Cues = CUES) -> None:
        self._cues = cues
        self._transition, self._reflection = _any_of(cues.transition), _any_of(cues.reflection)
        begins = _any_of(cues.transition + cues.reflection).pattern
        self._new_course = re.compile(rf"[.!?\n]\s*(?={begins})", re.IGNORECASE)
        self._longest = max(map(len, (cues.separator, *cues.transition, *cues.reflection)))
        self._rest = ""
        self._searched = 0
        self._chunks: deque[tuple[int, int]] = deque()

    def feed(self, text: str, tokens: int = 0) -> list[Thought]:
        """Return the thoughts that are complete now; `tokens` of the text are booked on them in proportion."""
        self._rest += text
        self._chunks.append((len(text), tokens))
        return list(self._complete())

    def end(self) -> list[Thought]:
        """Return the rest, which nothing follows any more."""
        return [self._thought(len(self._rest))] if self._rest.strip() else []

    def kind(self, text: str) -> Kind:
        """Return what a thought does by its words; changing course goes before reflecting."""
        if self._transition.search(text):
            return "transition"
        return "reflection" if self._reflection.search(text) else "execution"

    def _complete(self) -> Iterator[Thought]:
        while ends := self._ends():
            yield self._thought(min(ends))

    def _ends(self) -> list[int]:
        text = self._rest
        start = max(self._searched, len(text) - len(text.lstrip()))
        separator, course = text.find(self._cues.separator, start), self._new_course.search(text, start)
        # What is incomplete begins within the longest of them, after white space that may be of any length.
        self._searched = max(0, len(text[: -self._longest].rstrip()) - 1)
        return [
            *([separator + len(self._cues.separator)] if separator >= 0 else []),
            *([course.end()] if course else []),
        ]

    def _thought(self, length: int) -> Thought:
        text, self._rest, self._searched = self._rest[:length], self._rest[length:], 0
        return Thought(text, self.kind(text), self._tokens(length))

    def _tokens(self, length: int) -> int:
        tokens = 0
        while self._chunks and self._chunks[0][0] <= length:
            whole, own = self._chunks.popleft()
            length, tokens = length - whole, tokens + own
        if length:
            whole, own = self._chunks.popleft()
            share = own * length // whole
            tokens += share
            self._chunks.appendleft((whole - length, own - share))
        return tokens


def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """Match words by their beginning, as SEAL does ("hmmm", "verifying"), but not in mid-word ("await")."""
    starts = ((r"(?<!\w)" if word[0].isalnum() else "") + re.escape(word) for word in words)
    return re.compile("|".join(starts) or "(?!)", re.IGNORECASE)
