"""The options that several commands share."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from surefoot.agents.patterns.instructions import PATTERNS
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput
from surefoot.orchestration.budget import Budget
from surefoot.orchestration.engine.speculation import Speculation
from surefoot.orchestration.rungs import RUNGS, Ladder, read_rungs
from surefoot.orchestration.settings import USUAL, Settings
from surefoot.voting.reliability import Price

TaskAddress = Annotated[
    str | None,
    Option("--task", metavar="PACKAGE.MODULE:CLASS", help="A task of your own, where it can be imported."),
]
JobId = Annotated[str, Argument(metavar="JOB", help="A job's id, as `surefoot jobs` lists it.")]
RedisUrl = Annotated[
    str | None, Option("--redis", envvar="SUREFOOT_REDIS", help="A Redis URL; the embedded one if absent.")
]
PatternNames = Annotated[
    list[str] | None,
    Option(
        "--pattern",
        metavar="NAME|STAGE=NAME",
        help=f"How the model is to think: {', '.join(PATTERNS)}; at one stage of the task alone: solve=table. May be repeated.",
    ),
]
AtOnce = Annotated[int, Option(help="Parts that one process does at a time.")]
AsJson = Annotated[bool, Option("--json", help="Print JSON.")]
Out = Annotated[Path | None, Option(help="Write the decided answers here, one a line.")]


@dataclass(frozen=True)
class SettingsOptions:
    """How a job is done."""

    reliability: Annotated[float, Option(help="Wanted chance that every step is right.")] = USUAL.reliability
    k: Annotated[int | None, Option(help="Lead that decides; from calibration if absent.")] = USUAL.k
    rule: Annotated[
        Literal["lead", "budget"],
        Option(
            help="One lead for all steps, or a risk budget: leads by kind of step and by dissent, from calibration."
        ),
    ] = USUAL.rule
    hardest: Annotated[
        float,
        Option(
            help="Largest share of wrong ballots on a step that a risk budget reckons with; 0: steps are alike."
        ),
    ] = USUAL.hardest
    states: Annotated[int, Option(help="Different states to calibrate on.")] = USUAL.states
    temperature: Annotated[
        float | None, Option(help="Of every ballot but the first; the task's own if absent.")
    ] = None
    first_temperature: Annotated[float | None, Option(help="Of the first ballot of a step.")] = None
    max_tokens: Annotated[int | None, Option(help="A sample is cut off here, which is a red flag.")] = None
    limit: Annotated[int, Option(help="Samples that one step may use before it stalls.")] = USUAL.limit
    spare: Annotated[int, Option(help="Samples asked for beyond the fewest that could decide.")] = USUAL.spare
    segment: Annotated[int, Option(help="Steps per segment.")] = USUAL.segment
    seed: Annotated[int, Option(help="Seed of the job's random choices.")] = USUAL.seed
    ladder: Annotated[
        str | None,
        Option(
            metavar="RUNG,RUNG,...",
            help=f"What a step climbs that its votes leave undecided: {', '.join(RUNGS)}, model=URL. Without it the job stalls there.",
        ),
    ] = None
    dissent: Annotated[
        int | None,
        Option(
            help=f"A step climbs the --ladder at so many votes against its leader; usually {Ladder.dissent}."
        ),
    ] = None
    model_k: Annotated[
        int | None,
        Option(help="Lead that decides where another model of the --ladder does; usually that of the job."),
    ] = None

    def made(self, task: Task[Any, Any]) -> Settings:
        """Return the settings; ballots are drawn in the task's own way but for what was given."""
        given = {
            field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None
        }
        drawn = {
            name: given.pop(name)
            for name in ("temperature", "first_temperature", "max_tokens")
            if name in given
        }
        own = {name: given.pop(name) for name in ("dissent", "model_k") if name in given}
        if "ladder" in given:
            given["ladder"] = Ladder(read_rungs(given["ladder"]), **own)
        elif own:
            raise BadInput("--dissent and --model-k are a ladder's: give it with --ladder")
        return Settings(**given, sampling=replace(task.sampling, **drawn))


