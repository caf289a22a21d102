"""An election around a function that you have already: one line, no task, no Redis.

python examples/04_voted.py [MODEL]      MODEL: the URL of a server with a chat model, instead of a double with known errors
"""

import asyncio
import sys

import surefoot
from surefoot.models import Ask, Message, Model, Prompt, in_order, open_model
from surefoot.models.doubles import Double
from surefoot.voting import Verdict

TICKETS = {
    "I was charged twice for March.": "billing",
    "The app closes as soon as I open it.": "technical",
    "Please send the invoice to our new address.": "billing",
    "How do I reset the device?": "technical",
}


def show(verdict: Verdict[str]) -> None:
    print(f"  {dict(verdict.tally)}, red flags: {dict(verdict.flags) or 'none'}")


@surefoot.voted(k=3, number="seed", on_verdict=show)
async def queue(model: Model, ticket: str, *, seed: int = 0) -> str:
    """Say which queue a support ticket belongs to; each call is one vote."""
    words = f"Answer with one word, billing or technical. Which queue does this belong to?\n{ticket}"
    (sample,) = await in_order(model, [Ask((Message("user", words),), 0.7, 10, seed)])
    answer = sample.text.strip().strip(".").lower()
    if answer not in ("billing", "technical"):
        raise surefoot.NotAnAnswer(f"{answer!r} is no queue")
    return answer


def right(prompt: Prompt) -> str:
    assert isinstance(prompt, tuple)  # a chat
    return TICKETS[prompt[-1].content.rpartition("\n")[2]]


def wrong(prompt: Prompt, which: int) -> str:
    return "technical" if right(prompt) == "billing" else "billing"


async def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else Double(right, wrong, error=0.2, invalid=0.1)
    async with open_model(address) as model:
        for ticket in TICKETS:
            print(f"{await queue(model, ticket)}: {ticket}")


if __name__ == "__main__":
    asyncio.run(main())
