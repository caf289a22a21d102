"""The judge's three patterns and loops, without a judge: live, turn by turn, in time that grows with the new text only.

The scale is that of Cuadron et al. 2025 (arXiv 2502.08235): 0-3 stays with the environment, 4-7 leans on its own thoughts at
times, 8-10 relies on them.  Their rubric scores loops 0, so loops are a signal of their own and no part of the score.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from .trajectory import Turn

Pattern = Literal["analysis_paralysis", "rogue_actions", "premature_disengagement", "loops"]

FLAGGED = 4.0
"""From this level on a pattern counts as there."""
MOST = 10.0

IDLE, IDLE_TOKENS, IDLE_MOST = 3.0, 1000, 3.0
"""A turn without action adds 3, and 1 more per 1,000 reasoning tokens up to 3 more; a turn with one takes ACTED away."""
ACTED = 2.0
WINDOW = 8
"""Turns over which reasoning tokens per action are counted; nothing is said before half of them were seen."""
TOKENS_PER_ACTION = 4000
"""So many are level 4; as actions do follow, it never rises above HEAVY_MOST."""
HEAVY_MOST = 7.0

BATCH_OF_READS, BATCH, BATCH_AGAIN = 3.0, 8.0, 10.0
"""Several actions in the turn after a failure: only reads; anything else; three and more, or once more."""
CALMING = 2.0
"""What a level of rogue actions falls by in each turn after."""

UNSEEN, UNHEEDED, UNAWAITED = 10.0, 8.0, 6.0
"""The end is declared: with nothing observed since the last edit, or at all; on a failure; beside actions not awaited."""

RECENT = 16
"""Turns that a repeated one is recognised in."""
REPEATED = 2.5
"""What each repeated turn adds to the level of loops; a new one takes as much away."""
GRAM, STRIDE = 6, 3
"""Words of a thought that are compared as a whole, and how many words lie between one such n-gram and the next."""
GRAMS = 24
"""Fewer are too few to tell."""
LOOPED = 20.0
"""Level per share of a thought's n-grams that stood in it before: a fifth is level 4."""
WORD_BYTES = 16
"""Longer words on average are a script without spaces, of which every three bytes count as a word."""
EVIDENCE = 16
"""Turns that are named at most, the latest."""
DIGITS = b"0123456789"
"""Left out where the words of a thought are compared."""
VARYING = re.compile(
    rb"[0-9](?<![0-9.:][0-9])(?:x[0-9a-f]{4,16}+|[0-9]{3}[-/][0-9]{2}[-/][0-9]{2}[T ]?|[0-9]?:[0-9]{2}(?::[0-9]{2})?(?:[.,][0-9]++)?Z?"
    rb"|[0-9.,]*+ ?(?:[mun]?s|\xc2\xb5s|sec(?:ond)?s?|min(?:ute)?s?|h(?:ours?)?)\b)",
    re.IGNORECASE,
)
"""What of a result says nothing new: dates, times, durations, addresses.  Every other number is a result: another one is no loop."""


class Signal(NamedTuple):
    """What one signal says after a turn."""

    pattern: Pattern
    level: float
    """From 0 to 10, now."""
    peak: float
    """The highest level that counts for the run so far."""
    turns: tuple[int, ...]
    """The evidence: turns, numbered from 1."""

    @property
    def flagged(self) -> bool:
        """Whether the pattern is there, by its peak."""
        return self.peak >= FLAGGED


class SignalReading(NamedTuple):
    """What all signals say after a turn."""

    turn: int
    signals: tuple[Signal, Signal, Signal, Signal]
    """Analysis paralysis, rogue actions, premature disengagement, loops."""

    @property
    def score(self) -> float:
        """The highest peak of the rubric's three patterns: what the run would score if it ended here."""
        return max(signal.peak for signal in self.signals[:3])

    @property
    def flagged(self) -> tuple[Signal, ...]:
        """The patterns that are there, loops included."""
        return tuple(signal for signal in self.signals if signal.flagged)


