"""What needs inspect_ai says so where it is missing; tests/inspect_logs has those that need it."""

import subprocess
import sys

import pytest

from surefoot import BadInput
from surefoot.serving.inspect_extension import VotedSettings

WITHOUT = """
import sys
sys.modules["inspect_ai"] = None
from surefoot.serving.inspect_extension import voted_solver
try:
    voted_solver()
except Exception as error:
    print(type(error).__name__, error)
"""


def test_the_solver_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60)
    assert "BadInput" in done.stdout and "pip install 'surefoot[inspect]'" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"votes": 0}, "votes, the lead that decides"),
        ({"votes": "3"}, "votes of VotedSettings must be of type int"),
        ({"limit": 2}, "the limit of samples"),
        ({"equality": "prose"}, "equality of VotedSettings"),
        ({"temperature": 0.0}, "samples that differ"),
        ({"accuracy": 0.5}, "accuracy is a share of right samples"),
        ({"on_stall": "guess"}, "on_stall of VotedSettings"),
    ],
)
def test_a_vote_that_there_is_not_is_refused(wrong: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        VotedSettings(**wrong)  # type: ignore[arg-type]
