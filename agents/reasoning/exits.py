"""Exit: where the model begins to doubt, it is made to answer on the side, and its thinking ends there if that is safe."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from surefoot.errors import BadInput
from surefoot.models.streaming import Draw, Piece, Streaming

from .control import Close, Control, StreamAction, StreamState, Watch
from .exit_calibration import ExitCalibration
from .probes import PROBING, ProbeResult, Probing, Spotter, needs, probe_at
from .thoughts import Thought

HEDGES = frozenset({"wait", "hold", "but", "okay", "no", "hmm"})
"""Dynasor's words for an answer that is none; here they are words, where its code finds "no" in "know" too."""


class Cue:
    """A place where thinking could end."""

    def __init__(
        self, model: Streaming, state: StreamState, length: int, probing: Probing, probes: list[ProbeResult]
    ) -> None:
        self.state = state
        self.length = length
        """Characters of the thinking before the cue."""
        self.probes = probes
        """The forced answers of this stream so far."""
        self._model = model
        self._probing = probing

    async def force(self) -> ProbeResult:
        """Force an answer here; it is the last of `probes` then."""
        self.probes.append(await probe_at(self._model, self.state, self.length, self._probing, self.probes))
        return self.probes[-1]


class ExitRule(ABC):
    """Says of a cue whether it is safe to exit.  It may force an answer there, or know better: nothing obliges it."""

    name: str
    """What reports call it."""
    probing: Probing | None = None
    """How it has to be asked; None if that is up to the user."""

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

    def __init__(self, calibration: ExitCalibration | str | Path) -> None:
        """Take a calibration, or the file that `surefoot calibrate exits` has written."""
        if not isinstance(calibration, ExitCalibration):
            calibration = ExitCalibration.read(Path(calibration))
        self.calibration = calibration
        self.probing = calibration.probing
        self.name = f"conformal {calibration.rule.delta:g}"

    async def safe(self, cue: Cue) -> bool:
        """Whether the score is above the calibrated quantile of the unsafe ones."""
        return self.calibration.rule.exits(self.calibration.score.of(await cue.force()))

    def check(self, model: Streaming) -> None:
        """Raise `BadInput` if the calibration was made with another model."""
        if model.name != self.calibration.model:
            raise BadInput(
                f"the exits were calibrated for the model {self.calibration.model!r}, which says nothing about "
                f"{model.name!r}: calibrate again with it"
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
        """Raise `BadInput` if the rule is for another model."""
        self.rule.check(model)

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

    async def see(self, state: StreamState, piece: Piece, thoughts: Sequence[Thought]) -> StreamAction | None:
        if state.closed:
            return None
        for length in self._spotter.see(state):
            self._cues += 1
            if self._cues > self._exits.probing.most:
                return None
            cue = Cue(self._model, state, length, self._exits.probing, self._probes)
            if await self._exits.rule.safe(cue):
                # The answer has to follow the thoughts that were probed, without the doubt.
                return Close(keep=length)
        return None


def _hedged(answer: str) -> bool:
    """Whether an answer is empty or one in name only; a plain "no" is an answer."""
    words = re.findall(r"\w+", answer)
    return not words or (words != ["no"] and not HEDGES.isdisjoint(words))
