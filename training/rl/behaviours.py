"""Behaviour-conditioned SFT (arXiv 2509.13237): traces are written with hints in the prompt, and learned without them.

    python -m surefoot.training.rl.behaviours --out DIR             # `--no-hints`: the same on ponder's own traces

A hint names the steps of a problem that are tricky, as a behaviour from a handbook would.  ponder knows no hints, so a teacher comes first: ponder,
taught to heed them.  It writes traces to other problems with hints; ponder as it was learns those that are right, without the hints.
"""

import argparse
import json
import random
import time
from operator import attrgetter
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from surefoot.models.embedded import WEIGHTS
from surefoot.training.ponder.data import DONE, LABELS, TAGS, opening
from surefoot.training.ponder.problems import DIFFICULTIES, TrainingProblem
from surefoot.training.ponder.steps import steps_of

from .fine_tuning import PromptCompletion, fine_tune, shortest_right
from .rounds import ponders

LESSONS = 3200
"""Examples that the teacher learns from."""
PROBLEMS, EPOCHS = 768, 4
"""What the teacher writes traces to, and how often these are gone over."""


def hinted(problem: TrainingProblem) -> str:
    """Return the prompt with a hint before it: the letters of its tricky steps."""
    steps, claims = steps_of(problem), right_claims(problem)
    tricky = [LABELS[step] for step in range(steps.count) if steps.fact(step, claims).trap]
    return f"{''.join(tricky)}!{problem.prompt}"


def right_claims(problem: TrainingProblem) -> list[int]:
    """Return what each step works out where none is got wrong."""
    steps = steps_of(problem)
    claims: list[int] = []
    for step in range(steps.count):
        claims.append(steps.fact(step, claims).right)
    return claims


def lessons(seed: int, count: int = LESSONS) -> list[PromptCompletion]:
    """Return examples of heeding a hint: a first pass without a slip, and no re-check."""
    rng = random.Random(f"lessons {seed}")
    found = []
    for number in range(count):
        problem = ponders(DIFFICULTIES[number % len(DIFFICULTIES)], rng)
        text = opening(steps_of(problem), right_claims(problem)) + DONE
        found.append(PromptCompletion(hinted(problem), f"{TAGS[0]}{text}{TAGS[1]}{problem.answer}"))
    return found


def main() -> None:
    """Train the teacher, let it write, and train ponder on what it wrote."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--problems", type=int, default=PROBLEMS)
    parser.add_argument("--hints", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    began, cpu = time.monotonic(), time.process_time()
    start = teacher = WEIGHTS / "ponder"
    if given.hints:
        teacher = fine_tune(start, lessons(given.seed), given.out / "teacher", seed=given.seed)
    examples, tokens = shortest_right(
        AutoModelForCausalLM.from_pretrained(teacher),
        AutoTokenizer.from_pretrained(start),
        difficulties=DIFFICULTIES,
        problems=given.problems,
        group=1,  # all that are right
        seed=given.seed,
        asked_as=hinted if given.hints else attrgetter("prompt"),
    )
    fine_tune(start, examples, given.out, seed=given.seed, epochs=EPOCHS)
    run = {
        "examples": len(examples),
        "drawn tokens": tokens,
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - cpu,
    }
    (given.out / "run.json").write_text(json.dumps(run, indent=1) + "\n")


if __name__ == "__main__":
    main()
