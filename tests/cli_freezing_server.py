"""A model server that freezes in the middle of a job: after so many samples it stands still until standard input ends.

    python tests/cli_freezing_server.py --port 0 --answers 100

It counts instead of waiting, so the job that it serves stands still at the same step on any machine.  If standard
input has ended by then, it does not freeze at all.
"""

import argparse
import asyncio
import sys

from surefoot.models.base import Ask
from surefoot.models.doubles import Double, towers_double
from surefoot.models.doubles.server import DoubleServer, serve
from surefoot.voting.samples import Sample


class Freezing:
    """A double that stops everything in its process, once, before it draws one sample more than `answers`."""

    def __init__(self, double: Double, answers: int) -> None:
        self._double = double
        self._left = answers

    @property
    def name(self) -> str:
        return self._double.name

    def draw(self, ask: Ask) -> Sample:
        if self._left == 0:
            sys.stdin.read()
        self._left -= 1
        return self._double.draw(ask)

    def delay(self, ask: Ask) -> float:
        return self._double.delay(ask)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answers", type=int, required=True)
    given = parser.parse_args()
    asyncio.run(serve(DoubleServer(Freezing(towers_double(), given.answers), port=given.port)))
