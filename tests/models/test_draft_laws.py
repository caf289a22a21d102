import math
import random

import pytest

from surefoot import BadInput
from surefoot.models.draft_laws import (
    CHOICES,
    FORMS,
    PLAIN,
    AcceptanceLaw,
    DraftPoint,
    chosen_law,
    fitted_law,
)

SIZES = (4e3, 1.3e4, 5e4, 1.2e5, 2e5)
BUDGETS = (65536, 110218, 185364, 311744, 524288)
COEFFICIENTS = {"1": -2.0, "size": 0.03, "tokens": 0.15, "size x tokens": 0.001, "tokens^2": 0.0005}


def known_law(form: str, terms: tuple[str, ...] = PLAIN) -> AcceptanceLaw:
    """A law whose acceptances lie within 0..1 for most of SIZES and BUDGETS: what is rejected falls where what is accepted rises."""
    sign = -1 if form == "rejection" else 1
    return AcceptanceLaw(form, terms, tuple(sign * COEFFICIENTS[term] for term in terms))


def drafts(law: AcceptanceLaw, noise: float = 0.0) -> list[DraftPoint]:
    rng = random.Random(3)
    found = [
        DraftPoint(size, budget, law.acceptance(size, budget) + rng.gauss(0, noise))
        for size in SIZES
        for budget in BUDGETS
    ]
    return [point for point in found if 0.001 < point.acceptance < 0.999]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("terms", CHOICES, ids=len)
def test_a_law_is_found_again_from_what_it_says(form: str, terms: tuple[str, ...]) -> None:
    law = known_law(form, terms)
    points = drafts(law)
    assert len(points) > 15
    assert fitted_law(points, form, terms).coefficients == pytest.approx(law.coefficients, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_the_form_is_chosen_that_the_drafts_follow(form: str) -> None:
    points = drafts(known_law(form))
    law = chosen_law(points)
    assert max(map(abs, law.errors(points))) < 1e-9
    assert law.form == form and law.terms == PLAIN


def test_half_of_the_drafts_foretell_the_other_half() -> None:
    points = drafts(known_law("odds"), noise=0.004)
    rng = random.Random(1)
    rng.shuffle(points)
    half = len(points) // 2
    assert max(map(abs, chosen_law(points[:half]).errors(points[half:]))) < 0.02


@pytest.mark.parametrize("form", FORMS)
def test_an_acceptance_stays_a_share_however_far_a_law_is_stretched(form: str) -> None:
    law = fitted_law(drafts(known_law(form)), form)
    for size in (1, 1e3, 1e9, 1e15):
        for budget in (1, 1e6, 1e13):
            assert 0 <= law.acceptance(size, budget) <= 1


@pytest.mark.parametrize(
    "point", [(0, 1e5, 0.5), (1e4, -1, 0.5), (1e4, 1e5, 0.0), (1e4, 1e5, 1.0), (math.inf, 1e5, 0.5)]
)
def test_what_is_no_draft_is_refused(point: tuple[float, float, float]) -> None:
    with pytest.raises(BadInput, match="a draft has parameters"):
        fitted_law([*drafts(known_law("odds")), DraftPoint(*point)], "odds")


def test_drafts_of_one_size_tell_nothing_about_size() -> None:
    points = [DraftPoint(1e4, budget, 0.5 + 0.01 * n) for n, budget in enumerate(BUDGETS)]
    with pytest.raises(BadInput, match="too much alike"):
        fitted_law(points, "log-linear")
    with pytest.raises(BadInput, match="needs as many drafts"):
        fitted_law(points[:2], "log-linear")
    with pytest.raises(BadInput, match="a law is one of log-linear"):
        fitted_law(points, "linear")
