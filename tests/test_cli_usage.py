"""Using the command line, and using it wrongly: help, version, completion, pipes, and sentences for what does not exist."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from surefoot.cli import COMMANDS
from surefoot.cli.common import job_command
from surefoot.cli.lazy_command import LazyCommand

PATIENCE_S = 120.0
BAD_INPUT = 2


def surefoot(
    *arguments: str, module: str = "surefoot", **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("jbos",), "no such command 'jbos'. Did you mean 'jobs'?"),
        (("judge", "scor"), "no such command 'scor'. Did you mean 'score'?"),
        (("jobs", "--lst"), "no such option: --lst (Possible options: --last)"),
        (("show",), "missing argument 'JOB'"),
        (("run", "towers", "--disks", "x"), "invalid value for '--disks'"),
        (
            ("run", "towers", "--rule", "x"),
            "invalid value for '--rule': 'x' is not one of 'lead', 'budget'; ",
        ),
        (("jobs", "--last", "0"), "invalid value for '--last'"),
        (("jobs", "surplus"), "got unexpected extra argument(s) (surplus)"),
        (("show", "x", "--step"), "option '--step' requires an argument"),
    ],
)
def test_a_wrong_use_is_answered_in_one_sentence_and_in_json_where_that_is_wanted(
    arguments: tuple[str, ...], said: str
) -> None:
    plain, spoken = surefoot(*arguments), surefoot(*arguments, "--json")
    assert (plain.returncode, plain.stdout) == (BAD_INPUT, "")
    (sentence,) = plain.stderr.splitlines()
    assert sentence.startswith(f"surefoot: {said}")
    assert sentence.endswith("--help` says more")
    assert spoken.returncode == BAD_INPUT
    if said.startswith("option"):
        return  # --json itself was taken for the step
    assert json.loads(spoken.stdout) == {"error": sentence.removeprefix("surefoot: ")}


@pytest.mark.parametrize("module", ["surefoot", "surefoot.cli"])
def test_the_version_is_printed(module: str) -> None:
    done = surefoot("--version", module=module)
    assert (done.returncode, done.stdout.split()[0]) == (0, "surefoot")


@pytest.mark.parametrize("arguments", [(), ("judge",), ("judge", "score"), ("jobs",)])
def test_help_has_a_short_name(arguments: tuple[str, ...]) -> None:
    short, long = surefoot(*arguments, "-h"), surefoot(*arguments, "--help")
    assert (short.returncode, short.stdout) == (0, long.stdout)
    assert "Usage: python -m surefoot" in short.stdout


@pytest.mark.parametrize("arguments", [(), ("judge",), ("calibrate",)])
def test_where_nothing_is_asked_for_there_is_the_page_of_help(arguments: tuple[str, ...]) -> None:
    bare = surefoot(*arguments)
    assert (bare.returncode, bare.stdout, bare.stderr) == (BAD_INPUT, surefoot(*arguments, "-h").stdout, "")


def test_every_command_is_listed_with_what_it_says_of_itself() -> None:
    shown = " ".join(surefoot("--help", COLUMNS="300").stdout.split())
    for name, (place, said) in COMMANDS.items():
        assert said in shown
        assert (
            str(LazyCommand(name, place, said).load().help).splitlines()[0].startswith(said.removesuffix("."))
        )


@pytest.mark.parametrize(
    ("typed", "completed"), [("sh", "show"), ("show --st", "--step"), ("judge cal", "calibrate")]
)
def test_a_shell_can_complete_commands_and_options(typed: str, completed: str) -> None:
    count = len(typed.split())
    done = subprocess.run(
        [Path(sys.executable).with_name("surefoot")],
        env={
            **os.environ,
            "_SUREFOOT_COMPLETE": "complete_bash",
            "COMP_WORDS": f"surefoot {typed}",
            "COMP_CWORD": str(count),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert completed in done.stdout.split()


def test_a_reader_that_goes_away_ends_a_command_quietly() -> None:
    line = f"{shlex.quote(sys.executable)} -m surefoot --help | head -1"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stderr == ""
    for arguments in (("--version",), ("jbos", "--json"), ("--help",)):
        reader, writer = os.pipe()
        os.close(reader)
        ended = subprocess.run(
            [sys.executable, "-m", "surefoot", *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
        )
        os.close(writer)
        assert ended.returncode != 0
        assert "Error" not in ended.stderr, ended.stderr


def in_shell(line: str) -> "subprocess.CompletedProcess[str]":
    """Run a line of shell, in which `$surefoot` is the command line."""
    return subprocess.run(
        ["sh", "-c", line],
        env={**os.environ, "surefoot": f"{sys.executable} -m surefoot"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.mark.parametrize("arguments", ["--version", "--help", "run --help", "calibrate exits --help"])
def test_an_output_that_takes_no_more_is_one_sentence(arguments: str) -> None:
    done = in_shell(f"$surefoot {arguments} > /dev/full")
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        ["surefoot: the output cannot be written (No space left on device)"],
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("$surefoot --version >&-", 0),
        ("$surefoot --version <&-", 0),
        ("$surefoot score missing --json >&-", BAD_INPUT),
        ("$surefoot score missing 2>&-", BAD_INPUT),
        ("$surefoot score missing 2>/dev/full", BAD_INPUT),
        ("$surefoot score missing <&- >&- 2>&-", BAD_INPUT),
        ("$surefoot jbos 2>&-", BAD_INPUT),
    ],
)
def test_closed_streams_change_no_exit_code_and_raise_nothing(line: str, code: int) -> None:
    done = in_shell(line)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_an_argument_that_is_no_text_is_quoted() -> None:
    done = in_shell("$surefoot run towers --arg \"style=$(printf '\\377')\"")
    assert done.returncode == BAD_INPUT
    assert r"an argument is text in UTF-8, not 'style=\udcff'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_that_was_deleted_is_no_place_to_look_for_a_task() -> None:
    done = in_shell('here=$(mktemp -d) && cd "$here" && rmdir "$here" && $surefoot run --task nowhere:Task')
    assert done.returncode == BAD_INPUT
    assert "task 'nowhere:Task' cannot be imported" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "rooms",
    ["surefoot.cli", "surefoot.cli.job_list, surefoot.cli.show, surefoot.cli.cleanup", "surefoot.cli.jobs"],
)
def test_help_lists_and_reports_load_neither_langgraph_nor_the_model_clients(rooms: str) -> None:
    code = f"import sys, {rooms}; print([name for name in ('langgraph', 'langsmith', 'aiohttp', 'httpx') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("redis", "typed"),
    [
        (None, ""),
        ("redis://host:6379/3", " --redis redis://host:6379/3"),
        ("unix:///run/my socket", " --redis 'unix:///run/my socket'"),
        ("redis://user:secret@host:6379", " --redis redis://user:PASSWORD@host:6379"),
        ("rediss://:s/e@c:ret@host/0", " --redis rediss://:PASSWORD@host/0"),
        ("redis://user@host", " --redis redis://user@host"),
        ("unix:///s?password=secret&db=1", " --redis 'unix:///s?password=PASSWORD&db=1'"),
        ("redis+sentinel://u:secret@a:1,b:2/main", " --redis redis+sentinel://u:PASSWORD@a:1,b:2/main"),
    ],
)
def test_a_hint_names_the_redis_that_was_typed_and_no_password(redis: str | None, typed: str) -> None:
    assert job_command("show", "it's", redis) == f"""surefoot show 'it'"'"'s'{typed}"""
    assert "secret" not in job_command("show", "x", redis)


def test_a_redis_from_the_environment_is_found_without_a_hint() -> None:
    code = "from surefoot.cli.common import job_command; print(job_command('show', 'x', 'redis://a'), job_command('show', 'x', 'redis://b'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "SUREFOOT_REDIS": "redis://a"},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert done.stdout.strip() == "surefoot show x surefoot show x --redis redis://b"


def test_a_text_that_the_terminals_encoding_lacks_is_escaped(tmp_path: Path) -> None:
    done = surefoot("score", str(tmp_path / "日本"), PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert done.returncode == BAD_INPUT
    assert r"\u65e5\u672c" in done.stderr
    assert "Traceback" not in done.stderr
