"""Rollouts and training on real torch and TRL, on ponder: `make test-train`."""

import json
import math
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from surefoot import BadInput
from surefoot.models.embedded import WEIGHTS
from surefoot.training.ponder.data import CLOSE, EOS, OPEN
from surefoot.training.ponder.problems import DIFFICULTIES, TrainingProblem, draw, several
from surefoot.training.rl.recipes import (
    ABLATIONS,
    ADATHINK,
    COAT,
    DLER,
    ELASTIC,
    NO_SPLIT,
    PIXELTHINK,
    THINKLESS,
    Recipe,
)

pytestmark = pytest.mark.train

START = WEIGHTS / "ponder"


@pytest.fixture(scope="module")
def model() -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(START).eval()


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(START)


def prompts(count: int, difficulties: tuple[str, ...] = DIFFICULTIES) -> list[list[int]]:
    rng = random.Random(0)
    return [list(draw(difficulties[n % len(difficulties)], rng).prompt.encode()) for n in range(count)]


def drawn(model: Any, asked: list[list[int]], **changes: Any) -> Any:
    from surefoot.training.rl.rollouts import FusedLlama

    how = {"group": 4, "limit": 120, "temperature": 1.0, "end": EOS, "seed": 1, **changes}
    return FusedLlama(model).draw(asked, **how)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_log_probabilities_are_those_of_transformers_for_prompts_of_any_length(
    model: Any, temperature: float
) -> None:
    import torch

    asked = prompts(8)
    worst = 0.0
    for place, one in enumerate(drawn(model, asked, temperature=temperature)):
        prompt = asked[place // 4]
        with torch.no_grad():
            logits = model(torch.tensor([prompt + one.tokens])).logits[0] / temperature
        right = logits.log_softmax(-1)[range(len(prompt) - 1, len(prompt) + len(one.tokens) - 1), one.tokens]
        worst = max(worst, (right - torch.tensor(one.logprobs)).abs().max().item())
    assert worst < 1e-4


def test_tokens_come_as_often_as_they_are_likely(model: Any) -> None:
    """The first token of a tricky place, 4,000 times, against the model's own probabilities."""
    import torch

    asked = [*b"9-9+9*7 mod 10=", OPEN, *b"A9-9="]
    found = Counter(one.tokens[0] for one in drawn(model, [asked], group=4000, limit=1))
    with torch.no_grad():
        likely = model(torch.tensor([asked])).logits[0, -1].softmax(-1)
    for token, probability in enumerate(likely.tolist()):
        deviation = math.sqrt(4000 * probability * (1 - probability))
        assert abs(found[token] - 4000 * probability) <= 5 * deviation + 1


def test_the_same_seed_draws_the_same_and_another_seed_does_not(model: Any) -> None:
    asked = prompts(6)
    first = drawn(model, asked)
    assert drawn(model, asked) == first != drawn(model, asked, seed=2)
    assert all(len(one.tokens) <= 120 and EOS not in one.tokens[:-1] for one in first)
    assert len({tuple(one.tokens) for one in first[:4]}) > 1


def test_thoughts_that_are_open_at_the_budget_are_closed_there_and_no_others(model: Any) -> None:
    found = drawn(model, prompts(6, ("chain3",)), forced=(40, CLOSE), limit=60)
    forced = [one for one in found if one.forced is not None]
    assert len(forced) > len(found) / 2
    for one in forced:
        assert one.forced == 40 == one.tokens.index(CLOSE) and one.logprobs[40] == 0.0
    assert all(CLOSE in one.tokens[:40] for one in found if one.forced is None)


def test_another_architecture_is_refused() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    from surefoot.training.rl.rollouts import FusedLlama

    small = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=16))
    with pytest.raises(BadInput, match="llama and qwen2"):
        FusedLlama(small)


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_grouped_heads_and_biases_are_computed(kind: str) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    shape = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 64,
    }
    network = (
        LlamaForCausalLM(LlamaConfig(**shape)) if kind == "llama" else Qwen2ForCausalLM(Qwen2Config(**shape))
    ).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    for one in drawn(network, [[1, 2, 3]], limit=20, end=63):
        with torch.no_grad():
            right = network(torch.tensor([[1, 2, 3, *one.tokens]])).logits[0].log_softmax(-1)
        chosen = right[range(2, 2 + len(one.tokens)), one.tokens]
        assert torch.allclose(chosen, torch.tensor(one.logprobs), atol=1e-4)


