"""A double that solves chains one operation a step, verifies such chains, and compares steps, each with a skill of its own."""

from collections.abc import AsyncGenerator, Sequence

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Prompt
from surefoot.voting.samples import Sample

from .chains import action_right, action_wrong, asked
from .double import Double


class ActionDouble:
    """A double for `surefoot.agents.actions.ActionChain` on chains of `chain_problem`; all skills are chances between 0 and 1.

        error                a step is wrong: half of the time miscalculated, half of the time another number than the problem's is taken
        correlation          the samples of a step are all the same, so that voting on it is useless; another prompt is another draw
        hit, false_alarm     a reflection finds the first bad step; it finds one where there is none
        compare_error        a comparison chooses the wrong step
        sway                 told that a right step is bad, a sample takes another
        critic_correlation   the `correlation` of reflections and comparisons

    A token is four characters.
    """

    def __init__(
        self,
        *,
        error: float = 0.1,
        correlation: float = 0.0,
        hit: float = 0.9,
        false_alarm: float = 0.05,
        compare_error: float = 0.1,
        sway: float = 0.5,
        critic_correlation: float = 0.0,
        seed: int = 0,
        name: str = "action-double",
    ) -> None:
        for what, chance in {"hit": hit, "sway": sway, "compare_error": compare_error}.items():
            if not 0 <= chance <= 1:
                raise BadInput(f"{what} is a chance between 0 and 1, not {chance!r}")
        self._name = name

        def double(error: float, correlation: float) -> Double:
            return Double(action_right, action_wrong, error=error, correlation=correlation, seed=seed)

        self._steps, self._swayed = double(error, correlation), double(max(error, sway), correlation)
        self._finds = double(1 - hit, critic_correlation)
        self._clears = double(false_alarm, critic_correlation)
        self._compares = double(compare_error, critic_correlation)

    @property
    def name(self) -> str:
        """What reports and journals call it."""
        return self._name

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask and yield (position of the ask, sample) in the order of the asks."""
        for position, ask in enumerate(asks):
            yield position, self.draw(ask)

    def draw(self, ask: Ask) -> Sample:
        """Return the sample that this ask always gets."""
        return self._for(ask.prompt).draw(ask)

    def delay(self, ask: Ask) -> float:
        """Return 0: it answers at once."""
        return 0.0

    def _for(self, prompt: Prompt) -> Double:
        match asked(prompt):
            case "right steps":
                return self._clears
            case "bad steps":
                return self._finds
            case "two steps":
                return self._compares
            case "a right step taken back":
                return self._swayed
            case _:
                return self._steps
