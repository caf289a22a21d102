"""The settings of bench/thinking.py: every control, from none of it to too much."""

import asyncio
import math
from collections.abc import Awaitable, Callable

from thinking_laboratory import (
    ANSWER_TOKENS,
    PROBING,
    THINK_TOKENS,
    Built,
    Confiding,
    Counted,
    Laboratory,
    Setting,
    SteerLetters,
    Vote,
)
from thinking_page import PLAIN

from surefoot.agents.reasoning.adapt import Adapt, Ramp, entropy_uncertainty, margin_uncertainty
from surefoot.agents.reasoning.budget import Elastic
from surefoot.agents.reasoning.exit_calibration import ExitCalibration
from surefoot.agents.reasoning.exits import Conformal, Deer, Dynasor, Exit
from surefoot.agents.reasoning.loops import Loops
from surefoot.agents.reasoning.reasoner import Control
from surefoot.agents.reasoning.route import NoThinking, Route
from surefoot.agents.reasoning.trim import Trim
from surefoot.models.base import Ask
from surefoot.training.ponder.problems import answer_of

GUIDANCE = "time to answer.\n"
LOOPS = Loops(span=40, repeats=4, memory=512)
RAMP_OF = 200
"""Problems whose uncertainties make the ramp of `Adapt`."""

BUDGETS = (20, 40, 60, 80, 120, 160, 240, 320)
ROUTES = ((3, 0.9), (4, 0.95), (6, 0.9), (8, 0.95), (8, 0.7))
TRIMS = ((1, 1), (2, 2), (2, 3), (2, 4), (3, 3), (3, 4), (3, 6), (4, 6))
DEERS = (0.8, 0.9, 0.95, 0.99, 0.999)
DYNASORS = (1, 2, 3, 5)
DELTAS = (0.05, 0.1, 0.2, 0.3)
BIASES = (-1, -2, -4, -100)
ADAPTS = (
    (0, THINK_TOKENS, "margin"),
    (40, THINK_TOKENS, "margin"),
    (40, 200, "margin"),
    (80, 300, "margin"),
    (40, 200, "entropy"),
)
MEASURES = {"margin": margin_uncertainty, "entropy": entropy_uncertainty}
VOTES = (3, 5)
CONFIDES = (
    (5, 90, "all drawn"),
    (5, 50, "all drawn"),
    (5, 90, "until sure"),
    (5, 50, "until sure"),
)


def settings() -> list[Setting]:
    made = [Setting(PLAIN, "", reasoned()), Setting("no thinking", "", reasoned(NoThinking()))]
    made += [Setting("no thinking", f"majority of {n}", majority(n, NoThinking())) for n in (5, 9)]
    made += [Setting("budget", f"{n}", reasoned(Elastic(n, ANSWER_TOKENS))) for n in BUDGETS]
    made += [Setting("route", f"{n} short, {agree:g}", route(n, agree)) for n, agree in ROUTES]
    made += [Setting("trim", f"{same} of {window}", trim(same, window)) for same, window in TRIMS]
    made += [Setting("exit deer", f"{p:g}", reasoned(Exit(Deer(p), PROBING))) for p in DEERS]
    made += [Setting("exit dynasor", f"{last}", reasoned(Exit(Dynasor(last), PROBING))) for last in DYNASORS]
    made += [Setting("exit conformal", f"{delta:g}", conformal(delta)) for delta in DELTAS]
    made += [Setting("steer", f"{bias:g}", reasoned(SteerLetters(bias))) for bias in BIASES]
    made += [
        Setting("adapt", f"{least}-{most} by {measure}", adapt(least, most, measure))
        for least, most, measure in ADAPTS
    ]
    made += [Setting("majority", f"of {n}", majority(n)) for n in VOTES]
    made += [
        Setting("confide", f"of {most}, eta {eta}, {sure}", confide(most, eta, sure))
        for most, eta, sure in CONFIDES
    ]
    return made


def reasoned(*controls: Control) -> Callable[[Laboratory], Awaitable[Built]]:
    """Build a reasoner with controls that need no preparation."""

    async def build(laboratory: Laboratory) -> Built:
        return Built(laboratory.reasoner(*controls))

    return build


def route(samples: int, agree: float) -> Callable[[Laboratory], Awaitable[Built]]:
    async def build(laboratory: Laboratory) -> Built:
        model = Route(
            laboratory.reasoner(NoThinking()),
            laboratory.reasoner(),
            samples,
            agree,
            canonical=answer_of,
            temperature=laboratory.temperature,
        )
        return Built(model, lambda: f"thought about {model.thought / model.asked:.0%}")

    return build


def trim(same: int, window: int) -> Callable[[Laboratory], Awaitable[Built]]:
    async def build(laboratory: Laboratory) -> Built:
        verifier = Counted()
        control = Trim(verifier, same, window, guidance=GUIDANCE, forceful=GUIDANCE, loops=LOOPS)
        return Built(laboratory.reasoner(control), lambda: f"{verifier.asked:,} questions of the verifier")

    return build


def conformal(delta: float) -> Callable[[Laboratory], Awaitable[Built]]:
    async def build(laboratory: Laboratory) -> Built:
        labels = await laboratory.forced()
        found = ExitCalibration.of(labels.forced, laboratory.model.name, delta, probing=PROBING)
        said = f"calibrated on {len(laboratory.calibration)} other problems, {labels.usage.completion:,} tokens, once"
        return Built(laboratory.reasoner(Exit(Conformal(found))), lambda: said)

    return build


def adapt(least: int, most: int, measure: str) -> Callable[[Laboratory], Awaitable[Built]]:
    """Build an adaptive budget whose ramp comes from problems that are not measured."""

    async def build(laboratory: Laboratory) -> Built:
        thinker, unfitted = laboratory.reasoner(), Adapt(measure=MEASURES[measure], probing=PROBING)
        draws = [
            thinker.draw(Ask(problem.prompt, laboratory.temperature, ANSWER_TOKENS, 0))
            for problem in laboratory.calibration[:RAMP_OF]
        ]
        seen = await asyncio.gather(*(unfitted.uncertainty(laboratory.model, draw) for draw in draws))
        ramp = Ramp.of([uncertainty for uncertainty, _ in seen])
        control = Adapt(least, most, ramp=ramp, measure=MEASURES[measure], probing=PROBING)
        said = f"ramp from {ramp.sure:.2g} to {ramp.unsure:.2g}, by {len(seen)} other problems"
        return Built(laboratory.reasoner(control), lambda: said)

    return build


def majority(samples: int, *controls: Control) -> Callable[[Laboratory], Awaitable[Built]]:
    async def build(laboratory: Laboratory) -> Built:
        return Built(Vote(laboratory.reasoner(*controls), samples))

    return build


def confide(most: int, eta: int, until: str) -> Callable[[Laboratory], Awaitable[Built]]:
    async def build(laboratory: Laboratory) -> Built:
        model = Confiding(laboratory, most, eta, 0.95 if until == "until sure" else math.inf)
        return Built(model, model.note)

    return build
