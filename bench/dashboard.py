"""What a dashboard costs a run beside it, and how soon its page is there.

python bench/dashboard.py [--pairs 20] [--window 2] [--browsers 2 20] [--load-disks 17] [--browser] [--results bench/results]

A job with a zero-latency double runs in a process of its own, and a dashboard in another, on one Valkey; every second window of time the
dashboard stands still (SIGSTOP), in the order on, off, off, on.  Two windows that follow one another are a pair: the machine and the job are the same.
`--browsers` are connections that take what a browser is sent, and count it, one half on the job and one on the list of jobs; those on the job ask for its
course as often as the page does.

Then a finished job of `--load-disks` disks is opened in a dashboard that has just started: the page and all that it asks for at first, one after the other.
With `--browser` in Chromium, too (playwright, and Debian's chromium).
"""

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import httpx
from pages import options, origin, table, write
from redis import Redis
from runners import decided, die_with_parent
from servers import redis_server

import surefoot
from surefoot import Settings, Towers
from surefoot.models.doubles import towers_double
from surefoot.voting import mean_interval

JOB = Path(__file__).resolve().with_name("beside_job.py")
TICK = os.sysconf("SC_CLK_TCK")
SETTLE_S = 0.3
"""After the dashboard was stopped or let go on, before a window begins."""
COURSE_S = 60.0
"""A page asks for the course of a running job so often."""
ENOUGH = 10
"""Pairs from which on an interval is told."""
SLOWED, OPENED_S = 0.02, 1.0
"""What a run may be slowed by, and how late a page may be."""
ASKED = ("/", "/api/jobs", "/events", "/api/report", "/api/course")
"""What a browser asks for when it opens a job."""
COLUMNS = (
    "browsers",
    "steps/s without",
    "steps/s with",
    "with / without, by pair",
    "CPU of the dashboard",
    "events a browser and second",
)


class Served(NamedTuple):
    """A dashboard in a process of its own."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """Return the seconds of processor that it took so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK


class Beside(NamedTuple):
    """What was measured with so many browsers."""

    browsers: int
    off: list[float]
    """Steps a second, window by window."""
    on: list[float]
    cores: float
    """That the dashboard took while it ran."""
    events_s: float

    @property
    def ratios(self) -> list[float]:
        """Return with / without, pair by pair."""
        return [on / off for on, off in zip(self.on, self.off, strict=True)]


@contextmanager
def served(redis: str) -> Iterator[Served]:
    """Start a dashboard as a user does."""
    command = [sys.executable, "-m", "surefoot", "dashboard", "--port", "0", "--redis", redis]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
    try:
        assert process.stdout is not None
        yield Served(process.stdout.readline().strip(), process.pid)
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait()


@contextmanager
def running(redis: str, job: str, disks: int) -> Iterator[None]:
    """Run a job of a zero-latency double, as long as the block."""
    with tempfile.TemporaryDirectory(prefix="sf-beside-") as folder:
        (Path(folder) / "surefoot").symlink_to(JOB.parent.parent)  # it takes no editable install
        process = subprocess.Popen(
            [sys.executable, str(JOB), redis, job, str(disks), "0"],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": folder},
            preexec_fn=die_with_parent,
        )
        try:
            yield
            assert process.poll() is None, "the job was over before the last window: give more --disks"
        finally:
            process.kill()
            process.wait()


async def browse(url: str, path: str, counts: list[int], place: int) -> None:
    """Take what a browser is sent, until this is cancelled."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    try:
        while part := await reader.read(1 << 16):
            counts[place] += part.count(b"data: ")
    finally:
        writer.close()


async def ask_again(url: str, job: str) -> None:
    """Ask for the course of a job as a page does that is open, until this is cancelled."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        while True:
            answer = await client.get("/api/course", params={"job": job})
            assert answer.status_code in (200, 503), answer.text
            await asyncio.sleep(COURSE_S)


async def beside(disks: int, pairs: int, window_s: float, browsers: int) -> Beside:
    """Measure one job, window by window."""
    counts, found = [0] * browsers, Beside(browsers, [], [], 0.0, 0.0)
    cpu_s = on_s = 0.0
    job = f"beside-{browsers}"
    with (
        redis_server() as redis,
        served(redis) as board,
        running(redis, job, disks),
        Redis.from_url(redis) as client,
    ):
        while not decided(client, job):
            await asyncio.sleep(0.1)
        paths = [
            f"/events?job={quote(job)}" if place <= browsers // 2 else "/events" for place in range(browsers)
        ]
        watching = [
            asyncio.create_task(browse(board.url, path, counts, place)) for place, path in enumerate(paths)
        ]
        watching += [asyncio.create_task(ask_again(board.url, job)) for path in paths if path != "/events"]
        for number in range(2 * pairs):
            on = number % 4 in (0, 3)
            os.kill(board.pid, signal.SIGCONT if on else signal.SIGSTOP)
            await asyncio.sleep(SETTLE_S)
            before, cpu_before, began = decided(client, job), board.cpu_s(), time.monotonic()
            await asyncio.sleep(window_s)
            took_s = time.monotonic() - began
            (found.on if on else found.off).append((decided(client, job) - before) / took_s)
            cpu_s += (board.cpu_s() - cpu_before) * on
            on_s += (took_s + SETTLE_S) * on
        assert not any(each.done() for each in watching), "a browser was let go"
        for each in watching:
            each.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    window_share = on_s - SETTLE_S * pairs
    return found._replace(cores=cpu_s / window_share, events_s=sum(counts) / max(1, browsers) / on_s)


