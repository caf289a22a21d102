"""Conformal exits: the bound holds for every distribution and every size, and is exact where it can be."""

import importlib
import math
import random
from fractions import Fraction
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import BadInput
from surefoot.voting.conformal import ConformalExit, CueEvent, Per, rank, unsafe_needed

deltas = st.sampled_from([0.01, 0.02, 0.05, 0.1, 0.2, 0.29, 0.3, 0.5])
coarse = st.sampled_from([0.0, 0.25, 0.5, 1.0])
fine = st.floats(0, 1)


def of(unsafe: list[float], delta: float, per: Per = "trace") -> ConformalExit:
    """Calibrate on one unsafe cue per trace."""
    return ConformalExit.of(
        [CueEvent(number, score, False) for number, score in enumerate(unsafe)], delta, per
    )


@given(st.lists(st.one_of(coarse, fine), min_size=1, max_size=25), deltas)
def test_of_any_unsafe_scores_left_out_in_turn_no_greater_share_than_delta_exits(
    scores: list[float], delta: float
) -> None:
    """This is the whole proof: by exchangeability each of n + 1 unsafe scores is the new one equally often."""
    exits = [of(scores[:i] + scores[i + 1 :], delta).exits(score) for i, score in enumerate(scores)]
    assert Fraction(sum(exits), len(scores)) <= Fraction(str(delta))


@given(st.lists(fine, min_size=1, max_size=25, unique=True), deltas)
def test_without_ties_the_share_is_the_largest_that_so_many_scores_allow(
    scores: list[float], delta: float
) -> None:
    exits = [of(scores[:i] + scores[i + 1 :], delta).exits(score) for i, score in enumerate(scores)]
    assert sum(exits) == math.floor(len(scores) * Fraction(str(delta)))


@given(st.lists(st.lists(coarse, min_size=1, max_size=5), min_size=1, max_size=15), deltas)
def test_of_any_traces_left_out_in_turn_no_greater_share_than_delta_ever_exits_unsafely(
    traces: list[list[float]], delta: float
) -> None:
    exits = 0
    for left_out, scores in enumerate(traces):
        events = [
            CueEvent(i, score, False) for i, other in enumerate(traces) if i != left_out for score in other
        ]
        rule = ConformalExit.of(events, delta)
        exits += any(rule.exits(score) for score in scores)
    assert Fraction(exits, len(traces)) <= Fraction(str(delta))


@given(st.integers(0, 300), deltas)
def test_the_rank_is_the_papers_but_never_clipped(count: int, delta: float) -> None:
    k = rank(count, delta)
    exact = (count + 1) * (1 - Fraction(str(delta)))
    if k is None:
        assert exact > count
    else:
        assert k - 1 < exact <= k <= count


@given(deltas)
def test_the_count_that_is_needed_is_the_fewest_that_has_a_rank(delta: float) -> None:
    needed = unsafe_needed(delta)
    assert rank(needed, delta) is not None
    assert all(rank(fewer, delta) is None for fewer in range(needed))


@pytest.mark.parametrize(("delta", "needed"), [(0.01, 99), (0.03, 33), (0.05, 19), (0.1, 9), (0.3, 3)])
def test_unsafe_cues_needed(delta: float, needed: int) -> None:
    assert unsafe_needed(delta) == needed


def test_too_few_unsafe_cues_never_exit() -> None:
    rule = of([0.1] * 8, 0.1)
    assert not rule.supported and rule.above == math.inf and not rule.exits(1.0)
    assert rule.worst() == 0


def test_a_tie_with_the_quantile_does_not_exit() -> None:
    rule = of([0.5] * 9, 0.1)
    assert rule.supported
    assert not rule.exits(0.5)
    assert rule.exits(math.nextafter(0.5, 1))


@given(st.lists(coarse, max_size=25), st.lists(coarse, max_size=25), deltas)
def test_safe_cues_do_not_move_the_threshold(unsafe: list[float], safe: list[float], delta: float) -> None:
    events = [CueEvent(number, score, number >= len(unsafe)) for number, score in enumerate([*unsafe, *safe])]
    assert ConformalExit.of(events, delta) == of(unsafe, delta)


