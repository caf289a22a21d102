"""What an agent thought, did and saw, turn by turn. Whether it reached its aim is withheld from its scorers."""

from collections.abc import Iterable
from typing import NamedTuple

from .failures import tells_failure as told_failed
from .kinds import ActionKind, action_kind

THINKS = frozenset(("think", "sequentialthinking", "sequential_thinking"))
"""Tools that do nothing: what they are called with is thought."""
CHARACTERS_A_TOKEN = 4
"""For thoughts whose tokens were not counted."""


class Action(NamedTuple):
    """One call of a tool, or one command."""

    name: str
    arguments: str
    """As the model wrote them: JSON, or the command itself."""
    kind: ActionKind

    def __repr__(self) -> str:
        """Return it without its arguments, which may hold thoughts."""
        return f"Action(name={self.name!r}, {len(self.arguments)} characters, kind={self.kind!r})"


class Turn(NamedTuple):
    """One answer of the model, and what the environment said to it."""

    thought: str
    """Reasoning and visible text together."""
    actions: tuple[Action, ...] = ()
    observation: str | None = None
    """None if nothing came back."""
    failed: bool | None = None
    """Whether the observation tells of a failure; None if there is none."""
    reasoning_tokens: int = 0
    """Of the thought: as the server counted them, hidden ones included, but no fewer than its text is estimated to have."""

    def __repr__(self) -> str:
        """Return it without what was thought and seen."""
        seen = None if self.observation is None else f"{len(self.observation)} characters"
        return (
            f"Turn(thought={len(self.thought)} characters, actions={self.actions!r}, observation={seen}, "
            f"failed={self.failed}, reasoning_tokens={self.reasoning_tokens})"
        )


class Trajectory(NamedTuple):
    """A run from the first turn to the last; turns are numbered from 1 wherever they are named."""

    issue: str
    turns: tuple[Turn, ...]
    finish: str | None = None
    """The word of the log for why it ended (`stop`, `length`, `Submitted`), which says nothing about success."""
    source: str = ""
    """The format that it was read from."""
    passed_over: int = 0
    """Parts of messages that no reader knows."""


def action(name: str, arguments: str = "") -> Action:
    """Make an action of a call, its kind recognised."""
    return Action(name, arguments, action_kind(name, arguments))


def turn(
    thought: str,
    actions: Iterable[Action] = (),
    observation: str | None = None,
    failed: bool | None = None,
    reasoning_tokens: int = 0,
) -> Turn:
    """Make a turn: what the log leaves out is recognised or estimated, and calls of a tool that only thinks become thought."""
    called = tuple(actions)
    mused = [call.arguments for call in called if call.name.lower() in THINKS]
    acted = tuple(call for call in called if call.name.lower() not in THINKS)
    thought = "\n\n".join(filter(None, [thought, *mused]))
    if failed is None and observation is not None:
        failed = told_failed(observation, acted)
    return Turn(thought, acted, observation, failed, max(reasoning_tokens, estimated(thought)))


def estimated(text: str) -> int:
    """Return about how many tokens a text has."""
    return -(-len(text) // CHARACTERS_A_TOKEN)
