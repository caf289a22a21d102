"""How fast a job goes and when it may be done, by what was seen of its steps: no journal says when a step was decided."""

from bisect import bisect_right
from collections import deque
from itertools import pairwise
from typing import NamedTuple

from surefoot.voting.paired import mean_interval

SEEN_S = 600.0
"""How far back looks are remembered."""
MINUTE_S = 60.0
SPACING_S = 1.0
"""Of looks that are closer together the last one counts."""
BLOCKS = 20
"""The time that was seen is cut into so many equal parts, whose rates vary."""
FEWEST_S = 20.0
"""Of a shorter time no course and no end is told."""


class Rate(NamedTuple):
    """Steps a second."""

    steps_s: float
    over_s: float
    """The seconds that it is measured over: at most those asked for, fewer if fewer were seen."""


class TimeLeft(NamedTuple):
    """Seconds until the last step, if the job goes on as it did."""

    seconds: float
    least: float
    most: float | None
    """With `least` the 95 % interval; None where a standstill cannot be told from the pace."""
    over_s: float
    """The seconds that it is derived from."""


class JobPace:
    """The steps of a running job as they were at many moments of the last ten minutes."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque()

    def look(self, at_s: float, step: int) -> None:
        """Remember how far the job is; `at_s` is of a clock that never goes back."""
        looks = self._looks
        if len(looks) > 1 and at_s - looks[-2][0] < SPACING_S:
            looks.pop()
        looks.append((at_s, step))
        while len(looks) > 1 and looks[1][0] <= at_s - SEEN_S:
            looks.popleft()

    def rate(self, over_s: float) -> Rate | None:
        """Return the steps a second of the last so many seconds; None until a second was seen."""
        if not self._looks:
            return None
        last, step = self._looks[-1]
        since = max(self._looks[0][0], last - over_s)
        if last - since < SPACING_S:
            return None
        # A segment that was taken back to be decided again is no progress, and no regress either.
        return Rate(max(0.0, step - self._step_at(since)) / (last - since), last - since)

    def course(self) -> list[float]:
        """Return the steps a second of `BLOCKS` equal parts of the time seen, the latest last; empty if that was short."""
        if not self._looks or self._looks[-1][0] - self._looks[0][0] < FEWEST_S:
            return []
        first, last = max(self._looks[0][0], self._looks[-1][0] - SEEN_S), self._looks[-1][0]
        block = (last - first) / BLOCKS
        steps = [self._step_at(first + number * block) for number in range(BLOCKS)] + [self._looks[-1][1]]
        return [max(0.0, after - before) / block for before, after in pairwise(steps)]

    def left(self, steps: int) -> TimeLeft | None:
        """Return how long so many steps may take; None while nobody can tell.

        The rates of the blocks are taken as independent draws: the interval is Student's for their mean, turned into times.  It knows nothing of
        what comes that has not been yet.
        """
        rates = self.course()
        if not rates:
            return None
        found = mean_interval(rates)
        if found.mean <= 0:
            return None
        over_s = min(SEEN_S, self._looks[-1][0] - self._looks[0][0])
        return TimeLeft(
            steps / found.mean, steps / found.high, steps / found.low if found.low > 0 else None, over_s
        )

    def _step_at(self, at_s: float) -> float:
        """Return the steps at a moment between two looks, as if they came evenly."""
        place = bisect_right(self._looks, at_s, key=lambda look: look[0])
        if not place:
            return self._looks[0][1]
        if place == len(self._looks):
            return self._looks[-1][1]
        (before_s, before), (after_s, after) = self._looks[place - 1], self._looks[place]
        return before + (after - before) * (at_s - before_s) / (after_s - before_s)