@given(st.lists(fine, max_size=25), fine, deltas, deltas)
def test_a_greater_delta_exits_wherever_a_smaller_one_does(
    scores: list[float], score: float, one: float, other: float
) -> None:
    strict, lax = (of(scores, delta) for delta in sorted((one, other)))
    assert lax.exits(score) or not strict.exits(score)


def test_a_trace_counts_once_by_the_unsafe_cue_that_looked_safest() -> None:
    cues = [(0.1, False), (0.4, False), (0.9, True)]
    events = [CueEvent(trace, score, safe) for trace in range(4) for score, safe in cues]
    assert ConformalExit.of(events, 0.2) == ConformalExit(0.2, "trace", unsafe=4, above=0.4)
    assert ConformalExit.of(events, 0.5, "cue") == ConformalExit(0.5, "cue", unsafe=8, above=0.4)
    assert ConformalExit.of(events, 0.6, "cue") == ConformalExit(0.6, "cue", unsafe=8, above=0.1)


@pytest.mark.parametrize(("unsafe", "delta"), [(9, 0.1), (50, 0.05), (99, 0.3)])
def test_a_single_calibration_strays_from_delta_as_far_as_beta_says(unsafe: int, delta: float) -> None:
    """With uniform scores the share that exits is 1 - quantile, so its distribution over calibrations is seen directly."""
    shares, worst = [], 0.0
    for seed in range(1500):
        draw = random.Random(seed)
        rule = of([draw.random() for _ in range(unsafe)], delta)
        shares.append(1 - rule.above)
        worst = rule.worst(0.95)
    sigma = math.sqrt(0.05 * 0.95 / len(shares))
    assert sum(share > worst for share in shares) / len(shares) == pytest.approx(0.05, abs=4 * sigma)
    mean = math.floor((unsafe + 1) * Fraction(str(delta))) / (unsafe + 1)
    assert fmean(shares) == pytest.approx(mean, abs=4 * stdev(shares) / math.sqrt(len(shares)))


@pytest.mark.parametrize("delta", [0, 1, -0.1, math.nan])
def test_a_delta_that_is_no_share_is_refused(delta: float) -> None:
    with pytest.raises(BadInput, match=r"try 0\.1"):
        of([0.5], delta)


@pytest.mark.parametrize("score", [-0.1, 1.1, math.nan])
def test_a_score_outside_0_to_1_is_refused(score: float) -> None:
    with pytest.raises(BadInput, match="between 0 and 1"):
        of([score], 0.1)


def test_another_unit_is_refused() -> None:
    with pytest.raises(BadInput, match="'token'"):
        of([0.5], 0.1, "token")  # type: ignore[arg-type]


# The bench, with fewer splits


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "bench"))
    return importlib.import_module("conformal")


def test_no_promised_share_of_the_bench_is_broken(bench: Any) -> None:
    found = bench.sections(60, sizes=(5, 20, 99))
    assert [section.promised for section in found] == [True] * 4 + [False] * 2
    assert not any(section.broken for section in found)
    continuous = found[0].rows[99]
    for cell in continuous:
        assert cell.exited == pytest.approx(cell.delta, abs=4 * cell.sigma) and cell.kept > 0.1
    assert all(cell.exited == 0 for cell in found[0].rows[5] if cell.delta < 1 / 6)


def test_the_bench_sees_a_rule_that_breaks_its_promise(bench: Any) -> None:
    """Calibrated per cue, whole traces exit unsafely more often than delta: several cues are several chances."""
    (section,) = bench.measure(
        "dependent", [bench.WAYS[2]._replace(promised=True)], bench.dependent, (50,), 60
    )
    assert section.broken


def test_the_bench_takes_forced_exits_from_a_file(bench: Any, tmp_path: Path) -> None:
    draw = random.Random(0)
    lines = [
        f'{{"trace": "{trace}", "cue": {cue}, "mean": {draw.random()}, "least": 0.5, "agreement": 0, "safe": {safe}}}'
        for trace in range(90)
        for cue, safe in enumerate(("false", "true"))
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(lines))
    found = bench.of_file(path, 40)
    assert [list(section.rows) for section in found] == [[5, 10, 20]] * 3
    assert not any(section.broken for section in found)
