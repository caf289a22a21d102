"""An agent fixes a failing test: it looks, edits, runs the test and says what it did; every turn is durable.

python examples/10_agent.py [MODEL]      MODEL: the URL of an OpenAI-compatible server instead of the scripted double

A kill at any moment loses nothing: run again with the same `job`, it goes on at the very call.  What a real model wants to run is
fenced by bubblewrap (`pip install 'surefoot[sandbox]'`); the double's commands are known, so they run as they are.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import surefoot
from surefoot.models import Call, write_calls
from surefoot.models.doubles import Scripted
from surefoot.tools import edit_file, read_file, shell

PRICES = '''def total(prices, discount):
    """Return the sum of the prices, less a discount in per cent."""
    return sum(prices) * (1 - discount)
'''
TEST = """from prices import total

assert total([40, 60], 0) == 100
assert total([40, 60], 10) == 90, total([40, 60], 10)
print("all is well")
"""


def fixer() -> Scripted:
    """Return a double that knows what is wrong."""
    edit = '{"path": "prices.py", "old": "(1 - discount)", "new": "(1 - discount / 100)"}'
    return Scripted(
        [
            write_calls("I run the test first.", [Call("shell", '{"command": "python3 test_prices.py"}')]),
            write_calls("The sum is far off.", [Call("read_file", '{"path": "prices.py"}')]),
            write_calls("A discount in per cent has to be divided by 100.", [Call("edit_file", edit)]),
            write_calls("I check.", [Call("shell", '{"command": "python3 test_prices.py"}')]),
            "The discount was taken for a share; it is in per cent now, and the test passes.",
        ]
    )


def prepare(folder: str) -> Path:
    """Write the repository, and return the file with the fault."""
    Path(folder, "test_prices.py").write_text(TEST)
    prices = Path(folder, "prices.py")
    prices.write_text(PRICES)
    return prices


async def fix(folder: str, real: str | None) -> surefoot.AgentReport:
    """Let an agent loose on it: `real` is the address of a model, None the double."""
    agent = surefoot.Agent(
        real or fixer(),
        [shell, read_file, edit_file],
        votes={"writes": 2} if real else 1,  # two samples have to agree before anything is written
        budget=surefoot.Budget(turns=30),
    )
    goal = "Make test_prices.py pass; do not change the test."
    return await agent.run(goal, folder, environment=None if real else "local")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="sf-") as folder:
        prices = prepare(folder)
        report = asyncio.run(fix(folder, sys.argv[1] if len(sys.argv) > 1 else None))
        print(prices.read_text())
    print(f"{report.status} after {report.turns} turns and {report.calls} calls: {report.result}")
    print(f"look at it again with: surefoot show {report.job}")


if __name__ == "__main__":
    main()
