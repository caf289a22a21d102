"""Exit: where the model begins to doubt, it is made to answer on the side, and its thinking ends there if that is safe."""

import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from surefoot.errors import BadInput
from surefoot.models.streaming import Draw, Inspectable, Piece, Streaming

from .control import Close, Control, StreamAction, StreamState, Watch
from .exit_calibration import ExitCalibration
from .exit_scores import CuePlace, StatesAt, StateScore
from .probes import PROBING, ProbeResult, Probing, Spotter, needs, probe_at
from .thoughts import Thought

HEDGES = frozenset({"wait", "hold", "but", "okay", "no", "hmm"})
"""Dynasor's words for an answer that is none; here they are words, where its code finds "no" in "know" too."""


RECENT_STATES = 64
"""Pieces whose hidden states a stream keeps: more than a cue word has tokens."""


class Cue:
    """A place where thinking could end."""

    def __init__(
        self,
        model: Streaming,
        state: StreamState,
        length: int,
        probing: Probing,
        probes: list[ProbeResult],
        states: tuple[float, ...] = (),
    ) -> None:
        self.state = state
        self.length = length
        """Characters of the thinking before the cue."""
        self.probes = probes
        """The forced answers of this stream so far."""
        self.states = states
        """Hidden states before the cue or at it, if the rule asks for these (`ExitRule.states`)."""
        self._model = model
        self._probing = probing

    async def force(self) -> ProbeResult:
        """Force an answer here; it is the last of `probes` then."""
        found = await probe_at(self._model, self.state, self.length, self._probing, self.probes)
        self.probes.append(found._replace(states=self.states or found.states))
        return self.probes[-1]

    async def look(self) -> ProbeResult:
        """Return the states alone: those of where an answer would begin cost one token, others nothing."""
        if self.states:
            return ProbeResult("", None, None, None, 0.0, self.states)
        return await probe_at(self._model, self.state, self.length, replace(self._probing, tokens=1), ())


class ExitRule(ABC):
    """Says of a cue whether it is safe to exit.  It may force an answer there, or know better: nothing obliges it."""

    name: str
    """What reports call it."""
    probing: Probing | None = None
    """How it has to be asked; None if that is up to the user."""
    states: StatesAt | None = None
    """Which hidden states it looks at; only an `Inspectable` model shows any."""

    @abstractmethod
    async def safe(self, cue: Cue) -> bool:
        """Whether thinking may end at this cue."""

    def check(self, model: Streaming) -> None:
        """Raise `BadInput` if the rule was made for another model."""
        return


class Deer(ExitRule):
    """Safe if the forced answer's tokens are probable enough on average (DEER, arXiv 2504.15895).  Not calibrated.

    `geometric` takes their geometric mean, which DEER does for models that are sure of everything.
    """

    def __init__(self, threshold: float = 0.95, *, geometric: bool = False) -> None:
        if not 0 <= threshold <= 1:
            raise BadInput(f"the threshold of a mean probability lies between 0 and 1, not {threshold!r}")
        self.threshold = threshold
        self.geometric = geometric
        self.name = f"deer {threshold:g}{' geometric' if geometric else ''}"

    async def safe(self, cue: Cue) -> bool:
        """Whether the mean probability is above the threshold."""
        forced = await cue.force()
        return needs(forced.geometric if self.geometric else forced.mean) > self.threshold


class Dynasor(ExitRule):
    """Safe if the last answers are all the same, and none of them hedges (Dynasor, arXiv 2412.20993).  Not calibrated."""

    def __init__(self, last: int = 3) -> None:
        if last < 1:
            raise BadInput(f"at least 1 answer has to be the same, not {last!r}")
        self.last = last
        self.name = f"dynasor {last}"

    async def safe(self, cue: Cue) -> bool:
        """Whether enough answers agree."""
        await cue.force()
        answers = [forced.answer for forced in cue.probes[-self.last :]]
        return len(answers) == self.last and len(set(answers)) == 1 and not _hedged(answers[0])


class Conformal(ExitRule):
    """Safe if the score is one that at most a share delta of the unsafe exits reaches, by calibration."""

    _kind = "conformal"

    def __init__(self, calibration: ExitCalibration | str | Path) -> None:
        """Take a calibration, or the file that `surefoot calibrate exits` has written."""
        if not isinstance(calibration, ExitCalibration):
            calibration = ExitCalibration.read(Path(calibration))
        self.calibration = calibration
        self.probing = calibration.probing
        self.states = calibration.score.at if isinstance(calibration.score, StateScore) else None
        self.name = f"{self._kind} {calibration.rule.delta:g}"

    async def safe(self, cue: Cue) -> bool:
        """Whether the score is above the calibrated quantile of the unsafe ones."""
        asks = self.states is None or self.states.answer
        seen = await cue.force() if asks else await cue.look()
        return self.calibration.rule.exits(self.calibration.score.of(seen))

    def check(self, model: Streaming) -> None:
        """Raise `BadInput` if the calibration was made with another model."""
        if model.name != self.calibration.model:
            raise BadInput(
                f"the exits were calibrated for the model {self.calibration.model!r}, which says nothing about "
                f"{model.name!r}: calibrate again with it"
            )