class Signals:
    """Watches one run: `see` every turn as soon as its observation is there, or once it is clear that none will come.

    What is remembered is bounded, however long the run.  It is plain data, which a checkpoint can hold and another process
    go on from: `Signals(signals.memory())`.
    """

    def __init__(self, memory: Mapping[str, Any] | None = None) -> None:
        self._turn = 0
        self._paralysis = _Paralysis()
        self._rogue = _Rogue()
        self._premature = _Premature()
        self._loops = _Loops()
        if memory is not None:
            self._turn = memory["turn"]
            for name, detector in self._detectors():
                _recall(detector, memory[name])

    def memory(self) -> dict[str, Any]:
        """Return what is remembered: numbers, and lists of them, by name."""
        return {"turn": self._turn, **{name: _memory(detector) for name, detector in self._detectors()}}

    def _detectors(self) -> Iterator[tuple[str, object]]:
        yield from (
            ("paralysis", self._paralysis),
            ("rogue", self._rogue),
            ("premature", self._premature),
            ("loops", self._loops),
        )

    def see(self, turn: Turn) -> SignalReading:
        """Take in the next turn and return what is known by now."""
        self._turn += 1
        number = self._turn
        paralysis = self._paralysis.see(number, turn)
        rogue = self._rogue.see(number, turn)
        premature = self._premature.see(number, turn)
        return SignalReading(number, (paralysis, rogue, premature, self._loops.see(number, turn)))


def readings(turns: Iterable[Turn]) -> Iterator[SignalReading]:
    """Yield the reading after each turn of a run."""
    signals = Signals()
    return map(signals.see, turns)


def _memory(detector: object) -> dict[str, Any]:
    return {name: list(kept) if isinstance(kept, deque) else kept for name, kept in vars(detector).items()}


def _recall(detector: object, memory: Mapping[str, Any]) -> None:
    for name, kept in vars(detector).items():
        known = memory[name]
        if isinstance(kept, deque):
            # JSON makes lists of pairs.
            known = deque((tuple(one) if isinstance(one, list) else one for one in known), kept.maxlen)
        setattr(detector, name, known)


class _Paralysis:
    """Turns without action, and reasoning tokens per action."""

    def __init__(self) -> None:
        self._idle = 0.0
        self._peak = 0.0
        self._window: deque[tuple[int, int]] = deque()
        self._tokens = self._actions = 0
        self._turns: deque[int] = deque(maxlen=EVIDENCE)

    def see(self, number: int, turn: Turn) -> Signal:
        heavy = self._heavy(turn)
        if not turn.actions:
            self._idle = min(MOST, self._idle + IDLE + min(IDLE_MOST, turn.reasoning_tokens / IDLE_TOKENS))
        elif any(action.kind != "finish" for action in turn.actions):
            self._idle = max(0.0, self._idle - ACTED)
        level = max(self._idle, heavy)
        if not turn.actions or heavy >= FLAGGED:
            self._turns.append(number)
        self._peak = max(self._peak, level)
        return Signal("analysis_paralysis", level, self._peak, tuple(self._turns))

    def _heavy(self, turn: Turn) -> float:
        window = self._window
        window.append((turn.reasoning_tokens, len(turn.actions)))
        self._tokens += turn.reasoning_tokens
        self._actions += len(turn.actions)
        if len(window) > WINDOW:
            tokens, actions = window.popleft()
            self._tokens -= tokens
            self._actions -= actions
        if len(window) < WINDOW // 2:
            return 0.0
        per_action = self._tokens / max(1, self._actions)
        return (
            0.0
            if per_action < TOKENS_PER_ACTION
            else min(HEAVY_MOST, FLAGGED * per_action / TOKENS_PER_ACTION)
        )


