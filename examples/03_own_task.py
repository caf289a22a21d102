"""A task of your own: the Collatz walk from 27 down to 1, in 111 steps, with a model that errs one time in ten.

python examples/03_own_task.py [MODEL]      MODEL: the URL of a server with a chat model, instead of a double with known errors

Seven members make a task; `case` lets surefoot find k by calibration, and `audit` and `steps` let it check the result.
"""

import asyncio
import random
import sys

import surefoot
from surefoot.models import Prompt
from surefoot.models.doubles import Double


def after(n: int) -> int:
    """Halve an even number; else triple it and add one."""
    return n // 2 if n % 2 == 0 else 3 * n + 1


class Collatz(surefoot.Task[int, int]):
    """From a number to 1."""

    name = "collatz"

    def __init__(self, first: int = 27) -> None:
        self.first = first

    def spec(self) -> dict[str, int]:
        """A resumed job makes the task again from this."""
        return {"first": self.first}

    def start(self) -> int:
        return self.first

    def ask(self, state: int, view: int = 0) -> Prompt:
        return f"If the number is even, halve it; else triple it and add 1. Write the result alone.\nNumber: {state}\n"

    def read(self, text: str, state: int, view: int = 0) -> int:
        """Read strictly: what went wrong in form is more often wrong in content, too."""
        if not text.strip().isdecimal():
            raise surefoot.NotAnAnswer("not a whole number and nothing else")
        return int(text)

    def advance(self, state: int, answer: int) -> int:
        return answer

    def finished(self, state: int) -> bool:
        return state == 1

    # What follows is optional: `case` for calibration, and two members that have defaults.

    def case(self, rng: random.Random) -> surefoot.Case[int, int]:
        state = rng.randrange(2, 10_000)
        return surefoot.Case(state, after(state))

    def audit(self, state: int, answer: int) -> str | None:
        return None if answer == after(state) else f"{state} is not followed by {answer}"

    def steps(self) -> int:
        n, count = self.first, 0
        while n != 1:
            n, count = after(n), count + 1
        return count


def right(prompt: Prompt) -> str:
    return str(after(int(str(prompt).split()[-1])))


def wrong(prompt: Prompt, which: int) -> str:
    return str(int(right(prompt)) + 1 + which % 9)


async def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else Double(right, wrong, error=0.1, invalid=0.02)
    report = await surefoot.run(Collatz(), model=model)
    print(f"solved: {report.solved}, {report.steps} steps, every one audited")
    print(
        f"k = {report.k}: {report.votes} votes, {report.contested} steps contested, red flags {report.red_flags}"
    )
    print(f"one answer a step would have come through with probability {0.9**report.steps:.1g}")


if __name__ == "__main__":
    asyncio.run(main())
