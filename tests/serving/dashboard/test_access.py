"""Who is let in, and what a page of another site can do: nothing."""

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import suppress
from hashlib import sha256
from urllib.parse import urlsplit

import httpx
import pytest

from surefoot import BadInput
from surefoot.serving.dashboard import Access, serve_dashboard
from surefoot.serving.dashboard.application import HEADERS, MOST_BYTES, MOST_STREAMS

from .conftest import TOKEN, Dashboard

CANCEL = {"job": "nobody"}


def own(client: httpx.AsyncClient, token: str = TOKEN) -> dict[str, str]:
    """What the dashboard's own page sends."""
    return {"Authorization": f"Bearer {token}", "Origin": str(client.base_url).rstrip("/")}


async def test_the_page_runs_nothing_but_its_own_script_and_asks_nobody_else(
    empty: str, dashboard: Dashboard
) -> None:
    async with dashboard(empty) as client:
        answer = await client.get("/")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'"
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        assert policy[kind] == f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
    assert not re.findall(
        r"\b(?:https?:)?//[\w.-]+\.[a-z]{2,}", answer.text.replace("http://www.w3.org/2000/svg", "")
    )
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\son\w+=", answer.text
    )


async def test_every_answer_has_the_headers(empty: str, dashboard: Dashboard) -> None:
    async with dashboard(empty) as client:
        for path in ("/", "/api/jobs", "/api/job", "/api/job?job=none", "/nothing", "/favicon.ico"):
            for answer in (await client.get(path), await client.post(path)):
                assert {name: answer.headers[name] for name in HEADERS} == HEADERS
                assert answer.headers["content-security-policy"].startswith("default-src 'none'")
                assert "server" not in answer.headers


async def test_a_foreign_name_of_this_machine_is_refused(empty: str, dashboard: Dashboard) -> None:
    foreign = (
        "evil.example",
        "evil.example:8765",
        "127.0.0.1.evil.example",
        "[::2]",
        "",
        "@",
        "127.0.0.1@evil.example",
    )
    async with dashboard(empty) as client:
        for host in foreign:
            for path in ("/", "/api/jobs", "/events"):
                assert (await client.get(path, headers={"Host": host})).status_code == 421, (host, path)


async def test_another_site_may_not_even_read(empty: str, dashboard: Dashboard) -> None:
    async with dashboard(empty) as client:
        crossed = await client.get("/api/jobs", headers={"Sec-Fetch-Site": "cross-site"})
        same = await client.get("/api/jobs", headers={"Sec-Fetch-Site": "same-origin"})
    assert (crossed.status_code, same.status_code) == (403, 200)
    assert "access-control-allow-origin" not in same.headers


async def test_without_a_token_nothing_can_be_changed(empty: str, dashboard: Dashboard) -> None:
    async with dashboard(empty) as client:
        answer = await client.post("/api/cancel", json=CANCEL, headers=own(client))
        listed = await client.get("/api/jobs")
    assert answer.status_code == 403 and "--token" in answer.json()["error"]
    assert listed.json()["controls"] is False


async def test_a_change_takes_the_token_the_own_page_and_json(empty: str, dashboard: Dashboard) -> None:
    async with dashboard(empty, token=TOKEN) as client:
        headers = own(client)
        port = urlsplit(str(client.base_url)).port
        refused = {
            "no token": {"Origin": headers["Origin"]},
            "another token": own(client, TOKEN + "x"),
            "no bearer": {**headers, "Authorization": TOKEN},
            "no origin": {"Authorization": headers["Authorization"]},
            "another origin": {**headers, "Origin": "http://evil.example"},
            "another port": {**headers, "Origin": "http://127.0.0.1:1"},
            "a null origin": {**headers, "Origin": "null"},
            "another name": {**headers, "Origin": f"http://localhost:{port}"},
            "another site": {**headers, "Sec-Fetch-Site": "same-site"},
        }
        for why, given in refused.items():
            answer = await client.post("/api/cancel", json=CANCEL, headers=given)
            assert answer.status_code in (401, 403), why
        form = await client.post("/api/cancel", data=CANCEL, headers=headers)
        read = await client.get("/api/cancel", headers=headers)
        let_in = await client.post("/api/cancel", json=CANCEL, headers=headers)
        listed = await client.get("/api/jobs")
    assert (form.status_code, read.status_code) == (415, 405)
    assert let_in.status_code == 404 and "no job 'nobody'" in let_in.json()["error"]
    assert listed.json()["controls"] is True  # reading takes no token on this machine


