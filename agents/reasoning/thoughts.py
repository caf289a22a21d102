"""Thoughts: a model's thinking in segments, each told by its cue words to execute, to reflect or to change course.

Kinds and words are SEAL's (Chen et al. 2025, arXiv 2504.07986).
"""

import re
from collections import deque
from typing import Literal, NamedTuple

ThoughtKind = Literal["execution", "reflection", "transition"]


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
"""The usual ones of English thoughts."""

_SENTENCE_END = re.compile(r"[.!?\n]")
_WORD = re.compile(r"\S")


class Thought(NamedTuple):
    """One segment of thinking; `text` has its separator with it, so that the thoughts joined are the whole."""

    text: str
    kind: ThoughtKind = "execution"
    tokens: int = 0

    def __repr__(self) -> str:
        """Show no text: raw thoughts do not belong into logs."""
        return f"Thought({self.kind}, {self.tokens} tokens)"


class Thoughts:
    """Splits thinking into thoughts as it comes; any chunking of the same text gives the same thoughts.

    A thought ends at the separator, and where a sentence begins with a cue word; white space alone is no thought.

    Every character is looked at a bounded number of times: what was searched once is never searched again, and white space
    is passed over as it comes.  A model that falls into a loop of line breaks costs no more than one that thinks.
    """

    def __init__(self, cues: Cues = CUES) -> None:
        self._cues = cues
        self._transition, self._reflection = _any_of(cues.transition), _any_of(cues.reflection)
        self._words = cues.transition + cues.reflection
        self._begins = _any_of(self._words)
        self._longest = max(map(len, self._words), default=0)
        self._chunks: deque[tuple[int, int]] = deque()
        self._restart()

    def _restart(self) -> None:
        self._done: list[str] = []
        """The beginning of the thought under way, of which nothing more is to be found out."""
        self._rest = ""
        """What comes after it."""
        self._sought = 0
        """No separator begins in `_rest` before here."""
        self._begin(0)

    def _begin(self, place: int) -> None:
        """Begin a thought at this place in `_rest`."""
        self._blank = True
        """White space alone has come."""
        self._looked = place
        """No sentence before here begins with a cue."""
        self._sentence = False
        """A sentence has ended, and after it there was white space alone up to `_looked`."""

    def feed(self, text: str, tokens: int = 0) -> list[Thought]:
        """Return the thoughts that are complete now; `tokens` of the text are booked on them in proportion."""
        self._rest += text
        self._chunks.append((len(text), tokens))
        found: list[Thought] = []
        start = 0
        while (end := self._end()) is not None:
            found.append(self._thought("".join([*self._done, self._rest[start:end]])))
            self._done.clear()
            self._begin(end)
            start = end
        known = min(self._looked, self._sought)
        self._done.append(self._rest[start:known])
        self._rest = self._rest[known:]
        self._looked, self._sought = self._looked - known, self._sought - known
        return found

    def end(self) -> list[Thought]:
        """Return the rest, which nothing follows any more."""
        if self._blank:
            return []
        text = "".join([*self._done, self._rest])
        self._restart()
        return [self._thought(text)]

    def kind(self, text: str) -> ThoughtKind:
        """Return what a thought does by its words; changing course goes before reflecting."""
        if self._transition.search(text):
            return "transition"
        return "reflection" if self._reflection.search(text) else "execution"

    def _end(self) -> int | None:
        """Return where in `_rest` the thought under way ends; None if that has not come yet."""
        text, separator = self._rest, self._cues.separator
        if self._blank:
            word = _WORD.search(text, self._looked)
            # A separator that begins in the white space before a thought ends nothing.
            self._looked = word.start() if word else len(text)
            self._sought = max(self._sought, self._looked)
            self._blank = word is None
        found = text.find(separator, self._sought) if separator else -1
        if found < 0:
            self._sought = max(self._sought, len(text) - len(separator) + 1)
            return self._new_course(len(text))
        self._sought, end = found, found + len(separator)
        course = self._new_course(end)
        return end if course is None else course

    def _new_course(self, limit: int) -> int | None:
        """Return where, before `limit`, a sentence begins with a cue; None if none does, as far as can be told."""
        text = self._rest
        while self._sentence or self._sentence_ends(limit):
            word = _WORD.search(text, self._looked, limit)
            self._looked = word.start() if word else limit
            if word and self._begins.match(text, self._looked):
                return self._looked
            if not word or (len(text) - self._looked < self._longest and self._may_become_a_cue()):
                return None
            self._sentence = False
        return None

    def _may_become_a_cue(self) -> bool:
        """Whether more text could make a cue of what comes last, by trying what is missing of each."""
        begun = self._rest[self._looked :]
        words = (word for word in self._words if len(word) > len(begun))
        return any(self._begins.match(begun + word[len(begun) :]) for word in words)

    def _sentence_ends(self, limit: int) -> bool:
        """Look for the end of a sentence before `limit`."""
        ended = _SENTENCE_END.search(self._rest, self._looked, limit)
        self._looked = ended.end() if ended else limit
        self._sentence = ended is not None
        return self._sentence

    def _thought(self, text: str) -> Thought:
        return Thought(text, self.kind(text), self._tokens(len(text)))

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
