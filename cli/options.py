"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from surefoot.models.keys import VARIABLES

TaskName = Annotated[
    str | None,
    typer.Argument(metavar="TASK", help="`towers`, `columns`, or the name of an installed task."),
]
TaskAddress = Annotated[
    str | None,
    typer.Option(
        "--task", metavar="PACKAGE.MODULE:CLASS", help="A task of your own, where it can be imported."
    ),
]
TaskArguments = Annotated[
    list[str] | None,
    typer.Option(
        "--arg", metavar="NAME=VALUE", help="An argument of the task, as JSON or text; may be repeated."
    ),
]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="A job's id, as `surefoot jobs` lists it.")]
Disks = Annotated[int | None, typer.Option(help="towers: how many disks (10).")]
Factors = Annotated[tuple[str, str] | None, typer.Option(help="columns: the two whole numbers to multiply.")]
Style = Annotated[
    str | None, typer.Option(help="`verbose` chat prompts or `compact` text; compact for pebble.")
]
Form = Annotated[
    str | None, typer.Option("--answers", help="towers: `full` (move and next board) or `move`.")
]
Checked = Annotated[
    bool | None, typer.Option(help="towers: let the board red-flag illegal and inconsistent answers.")
]
ModelAddress = Annotated[
    str, typer.Option("--model", help="`pebble` (embedded) or an OpenAI-compatible URL.")
]
ModelName = Annotated[
    str | None, typer.Option(help="Which of the server's models; not needed if it has one.")
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar=[*VARIABLES],
        help="Sent to the model server; others see it in the list of processes, so rather set the variable.",
        show_envvar=True,
    ),
]
ApiKeyFile = Annotated[Path | None, typer.Option(help="A file that holds the API key and nothing else.")]
ChatLimit = Annotated[
    str | None,
    typer.Option(
        help="The token limit's name in chat: `max_tokens` or `max_completion_tokens`; found out if absent."
    ),
]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="NAME=VALUE", help="A field of every request, as JSON or text; may be repeated."
    ),
]
RedisUrl = Annotated[
    str | None,
    typer.Option("--redis", envvar="SUREFOOT_REDIS", help="A Redis URL; the embedded one if absent."),
]
Reliability = Annotated[float, typer.Option(help="Wanted chance that every step is right.")]
States = Annotated[int, typer.Option(help="Different states to calibrate on.")]
Temperature = Annotated[
    float | None, typer.Option(help="Of every ballot but the first; the task's own if absent.")
]
FirstTemperature = Annotated[float | None, typer.Option(help="Of the first ballot of a step.")]
MaxTokens = Annotated[int | None, typer.Option(help="A sample is cut off here, which is a red flag.")]
Seed = Annotated[int, typer.Option(help="Seed of the job's random choices.")]
Speculate = Annotated[
    str,
    typer.Option(
        metavar="off|leading|short|ahead|recall|MODEL",
        help="Ask ahead: on the leading ballot, a draft, or another model rolled ahead. It changes no decision.",
    ),
]
Depth = Annotated[int, typer.Option(help="Most steps to ask ahead; what is used adapts.")]
MaxWaste = Annotated[float, typer.Option(help="Largest share of samples that may be wasted.")]
Capacity = Annotated[int, typer.Option(help="Most samples in flight when asking ahead.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Out = Annotated[Path | None, typer.Option(help="Write the decided answers here, one a line.")]
MaxSteps = Annotated[int | None, typer.Option(help="Stop in order after so many steps; resuming goes on.")]
BudgetTokens = Annotated[
    int | None, typer.Option(help="Stop in order before the job has taken more tokens; resuming goes on.")
]
BudgetCost = Annotated[
    float | None, typer.Option(help="The same in money, by --input-price and --output-price.")
]
InputPrice = Annotated[float | None, typer.Option(help="Price of a million input tokens.")]
OutputPrice = Annotated[float | None, typer.Option(help="Price of a million output tokens.")]
