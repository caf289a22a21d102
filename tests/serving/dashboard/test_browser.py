"""The page in a real browser (`make test-browser`): what a person sees, with a keyboard, in both colours, at both widths, and that nothing else runs."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from redis import Redis

import surefoot
from surefoot import Settings, Stalled, Towers
from surefoot.models.doubles import Garbage, towers_double

from .conftest import HOSTILE, TOKEN, Dashboard, agent

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.browser
CHROMIUM = os.environ.get("SUREFOOT_CHROMIUM", "/usr/bin/chromium")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 800}
Opened = Callable[..., AbstractAsyncContextManager["Page"]]


@pytest.fixture
async def browser() -> "AsyncIterator[Browser]":
    # Only these tests have it.
    from playwright.async_api import async_playwright

    async with async_playwright() as play:
        opened = await play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        await opened.close()


@pytest.fixture
def page(browser: "Browser", dashboard: Dashboard) -> Opened:
    """Opens a page of a dashboard; fails if it complains, or asks another host for anything."""

    @asynccontextmanager
    async def opened(
        redis: str, path: str = "", *, options: dict[str, Any] | None = None, **how: Any
    ) -> "AsyncIterator[Page]":
        complaints: list[str] = []
        hosts: set[str] = set()
        async with dashboard(redis, **options or {}) as client:
            context = await browser.new_context(**{"viewport": WIDE, **how})
            made = await context.new_page()
            made.set_default_timeout(30_000)
            made.on(
                "console",
                lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
            )
            made.on("pageerror", lambda error: complaints.append(str(error)))
            made.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
            await made.goto(f"{client.base_url}{path}")
            yield made
            await context.close()
            assert complaints == []
            assert hosts == {client.base_url.netloc.decode()}

    return opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
async def test_the_list_and_every_job_fit_the_window_and_are_drawn_in_its_colours(
    house: str, page: Opened, scheme: str, viewport: dict[str, int]
) -> None:
    async with page(house, color_scheme=scheme, viewport=viewport) as shown:
        await shown.get_by_role("link", name="towers", exact=True).wait_for()
        assert await shown.get_by_role("row").count() >= 8
        for job in (
            "",
            "job/towers",
            "job/agent",
            "job/product",
            "job/tall",
            "job/stuck",
            "job/asks",
            "job/calibrated",
        ):
            await shown.goto(f"{shown.url.partition('#')[0]}#/{job}")
            await shown.get_by_role("heading", level=1).wait_for()
            if job:
                await shown.get_by_role("heading", name="Progress").wait_for()
            over = await shown.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert over <= 0, job
        ground = await shown.evaluate("getComputedStyle(document.body).backgroundColor")
        red = int(ground.removeprefix("rgb(").split(",")[0])
        assert (red < 80) == (scheme == "dark")


async def test_what_a_model_writes_is_text_and_nothing_else(house: str, page: Opened) -> None:
    async with page(house, "#/job/agent") as shown:
        asked: list[str] = []
        shown.on("dialog", lambda dialog: asked.append(dialog.message))
        turn = shown.locator("details.turn").first
        await turn.locator("summary").click()
        said = await turn.inner_text()
        assert HOSTILE.partition(" \u202e")[0] in said and "\u202e" not in said
        assert await shown.locator("main img, main script").count() == 0 and asked == []


async def test_a_step_is_opened_and_left_with_the_keyboard_alone(house: str, page: Opened) -> None:
    async with page(house) as shown:
        await shown.get_by_role("link", name="towers", exact=True).wait_for()
        await shown.keyboard.press("Tab")
        assert await shown.evaluate("document.activeElement.id") == "skip"
        await shown.keyboard.press("Enter")
        assert await shown.evaluate("document.activeElement.id") == "main"
        await shown.get_by_role("link", name="towers", exact=True).focus()
        await shown.keyboard.press("Enter")
        number = shown.get_by_label("Open step")
        await number.wait_for()
        await number.focus()
        await number.fill("17")
        await shown.keyboard.press("Enter")
        dialog = shown.get_by_role("dialog")
        await dialog.get_by_role("heading", name="Step 17").wait_for()
        assert "What was asked" in await dialog.inner_text()
        await shown.keyboard.press("ArrowRight")
        await dialog.get_by_role("heading", name="Step 18").wait_for()
        await shown.keyboard.press("Escape")
        await dialog.wait_for(state="hidden")


async def test_what_is_drawn_says_the_same_in_words(house: str, page: Opened) -> None:
    async with page(house, "#/job/towers") as shown:
        await shown.get_by_role("heading", name="The course of the job").wait_for()
        names = await shown.locator("svg[role=img]").evaluate_all(
            "all => all.map((one) => one.getAttribute('aria-label'))"
        )
        assert all(names) and any(
            name.startswith("Votes against the winner over 511 steps") for name in names
        )
        bar = shown.get_by_role("progressbar", name="steps decided")
        assert await bar.get_attribute("aria-valuenow") == "100"
        assert await shown.evaluate("document.documentElement.lang") == "en"
        unnamed = await shown.evaluate(
            "[...document.querySelectorAll('button, input, select, textarea')].filter((one) => !one.hidden && !(one.textContent || one.labels?.length || one.getAttribute('aria-label'))).length"
        )
        assert unnamed == 0


async def test_colours_are_chosen_and_kept(house: str, page: Opened) -> None:
    async with page(house, color_scheme="light") as shown:
        button = shown.locator("#theme")
        await button.click()
        await button.click()
        assert await shown.evaluate("document.documentElement.dataset.theme") == "dark"
        await shown.reload()
        assert await shown.evaluate("document.documentElement.dataset.theme") == "dark"


async def test_a_run_is_seen_to_go_on(empty: str, page: Opened) -> None:
    async with page(empty) as shown:
        await shown.get_by_text("No jobs yet").wait_for()
        running = asyncio.create_task(
            surefoot.run(
                Towers(12, "compact"),
                Settings(k=2),
                model=towers_double(latency=0.01),
                redis=empty,
                job="live",
            )
        )
        await shown.get_by_role("link", name="live").click()
        await shown.get_by_text("held by process").wait_for()
        before = await shown.locator(".big").inner_text()
        await shown.wait_for_function(
            "(before) => document.querySelector('.big').innerText !== before", arg=before
        )
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await shown.locator(".chip.stopped").wait_for()
        await shown.get_by_text("surefoot resume live").wait_for()


async def test_jobs_are_looked_for(house: str, page: Opened) -> None:
    async with page(house) as shown:
        await shown.get_by_label("Look for").fill("goal-double")
        await shown.get_by_text("1 of 8 jobs").wait_for()
        assert await shown.locator("tbody tr").count() == 1
        await shown.reload()  # the address has what was typed
        await shown.get_by_text("1 of 8 jobs").wait_for()


async def test_a_question_is_answered_and_a_job_cancelled_with_the_token(empty: str, page: Opened) -> None:
    await agent(votes={"irreversible": "person"}).run("Order two packets.", redis=empty, job="asks")
    async with page(empty, "#/job/asks", options={"token": TOKEN}) as shown:
        await shown.get_by_role("button", name="Control").click()
        await shown.get_by_label("As it was given with --token").fill(TOKEN)
        await shown.get_by_role("button", name="Use it").click()
        await shown.get_by_role("button", name="yes", exact=True).click()
        await shown.get_by_text("Answered: yes").wait_for()
        await shown.get_by_role("button", name="Cancel the job").click()
        await shown.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
        await shown.locator(".chip.cancelled").wait_for()
    with Redis.from_url(empty) as client:
        assert client.hget("surefoot:{asks}:meta", "status") == b"cancelled"


async def test_a_run_is_suspended_and_let_go_on_with_the_token(empty: str, page: Opened) -> None:
    async with page(empty, "#/job/live", options={"token": TOKEN}) as shown:
        await shown.evaluate("token => sessionStorage.setItem('surefoot-token', token)", TOKEN)
        running = asyncio.create_task(
            surefoot.run(
                Towers(12, "compact"),
                Settings(k=2),
                model=towers_double(latency=0.01),
                redis=empty,
                job="live",
            )
        )
        await shown.get_by_role("button", name="Suspend", exact=True).click()
        await shown.get_by_text("Suspended by a person").wait_for()
        await shown.get_by_role("button", name="Let it go on").click()
        await shown.get_by_role("button", name="Suspend", exact=True).wait_for()
        assert await shown.get_by_text("Suspended by a person").count() == 0
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_a_stalled_job_is_given_another_limit(empty: str, page: Opened) -> None:
    with suppress(Stalled):
        await surefoot.run(
            Towers(4, "compact"), Settings(k=2, limit=10), model=Garbage(), redis=empty, job="stuck"
        )
    async with page(empty, "#/job/stuck", options={"token": TOKEN}) as shown:
        await shown.evaluate("token => sessionStorage.setItem('surefoot-token', token)", TOKEN)
        await shown.get_by_text("A step may take 10 samples").wait_for()
        await shown.get_by_label("Samples that a step may take").fill("30")
        await shown.get_by_role("button", name="Set the limit").click()
        await shown.get_by_text("A step may take 30 samples").wait_for()


async def test_it_says_that_the_server_is_gone_and_goes_on_when_it_is_back(
    empty: str, browser: "Browser", dashboard: Dashboard
) -> None:
    async with dashboard(empty) as client:
        port = client.base_url.port
        shown = await browser.new_page()
        await shown.goto(str(client.base_url))
        await shown.get_by_text("live", exact=True).wait_for()
    await shown.locator("#link.lost").wait_for()
    async with dashboard(empty, port=port):
        await shown.get_by_text("live", exact=True).wait_for(timeout=60_000)
    await shown.close()
