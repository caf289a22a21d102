"""The draft that remembers: what followed when the run was last in a place like this."""

from collections.abc import AsyncGenerator, Hashable, Sequence
from itertools import pairwise
from typing import Any

from surefoot.agents.tasks.optional import Recurs
from surefoot.agents.tasks.task import S, Task
from surefoot.errors import BadInput

from .drafts import Draft, barrier
from .hypothetical import hypothetically

REMEMBERED = 1 << 16
"""Contexts of one length that are kept; when full, the half that was written first is dropped."""

# The hashes are polynomials in _BASE modulo a Mersenne prime: collisions are rare, and cost samples only.
_PRIME = (1 << 61) - 1
_BASE = 0x1D8AF1E5C7B34E6D


class Recall(Draft[S]):
    """Proposes what followed when the run's last answers were the same before; longest context first, no model at all.

    A relative of prompt lookup decoding (Saxena 2023) and of retrieval-based speculative decoding (REST, He et al. 2023,
    arXiv 2311.08252), with the task's `gist` of an answer for a token.  `contexts` are the numbers of answers compared.
    It proposes nothing for a path without the state decided last.  After a resume it is told of the past by `decided`: the steps of
    the longest context are enough to know where it is, and of more it also knows what followed.
    """

    name = "recall"

    def __init__(
        self,
        task: Task[S, Any],
        contexts: Sequence[int] = (1024, 256, 64, 16, 4),
        remembered: int = REMEMBERED,
    ) -> None:
        self._barrier = barrier(task)
        if not isinstance(task, Recurs):
            raise BadInput(
                f"task {task.name!r} says nothing that recurs: choose another draft, or write `gist` and `unfold`"
            )
        if not contexts or min(contexts) < 1:
            raise BadInput(f"contexts are lengths of at least 1, not {contexts!r}")
        if remembered < 2:
            raise BadInput(f"remembered must be at least 2, not {remembered!r}")
        self._recurs: Recurs[S] = task
        self._tables = [_Continuations(length, remembered) for length in sorted(set(contexts), reverse=True)]
        self._prefixes = _PrefixHashes(max(contexts), [0])
        self._state: S | None = None

    def decided(self, state: S, after: S) -> None:
        """Remember what followed each context; a step without a gist ends all contexts."""
        gist = self._gist(state, after)
        if gist is not None:
            for table in self._tables:
                table.write(self._prefixes, gist)
        self._prefixes.push(gist)
        self._state = after

    async def propose(self, path: Sequence[S]) -> AsyncGenerator[S, None]:
        """Go along `path` and continue from there, taking what it proposes for granted."""
        # A path from elsewhere: what was decided does not lead into it, so that no context is known.
        if self._state not in path:
            return
        prefixes, state = self._prefixes.copy(), path[-1]
        # A rollout begins when it is first asked, and by then the run may have decided some of the path already.
        for before, after in pairwise(path[path.index(self._state) :]):
            prefixes.push(self._gist(before, after))
        while not self._barrier(state) and (step := self._expected(prefixes, state)) is not None:
            gist, state = step
            prefixes.push(gist)
            yield state

    def _gist(self, before: S, after: S) -> Hashable | None:
        """Return a gist; None if the task says none, or none that can be hashed: no decision hangs on it."""
        gist = hypothetically(None, self._recurs.gist, before, after)
        return None if hypothetically(None, hash, gist) is None else gist

    def _expected(self, prefixes: "_PrefixHashes", state: S) -> tuple[Hashable, S] | None:
        for table in self._tables:
            gist = table.read(prefixes)
            if gist is None:
                continue
            after: S | None = hypothetically(None, self._recurs.unfold, state, gist)
            # Else what followed there is impossible here; a shorter context may have seen a place more like this.
            if after is not None:
                return gist, after
        return None


class _PrefixHashes:
    """The hashes of all beginnings of a sequence of gists, as many as the longest context needs.

    With H(i) for the first i gists, the last n of them hash to H(i) - H(i - n) BASE^n, so that a new gist costs the same
    for any length.
    """

    __slots__ = ("hashes", "longest")

    def __init__(self, longest: int, hashes: list[int]) -> None:
        self.longest = longest
        self.hashes = hashes

    def push(self, gist: Hashable | None) -> None:
        """Go on by one gist; None ends the sequence and begins another."""
        if gist is None:
            self.hashes = [0]
            return
        hashes = self.hashes
        hashes.append((hashes[-1] * _BASE + hash(gist)) % _PRIME)
        if len(hashes) > 2 * self.longest + 2:
            del hashes[: -self.longest - 1]

    def copy(self) -> "_PrefixHashes":
        return _PrefixHashes(self.longest, self.hashes[-self.longest - 1 :])


class _Continuations:
    """What followed each context of one length, in two halves: when one is full, the older one is dropped."""

    __slots__ = ("_half", "_length", "_new", "_old", "_shift")

    def __init__(self, length: int, remembered: int) -> None:
        self._length = length
        self._half = remembered // 2
        self._shift = pow(_BASE, length, _PRIME)
        self._new: dict[int, Hashable] = {}
        self._old: dict[int, Hashable] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def write(self, prefixes: _PrefixHashes, gist: Hashable) -> None:
        """Remember that `gist` followed; a sequence shorter than the context leaves nothing to remember."""
        hashes = prefixes.hashes
        if len(hashes) > self._length:
            self._new[(hashes[-1] - hashes[-1 - self._length] * self._shift) % _PRIME] = gist
            if len(self._new) >= self._half:
                self._old, self._new = self._new, {}

    def read(self, prefixes: _PrefixHashes) -> Hashable | None:
        """Return what followed last time, or None if nothing is remembered."""
        hashes = prefixes.hashes
        if len(hashes) <= self._length:
            return None
        key = (hashes[-1] - hashes[-1 - self._length] * self._shift) % _PRIME
        gist = self._new.get(key)
        return self._old.get(key) if gist is None else gist
