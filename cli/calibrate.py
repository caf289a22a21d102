"""`surefoot calibrate exits`: when a model may stop thinking, learned from problems whose answers are known."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple, cast

import typer
from pydantic_core import to_jsonable_python
from rich.console import Group

from surefoot.agents.reasoning.exit_calibration import ExitCalibration, TooFewUnsafeExits
from surefoot.agents.reasoning.exit_labels import (
    Collected,
    Problem,
    collect_exits,
    read_problems,
    write_forced,
)
from surefoot.agents.reasoning.exit_scores import Forced
from surefoot.agents.reasoning.probes import PROBING
from surefoot.agents.reasoning.reasoner import Reasoner
from surefoot.errors import BadInput
from surefoot.models.base import ModelUnavailable
from surefoot.models.connect import open_model
from surefoot.models.openai import OpenAIModel
from surefoot.voting.conformal import ConformalExit, Per, unsafe_needed

from .common import go, print_result
from .display import count
from .grouped import grouped
from .options import AsJson
from .server_options import ServerOptions

CONFIDENCE = 0.95

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Problems = Annotated[
    Path,
    typer.Argument(
        metavar="PROBLEMS",
        help='Lines of {"prompt": a text, or a list of chat messages, "answer": the right one}.',
    ),
]
ServerUrl = Annotated[str, typer.Option("--model", help="URL of an OpenAI-compatible server.")]
Delta = Annotated[float, typer.Option(help="Share of unsafe exits allowed.")]
Unit = Annotated[
    str, typer.Option("--per", help="What the share is of: `trace` (whole streams) or `cue` (as published).")
]
CalibrationFile = Annotated[Path, typer.Option(help="Write the calibration here.")]
Events = Annotated[
    Path | None, typer.Option(help="Write the forced exits here as they come, one JSON object a line.")
]
ThinkTokens = Annotated[int, typer.Option(help="Most tokens of one problem's thinking.")]
Temperature = Annotated[float, typer.Option(help="Of the thinking; forced answers are greedy.")]
Inducer = Annotated[
    str, typer.Option(help="What follows the closing tag so that the answer comes at once; may be empty.")
]
Seed = Annotated[int, typer.Option(help="Of the first problem; the next has the next.")]


class Found(NamedTuple):
    """What a calibration came to, and on what."""

    calibration: ExitCalibration
    collected: Collected
    problems: int


@app.callback()
def calibrate() -> None:
    """Learn from problems with known answers when less is enough."""


@app.command()
@grouped("chat_limit", "option")
def exits(
    *,
    problems: Problems,
    model: ServerUrl,
    out: CalibrationFile = Path("exits.json"),
    delta: Delta = 0.1,
    per: Unit = "trace",
    server: ServerOptions,
    think_tokens: ThinkTokens = 4096,
    temperature: Temperature = 0.6,
    inducer: Inducer = PROBING.inducer,
    seed: Seed = 0,
    events: Events = None,
    as_json: AsJson = False,
) -> None:
    """Find the score above which at most DELTA of unsafe exits are taken.  Exit code 1 if the data cannot say."""
    probing = replace(PROBING, inducer=inducer)

    async def work() -> Found:
        known = read_problems(problems)
        unit = _checked(known, delta, per, out)
        if events:
            write_forced(events, (), more=True)
        async with open_model(server.address(model), options=server.made()) as opened:
            if not isinstance(opened, OpenAIModel):
                raise BadInput(f"{model!r} cannot be interrupted in its thoughts: give the URL of a server")
            keep = _Keep(events)
            try:
                collected = await collect_exits(
                    lambda control: Reasoner(opened, control, think_tokens=think_tokens),
                    known,
                    probing=probing,
                    temperature=temperature,
                    seed=seed,
                    keep=keep,
                )
            except ModelUnavailable as error:
                raise ModelUnavailable(f"{error}; {keep.left}") from error
            name = opened.name
        if events:
            # In the order of the problems at last: it takes part in how traces are divided.
            write_forced(events, collected.forced)
        made = ExitCalibration.of(collected.forced, name, delta, per=unit, probing=probing)
        made.write(out)
        return Found(made, collected, len(known))

    found = go(work(), as_json)
    print_result(_record(found, out), _page(found, out), as_json)


class _Keep:
    """Writes forced exits as they come, if there is a file for them."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._count = 0

    def __call__(self, forced: Sequence[Forced]) -> None:
        if self._path and forced:
            # The first ones take the place of what an earlier run has left.
            write_forced(self._path, forced, more=self._count > 0)
        self._count += len(forced)

    @property
    def left(self) -> str:
        """What is left of them if the model is gone."""
        if self._path and self._count:
            return f"the {self._count} forced exits until then are in {str(self._path)!r}"
        if self._count:
            return f"the {self._count} forced exits until then are lost, as no --events were asked for"
        return "no forced exit was complete"


def _checked(problems: Sequence[Problem], delta: float, per: str, out: Path) -> Per:
    """Refuse what cannot come to an end before anything is spent on it."""
    unit = cast(Per, per)
    ConformalExit.of((), delta, unit)
    if not out.absolute().parent.is_dir():
        raise BadInput(f"the calibration cannot be written to {str(out)!r}: there is no such folder")
    if unit == "trace" and len(problems) < unsafe_needed(delta):
        raise TooFewUnsafeExits(
            f"delta {delta!r} needs at least {unsafe_needed(delta)} traces with an unsafe exit, and there are only "
            f"{len(problems)} problems"
        )
    return unit


def _record(found: Found, out: Path) -> dict[str, Any]:
    made, collected = found.calibration, found.collected
    record: dict[str, Any] = to_jsonable_python(made)
    return record | {
        "out": str(out),
        "problems": found.problems,
        "without_cue": collected.without_cue,
        "forced": len(collected.forced),
        "safe": sum(event.safe for event in collected.forced),
        "worst": made.rule.worst(CONFIDENCE),
        "usage": collected.usage.known_all(),
    }


def _page(found: Found, out: Path) -> Group:
    made, collected = found.calibration, found.collected
    rule = made.rule
    what = "traces with an unsafe cue" if rule.per == "trace" else "unsafe cues"
    does = "ever exits at one" if rule.per == "trace" else "exits"
    safe = sum(event.safe for event in collected.forced)
    fitted = (
        f"fitted on {made.fitted_on} other traces" if made.fitted_on else "the mean probability, not fitted"
    )
    lines = [
        f"{made.model}: {len(collected.forced)} forced exits in {found.problems} problems, {safe} of them safe; "
        f"{collected.without_cue} problems without a cue; {count(collected.usage.known('total'))} tokens",
        f"Of the {what} at most a share {rule.delta:g} {does}, on average over calibrations; by this one, made on "
        f"{rule.unsafe} of them, less than {rule.worst(CONFIDENCE):.3f} with {CONFIDENCE:.0%} confidence.",
        f"Of the traces with a safe cue {made.kept:.0%} exit at one.  The score: {fitted}.",
        f"Written to {out}; Exit(Conformal({str(out)!r})) uses it.",
    ]
    return Group(*lines)
