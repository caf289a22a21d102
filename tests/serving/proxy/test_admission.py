"""What gets in, what does not, and what becomes of requests whose client goes away."""

import asyncio
import json
import logging
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx
import pytest

from surefoot import OpenAIModel
from surefoot.errors import BadInput
from surefoot.models.base import Ask
from surefoot.models.doubles import Double, DoubleServer
from surefoot.serving.listening import is_loopback
from surefoot.serving.proxy import ProxySettings, serve_proxy
from surefoot.serving.proxy.admission import host_of

SECRET = "the treasure is buried under the oak"
BODY = {"messages": [{"role": "user", "content": SECRET}], "surefoot": {"equality": "number"}}
KEY = "sk-proxy-0123456789"


def sums(**faults: Any) -> Double:
    return Double(lambda prompt: "42", lambda prompt, which: str(which), **faults)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never happened")


async def post(url: str, body: Any = BODY, **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as http:
        return await http.post(f"{url}/chat/completions", json=body, **more)


async def let_in(url: str) -> None:
    """Come back until there is room."""
    while (await post(url)).status_code == 429:
        pass


class Slow(Double):
    """Takes its time for what clients of the proxy ask, and none for the probe."""

    seconds = 30.0

    def delay(self, ask: Ask) -> float:
        return self.seconds if SECRET in str(ask.prompt) else 0.0


def slow(seconds: float = 30.0) -> Slow:
    made = Slow(lambda prompt: "42", lambda prompt, which: str(which))
    made.seconds = seconds
    return made


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_goes_away_takes_its_samples_along(proxied: Any, stream: bool) -> None:
    async with (
        DoubleServer(slow()) as server,
        OpenAIModel(server.url) as behind,
        proxied(behind, votes=3, keep_alive_s=0.05, most_requests=1) as url,
    ):
        asking = asyncio.create_task(post(url, {**BODY, "stream": stream}))
        await until(lambda: server.stats.in_flight > 0)
        turned_away = await post(url)
        assert turned_away.status_code == 429 and turned_away.json()["error"]["code"] == "busy"
        assert int(turned_away.headers["retry-after"]) >= 1
        asking.cancel()
        await until(lambda: server.stats.in_flight == 0)
        again = asyncio.create_task(let_in(url))  # its place is free
        await until(lambda: server.stats.in_flight > 0)
        again.cancel()
        await until(lambda: server.stats.in_flight == 0)
    assert server.stats.aborted >= 2


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_long_is_not_read(proxied: Any, chunked: bool) -> None:
    text = json.dumps({"messages": [{"role": "user", "content": "x" * 5000}]}).encode()

    async def pieces() -> Any:
        for at in range(0, len(text), 500):
            yield text[at : at + 500]

    async with proxied(sums(), most_body=4000) as url, httpx.AsyncClient() as http:
        answer = await http.post(f"{url}/chat/completions", content=pieces() if chunked else text)
        assert answer.status_code == 413 and "4,000 bytes" in answer.json()["error"]["message"]
        assert (await post(url)).status_code == 200


async def test_bodies_that_are_too_long_together_are_told_to_come_back(proxied: Any) -> None:
    async with proxied(sums(), most_held=200) as url:
        assert (await post(url, {"messages": [{"role": "user", "content": "x" * 500}]})).status_code == 429
        assert (await post(url)).status_code == 200


async def test_a_body_that_does_not_come_is_not_waited_for(proxied: Any) -> None:
    async with proxied(sums(), body_s=0.2) as url:
        host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n{{"
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.readline(), 30)
        writer.close()
    assert b"408" in answer


async def test_a_vote_that_takes_too_long_is_ended(proxied: Any) -> None:
    async with proxied(sums(latency=30.0), election_s=0.2) as url:
        answer = await post(url)
    assert answer.status_code == 504 and answer.json()["error"]["code"] == "too_slow"


async def test_pages_of_other_origins_and_other_names_are_not_answered(proxied: Any) -> None:
    async with proxied(sums()) as url, httpx.AsyncClient() as http:
        own = url.removesuffix("/v1")
        assert (await post(url, headers={"host": "evil.example"})).json()["error"]["code"] == "host"
        assert (await post(url, headers={"origin": "http://evil.example"})).json()["error"][
            "code"
        ] == "origin"
        assert (await http.get(f"{url}/models", headers={"host": "evil.example"})).status_code == 403
        assert (await post(url, headers={"origin": own})).status_code == 200


async def test_a_key_is_wanted_where_there_is_one(proxied: Any) -> None:
    async with proxied(sums(), api_key=KEY) as url, httpx.AsyncClient() as http:
        for header in (
            {},
            {"authorization": "Bearer sk-other"},
            {"authorization": KEY},
            {"authorization": "Bearer \xe9"},
        ):
            answer = await post(
                url, headers=[(name, value.encode("latin-1")) for name, value in header.items()]
            )
            assert answer.status_code == 401 and KEY not in answer.text
            assert answer.json()["error"]["code"] == "invalid_api_key"
        assert (await http.get(f"{url}/models")).status_code == 401
        assert (await http.get(url.removesuffix("/v1") + "/health")).json() == {"status": "ok"}
        named = {"authorization": f"Bearer {KEY}", "host": "proxy.example"}
        assert (await post(url, headers=named)).status_code == 200
    assert KEY not in repr(ProxySettings(api_key=KEY))


async def test_off_loopback_nothing_is_served_without_a_key() -> None:
    with pytest.raises(BadInput, match="API key"):
        await serve_proxy(sums(), host="0.0.0.0", port=0)
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as taken,
        pytest.raises(BadInput, match="cannot listen"),
    ):
        await serve_proxy(sums(), port=taken.getsockname()[1])


class Broken(Double):
    """Raises what no model raises, with the prompt in it."""

    async def sample(self, asks: Any) -> Any:
        raise RuntimeError(asks[0].prompt)
        yield


async def test_no_prompt_gets_into_a_log_or_an_error(proxied: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with proxied(Broken(lambda p: "", lambda p, n: "")) as url:
        for stream in (False, True):
            answer = await post(url, {**BODY, "stream": stream})
            assert answer.status_code == 500 and SECRET not in answer.text
        await post(url, {"messages": [{"role": SECRET, "content": SECRET}], "stream": SECRET})
    async with proxied(sums(error=1.0), limit=3) as url:
        assert (await post(url)).status_code == 409
    assert "RuntimeError" in caplog.text
    assert SECRET not in caplog.text


async def test_told_to_stop_it_answers_what_it_has_begun() -> None:
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with DoubleServer(slow(0.5)) as server, OpenAIModel(server.url) as behind:
        serving = asyncio.create_task(serve_proxy(behind, port=0, ready=url.set_result, stop=stop))
        asking = asyncio.create_task(post(await url))
        await until(lambda: server.stats.in_flight > 0)
        stop.set()
        assert (await asking).status_code == 200
        await serving
    with pytest.raises(httpx.ConnectError):
        await post(await url)


@pytest.mark.parametrize(
    ("header", "host", "here"),
    [
        ("localhost:8001", "localhost", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.8.9.1:80", "127.8.9.1", True),
        ("[::1]:8001", "::1", True),
        ("0.0.0.0:8001", "0.0.0.0", False),
        ("localhost.evil.example", "localhost.evil.example", False),
        ("127.0.0.1.evil.example:80", "127.0.0.1.evil.example", False),
        ("", "", False),
    ],
)
def test_what_is_loopback(header: str, host: str, here: bool) -> None:
    assert host_of(header) == host
    assert is_loopback(host) is here


@pytest.mark.parametrize(
    "wrong",
    [
        {"votes": 0},
        {"votes": 5, "limit": 4},
        {"equality": "taste"},
        {"accuracy": 0.4},
        {"api_key": "a b"},
        {"most_body": 0},
        {"body_s": 0.0},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        ProxySettings(**wrong)