@dataclass(frozen=True)
class SpeculationOptions:
    """How far ahead is asked, and on what."""

    speculate: Annotated[
        str,
        Option(
            metavar="off|leading|short|ahead|recall|MODEL",
            help="Ask ahead: on the leading ballot, a draft, or another model rolled ahead. It changes no decision.",
        ),
    ] = "off"
    depth: Annotated[int, Option(help="Most steps to ask ahead; what is used adapts.")] = Speculation.depth
    max_waste: Annotated[float, Option(help="Largest share of samples that may be wasted.")] = (
        Speculation.max_waste
    )
    capacity: Annotated[int, Option(help="Most samples in flight when asking ahead.")] = Speculation.capacity

    def made(self) -> Speculation | None:
        """Return the speculation; None if it is off."""
        if self.speculate == "off":
            return None
        return Speculation(self.speculate, depth=self.depth, max_waste=self.max_waste, capacity=self.capacity)


@dataclass(frozen=True)
class BudgetOptions:
    """What may be spent, and the prices."""

    max_steps: Annotated[int | None, Option(help="Stop in order after so many steps; resuming goes on.")] = (
        None
    )
    budget_tokens: Annotated[
        int | None, Option(help="Stop in order before the job has taken more tokens; resuming goes on.")
    ] = None
    budget_cost: Annotated[
        float | None, Option(help="The same in money, by --input-price and --output-price.")
    ] = None
    budget_wall_s: Annotated[
        float | None, Option(help="Stop in order before so many seconds since the job began.")
    ] = None
    budget_working_s: Annotated[
        float | None, Option(help="Stop in order before so many seconds of work on the job.")
    ] = None
    input_price: Annotated[float | None, Option(help="Price of a million input tokens.")] = None
    output_price: Annotated[float | None, Option(help="Price of a million output tokens.")] = None

    def made(self) -> Budget | None:
        """Return the budget, if there is one."""
        price = self.price()
        budget = Budget(
            steps=self.max_steps,
            tokens=self.budget_tokens,
            cost=self.budget_cost,
            price=None if self.budget_cost is None else price,
            wall_s=self.budget_wall_s,
            working_s=self.budget_working_s,
        )
        return None if budget == Budget() else budget

    def price(self) -> Price | None:
        """Return the price of a million tokens, which a bound on the cost cannot do without."""
        if self.input_price is None and self.output_price is None and self.budget_cost is None:
            return None
        if self.input_price is None or self.output_price is None:
            raise BadInput(
                "a cost takes both prices of a million tokens, --input-price and --output-price: 0 if it is free"
            )
        return Price(self.input_price, self.output_price)


@dataclass(frozen=True)
class RayOptions:
    """Where the work is done."""

    on: Annotated[
        str | None,
        Option(metavar="ray", help="Do it in the actors of a Ray cluster (surefoot[ray]), with --redis."),
    ] = None
    actors: Annotated[int | None, Option(help="Of the Ray cluster; as many as it has nodes if absent.")] = (
        None
    )

    def made(self, redis: str | None) -> Any:
        """Return how many actors work, None if this process does; `BadInput` for a Redis that they cannot share."""
        from surefoot.orchestration.workers import OnRay  # a page of help needs none of what it brings along

        if self.on is None:
            if self.actors is not None:
                raise BadInput("--actors are those of a Ray cluster: add --on ray")
            return None
        if self.on != "ray":
            raise BadInput(f"work is done here or on a Ray cluster, --on ray, not on {self.on!r}")
        if redis is None:
            raise BadInput("--on ray takes the address of a Redis that every node reaches, --redis URL")
        return OnRay(actors=self.actors)

    def quiet(self) -> AbstractContextManager[object]:
        """Keep standard output for the result: Ray prints there what befalls its actors."""
        return nullcontext() if self.on is None else redirect_stdout(sys.stderr)


def by_stage(pattern: Sequence[str]) -> dict[str, str]:
    """Return the patterns that were typed, by stage; that without a stage is for all others."""
    pairs = [each.rpartition("=")[::2] for each in pattern]
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadInput(f"one --pattern for all stages, and one for each, not {' '.join(pattern)!r}")
    return found
