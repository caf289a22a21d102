"""What inspect_ai finds by this package's entry point: the model provider `surefoot` and the solver `surefoot/voted`.

    inspect eval task.py --model surefoot/openai/gpt-4o -M votes=3                    # every answer of the model is elected
    inspect eval task.py --model openai/gpt-4o --solver surefoot/voted -S votes=3     # those that this solver draws are

`-M` and `-S` take the fields of `VotedSettings`; any other `-M` goes to the model that is voted on.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING

from inspect_ai.model import ModelAPI, execute_tools, get_model, modelapi
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolFunction

from .settings import OnStall, VotedSettings

if TYPE_CHECKING:
    from surefoot.models.elected_answers import Equality

PROVIDER = "surefoot"
USUAL = VotedSettings()


@modelapi(name=PROVIDER)
def voted_provider() -> type[ModelAPI]:
    """Return the provider: `surefoot/MODEL` answers as MODEL does, by vote."""
    from .voted_model import VotedModelAPI

    return VotedModelAPI


@solver(name="voted")
def voted(
    votes: int = USUAL.votes,
    limit: int = USUAL.limit,
    equality: "Equality" = USUAL.equality,
    temperature: float = USUAL.temperature,
    accuracy: float | None = USUAL.accuracy,
    on_stall: OnStall = USUAL.on_stall,
) -> Solver:
    """Return a solver that answers as `generate` does, tools included, each answer elected; for its arguments see `VotedSettings`.

    Raises `BadInput` for arguments with which nothing can be elected.
    """
    settings = VotedSettings(
        votes=votes,
        limit=limit,
        equality=equality,
        temperature=temperature,
        accuracy=accuracy,
        on_stall=on_stall,
    )

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        asked = get_model()
        model = get_model(f"{PROVIDER}/{asked}", memoize=False, inner=asked, **asdict(settings))
        choice = state.tool_choice
        while not state.completed:
            state.output = await model.generate(state.messages, tools=state.tools, tool_choice=choice)
            state.messages.append(state.output.message)
            if not state.output.message.tool_calls:
                break
            seen, output = await execute_tools(state.messages, state.tools)
            state.messages.extend(seen)
            state.output = output or state.output
            choice = "auto" if isinstance(choice, ToolFunction) else choice  # one forced call is enough
        return state

    return solve
