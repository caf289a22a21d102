import json
import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput
from surefoot.models.streaming import Token
from surefoot.models.vllm.draft_tuning import (
    DraftCost,
    DraftCounters,
    LossySpeculation,
    draft_lengths,
    read_draft_counters,
    speculative_config,
)

EAGLE = {"method": "eagle3", "model": "an/eagle"}


def metrics(drafts: float, *accepted: float, engine: int = 0, drafted: float | None = None) -> str:
    """What vLLM has at /metrics about drafts of as many positions as there are numbers."""
    labels = f'engine="{engine}",model_name="a }} b, position=\\"7\\""'
    drafted = drafts * len(accepted) if drafted is None else drafted
    lines = [
        "# TYPE vllm:spec_decode_num_drafts_total counter",
        f"vllm:spec_decode_num_drafts_total{{{labels}}} {drafts}",
        f"vllm:spec_decode_num_draft_tokens_total{{{labels}}} {drafted}",
        f"vllm:spec_decode_num_accepted_tokens_total{{{labels}}} {sum(accepted)}",
        f"vllm:spec_decode_num_drafts_created{{{labels}}} 1.7e+09",
    ]
    lines += [
        f'vllm:spec_decode_num_accepted_tokens_per_pos_total{{{labels},position="{place}"}} {count}'
        for place, count in enumerate(accepted)
    ]
    return "\n".join(lines) + "\n"


def test_the_counters_of_all_engines_are_added_up() -> None:
    found = read_draft_counters(metrics(100, 80, 60) + metrics(50, 40, 10, engine=1))
    assert found == DraftCounters(150, 300, 190, (120, 70))
    assert found.acceptances() == pytest.approx([120 / 150, 70 / 120])


def test_what_was_counted_before_is_left_out() -> None:
    assert read_draft_counters(metrics(150, 120, 70), metrics(50, 40, 10)).acceptances() == [0.8, 0.75]
    with pytest.raises(BadInput, match="started anew"):
        read_draft_counters(metrics(50, 40, 10), metrics(150, 120, 70))


def test_a_position_that_no_draft_reached_has_no_acceptance() -> None:
    assert read_draft_counters(metrics(100, 50, 0, 0)).acceptances() == [0.5, 0.0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no counters of speculation"),
        ("vllm:num_requests_running 3.0\n", "no counters of speculation"),
        (metrics(0, 0, 0), "nothing was drafted"),
        (metrics(100), "nothing was drafted"),
        (metrics(100, 120, 60), "more tokens were accepted than drafted"),
        (metrics(100, 60, 80), "more tokens were accepted than drafted"),
        (metrics(-5, 60), "a counter is a number from 0 up"),
        (metrics(1e308, 1e308) * 2, "a counter is a number from 0 up"),
        (metrics(100, 80, 60).replace("tokens_total", "tokens_totals"), "do not add up"),
        (metrics(100, 80, 60, drafted=120), "1.20 tokens of 2 on average"),
        (metrics(100, 80, 60).replace('position="0"', 'position="2"'), "without a gap"),
        (metrics(100, 80, 60).replace('position="0"', 'position="99999999999"'), "a position of a draft"),
        (metrics(100, 80, 60).replace('position="0"', 'position="-1"'), "a position of a draft"),
        (metrics(100, 80, 60).replace(',position="0"', ""), "a position of a draft"),
    ],
)
def test_counters_that_cannot_be_are_refused_in_a_sentence(text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        read_draft_counters(text).acceptances()


pieces = st.sampled_from(
    [*metrics(10, 8, 5).splitlines(), "{", "}", "\n", " ", '"', "position=", "NaN", "1e999", "-3", "²", "\\"]
)


@given(st.lists(st.one_of(pieces, st.text(max_size=8)), max_size=20))
def test_no_text_does_more_than_be_refused(parts: list[str]) -> None:
    for text in ("".join(parts), "\n".join(parts)):
        try:
            found = read_draft_counters(text).acceptances()
        except BadInput:
            continue
        assert all(0 <= share <= 1 for share in found)


def test_a_line_of_a_megabyte_takes_no_longer_than_it_is() -> None:
    text = 'vllm:spec_decode_num_drafts_total{a="' + '}" ' * 400_000
    with pytest.raises(BadInput, match="no counters"):
        read_draft_counters(text)


@given(
    a=st.floats(0, 1),
    costs=st.dictionaries(st.integers(1, 512), st.floats(0, 3), min_size=1, max_size=6),
)
def test_the_length_of_each_batch_size_is_the_best_of_all(a: float, costs: dict[int, float]) -> None:
    lengths = draft_lengths([a] * 8, {batch: DraftCost(cost) for batch, cost in costs.items()})
    for batch, cost in costs.items():
        rates = [sum(a**n for n in range(length + 1)) / (1 + cost * length) for length in range(9)]
        assert rates[lengths[batch]] == pytest.approx(max(rates))


def test_what_a_round_costs_besides_makes_drafts_longer_or_none() -> None:
    cheap, dear, dearer = (draft_lengths([0.8] * 12, {1: DraftCost(0.1, more)})[1] for more in (0, 1, 4))
    assert 0 < cheap < dear and dearer == 0


def test_costs_are_found_again_from_what_rounds_take() -> None:
    plain_s, cost = 0.004, DraftCost(0.15, 0.4)
    rounds_s = {length: plain_s * (1 + cost.round + cost.token * length) for length in (2, 4, 7)}
    assert DraftCost.measured(plain_s, rounds_s) == pytest.approx(cost)


def test_costs_need_two_lengths() -> None:
    with pytest.raises(BadInput, match="two lengths"):
        DraftCost.measured(0.004, {2: 0.01})


def k_of(table: list[list[int]], batch: int, most: int) -> int:
    """What vLLM takes from such a table: the rules of its `dynamic_speculative_decoding` page."""
    assert table[0][0] == 1
    assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(table))
    assert all(first <= last and 0 <= k <= most for first, last, k in table)
    return next((k for first, last, k in table if first <= batch <= last), table[-1][2])


