"""What ponder is asked: arithmetic in four difficulties, and which problems are kept for evaluation.

    sum2     two numbers of 2 digits                            48+67=
    chain3   3 operations from left to right, last digit only   7*3+8-5 mod 10=
    sum4     two numbers of 4 digits                            4185+9026=
    chain6   6 operations                                       7*3+8-5+6*9-2 mod 10=

A chain keeps the last digit after every operation (7*3=1, 1+8=9, 9-5=4) and knows no precedence.  Its multipliers are 3, 7 and 9, which
lose nothing modulo 10: a slip at any step is still there at the end.

A hash of the prompt puts one problem in four aside: training never draws it, and evaluation draws no other.

`python -m surefoot.training.ponder.problems chain6 1000` prints problems as `surefoot calibrate exits` reads them.
"""

import argparse
import json
import random
import re
from typing import Literal, NamedTuple
from zlib import crc32

from surefoot.errors import BadInput

DIFFICULTIES = ("sum2", "chain3", "sum4", "chain6")
DIGITS = {"sum2": 2, "sum4": 4}
OPERATIONS = {"chain3": 3, "chain6": 6}
HELD_OUT = 4
"""One problem in so many is kept for evaluation."""
OPERANDS = {"+": range(2, 10), "-": range(2, 10), "*": (3, 7, 9)}

_ANSWER = re.compile(r"\d+")


Beginning = Literal["right", "wrong"]
"""What begun thoughts amount to."""


class TrainingProblem(NamedTuple):
    """A prompt, its only right answer, and one of DIFFICULTIES."""

    prompt: str
    answer: str
    difficulty: str
    begun: Beginning | None = None
    """If the prompt has thoughts to go on from: whether they have come to the right answer."""


def held_out(prompt: str) -> bool:
    """Whether a problem is kept for evaluation."""
    return crc32(prompt.encode()) % HELD_OUT == 0


def draw(difficulty: str, rng: random.Random, *, training: bool = False) -> TrainingProblem:
    """Draw a problem that is kept for evaluation, or one for training; raise `BadInput` for an unknown difficulty."""
    if difficulty not in DIFFICULTIES:
        raise BadInput(f"a difficulty is one of {', '.join(DIFFICULTIES)}, not {difficulty!r}")
    make = _sum if difficulty in DIGITS else _chain
    while True:
        problem = make(difficulty, rng)
        if held_out(problem.prompt) is not training:
            return problem


def several(difficulty: str, count: int, rng: random.Random) -> list[TrainingProblem]:
    """Draw so many different problems that are kept for evaluation; there are about 2,000 of `sum2`, and many more of the others."""
    found: dict[str, TrainingProblem] = {}
    while len(found) < count:
        problem = draw(difficulty, rng)
        found[problem.prompt] = problem
    return list(found.values())


def answer_of(text: str) -> str | None:
    """Return the answer in what the model has written, thoughts or none before it; None if there is no answer."""
    _, closed, after = text.rpartition("</think>")
    if not closed and "<think>" in after:
        return None
    found = after.strip()
    return found if _ANSWER.fullmatch(found) else None


def operate(left: int, operation: str, right: int) -> int:
    """Return the last digit of one operation."""
    value = {"+": left + right, "-": left - right, "*": left * right}[operation]
    return value % 10


def _sum(difficulty: str, rng: random.Random) -> TrainingProblem:
    least = 10 ** (DIGITS[difficulty] - 1)
    a, b = rng.randrange(least, 10 * least), rng.randrange(least, 10 * least)
    return TrainingProblem(f"{a}+{b}=", str(a + b), difficulty)


def _chain(difficulty: str, rng: random.Random) -> TrainingProblem:
    value = rng.randrange(10)
    prompt = str(value)
    for operation in rng.choices(tuple(OPERANDS), k=OPERATIONS[difficulty]):
        operand = rng.choice(OPERANDS[operation])
        prompt += f"{operation}{operand}"
        value = operate(value, operation, operand)
    return TrainingProblem(f"{prompt} mod 10=", str(value), difficulty)


def main() -> None:
    """Print problems with their answers, one JSON object a line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("difficulty", choices=DIFFICULTIES)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for problem in several(given.difficulty, given.count, random.Random(given.seed)):
        print(json.dumps({"prompt": problem.prompt, "answer": problem.answer}))


if __name__ == "__main__":
    main()
