"""The solver for tasks that are written in Python; by its name, `surefoot/voted`, inspect_ai finds it by itself."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from surefoot.errors import BadInput

from .settings import VotedSettings

if TYPE_CHECKING:
    from inspect_ai.solver import Solver


def voted_solver(settings: VotedSettings | None = None) -> "Solver":
    """Return a solver that answers as `generate` does, tools included, each answer elected; raises `BadInput` without inspect_ai.

    Task(dataset=..., solver=[use_tools(bash()), voted_solver(VotedSettings(votes=4))], scorer=...)
    """
    try:
        from .registered import voted
    except ImportError:
        raise BadInput("a solver of inspect_ai needs that package: pip install 'surefoot[inspect]'") from None
    return voted(**asdict(settings or VotedSettings()))