class _Rogue:
    """Several actions in one turn after a failure."""

    def __init__(self) -> None:
        self._failing = False
        self._times = 0
        self._level = self._peak = 0.0
        self._turns: deque[int] = deque(maxlen=EVIDENCE)

    def see(self, number: int, turn: Turn) -> Signal:
        self._level = max(0.0, self._level - CALMING)
        count = len(turn.actions)
        if self._failing and count > 1:
            self._turns.append(number)
            self._level = max(self._level, self._of(turn))
            self._peak = max(self._peak, self._level)
        if turn.failed is not None and count:
            self._failing = turn.failed
        return Signal("rogue_actions", self._level, self._peak, tuple(self._turns))

    def _of(self, turn: Turn) -> float:
        if all(action.kind == "read" for action in turn.actions):
            return BATCH_OF_READS
        self._times += 1
        return BATCH_AGAIN if self._times > 1 or len(turn.actions) > 2 else BATCH


class _Premature:
    """The end, declared without looking.  If the run goes on after all it was not the end, and counts no more."""

    def __init__(self) -> None:
        self._looked = False
        self._edited: int | None = None
        """The turn of the last edit that nothing was observed of."""
        self._failed: int | None = None
        """The turn of the last observation if that was a failure."""

    def see(self, number: int, turn: Turn) -> Signal:
        kinds = [action.kind for action in turn.actions]
        ends = "finish" in kinds
        for kind in kinds:
            if kind == "edit":
                self._edited = number
            elif kind in ("read", "run") and turn.observation is not None and not ends:
                self._edited = None
        if ends:
            level, since = self._end(number, alone=len(kinds) == 1)
            return Signal("premature_disengagement", level, level, (*since, number) if level else ())
        if kinds and turn.observation is not None:
            self._looked = True
            self._failed = number if turn.failed else None
        return Signal("premature_disengagement", 0.0, 0.0, ())

    def _end(self, number: int, alone: bool) -> tuple[float, tuple[int, ...]]:
        if not self._looked:
            return UNSEEN, ()
        if self._edited is not None:
            return UNSEEN, () if self._edited == number else (self._edited,)
        if self._failed is not None:
            return UNHEEDED, (self._failed,)
        return (0.0 if alone else UNAWAITED), ()


class _Loops:
    """The same turn again, and the same words again within a thought."""

    def __init__(self) -> None:
        self._recent: deque[int] = deque(maxlen=RECENT)
        self._again = 0.0
        self._peak = 0.0
        self._turns: deque[int] = deque(maxlen=EVIDENCE)

    def see(self, number: int, turn: Turn) -> Signal:
        thought = _bytes(turn.thought).translate(None, DIGITS)
        done = [(_bytes(action.name), _bytes(action.arguments)) for action in turn.actions]
        key = (
            _digest(*(part for call in done for part in call), _result(turn.observation or ""))
            if done
            else _digest(thought)
        )
        again = key in self._recent
        self._recent.append(key)
        self._again = min(MOST, self._again + REPEATED) if again else max(0.0, self._again - REPEATED)
        within = min(MOST, LOOPED * repeated_share(thought))
        if again or within >= FLAGGED:
            self._turns.append(number)
        level = max(self._again, within)
        self._peak = max(self._peak, level)
        return Signal("loops", level, self._peak, tuple(self._turns))


def _digest(*parts: bytes) -> int:
    """Return a number for a turn: the same in every process, and small enough for any JSON."""
    found = blake2b(digest_size=6)
    for part in parts:
        found.update(b"%d:" % len(part))
        found.update(part)
    return int.from_bytes(found.digest(), "big")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _result(text: str) -> bytes:
    return VARYING.sub(b"", _bytes(text))


def repeated_share(text: bytes) -> float:
    """Return which share of a text's n-grams of words stood in it before; 0 if there are too few to tell.

    Every third n-gram is looked at.  A passage that comes four times is found at any length, one that comes twice
    by luck: people repeat themselves too.
    """
    words = text.split()
    if len(text) > WORD_BYTES * len(words):
        words = [text[place : place + 3] for place in range(0, len(text), 3)]
    grams = (len(words) - GRAM) // STRIDE + 1
    if grams < GRAMS:
        return 0.0
    return 1 - len(set(zip(*[words[place::STRIDE] for place in range(GRAM)], strict=False))) / grams