class ProbeExit(Conformal):
    """`Conformal` by a score of hidden states (LYNX, arXiv 2512.05325): the same file, the same guarantee, for `Inspectable` models."""

    _kind = "probe"

    def __init__(self, calibration: ExitCalibration | str | Path) -> None:
        """Raises `BadInput` for a calibration without hidden states, which is for `Conformal`."""
        super().__init__(calibration)
        if self.states is None:
            raise BadInput(
                "the exits were calibrated on forced answers alone: use Conformal, or calibrate with `states`"
            )


class Exit(Control):
    """Closes the thinking at the first cue that its rule calls safe, as if the cue had not been thought any more.

        Reasoner(model, Exit())                                  # DEER's rule, uncalibrated
        Reasoner(model, Exit(Conformal("exits.json")))           # at most a share delta of unsafe exits

    The stream waits for the rule, so that what is answered follows what was probed; its server does not.
    """

    def __init__(self, rule: ExitRule | None = None, probing: Probing | None = None) -> None:
        """`probing` is `PROBING` unless given.  Raises `BadInput` if it is not what the rule was calibrated with."""
        self.rule = rule or Deer()
        self.probing = probing or self.rule.probing or PROBING
        if self.rule.probing not in (None, self.probing):
            raise BadInput(
                f"the rule {self.rule.name!r} was calibrated with {self.rule.probing!r}, not with {probing!r}; leave "
                f"`probing` out, or calibrate again"
            )

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"exit({self.rule.name})"

    async def prepare(self, state: StreamState, model: Streaming) -> None:
        """Raise `BadInput` if the rule is for another model, or looks at what this one does not show."""
        self.rule.check(model)
        if self.rule.states is None:
            return
        if not isinstance(model, Inspectable):
            raise BadInput(
                f"the rule {self.rule.name!r} looks at hidden states, which {model.name!r} does not show: use a model of `surefoot.models.local`"
            )
        score = self.rule.calibration.score if isinstance(self.rule, Conformal) else None
        if isinstance(score, StateScore) and score.digest != await model.digest():
            raise BadInput(
                f"the exits were calibrated on hidden states of other weights than those of {model.name!r}: calibrate again with it"
            )
        state.draw = replace(state.draw, layers=self.rule.states.layers)

    def watch(self, draw: Draw, model: Streaming) -> Watch:
        """Return a fresh watcher for one stream."""
        return _Exiting(self, model)


class _Exiting(Watch):
    def __init__(self, exits: Exit, model: Streaming) -> None:
        self._exits = exits
        self._model = model
        self._spotter = Spotter(exits.probing.words)
        self._probes: list[ProbeResult] = []
        self._cues = 0
        self._states = _RecentStates(exits.rule.states.place if exits.rule.states else None)

    async def see(self, state: StreamState, piece: Piece, thoughts: Sequence[Thought]) -> StreamAction | None:
        if state.closed:
            return None
        for length, states in self._states.see(state, piece, self._spotter.see(state)):
            self._cues += 1
            if self._cues > self._exits.probing.most:
                return None
            cue = Cue(self._model, state, length, self._exits.probing, self._probes, states)
            if await self._exits.rule.safe(cue):
                # The answer has to follow the thoughts that were probed, without the doubt.
                return Close(keep=length)
        return None


class _RecentStates:
    """Finds the hidden states of a cue among those of the latest pieces."""

    def __init__(self, place: CuePlace | None) -> None:
        self._place = place
        self._recent: deque[tuple[int, Piece]] = deque(maxlen=RECENT_STATES)
        """Each piece with where it begins in the thinking."""
        self._late: list[int] = []
        """Cues whose last token has not been read yet by the model."""
        self._restarts = 0

    def see(
        self, state: StreamState, piece: Piece, cues: Sequence[int]
    ) -> list[tuple[int, tuple[float, ...]]]:
        """Return the cues whose states are known with this piece, and the states."""
        if self._place not in ("before", "cue"):
            return [(length, ()) for length in cues]
        if state.restarts != self._restarts:
            self._restarts, self._late = state.restarts, []
            self._recent.clear()
        if self._place == "cue":
            known, self._late = self._late, list(cues)
            return [(length, _flat(piece)) for length in known]
        self._recent.append((state.length - len(piece.thought), piece))
        return [(length, self._before(length)) for length in cues]

    def _before(self, length: int) -> tuple[float, ...]:
        """Return the states from which the token was drawn that begins at a place, or lies across it."""
        started = [(start, piece) for start, piece in self._recent if start <= length and piece.thought]
        return _flat(started[-1][1]) if started else ()


def _flat(piece: Piece) -> tuple[float, ...]:
    return tuple(map(float, chain.from_iterable(piece.states)))


def _hedged(answer: str) -> bool:
    """Whether an answer is empty or one in name only; a plain "no" is an answer."""
    words = re.findall(r"\w+", answer)
    return not words or (words != ["no"] and not HEDGES.isdisjoint(words))