def rounds(recipe: Recipe, tokenizer: Any, **changes: Any) -> Any:
    from surefoot.training.rl.rounds import Rounds

    return Rounds(replace(recipe, **changes), tokenizer)


def test_dynamic_sampling_replaces_problems_that_tell_nothing(model: Any, tokenizer: Any) -> None:
    once = rounds(DLER, tokenizer, draws=1).draw(model, 0)
    often = rounds(DLER, tokenizer, draws=6, limit=60).draw(model, 0)
    assert all(once.counts) and once.draws == 1
    assert often.draws > 1 and often.tokens > sum(one.tokens for one in often.samples)
    told = [often.counts[place] for place in range(0, len(often.counts), DLER.group)]
    assert sum(told) > len(told) / 2
    for counted, value in zip(often.counts, often.advantages, strict=True):
        assert counted or value == 0.0


def test_tokens_from_outside_and_groups_that_tell_nothing_do_not_count(model: Any, tokenizer: Any) -> None:
    from surefoot.training.rl.rounds import token_weights

    made = rounds(ELASTIC, tokenizer, problems=4).draw(model, 0)
    for weights, one in zip(token_weights(made, ELASTIC), made.drawn, strict=True):
        assert [place for place, weight in enumerate(weights) if not weight] == (
            [] if one.forced is None else [one.forced]
        )
    silent = made._replace(counts=[False] * len(made.counts))
    assert not any(map(any, token_weights(silent, ELASTIC)))


def test_degrpo_is_the_weighted_mean_over_tokens(model: Any, tokenizer: Any) -> None:
    """The mean with these weights is (a x the control tokens' mean + the others' mean) / (1 + a), for any values."""
    from surefoot.training.rl.rounds import CONTROL_PLACE, token_weights

    made = rounds(THINKLESS, tokenizer, problems=4).draw(model, 0)
    rows = token_weights(made, THINKLESS)
    rng = random.Random(0)
    values = [[rng.random() for _ in row] for row in rows]
    total = sum(w * v for ws, vs in zip(rows, values, strict=True) for w, v in zip(ws, vs, strict=True))
    control = [vs[CONTROL_PLACE] for vs in values]
    others = [v for vs in values for v in vs[CONTROL_PLACE + 1 :]]
    a = THINKLESS.control_weight or 0.0
    expected = (a * sum(control) / len(control) + sum(others) / len(others)) / (1 + a)
    assert total / sum(map(sum, rows)) == pytest.approx(expected)


