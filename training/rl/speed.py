"""Rollouts beside TRL's own generate, in turn: `python -m surefoot.training.rl.speed`."""

import argparse
import json
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOTrainer

from .recipes import DLER
from .rounds import Rounds, ponders
from .train import START, advantage_reward, settings

WAYS = {"rollouts": (True, 1), "generate, 1 thread": (False, 1), "generate, 2 threads": (False, 2)}
"""Whose responses, and how many threads torch has for one operation."""


def compared(rounds: int) -> dict[str, tuple[float, float]]:
    """Return tokens a second by the clock and a second of CPU for each way, the best of so many rounds.

    Both are asked by TRL's trainer for the responses of one round of DLER, without dynamic sampling.
    """
    recipe = replace(DLER, draws=1)
    tokenizer = AutoTokenizer.from_pretrained(START)
    rng = random.Random("speed")
    prompts = [ponders(recipe.difficulties[0], rng).prompt for _ in range(recipe.problems)]
    repeated = [prompt for prompt in prompts for _ in range(recipe.group)]
    best = dict.fromkeys(WAYS, (0.0, 0.0))
    with tempfile.TemporaryDirectory() as folder:
        trainers = {
            ours: GRPOTrainer(
                model=AutoModelForCausalLM.from_pretrained(START),
                reward_funcs=advantage_reward,
                args=settings(recipe, Path(folder), 0),
                train_dataset=Dataset.from_dict({"prompt": repeated}),
                processing_class=tokenizer,
                rollout_func=Rounds(recipe, tokenizer) if ours else None,
            )
            for ours in (True, False)
        }
        for _ in range(rounds):
            for name, (ours, threads) in WAYS.items():
                torch.set_num_threads(threads)
                clock, cpu = time.perf_counter(), time.process_time()
                completions = trainers[ours]._generate(repeated)[1]
                clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
                tokens = sum(map(len, completions))
                best[name] = (max(best[name][0], tokens / clock), max(best[name][1], tokens / cpu))
    return best


def main() -> None:
    """Measure and print a line of JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    print(json.dumps(compared(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
