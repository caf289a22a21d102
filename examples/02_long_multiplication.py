"""Long multiplication, one digit product a step, with a model that is wrong one time in twenty.

python examples/02_long_multiplication.py [MODEL]

Without MODEL, the URL of an OpenAI-compatible server with a chat model, a *double* answers: a seeded program with a known
error rate.  It is no language model; it is there to show what voting does about errors.  Alone it would get this product
right with probability 0.95^81, about 1.6 %.
"""

import asyncio
import sys

import surefoot
from surefoot.models import Prompt
from surefoot.models.doubles import Double

A, B = "314159265", "271828182"


def right(prompt: Prompt) -> str:
    """Work out `a * b + digit + carry` from the last message."""
    assert isinstance(prompt, tuple)  # a chat, as the task writes it
    a, _, b, _, digit, _, carry = prompt[-1].content.split()
    return f"{int(a) * int(b) + int(digit) + int(carry):02d}"


def wrong(prompt: Prompt, which: int) -> str:
    """Some other two digits."""
    return f"{(int(right(prompt)) + 1 + which % 99) % 100:02d}"


async def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else Double(right, wrong, error=0.05, invalid=0.02)
    report = await surefoot.run(surefoot.Columns((A, B)), surefoot.Settings(reliability=0.999), model=model)
    print(f"{A} * {B} = {int(A) * int(B)}; solved: {report.solved}")
    print(f"{report.steps} steps, {report.votes} votes with k = {report.k}, red flags: {report.red_flags}")
    for contest in report.contested_steps[:3]:
        print(f"step {contest.step}: {contest.winner} won {contest.votes} to {contest.against}")


if __name__ == "__main__":
    asyncio.run(main())
