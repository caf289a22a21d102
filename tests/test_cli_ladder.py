"""The ladder as it is typed, and as it is shown."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from surefoot.models.doubles import Double, towers_double
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.keys import without_keys
from surefoot.orchestration.rungs import read_rungs


@contextmanager
def served(*doubles: Double) -> Iterator[list[DoubleServer]]:
    """Serve from a thread, for commands that are processes."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers = [DoubleServer(double) for double in doubles]
    for server in servers:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    try:
        yield servers
    finally:
        for server in servers:
            asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def surefoot(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**without_keys(os.environ), "SUREFOOT_HOME": str(home), "COLUMNS": "160"}
    command = [sys.executable, "-m", "surefoot.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_rungs_are_typed_with_commas_and_addresses_may_have_some() -> None:
    assert read_rungs("votes,views,lookahead") == ("votes", "views", "lookahead")
    assert read_rungs("votes, model=http://a/v1?x=1,2, http://b/v1,person") == (
        "votes",
        "model=http://a/v1?x=1,2, http://b/v1",
        "person",
    )
    assert read_rungs("voices,votes,") == ("voices", "votes,")


def test_a_job_climbs_and_says_so(tmp_path: Path) -> None:
    # In every fourth prompt half of the samples give the same wrong answer.
    torn = towers_double(hard=0.25, hard_error=0.5, hard_alike=True)
    with served(torn, towers_double(name="second")) as (first, second):
        job = (*("towers", "--disks", "4", "--style", "compact", "--k", "3"), *("--model", first.url))
        rungs = ("--ladder", f"model={second.url},person", "--dissent", "1", "--model-k", "2")
        done = surefoot(tmp_path, "run", *job, *rungs, "--job", "climbing", "--json")
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        use, person = report["rungs"]
        assert use["rung"] == f"model={second.url}"
        assert use["decided"] == use["climbed"] > 0
        assert use["samples"] == 2 * use["climbed"]
        assert (person["rung"], person["climbed"]) == ("person", 0)
        page = surefoot(tmp_path, "show", "climbing")
        assert (
            f"model={second.url}: {use['climbed']:,} steps climbed, {use['climbed']:,} decided" in page.stdout
        )
        assert "person: no step climbed so far" in page.stdout
        step = surefoot(tmp_path, "show", "climbing", "--step", str(use["steps"][0]))
        assert "model: 2 for " in step.stdout
        assert "; 2 samples" in step.stdout


@pytest.mark.parametrize(
    ("rungs", "said"),
    [
        (("--dissent", "1"), "--dissent and --model-k are a ladder's: give it with --ladder"),
        (("--ladder", "voices"), "a rung is votes, views, lookahead, backtrack, person, model=ADDRESS"),
        (("--ladder", "person,votes"), "a person is the last rung"),
        (("--ladder", "votes,votes"), "each of them once"),
        (("--ladder", "votes", "--dissent", "0"), "dissent of a ladder is a number from 1"),
        (("--ladder", "model=nowhere", "--k", "2"), "an address or a Model, not 'nowhere'"),
    ],
)
def test_a_ladder_that_cannot_be_is_refused_in_one_sentence(
    tmp_path: Path, rungs: tuple[str, ...], said: str
) -> None:
    with served(towers_double()) as (server,):
        job = ("towers", "--disks", "3", "--style", "compact", "--model", server.url)
        done = surefoot(tmp_path, "run", *job, *rungs)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr.splitlines()[-1]
