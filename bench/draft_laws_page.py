"""The page of the draft laws."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from draft_laws_sweep import Swept
from pages import origin, table

from surefoot.models.draft_laws import PLAIN, AcceptanceLaw, DraftPoint, chosen_law, fitted_law, left_out
from surefoot.models.draft_length import best_length, expected_runs
from surefoot.models.vllm.draft_tuning import DraftCost, draft_lengths, speculative_config
from surefoot.training.drafts.family import DraftSpec

AIM = 0.02
NEAR = 1.05
"""Times the least time: the aim for a chosen length."""
KNOWN_ROUNDS = (2, 6)
"""The lengths by which the tuner learns what a round costs, where one text is written at a time; in batches the second and the last."""

PREDICTED = """\
Written down when the first ten drafts were trained, nine of them had been looked at on 32 problems (0.33 to 0.73 of all tokens accepted at temperature 1; before the first
was trained 0.6 to 0.95 was expected of the family), and llama.cpp had been tried once, busy, with one draft. No law had been fitted.

- **Acceptance** at temperature 1 up to 0.85 to 0.9 of all tokens, 0.65 of the hard ones; higher at lower temperatures.
- **The paper's law** misses most of the other half by more than 0.02: the smallest budgets lie where acceptance rises steeply. A law with a bend is chosen, of the
  odds or of what is rejected; 0.015 off on average, 0.03 to 0.05 at worst, so that the aim is missed at single drafts.
- **Two layers** accept more than a law of parameters says: to copy from a text takes two.
- **Lengths**: with ponder's own three layers no draft pays, and the tuner says so by measured rounds; by the bare ratio of both models' times it would draft, and be more than
  5 % off. With 24 layers at most 1.3 times as fast, with 2 to 4 tokens, and the tuner within 5 %.
- **Batches**: the more texts at a time, the fewer tokens are worth drafting, down to none: this processor computes all the time and waits for no memory."""


class LawCase(NamedTuple):
    """What is foretold: acceptance at a temperature, of all tokens or of the hard ones."""

    temperature: float
    hard: bool

    def __str__(self) -> str:
        return f"{self.temperature:g}, {'hard' if self.hard else 'all'}"


class LengthCase(NamedTuple):
    """A pair of models in llama.cpp, and what was measured of it."""

    layers: int
    draft: DraftSpec
    batch: int
    swept: list[Swept]
    alone_s: float
    """CPU seconds a token of the draft by itself."""

    def at(self, length: int) -> Swept:
        return next(each for each in self.swept if each.length == length)


AcceptancesFound = Mapping[LawCase, Sequence[DraftPoint]]


def page(
    results: Path | None,
    family: Sequence[DraftSpec],
    fits: Sequence[bool],
    found: AcceptancesFound,
    swept: Sequence[LengthCase],
) -> str:
    """Return the page: `fits` says which drafts the laws are fitted on."""
    parts = [
        "# Draft laws on ponder",
        origin("draft_laws", results),
        "Drafts are networks of ponder's kind, trained by its loop on the process that ponder was trained on. Acceptance is exact: the mean over "
        "tokens that ponder wrote of the sum of min(p, q). Hard are the fifth of the tokens at which ponder's entropy is highest. ponder's problems are "
        "few and its texts alike: the numbers of a law here say nothing about large models, its form perhaps.",
        "## Predicted",
        PREDICTED,
        "## Acceptance",
        acceptances(family, fits, found),
        "## Laws",
        laws(family, fits, found),
    ]
    if swept:
        parts += ["## Lengths in llama.cpp", *lengths(swept, law_of(fits, found[LawCase(0.0, False)]))]
    return "\n\n".join(parts) + "\n"


def law_of(fits: Sequence[bool], points: Sequence[DraftPoint]) -> AcceptanceLaw:
    """Return the law that the fitting half chooses."""
    return chosen_law(list(compress(points, fits)))


def acceptances(family: Sequence[DraftSpec], fits: Sequence[bool], found: AcceptancesFound) -> str:
    rows = [
        [
            f"{spec.layers} x {spec.width}",
            f"{spec.parameters:,}",
            f"{spec.tokens:,}",
            *(f"{points[n].acceptance:.3f}" for points in found.values()),
            "law" if fits[n] else "",
        ]
        for n, spec in enumerate(family)
    ]
    columns = ["layers x width", "parameters", "tokens", *map(str, found), "fitted on"]
    return f"By temperature, all tokens and hard ones:\n\n{table(columns, rows)}"


def off(law: AcceptanceLaw, points: Sequence[DraftPoint]) -> list[str]:
    """Return mean, worst and share within the aim of a law's errors."""
    errors = [abs(error) for error in law.errors(points)]
    return [f"{fmean(errors):.3f}", f"{max(errors):.3f}", f"{sum(e <= AIM for e in errors)} of {len(errors)}"]


