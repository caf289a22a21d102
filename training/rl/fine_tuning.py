"""Supervised steps before and beside GRPO: a warm-up, and the simple rival, on the model's own shortest right responses.

`python -m surefoot.training.rl.fine_tuning --out DIR` trains the rival.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from surefoot.models.embedded import WEIGHTS
from surefoot.training.pebble.export import export
from surefoot.training.ponder import data
from surefoot.training.ponder.export import PONDER
from surefoot.training.ponder.problems import TrainingProblem

from .beginnings import marked
from .recipes import TrainingSample
from .rollouts import FusedLlama
from .rounds import ponders

EXAMPLES = 1600
"""Of a warm-up."""
BATCH = 32
LONGEST = 480
"""Tokens of a response that is left alone: the model's own limit."""
TOGETHER = 128
"""Responses drawn at a time."""
ALONE = data.Mix(at_once=0.0, closed=0.0, cut=0.0)
"""Examples whose thoughts nobody closes from outside."""
RIVAL_PROBLEMS, RIVAL_GROUP, RIVAL_EPOCHS = 192, 8, 8
"""About as many tokens are drawn for the rival, and as many steps made, as by DLER's recipe."""


class PromptCompletion(NamedTuple):
    """What the model is given, and what it is to write."""

    prompt: str
    completion: str


def closing_examples(difficulties: Sequence[str], seed: int, count: int = EXAMPLES) -> list[PromptCompletion]:
    """Return examples of which every second one closes the thoughts at once; ponder was trained on such answers, but not on closing."""
    rng = random.Random(f"warm-up {seed}")
    found = []
    for number in range(count):
        problem = ponders(difficulties[number // 2 % len(difficulties)], rng)
        closed = "".join(data.TAGS) + problem.answer
        found.append(
            PromptCompletion(problem.prompt, closed if number % 2 else data.example(problem, rng, ALONE).text)
        )
    return found


def action_examples(difficulties: Sequence[str], seed: int, count: int = EXAMPLES) -> list[PromptCompletion]:
    """Return examples of ponder's own kind in which each line of the thoughts is marked with its action (Satori's format tuning)."""
    rng = random.Random(f"actions {seed}")
    found = []
    for number in range(count):
        problem = ponders(difficulties[number % len(difficulties)], rng)
        text = data.example(problem, rng, ALONE).text.removeprefix(data.TAGS[0])
        thoughts, closed, answer = text.partition(data.TAGS[1])
        found.append(PromptCompletion(problem.prompt, data.TAGS[0] + marked(thoughts) + closed + answer))
    return found


def shortest_right(
    model: Any,
    tokenizer: Any,
    *,
    difficulties: Sequence[str],
    problems: int,
    group: int,
    seed: int,
    asked_as: Callable[[TrainingProblem], str] = attrgetter("prompt"),
) -> tuple[list[PromptCompletion], int]:
    """Draw `group` responses to each problem and return the shortest right one of each that has any, and all tokens that were drawn.

    `asked_as` writes what the model is given; what is returned has the problem's own prompt.
    """
    engine = FusedLlama(model)
    rng = random.Random(f"shortest {seed}")
    found: list[PromptCompletion] = []
    tokens = 0
    for first in range(0, problems, TOGETHER // group):
        numbers = range(first, min(problems, first + TOGETHER // group))
        asked = [ponders(difficulties[number % len(difficulties)], rng) for number in numbers]
        drawn = engine.draw(
            [tokenizer(asked_as(problem))["input_ids"] for problem in asked],
            group=group,
            limit=LONGEST,
            temperature=1.0,
            end=tokenizer.eos_token_id,
            seed=rng.getrandbits(32),
        )
        tokens += sum(len(one.tokens) for one in drawn)
        for place, problem in enumerate(asked):
            own = [
                TrainingSample(problem, tokenizer.decode(one.tokens[:-1]), len(one.tokens), True)
                for one in drawn[place * group : (place + 1) * group]
                if one.tokens[-1] == tokenizer.eos_token_id
            ]
            if rights := [sample for sample in own if sample.right]:
                shortest = min(rights, key=lambda sample: sample.tokens)
                found.append(PromptCompletion(problem.prompt, shortest.text))
    return found, tokens


def fine_tune(
    start: Path,
    examples: Sequence[PromptCompletion],
    out: Path,
    *,
    seed: int,
    epochs: int = 1,
    learning_rate: float = 3e-4,
) -> Path:
    """Go over the examples by TRL's SFTTrainer, with the loss on completions alone, and write the weights to `out`."""
    tokenizer = AutoTokenizer.from_pretrained(start)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(start),
        args=SFTConfig(
            output_dir=str(out),
            seed=seed,
            use_cpu=True,
            bf16=False,
            num_train_epochs=epochs,
            per_device_train_batch_size=BATCH,
            learning_rate=learning_rate,
            lr_scheduler_type="constant",
            max_length=data.CONTEXT,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list([example._asdict() for example in examples]),
        processing_class=tokenizer,
    )
    trainer.train()
    trainer.save_model(str(out))
    tokenizer.save_pretrained(out)
    export(out / "model.safetensors", out, PONDER)
    return out


def main() -> None:
    """Train the rival: SFT on the shortest right responses to problems that training may draw."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--difficulty", default="chain3")
    parser.add_argument("--problems", type=int, default=RIVAL_PROBLEMS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    began, cpu = time.monotonic(), time.process_time()
    start = WEIGHTS / "ponder"
    examples, tokens = shortest_right(
        AutoModelForCausalLM.from_pretrained(start),
        AutoTokenizer.from_pretrained(start),
        difficulties=[given.difficulty],
        problems=given.problems,
        group=RIVAL_GROUP,
        seed=given.seed,
    )
    fine_tune(start, examples, given.out, seed=given.seed, epochs=RIVAL_EPOCHS)
    run = {
        "examples": len(examples),
        "drawn tokens": tokens,
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - cpu,
    }
    (given.out / "run.json").write_text(json.dumps(run, indent=1) + "\n")


if __name__ == "__main__":
    main()