def rows(found: Sequence[Beside]) -> Iterator[list[str]]:
    """Yield a row a number of browsers."""
    for each in found:
        ratio = f"{statistics.fmean(each.ratios):.3f}"
        if len(each.ratios) >= ENOUGH:
            whole = mean_interval(each.ratios)
            ratio = f"{whole.mean:.3f} ({whole.low:.3f} to {whole.high:.3f})"
        yield [
            str(each.browsers),
            f"{statistics.fmean(each.off):,.0f}",
            f"{statistics.fmean(each.on):,.0f}",
            ratio,
            f"{each.cores:.1%} of a core",
            f"{each.events_s:.2f}",
        ]


async def loads(disks: int, times: int, in_browser: bool) -> tuple[list[dict[str, float]], list[float]]:
    """Return how long each answer took when a finished job was opened, and how long the whole page in a browser, as often as `times`."""
    with redis_server() as redis:
        task = Towers(disks, "compact")
        task.views = 1
        model = towers_double(error=0.001, invalid=0.001)
        report = await surefoot.run(task, Settings(k=3), model=model, redis=redis, job="big")
        assert report.solved
        seconds, painted = [], []
        for _ in range(times):
            with served(redis) as board:
                async with httpx.AsyncClient(base_url=board.url, timeout=60) as client:
                    seconds.append({path: await _answer_s(client, path) for path in ASKED})
            if in_browser:
                with served(redis) as board:
                    painted.append(await _painted_s(board.url))
        return seconds, painted


async def _answer_s(client: httpx.AsyncClient, path: str) -> float:
    began = time.perf_counter()
    if path != "/events":
        answer = await client.get(path, params={"job": "big"})
        assert answer.status_code == 200
    else:
        async with client.stream("GET", path, params={"job": "big"}) as stream:
            with suppress(StopAsyncIteration):
                await anext(stream.aiter_lines())
    return time.perf_counter() - began


async def _painted_s(url: str) -> float:
    """Return the seconds until a browser shows all of a job: its course and its contested steps come last."""
    from playwright.async_api import async_playwright  # without --browser nobody needs it

    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = await browser.new_page()
        began = time.perf_counter()
        await page.goto(f"{url}#/job/big")
        await page.get_by_role("heading", name="The course of the job").wait_for()
        await page.get_by_text("contested steps").first.wait_for()
        seconds = time.perf_counter() - began
        await browser.close()
        return seconds


def loading(seconds: Sequence[dict[str, float]], painted: Sequence[float]) -> Iterator[list[str]]:
    """Yield a row an answer, and one for all."""
    whole = {path: [each[path] for each in seconds] for path in ASKED}
    whole["all, one after the other"] = [sum(each.values()) for each in seconds]
    if painted:
        whole["in Chromium, until all is shown"] = [*painted]
    for name, took in whole.items():
        yield [name, f"{1000 * statistics.median(took):.0f}", f"{1000 * max(took):.0f}"]


def main() -> int:
    """Measure and print."""
    parser = options(__doc__, "dashboard.md")
    parser.add_argument("--disks", type=int, default=22)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--window", type=float, default=2.0)
    parser.add_argument("--browsers", type=int, nargs="+", default=[2, 20])
    parser.add_argument("--load-disks", type=int, default=17)
    parser.add_argument("--browser", action="store_true")
    given = parser.parse_args()
    found = [asyncio.run(beside(given.disks, given.pairs, given.window, each)) for each in given.browsers]
    seconds, painted = asyncio.run(loads(given.load_disks, 5, given.browser))
    slowed = 1 - statistics.fmean(found[-1].ratios)
    opened_s = statistics.median(painted or [sum(each.values()) for each in seconds])
    text = (
        f"# The dashboard beside a run\n\n{origin('dashboard', given.results)}\n\n"
        f"Chained steps of a zero-latency double, k = 3, in {given.pairs} pairs of windows of {given.window:g} s: with the dashboard, and while it stands still.\n\n"
        f"{table(COLUMNS, rows(found))}\n\n"
        f"A finished job of {2**given.load_disks - 1:,} steps is opened in a dashboard that has just started.\n\n"
        f"{table(('answer', 'ms, median of 5', 'ms, the slowest'), loading(seconds, painted))}\n\n"
        f"Slowed by {slowed:.1%} with {found[-1].browsers} browsers; opened in {opened_s:.2f} s.\n"
    )
    print(text)
    write(given.results, "dashboard.md", text)
    return 0 if slowed < SLOWED and opened_s < OPENED_S else 1


if __name__ == "__main__":
    sys.exit(main())
