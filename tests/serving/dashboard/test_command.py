"""`surefoot dashboard` as a user starts it: a process that prints where it is, and ends in order."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence

import httpx
import pytest

PATIENCE_S = 60.0
COMMAND = [sys.executable, "-m", "surefoot.cli", "dashboard", "--port", "0"]


def ended(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_where_it_is_answers_and_ends_in_order(empty: str, number: signal.Signals) -> None:
    command = [*COMMAND, "--redis", empty, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
                assert "<title>surefoot</title>" in client.get("/").text
                with client.stream("GET", "/events") as stream:
                    assert next(stream.iter_lines()).startswith("data: ")
                    process.send_signal(number)
                    assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
        assert process.stderr is not None and process.stderr.read() == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "give a --token"),
        (["--token", "short"], "at least 16"),
        (["--input-price", "2"], "takes both prices"),
        (["--port", "70000"], "cannot listen"),
        (["--redis", "redis://127.0.0.1:1"], "no Redis answers"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_sentence(empty: str, options: list[str], said: str) -> None:
    done = ended([*COMMAND, *([] if "--redis" in options else ["--redis", empty]), *options])
    assert done.returncode in (1, 2) and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("surefoot: ") and said in line


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra_it_says_what_to_install(empty: str, missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from surefoot.cli import main; main()"
    done = ended([sys.executable, "-c", code, "dashboard", "--port", "0", "--redis", empty])
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "surefoot[serve]" in line and missing in line


def test_help_and_the_package_load_no_web_server() -> None:
    loaded = "print([name for name in ('starlette', 'uvicorn') if name in sys.modules])"
    done = ended(
        [
            sys.executable,
            "-c",
            f"import sys, surefoot, surefoot.cli, surefoot.serving; surefoot.cli.group(); {loaded}",
        ]
    )
    assert done.stdout.strip() == "[]"