def laws(family: Sequence[DraftSpec], fits: Sequence[bool], found: AcceptancesFound) -> str:
    rows, further, depths = [], [], []
    budgets = sorted({spec.tokens for spec in family})
    for case, points in found.items():
        known = list(compress(points, fits))
        others = [point for point, fit in zip(points, fits, strict=True) if not fit]
        law, plain = chosen_law(known), fitted_law(known, "log-linear")
        terms = ", ".join(term for term in law.terms if term not in PLAIN)
        rows.append(
            [
                str(case),
                law.form + (f", {terms}" if terms else ""),
                f"{left_out(known, law.form, law.terms):.3f}",
                *off(law, others),
                *off(plain, others),
            ]
        )
        small = [point for point in points if point.tokens < budgets[-2]]
        large = [point for point in points if point.tokens >= budgets[-2]]
        further.append(
            [str(case), *off(chosen_law(small), large), *off(fitted_law(small, "log-linear"), large)]
        )
        two = [point for point, spec in zip(points, family, strict=True) if spec.layers == 2]
        if two:
            depths.append(f"{case}: {-fmean(law.errors(two)):+.3f}")
    errors = ["mean error", "worst", f"within {AIM}"]
    both = [*errors, *(f"{name}, paper's form" for name in errors)]
    said = [
        "Fitted on half of the drafts, which choose form and terms by leaving one out each; errors are those on the other half:",
        table(["temperature, tokens", "chosen", "left out", *both], rows),
        "Fitted on all but the two largest budgets, errors on these:",
        table(["temperature, tokens", *both], further),
    ]
    if depths:
        said.append(f"Drafts of two layers, measured less foretold on average: {'; '.join(depths)}.")
    return "\n\n".join(said)


class LengthChoice(NamedTuple):
    """A length, and how long it takes beside the best one."""

    length: int
    times: float

    def __str__(self) -> str:
        return f"{self.length} ({self.times:.2f})"


def chosen(case: LengthCase, acceptance: float, cost: DraftCost) -> LengthChoice:
    """Return the tuner's choice among the lengths that were measured, and times the least time that it takes."""
    tried = [each.length for each in case.swept]
    runs = expected_runs([acceptance] * max(tried))
    seconds = [1 + (cost.round + cost.token * length if length else 0) for length in tried]
    length = tried[best_length([runs[one] for one in tried], seconds)]
    return LengthChoice(length, case.at(length).token_s / min(each.token_s for each in case.swept))


def cost_of(case: LengthCase) -> DraftCost:
    """Return what drafts cost by two of the lengths that were measured."""
    few, many = KNOWN_ROUNDS if case.batch == 1 else (case.swept[2].length, case.swept[-1].length)
    return DraftCost.measured(case.at(0).token_s, {few: case.at(few).round_s, many: case.at(many).round_s})


def lengths(swept: Sequence[LengthCase], law: AcceptanceLaw) -> Iterator[str]:
    for batched in (False, True):
        cases = [case for case in swept if (case.batch > 1) is batched]
        if not cases:
            continue
        tried = [each.length for each in cases[0].swept]
        columns = [
            "layers, draft" + (", texts at a time" if batched else ""),
            *(f"{length}" for length in tried),
            "accepted",
            "by the law",
            "best",
            "tuner",
            "tuner by the law",
            "bare ratio",
        ]
        rows = []
        for case in cases:
            first = case.at(1)
            told, said = (
                first.accepted / first.drafted,
                law.acceptance(case.draft.parameters, case.draft.tokens),
            )
            best = min(case.swept, key=lambda each: each.token_s)
            bare = DraftCost(case.alone_s / case.at(0).token_s)
            rows.append(
                [
                    f"{case.layers}, {case.draft.layers} x {case.draft.width}"
                    + (f", {case.batch}" if batched else ""),
                    *(f"{1e3 * each.token_s:.3f}" for each in case.swept),
                    f"{told:.3f}",
                    f"{said:.3f}",
                    str(best.length),
                    str(chosen(case, told, cost_of(case))),
                    str(chosen(case, said, cost_of(case))),
                    f"{bare.token:.2f}: {chosen(case, told, bare)}",
                ]
            )
        yield f"Milliseconds of CPU a token, by drafted tokens; lengths chosen, and in brackets times the least time (aim: {NEAR}):"
        yield table(columns, rows)
    spread = [(max(each.cpu_s) - min(each.cpu_s)) / each.token_s for case in swept for each in case.swept]
    same = all(each.same for case in swept for each in case.swept)
    yield (
        f"The tuner knows the acceptance of the first drafted token, by llama.cpp's count or by the law at temperature 0, and what a round takes at "
        f"{KNOWN_ROUNDS[0]} and {KNOWN_ROUNDS[1]} drafted tokens (in batches at the second and the last length) and without any. The bare ratio is that of both models' times a "
        f"token, with which a round is taken to cost 1 + ratio x length. From the slowest to the fastest turn of a length {fmean(spread):.0%} of its median on average, {max(spread):.0%} at most. "
        f"All texts are those without drafts: {'yes' if same else 'no'}."
    )
    last = [case for case in swept if case.layers == swept[-1].layers and case.draft == swept[-1].draft]
    costs = {case.batch: cost_of(case) for case in last}
    chance = last[0].at(1).accepted / last[0].at(1).drafted
    config = speculative_config(
        {"method": "draft_model", "model": "DRAFT"}, draft_lengths([chance] * 8, costs)
    )
    yield f"What the tuner would write for a vLLM with the costs of the last draft:\n\n    {json.dumps(config)}"
