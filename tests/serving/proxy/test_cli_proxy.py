"""`surefoot proxy` as a program meets it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

BODY = {"messages": [{"role": "user", "content": "---;AabcBC>"}], "surefoot": {"equality": "text"}}
"""What the double of the towers knows an answer to."""


@contextmanager
def started(*command: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def url_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["url"])


def test_it_says_where_it_listens_answers_and_ends_in_order_when_told_to(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sk-proxy-0123\n")
    with started("surefoot.models.doubles.server", "--error", "0.1") as model:
        options = ["--votes", "2", "--port", "0", "--client-key-file", str(key), "--json"]
        with started("surefoot.cli", "proxy", "--model", url_of(model), *options) as proxy:
            url = url_of(proxy)
            assert httpx.post(f"{url}/chat/completions", json=BODY).status_code == 401
            answer = httpx.post(
                f"{url}/chat/completions",
                json=BODY,
                headers={"authorization": "Bearer sk-proxy-0123"},
                timeout=60,
            )
            assert answer.status_code == 200 and answer.json()["surefoot"]["margin"] == 2
            proxy.send_signal(signal.SIGTERM)
            said, complaints = proxy.communicate(timeout=60)
    assert (proxy.returncode, said) == (0, "")
    assert BODY["messages"][0]["content"] not in complaints  # type: ignore[index]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "API key"),
        (["--votes", "9", "--limit", "3"], "limit of samples"),
        (["--temperature", "0"], "samples that differ"),
        (["--port", "70000"], "cannot listen"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(options: list[str], said: str) -> None:
    with started("surefoot.models.doubles.server") as model:
        command = ["surefoot.cli", "proxy", "--model", url_of(model), "--port", "0", *options]
        done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    assert said in done.stderr and len(done.stderr.splitlines()) == 1


def test_without_the_extra_one_sentence_says_what_to_install() -> None:
    code = """
import asyncio, sys
sys.modules["uvicorn"] = None
from surefoot.models.doubles import towers_double
from surefoot.serving.proxy import serve_proxy
asyncio.run(serve_proxy(towers_double()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines()[-1].endswith("install surefoot[serve]")


def test_nothing_else_waits_for_the_extra() -> None:
    code = "import sys, surefoot, surefoot.cli; surefoot.cli.group(); print({'starlette', 'uvicorn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()"
