"""An agent's job on the command line: it is read without its tools, and how it goes on is said."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = '''
import asyncio
import surefoot
from surefoot.models import Call, write_calls
from surefoot.models.doubles import Scripted

@surefoot.tool(effect="reads")
async def look(where: str) -> str:
    """Look somewhere."""
    return "\\x1b[31mIt holds much.\\n" * 2_000

both = write_calls("I look.", [Call("look", '{"where":"here"}'), Call("look", '{"where":"there"}')])
agent = surefoot.Agent(Scripted([both]), [look], budget=surefoot.Budget(steps=3))
asyncio.run(agent.run("Look around.", job="looking"))
'''


class Home:
    """A folder with one stopped run of an agent: a turn with two calls, and what came of them."""

    def __init__(self, path: Path) -> None:
        self._environment = {**os.environ, "SUREFOOT_HOME": str(path), "COLUMNS": "200"}
        subprocess.run([sys.executable, "-c", RUN], env=self._environment, check=True)

    def tell(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code of a command and what it says, white space evened out."""
        command = [sys.executable, "-m", "surefoot.cli", *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Run the agent once."""
    return Home(tmp_path_factory.mktemp("home"))


def test_a_step_of_an_agent_is_shown_in_words_cut_and_printable(home: Home) -> None:
    code, said = home.tell("show", "looking", "--step", "0")
    assert code == 0
    assert 'winner look({"where":"here"}); look({"where":"there"}) votes' in said
    code, said = home.tell("show", "looking", "--step", "1")
    assert code == 0
    assert "It holds much." in said
    assert "characters left out" in said
    assert "\x1b" not in said
    assert len(said) < 1_000
    code, said = home.tell("show", "looking", "--step", "1", "--json")
    assert len(json.loads(json.loads(said)["answer"])["text"]) > 30_000


def test_how_an_agent_goes_on_is_said_where_no_command_can_take_it_up(home: Home) -> None:
    code, said = home.tell("resume", "looking")
    assert code == 2
    assert "job 'looking' is an agent's, whose tools are Python" in said
    assert "Agent(model, tools, ...).run(goal, workspace, job='looking')" in said
    code, said = home.tell("show", "looking")
    assert "the run has taken the 3 steps that it may" in said
    assert "job='looking')" in said
    assert "surefoot resume" not in said