@given(st.dictionaries(st.integers(1, 512), st.integers(0, 8), min_size=1, max_size=6))
def test_the_table_says_to_vllm_what_was_chosen(lengths: dict[int, int]) -> None:
    config = speculative_config(EAGLE, lengths)
    if config is None:
        assert not any(lengths.values())
        return
    assert json.loads(json.dumps(config)) == config and config["method"] == "eagle3"
    most = config["num_speculative_tokens"]
    assert most == max(lengths.values()) > 0
    table = config.get("num_speculative_tokens_per_batch_size", [[1, 512, most]])
    for batch, length in lengths.items():
        assert k_of(table, batch, most) == length


def sampled(count: int, rng: random.Random, *, spoil: float = 0.0) -> list[Token]:
    """Tokens drawn from 0.7, 0.2, 0.1, of which a share is replaced by one that the model takes for impossible."""
    top = tuple((name, math.log(p)) for name, p in (("a", 0.7), ("b", 0.2), ("c", 0.1)))
    drawn = rng.choices(top, [0.7, 0.2, 0.1], k=count)
    return [
        Token("?", -41.5, top) if rng.random() < spoil else Token(name, logprob, top)
        for name, logprob in drawn
    ]


@pytest.mark.parametrize("seed", range(5))
def test_speculation_that_changes_what_is_sampled_is_refused(seed: int) -> None:
    """W5: two of three samples of vLLM's CPU build with n-grams held tokens below e^-30."""
    rng = random.Random(seed)
    assert speculative_config(EAGLE, {1: 4}, sampled(400, rng)) is not None
    with pytest.raises(LossySpeculation, match="impossible"):
        speculative_config({"method": "ngram"}, {1: 4}, sampled(400, rng, spoil=0.05))


@pytest.mark.parametrize("method", ["synthetic", "fly"])
def test_a_way_to_accept_that_is_lossy_on_purpose_is_refused(method: str) -> None:
    with pytest.raises(LossySpeculation, match=method):
        speculative_config({**EAGLE, "rejection_sample_method": method}, {1: 4})
    assert speculative_config({**EAGLE, "rejection_sample_method": "strict"}, {1: 4})


@pytest.mark.parametrize("acceptance", [-0.1, 1.1, math.nan])
def test_what_is_no_share_is_refused(acceptance: float) -> None:
    with pytest.raises(BadInput, match="a share from 0 to 1"):
        draft_lengths([acceptance], {1: DraftCost(0.1)})


@pytest.mark.parametrize("cost", [DraftCost(-1), DraftCost(math.inf), DraftCost(math.nan), DraftCost(1, -1)])
def test_costs_that_cannot_be_are_refused(cost: DraftCost) -> None:
    with pytest.raises(BadInput, match="costs are no less than nothing"):
        draft_lengths([0.9], {1: cost})
    with pytest.raises(BadInput, match="batch sizes count from 1"):
        draft_lengths([0.9], {0: DraftCost(0.1)})
