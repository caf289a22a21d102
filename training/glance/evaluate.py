"""Measure glance on pictures that it was not trained on: `python -m surefoot.training.glance.evaluate`.

Writes `card.json` beside the weights: for each kind of question how many were asked, how many answers are wrong at temperature 0, the mean
number of wrong ones among samples at temperature 1, and of how many questions all samples were the same wrong answer: votes do not help there.
"""

import json
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

from surefoot.models.embedded import WEIGHTS
from surefoot.models.embedded.glance import Glance, GlanceQuestion

from .data import PictureExample, examples

HERE = WEIGHTS / "glance"
SEED = 2**40
"""Far from the seeds of training."""
PICTURES = 3_000
SAMPLES = 4
"""Of each question, at temperature 1."""


def kind_of(question: str) -> str:
    """Return the kind of a question: `count red?` is one of `count ...?`."""
    first, _, rest = question.partition(" ")
    return f"{first} ...?" if rest else question


def main(folder: Path = HERE) -> None:
    """Measure, print and write."""
    model = Glance(folder)
    asked: Counter[str] = Counter()
    wrong: dict[str, Counter[str]] = defaultdict(Counter)
    for example in islice(examples(SEED), PICTURES):
        for (question, answer), greedy, sampled in answers(model, example):
            kind = kind_of(question)
            asked[kind] += 1
            wrong[kind]["greedy"] += greedy != answer
            wrong[kind]["sampled"] += sum(each != answer for each in sampled)
            wrong[kind]["all sampled alike"] += len({*sampled}) == 1 and sampled[0] != answer
    rows = [
        {
            "question": kind,
            "asked": count,
            "wrong_greedy": wrong[kind]["greedy"],
            "wrong_sampled": wrong[kind]["sampled"] / SAMPLES,
            "wrong_alike": wrong[kind]["all sampled alike"],
        }
        for kind, count in sorted(asked.items())
    ]
    for row in rows:
        print(row)
    (folder / "card.json").write_text(json.dumps({"samples": SAMPLES, "questions": rows}, indent=1) + "\n")


def answers(model: Glance, example: PictureExample) -> list[tuple[tuple[str, str], str, list[str]]]:
    """Return each question with the likeliest answer and `SAMPLES` samples."""
    found = []
    for pair in example.pairs:
        looks = [GlanceQuestion(example.pixels, pair[0])]
        looks += [GlanceQuestion(example.pixels, pair[0], 1.0, seed) for seed in range(SAMPLES)]
        greedy, *sampled = (seen.text for seen in model.answer(looks))
        found.append((pair, greedy, sampled))
    return found


if __name__ == "__main__":
    main()
