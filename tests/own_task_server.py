"""A model server that counts down, wrong now and then; it freezes after so many samples, see `cli_freezing_server`.

python tests/own_task_server.py --port 0 --answers 100
"""

import argparse
import asyncio

from cli_freezing_server import Freezing

from surefoot.models.base import Prompt
from surefoot.models.doubles import Double
from surefoot.models.doubles.server import DoubleServer, serve


def right(prompt: Prompt) -> str:
    number = (prompt if isinstance(prompt, str) else prompt[-1].content).split()[0]
    return str(int(number) - 1) if number.isdigit() else "tried out"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answers", type=int, required=True)
    given = parser.parse_args()
    double = Double(right, lambda prompt, which: str(1000 + which % 1000), error=0.05, name="counter")
    asyncio.run(serve(DoubleServer(Freezing(double, given.answers), port=given.port)))
