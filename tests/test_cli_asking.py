"""How the command line asks a model server: where the key comes from, and what every request says."""

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

from surefoot.cli.server_options import ServerOptions
from surefoot.errors import BadInput
from surefoot.models.connect import open_model
from surefoot.models.doubles import towers_double
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.keys import key_in, located, without_keys
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.failures import RequestRefused
from surefoot.models.openai.options import Options

KEY = "sk-very-secret-0123456789"


@contextmanager
def served(**more: object) -> Iterator[DoubleServer]:
    """Serve from a thread, for commands that are processes."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = DoubleServer(towers_double(), **more)  # type: ignore[arg-type]
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def planned(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "surefoot.cli", "plan", "towers", "--disks", "3", "--style", "compact"]
    clean = without_keys(os.environ)
    return subprocess.run(
        [*command, "--states", "7", "--json", *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_key_comes_from_a_file_or_either_variable(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    with served(api_key=KEY) as server:
        address = ("--model", server.url)
        ways = [
            ({"SUREFOOT_API_KEY": KEY}, address),
            ({"OPENAI_API_KEY": KEY}, address),
            ({"SUREFOOT_API_KEY": "another"}, (*address, "--api-key-file", str(file))),
            ({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}, ("--model", "openai")),
        ]
        for environment, arguments in ways:
            done = planned(environment, *arguments)
            assert KEY not in done.stdout + done.stderr
            assert "API key" not in done.stderr, done.stderr
            assert json.loads(done.stdout)["steps"] == 7


def test_without_a_key_the_sentence_says_where_it_is_taken_from() -> None:
    with served(api_key=KEY) as server:
        done = planned({}, "--model", server.url)
    assert done.returncode == 1
    for named in ("401", "without an API key", "$SUREFOOT_API_KEY", "$OPENAI_API_KEY", "--api-key-file"):
        assert named in done.stderr


def test_what_every_request_says_can_be_set(tmp_path: Path) -> None:
    with served() as server:
        options = ("--chat-limit", "max_completion_tokens", "--option", "top_k=0", "--option", "user=me")
        done = planned({}, "--model", server.url, *options)
        assert json.loads(done.stdout)["steps"] == 7
        bodies = list(server.bodies)
    assert all(body["top_k"] == 0 and body["user"] == "me" for body in bodies)
    chats = [body for body in bodies if "messages" in body]
    assert chats
    assert all("max_completion_tokens" in body and "max_tokens" not in body for body in chats)


@pytest.mark.parametrize("said", ["top_k", "=5", ""])
def test_an_option_that_is_none_is_quoted(said: str) -> None:
    with pytest.raises(BadInput, match="NAME=VALUE") as caught:
        ServerOptions(option=[said]).made()
    assert repr(said) in str(caught.value)
    with pytest.raises(BadInput, match="'tokens'"):
        ServerOptions(chat_limit="tokens").made()


def test_options_are_json_or_text() -> None:
    fields = ["top_k=0", "a=[1]", 'b={"c": null}', "d=text", "e=x=y", "f="]
    assert ServerOptions(option=fields).made().extra == {
        "top_k": 0,
        "a": [1],
        "b": {"c": None},
        "d": "text",
        "e": "x=y",
        "f": "",
    }


def test_shares_of_several_servers_are_options_of_all_that_ask() -> None:
    made = ServerOptions(hedge=0.05, compare=0.005).made()
    assert (made.hedge, made.compare) == (0.05, 0.005)
    for model, share, why in (
        ("http://a/v1", "--hedge", "takes several servers of one model"),
        ("http://a/v1, http://b/v1", "--compare", "compare three or more"),
    ):
        done = planned({}, "--model", model, share, "0.05")
        assert done.returncode == 2 and why in json.loads(done.stdout)["error"]


@pytest.mark.parametrize("content", ["", "\n", "two keys", "a\nb", "\xfcber"])
def test_a_file_without_a_key_is_refused_and_not_quoted(content: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(BadInput, match="there is no API key in") as caught:
        key_in(file)
    assert not content.strip() or content not in str(caught.value)


@pytest.mark.parametrize("key", ["kéy", "two words", "ended\n", "\udcff"])
def test_a_key_that_cannot_be_one_is_refused_and_not_quoted(key: str) -> None:
    with pytest.raises(BadInput, match="the API key holds a blank") as refused:
        OpenAIModel("http://127.0.0.1:9", options=Options(api_key=key))
    assert key.strip() not in str(refused.value).split()


def test_what_cannot_be_sent_is_refused_before_anybody_is_asked() -> None:
    with pytest.raises(BadInput, match="cannot be written as JSON"):
        Options(extra={"stop": "\udcff"})
    with pytest.raises(BadInput, match=r"is not a URL: .* \(it is no UTF-8\)"):
        OpenAIModel("http://127.0.0.1:9/\udcff")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path, Path("/dev/zero")):
        with pytest.raises(BadInput, match="cannot be read"):
            key_in(path)


def test_openai_is_where_its_own_client_would_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "SUREFOOT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert located("openai#gpt-5") == ("https://api.openai.com/v1", "gpt-5", None)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://gpu:1/v1")
    assert located("openai") == ("http://gpu:1/v1", None, KEY)
    assert located("openai", "mine") == ("http://gpu:1/v1", None, "mine")
    assert located("http://other/v1#m") == ("http://other/v1", "m", None)


async def test_from_python_a_key_goes_only_to_whom_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with DoubleServer(towers_double(), api_key=KEY) as server:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        async with open_model("openai") as model:
            assert isinstance(model, OpenAIModel)
        with pytest.raises(RequestRefused, match="without an API key"):
            async with open_model(server.url):
                pass
