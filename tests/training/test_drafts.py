"""Micro drafts of ponder: what they are trained on and how often their tokens are accepted (`make test-train`)."""

import math
import random
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.train


def uniform_logits(rows: int, seed: int) -> Any:
    import torch

    return torch.randn((rows, 7), generator=torch.Generator().manual_seed(seed)) * 2


@pytest.mark.parametrize("temperature", [0.6, 1.0])
def test_acceptance_is_what_speculative_sampling_accepts(temperature: float) -> None:
    """A token from q is accepted with the chance min(1, p / q): drawn 40,000 times at each place."""
    from surefoot.training.drafts.acceptance import shared_mass

    target, draft = uniform_logits(4, 1), uniform_logits(4, 2)
    exact = shared_mass(target, draft, temperature).tolist()
    rng = random.Random(0)
    for place, expected in enumerate(exact):
        p, q = ((each[place] / temperature).softmax(-1).tolist() for each in (target, draft))
        drawn = rng.choices(range(7), q, k=40_000)
        assert sum(rng.random() < p[token] / q[token] for token in drawn) / 40_000 == pytest.approx(
            expected, abs=0.01
        )


def test_a_model_accepts_all_of_its_own_tokens_and_greedily_those_that_agree() -> None:
    import torch

    from surefoot.training.drafts.acceptance import shared_mass

    target, draft = uniform_logits(50, 1), uniform_logits(50, 2)
    assert shared_mass(target, target, 1.0).tolist() == pytest.approx([1.0] * 50)
    assert torch.equal(shared_mass(target, draft, 0).bool(), target.argmax(-1) == draft.argmax(-1))


def test_hard_tokens_are_the_fifth_of_the_highest_entropy() -> None:
    import torch

    from surefoot.training.drafts.acceptance import hardest

    sharp = torch.arange(1, 101).float()[:, None] * torch.tensor([1.0, 0.0])  # the first is least sure
    assert hardest(sharp, 1.0).nonzero().flatten().tolist() == list(range(20))


def test_traces_are_ponder_s_own_and_their_logits_are_in_place() -> None:
    """At temperature 0 each token is the likeliest of the logits that stand at its place."""
    import torch

    from surefoot.training.drafts.acceptance import acceptance, hardest, logits, ponder, traces
    from surefoot.training.ponder.problems import held_out

    given = traces(0.0, 2)
    assert len(given) == 8 and all(held_out(bytes(trace.tokens[: trace.start]).decode()) for trace in given)
    found = logits(ponder(), given)
    written = torch.tensor([token for trace in given for token in trace.tokens[trace.start :]])
    assert (found.argmax(-1) == written).float().mean() > 0.995
    own = acceptance(found, found, 0.6, hardest(found, 0.6))
    assert own == pytest.approx((1.0, 1.0))


def test_a_draft_learns_and_is_not_trained_twice(tmp_path: Path) -> None:
    from surefoot.training.drafts.acceptance import acceptance, draft, hardest, logits, ponder, traces
    from surefoot.training.drafts.family import DraftSpec, make

    given = traces(1.0, 2)
    target = logits(ponder(), given)
    few, many = DraftSpec(1, 16, 2_400), DraftSpec(1, 16, 120_000)
    found = [
        acceptance(target, logits(draft(spec, make(spec, tmp_path)), given), 1.0, hardest(target, 1.0)).every
        for spec in (few, many)
    ]
    assert found[0] < 0.2 < 0.4 < found[1] < 1
    weights = tmp_path / many.identity.name / "model.safetensors"
    written = weights.stat().st_mtime_ns
    make(many, tmp_path)
    assert weights.stat().st_mtime_ns == written


def test_sizes_and_budgets_are_what_they_say() -> None:
    from surefoot.training.drafts.family import FAMILY
    from surefoot.training.pebble.model import Pebble

    for spec in {spec[:2]: spec for spec in FAMILY}.values():
        counted = sum(p.numel() for p in Pebble(spec.shape).model.layers.parameters() if p.ndim == 2)
        assert counted == spec.parameters
    assert all(math.isclose(spec.steps * 8 * 148, spec.tokens, rel_tol=0.02) for spec in FAMILY)
