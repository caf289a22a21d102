"""The tools of any agent that works in an environment: its shell, and the word that it is done."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from surefoot.tools.bounded_text import bounded
from surefoot.tools.environments.environment import Environment, Ran
from surefoot.tools.function_tool import tool
from surefoot.tools.tool import Observed

from .normal_forms import normal_command

TIME_UP = 124
"""The exit code of a command whose time was up: that of `timeout`, so that it is told from one that ended well."""


def _normal(arguments: Any, workspace: str) -> BaseModel:
    made: BaseModel = arguments.model_copy(update={"command": normal_command(arguments.command)})
    return made


@tool(effect="writes", repeatable=False, normal=_normal)
async def shell(
    command: Annotated[str, Field(description="The command, for bash. It gets no input.")], world: Environment
) -> Observed:
    """Run a command in the workspace and return its output and exit code. Each call starts a shell of its own, in the workspace; whatever a command leaves running is ended with it."""
    ran = await world.execute(command)
    return Observed(told(ran), TIME_UP if ran.code is None else ran.code)


@tool(effect="reads")
async def submit(
    text: Annotated[str, Field(description="The answer, or what was done, for the one who set the task.")],
) -> Observed:
    """End the run: the task is done, and this is its result."""
    return Observed(text, ends=True)


def told(ran: Ran) -> str:
    """Return what a model is told of a command that has ended."""
    said = [bounded(ran.output).rstrip("\n")] if ran.output.strip() else []
    if ran.left_out:
        said.append(f"[{ran.left_out:,} bytes of output were left out from the middle]")
    if ran.code is None:
        said.append("[the time was up: the command and all that it had started were ended]")
    elif ran.code:
        said.append(f"[exit code {ran.code}]")
    return "\n".join(said) or "[no output, exit code 0]"
