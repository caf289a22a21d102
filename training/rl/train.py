"""Train by a recipe on TRL's GRPOTrainer: `python -m surefoot.training.rl.train dler --out DIR`; goes on where it stands.

TRL has the trainer, the optimizer, the clipped loss and the checkpoints; what is drawn, what it is worth and which tokens count is `Rounds`'s.
The folder has the weights (`model.safetensors` and all that transformers loads, `ponder.gguf`), `curves.png`, `run.json` and `CARD.md`.
Nothing is downloaded.
"""

import argparse
import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

os.environ.setdefault(
    "TRL_EXPERIMENTAL_SILENCE", "1"
)  # `rollout_func` may change: the extra says which versions it was read in

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint
from trl import GRPOConfig, GRPOTrainer

from surefoot.models.embedded import WEIGHTS
from surefoot.training.pebble.export import export
from surefoot.training.ponder.export import PONDER

from .card import render
from .curves import draw_curves
from .fine_tuning import action_examples, closing_examples, fine_tune
from .recipes import RECIPES, Recipe
from .rounds import Rounds

START = WEIGHTS / "ponder"
THREADS = 1
"""Of an update: on matrices of this size threads wait for each other, on busy cores for most of the time."""
CHECKPOINT_ROUNDS = 4
WARM_UPS = {"closed": closing_examples, "actions": action_examples}


class _Timed(TrainerCallback):
    """Adds the CPU seconds since the beginning to what is logged."""

    def __init__(self) -> None:
        self.began = time.process_time()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        state.log_history[-1]["cpu_s"] = time.process_time() - self.began


def advantage_reward(
    completions: list[str], advantage: list[float], about: list[dict[str, float]], log_metric: Any, **_: Any
) -> list[float]:
    """Give TRL the advantages for rewards: it takes their groups' means from them, which are 0, and leaves them as they are."""
    for name, value in about[0].items():
        log_metric(name, value)
    return advantage


def settings(recipe: Recipe, out: Path, seed: int) -> GRPOConfig:
    """Return TRL's settings for a recipe."""
    on_gpu = torch.cuda.is_available()
    return GRPOConfig(
        output_dir=str(out),
        seed=seed,
        use_cpu=not on_gpu,
        bf16=on_gpu,
        max_steps=recipe.rounds * recipe.updates,
        per_device_train_batch_size=recipe.problems * recipe.group // recipe.updates,
        steps_per_generation=recipe.updates,
        num_generations=recipe.group,
        max_completion_length=recipe.limit,
        temperature=recipe.temperature,
        top_k=0,
        top_p=1.0,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="constant",
        beta=0.0,
        epsilon=recipe.clip[0],
        epsilon_high=recipe.clip[1],
        loss_type=recipe.loss,
        scale_rewards="none",
        mask_truncated_completions=recipe.mask_truncated,
        logging_steps=1,
        save_steps=CHECKPOINT_ROUNDS * recipe.updates,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
    )


def train(recipe: Recipe, out: Path, *, seed: int = 0, start: Path = START) -> Path:
    """Train from the weights in `start` and return `out`; takes up the last checkpoint that is there."""
    torch.set_num_threads(THREADS)
    out.mkdir(parents=True, exist_ok=True)
    began, cpu = time.monotonic(), time.process_time()
    if recipe.warm_up != "none":
        warmed = out / "warm-up"
        if not (warmed / "model.safetensors").exists():
            fine_tune(start, WARM_UPS[recipe.warm_up](recipe.difficulties, seed), warmed, seed=seed)
        start = warmed
    tokenizer = AutoTokenizer.from_pretrained(start)
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(start)
    timed = _Timed()
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=advantage_reward,
        args=settings(recipe, out, seed),
        train_dataset=Dataset.from_dict({"prompt": [""] * (recipe.problems * recipe.rounds)}),
        processing_class=tokenizer,
        rollout_func=Rounds(recipe, tokenizer, seed=seed),
        callbacks=[timed],
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(out))
    save(trainer.model, tokenizer, out)
    history = [line for line in trainer.state.log_history if "score" in line]
    run = {
        "recipe": {**asdict(recipe), "reward": recipe.reward.__name__},
        "seed": seed,
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - cpu,
        "rounds": history,
    }
    (out / "run.json").write_text(json.dumps(run, indent=1) + "\n")
    draw_curves(history, recipe.name, out / "curves.png")
    (out / "CARD.md").write_text(render(run))
    return out


def save(model: Any, tokenizer: Any, out: Path) -> None:
    """Write the weights for transformers, and ponder's for llama.cpp too."""
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    shape = PONDER.shape
    if (model.config.hidden_size, model.config.vocab_size) == (shape.width, shape.vocabulary):
        export(out / "model.safetensors", out, PONDER)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, default=START, help="folder with the weights to begin with")
    parser.add_argument("--rounds", type=int, help="rounds of responses, instead of the recipe's")
    given = parser.parse_args()
    recipe = RECIPES[given.recipe]
    if given.rounds:
        recipe = replace(recipe, rounds=given.rounds)
    print(train(recipe, given.out, seed=given.seed, start=given.start) / "CARD.md")


if __name__ == "__main__":
    main()