def test_the_loss_takes_these_weights_and_advantages_as_they_are(tokenizer: Any, tmp_path: Path) -> None:
    """TRL's loss on a first update is -(sum of weight x advantage) / (sum of weights): nothing is normalised or masked besides."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import GRPOTrainer

    from surefoot.training.rl.rounds import Rounds, token_weights
    from surefoot.training.rl.train import advantage_reward, settings

    recipe = replace(THINKLESS, problems=4, updates=1, rounds=1, warm_up="none")
    source = Rounds(recipe, tokenizer)
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(START),
        reward_funcs=advantage_reward,
        args=settings(recipe, tmp_path, 0),
        train_dataset=Dataset.from_dict({"prompt": [""] * 4}),
        processing_class=tokenizer,
        rollout_func=source,
    )
    made = source.draw(trainer.model, 0)
    rows = token_weights(made, recipe)
    expected = -sum(sum(row) * value for row, value in zip(rows, made.advantages, strict=True))
    trainer.train()
    (line,) = [line for line in trainer.state.log_history if "score" in line]
    assert line["loss"] == pytest.approx(expected / sum(map(sum, rows)), abs=1e-4)
    assert line["right"] == pytest.approx(sum(one.right for one in made.samples) / len(made.samples))


SMALL = {"problems": 4, "group": 4, "updates": 2}


@pytest.mark.parametrize(
    "recipe", [*ABLATIONS, ELASTIC, NO_SPLIT, ADATHINK, PIXELTHINK, COAT], ids=lambda recipe: recipe.name
)
def test_every_recipe_trains(recipe: Recipe, tmp_path: Path) -> None:
    from surefoot.training.rl.train import train

    # Of so few responses all are cut at a recipe's own limit, which tells nothing.
    small = replace(recipe, rounds=1, warm_up="none", limit=200, **SMALL)
    out = train(small, tmp_path)
    run = json.loads((out / "run.json").read_text())
    assert run["recipe"]["name"] == recipe.name and len(run["rounds"]) == 1
    assert (out / "CARD.md").read_text().startswith(f"# {recipe.name}, seed 0")
    assert (out / "curves.png").stat().st_size > 10_000
    assert (out / "model.safetensors").read_bytes() != (START / "model.safetensors").read_bytes()


@pytest.mark.parametrize("recipe", [DLER, ADATHINK], ids=lambda recipe: recipe.name)
def test_a_run_that_is_taken_up_ends_with_the_same_weights(recipe: Recipe, tmp_path: Path) -> None:
    """AdaThink-Med keeps means from round to round."""
    from surefoot.training.rl.train import train

    recipe = replace(recipe, **SMALL, rounds=8, limit=60)
    whole = train(recipe, tmp_path / "whole")
    train(replace(recipe, rounds=4), tmp_path / "halves")
    halves = train(recipe, tmp_path / "halves")
    assert len(json.loads((halves / "run.json").read_text())["rounds"]) == 8
    assert (halves / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_what_is_trained_is_served_and_measured(tmp_path: Path) -> None:
    from surefoot.training.rl.measure import measured
    from surefoot.training.rl.train import train

    out = train(replace(DLER, **SMALL, rounds=1), tmp_path)
    (cell,) = measured(out / "ponder.gguf", difficulties=["sum2"], temperatures=[0.6], problems=20, budget=40)
    assert cell.problems == 20 and cell.right > 10 and cell.thinking == 1.0
    assert cell.cut_right is not None and cell.cut_right > 10


@pytest.mark.parametrize("kind", ["entropy", "margin"])
def test_uncertainties_are_those_of_the_model(kind: Any, model: Any) -> None:
    import torch

    asked = prompts(4)
    for place, one in enumerate(drawn(model, asked, uncertainty=kind, limit=60)):
        prompt = asked[place // 4]
        with torch.no_grad():
            logits = model(torch.tensor([prompt + one.tokens])).logits[0, len(prompt) - 1 : -1]
        chances = logits.softmax(-1)
        if kind == "entropy":
            right = -(chances * logits.log_softmax(-1)).sum(-1)
        else:
            ranked = chances.sort(-1, descending=True).values
            right = 1 - (ranked[:, 0] - ranked[:, 1])
        assert torch.allclose(right, torch.tensor(one.uncertainties), atol=1e-4)


def test_a_teacher_writes_with_hints_and_its_traces_have_none(model: Any, tokenizer: Any) -> None:
    from surefoot.training.ponder.problems import answer_of, held_out
    from surefoot.training.rl.behaviours import hinted, lessons
    from surefoot.training.rl.fine_tuning import shortest_right

    assert hinted(TrainingProblem("48+67=", "115", "sum2")) == "A!48+67="  # 8+7 is tricky, 4+6 is not
    for each in lessons(0, 40):
        assert "!" in each.prompt and answer_of(each.completion)
        assert not re.search("wait|hmm|alternatively", each.completion)
    found, _ = shortest_right(model, tokenizer, difficulties=DIFFICULTIES, problems=128, group=1, seed=0)
    assert 64 < len(found) <= 128
    assert not any("!" in each.prompt or held_out(each.prompt) for each in found)


def test_marked_examples_mark_every_line() -> None:
    from surefoot.training.rl.fine_tuning import action_examples

    for each in action_examples(DIFFICULTIES, seed=0, count=20):
        thoughts, _, answer = each.completion.removeprefix("<think>").partition("</think>")
        assert all(line[0] in ">?~" for line in thoughts.splitlines()) and answer.isdigit()


def test_the_rivals_examples_are_right_and_the_warm_up_closes_every_second_one(
    model: Any, tokenizer: Any
) -> None:
    from surefoot.training.ponder.problems import answer_of, held_out
    from surefoot.training.rl.fine_tuning import closing_examples, shortest_right

    found, tokens = shortest_right(model, tokenizer, difficulties=["sum2"], problems=16, group=2, seed=0)
    assert found and tokens > sum(len(each.completion) for each in found)
    for each in found:
        a, b = each.prompt.removesuffix("=").split("+")
        assert answer_of(each.completion) == str(int(a) + int(b)) and not held_out(each.prompt)
    warm = closing_examples(("sum2", "chain3"), seed=0, count=40)
    assert [each.completion.startswith("<think></think>") for each in warm] == [False, True] * 20
    assert {"mod" in each.prompt for each in warm[1::2]} == {True, False}


def test_held_out_problems_are_the_same_for_every_model() -> None:
    asked = [several("chain3", 30, random.Random("chain3 for rl")) for _ in range(2)]
    assert asked[0] == asked[1] and len({problem.prompt for problem in asked[0]}) == 30