async def test_reachable_from_elsewhere_it_tells_nothing_without_the_token(
    empty: str, dashboard: Dashboard
) -> None:
    async with dashboard(empty, host="0.0.0.0", token=TOKEN) as client:
        client.base_url = httpx.URL(str(client.base_url).replace("0.0.0.0", "127.0.0.1"))
        page = await client.get("/")
        closed = [(await client.get(path)).status_code for path in ("/api/jobs", "/events", "/api/job?job=x")]
        opened = await client.get("/api/jobs", headers=own(client))
    assert page.status_code == 200 and closed == [401, 401, 401] and opened.status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "box.example"])
def test_an_address_that_strangers_reach_takes_a_token(host: str) -> None:
    with pytest.raises(BadInput, match="--token"):
        Access(host)
    assert Access(host, TOKEN).controls


@pytest.mark.parametrize(
    "token", ["", "short", "fifteen letters", "nothing to see\n, really", "zu kurz ist das n\u00fc"]
)
def test_a_token_that_could_be_guessed_or_not_be_sent_is_refused(token: str) -> None:
    with pytest.raises(BadInput, match="16 printable ASCII"):
        Access("127.0.0.1", token)


async def test_an_address_that_is_taken_is_one_sentence(empty: str, dashboard: Dashboard) -> None:
    async with dashboard(empty) as client:
        port = urlsplit(str(client.base_url)).port
        assert port is not None
        with pytest.raises(BadInput, match=f"port {port}"):
            await serve_dashboard(empty, port=port)
    with pytest.raises(BadInput, match="cannot listen"):
        await serve_dashboard(empty, port=70_000)


async def test_a_question_that_cannot_be_is_answered_in_a_sentence(house: str, dashboard: Dashboard) -> None:
    wrong = {
        "/api/job": "say which job",
        "/api/report?job=": "say which job",
        f"/api/report?job={'x' * 2000}": "say which job",
        "/api/step?job=towers": "step is a whole number",
        "/api/step?job=towers&step=1e3": "step is a whole number",
        "/api/step?job=towers&step=511": "steps 0 to 510",
        "/api/step?job=towers&step=-1": "steps 0 to 510",
        "/api/step?job=tall&step=127": "steps 0 to 126",
    }
    async with dashboard(house) as client:
        for path, said in wrong.items():
            answer = await client.get(path)
            assert answer.status_code == 400 and said in answer.json()["error"], path


async def test_a_body_that_is_too_large_or_another_one_is_refused(empty: str, dashboard: Dashboard) -> None:
    async with dashboard(empty, token=TOKEN) as client:
        headers = own(client) | {"Content-Type": "application/json"}
        large = await client.post("/api/cancel", content=b" " * (MOST_BYTES + 1), headers=headers)
        for body in (
            b"",
            b"[]",
            b"{",
            b'{"job": 3}',
            b'{"job": "x", "more": 1}',
            b'{"job": "\\ud800"}',
            b"\xff",
        ):
            answer = await client.post("/api/cancel", content=body, headers=headers)
            assert answer.status_code == 400 and answer.json()["error"], body
    assert large.status_code == 413


async def test_a_head_without_end_is_cut_off(empty: str, dashboard: Dashboard) -> None:
    async with dashboard(empty) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(b"GET / HTTP/1.1\r\nX-Long: ")
        said = asyncio.create_task(reader.read())
        with suppress(ConnectionError):
            while not said.done():
                writer.write(b"x" * 1024)
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()
        await asyncio.gather(said, return_exceptions=True)
        assert (await client.get("/")).status_code == 200


async def test_browsers_beyond_the_most_are_sent_away_and_make_room_when_they_go(
    empty: str, dashboard: Dashboard
) -> None:
    async with dashboard(empty) as client:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=client.base_url, limits=limits, timeout=60) as many:
            streams = [many.stream("GET", "/events") for _ in range(MOST_STREAMS)]
            opened = [await stream.__aenter__() for stream in streams]
            for answer in opened:
                await anext(answer.aiter_lines())
            refused = await client.get("/events")
            for stream in streams:
                await stream.__aexit__(None, None, None)
        while True:  # until the server has seen them go
            async with client.stream("GET", "/events") as answer:
                if answer.status_code == 200:
                    break
            await asyncio.sleep(0.05)
    assert {answer.status_code for answer in opened} == {200}
    assert refused.status_code == 503 and "browsers are open" in refused.json()["error"]


async def test_it_ends_in_order_while_browsers_look(empty: str, dashboard: Dashboard) -> None:
    async with dashboard(empty) as client:
        stream = client.stream("GET", "/events")
        lines = (await stream.__aenter__()).aiter_lines()
        assert (await anext(lines)).startswith("data: ")
        leaving = asyncio.create_task(_rest(lines))
    assert await leaving in ("ended", "cut off")
    await stream.__aexit__(None, None, None)


async def _rest(lines: AsyncIterator[str]) -> str:
    try:
        async for _ in lines:
            pass
        return "ended"
    except httpx.HTTPError:
        return "cut off"
