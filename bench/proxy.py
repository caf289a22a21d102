"""The voting proxy: how often its answers are right beside a plurality of as many tokens, what a request costs, and 500 at a time.

python bench/proxy.py --results bench/results
python bench/proxy.py --litellm .venv-clients/bin/python --results bench/results     # beside a proxy around litellm's Router, too

Word problems by a double that is wrong in one sample of five.  Exits 1 if a request is lost, or if what the page says in its first paragraph was not
measured.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from math import ceil, inf
from pathlib import Path
from statistics import fmean, median, quantiles
from typing import NamedTuple

import aiohttp
from pages import options, origin, table, write
from proxy_problems import problem, right, sums

from surefoot.models.base import Ask, Message, Model
from surefoot.models.elected_answers.ballots import said_in
from surefoot.models.elected_answers.vote import Vote
from surefoot.models.gather import in_order
from surefoot.serving.proxy import ProxySettings, serve_proxy
from surefoot.serving.proxy.poll import chat_poll
from surefoot.serving.proxy.requests import ChatRequest
from surefoot.tools.answers import normal

PAGE = "proxy.md"
SERVERS = Path(__file__).parent / "proxy_server.py"
VOTES, LIMIT = 3, 60
ROUNDS = 8
LATENCY_S = 0.05
PAGE_TEXT = """\
# The voting proxy

{origin}

**At equal tokens a vote that stops when it is decided is right more often than a plurality of a fixed number of samples.** {headline} A request costs the
proxy {overhead:.2f} ms of CPU over its election. {at_once:,} requests at a time, each of {samples:.1f} samples on a server that takes {latency:.0f} ms an answer: none lost,
{throughput:,.0f} a second.

## Right answers at equal tokens

{problems:,} word problems in the style of GSM8K, by a double that is wrong in 20 % of its samples: at every problem alike; all wrong answers of a problem the same; and most
of it at the tenth of problems that are hard. `votes=k` over HTTP, at most {limit} samples; the plurality is over as many samples as the votes took in the mean, rounded up, a tie
being lost with the chance that it has. A stall is no answer.

{accuracy}

## What a request costs

CPU of the whole process over {requests:,} requests, one after the other, by a double in the process that answers at once, and that of as many elections without HTTP;
the least of {rounds} rounds each.

{cost}

## Many at a time

{at_once:,} requests at a time until {total:,} are answered, the client, the proxy and the model's server in processes of their own{beside}.

{load}
"""


class World(NamedTuple):
    """How the double errs."""

    title: str
    error: float
    hard: float = 0.0
    hard_error: float = 0.5
    alike: bool = False

    def model(self) -> Model:
        return sums(self.error, hard=self.hard, hard_error=self.hard_error, alike=self.alike)


WORLDS = (
    World("20 % at every problem", 0.2),
    World("20 % at every problem, wrong answers alike", 0.2, alike=True),
    World("45 % at a tenth of the problems, 17 % at the others, alike", 0.172, 0.1, 0.45, True),
)


class Voted(NamedTuple):
    """What became of a problem: right, or not, or no answer; and what it took."""

    right: bool
    stalled: bool
    samples: int


def body(number: int, votes: int) -> dict[str, object]:
    """Return the request for a problem."""
    own = {"votes": votes, "limit": LIMIT, "equality": "number"}
    messages = [{"role": "user", "content": problem(number)}]
    return {"model": "voted", "messages": messages, "seed": number, "surefoot": own}


@asynccontextmanager
async def served(model: Model) -> AsyncIterator[str]:
    """Serve the proxy around a model in this process."""
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    settings = ProxySettings(votes=VOTES, limit=LIMIT)
    serving = asyncio.create_task(serve_proxy(model, settings, port=0, ready=url.set_result, stop=stop))
    try:
        yield await url
    finally:
        stop.set()
        await serving


async def elected(model: Model, problems: int, votes: int) -> list[Voted]:
    """Answer all problems by vote, over HTTP."""
    found = []
    async with served(model) as url, aiohttp.ClientSession() as http:
        for number in range(problems):
            async with http.post(f"{url}/chat/completions", json=body(number, votes)) as response:
                said = await response.json()
            samples = said["surefoot"]["samples"]
            if response.status == 409:
                found.append(Voted(False, True, samples))
                continue
            assert response.status == 200, said
            answer = normal(said_in(said["choices"][0]["message"]["content"]), "number")
            found.append(Voted(answer == str(right(number)), False, samples))
    return found


async def plurality(model: Model, problems: int, samples: int) -> float:
    """Return the share that the most frequent of so many samples gets right, a tie counting as much as it is worth."""
    shares = []
    for number in range(problems):
        prompt = (Message("user", problem(number)),)
        drawn = await in_order(
            model, [Ask(prompt, 0.7, 4096, number * 1000 + each) for each in range(samples)]
        )
        tally = Counter(normal(said_in(sample.text), "number") for sample in drawn)
        best = max(tally.values())
        leaders = [answer for answer, votes in tally.items() if votes == best]
        shares.append((str(right(number)) in leaders) / len(leaders))
    return fmean(shares)


async def accuracy(problems: int) -> tuple[list[Sequence[str]], list[tuple[float, float]]]:
    """Return the rows of the table, and (right by votes, right by plurality) of each."""
    rows: list[Sequence[str]] = []
    pairs: list[tuple[float, float]] = []
    for world in WORLDS:
        one = await plurality(world.model(), problems, 1)
        rows.append((world.title, "one sample", f"{one:.1%}", f"{1 - one:.1%}", "0.0%", "1.0"))
        for votes in (2, 3, 4):
            found = await elected(world.model(), problems, votes)
            share, stalled = fmean(each.right for each in found), fmean(each.stalled for each in found)
            samples = fmean(each.samples for each in found)
            equal = ceil(samples)
            other = await plurality(world.model(), problems, equal)
            rows.append(
                (
                    "",
                    f"votes={votes}",
                    f"{share:.1%}",
                    f"{1 - share - stalled:.1%}",
                    f"{stalled:.1%}",
                    f"{samples:.1f}",
                )
            )
            rows.append(("", f"plurality@{equal}", f"{other:.1%}", f"{1 - other:.1%}", "0.0%", f"{equal}.0"))
            pairs.append((share, other))
    return rows, pairs


class Child:
    """A server of proxy_server.py."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self._process, self.url = process, url

    async def cpu_s(self) -> float:
        """Return the CPU seconds that it has taken so far."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(b"\n")
        return float(await self._process.stdout.readline())


@asynccontextmanager
async def child(python: str, *arguments: str) -> AsyncIterator[Child]:
    """Run a server until the block ends."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(python, str(SERVERS), *arguments, stdin=pipe, stdout=pipe)
    assert process.stdin and process.stdout
    try:
        yield Child(process, (await process.stdout.readline()).decode().strip())
    finally:
        process.stdin.close()
        await process.wait()


async def cost(requests: int) -> tuple[list[Sequence[str]], float]:
    """Return the rows of the table, and the milliseconds that the proxy adds to an election.

    Other work on the machine only ever adds CPU time, so the least of the rounds counts.
    """
    model, settings = sums(0.2), ProxySettings(votes=VOTES, limit=LIMIT, equality="number")
    bodies = [body(number, VOTES) for number in range(requests)]
    asked = [ChatRequest.model_validate(each) for each in bodies]
    alone = whole = wait = inf
    async with child(sys.executable, "proxy") as proxy, aiohttp.ClientSession() as http:
        for _ in range(ROUNDS):
            began = time.process_time()
            for request in asked:
                await Vote(chat_poll(request, settings)).decide(model)
            alone = min(alone, (time.process_time() - began) / requests)
            before, waits = await proxy.cpu_s(), []
            for each in bodies:
                sent = time.perf_counter()
                async with http.post(f"{proxy.url}/chat/completions", json=each) as response:
                    assert response.status == 200
                    await response.read()
                waits.append(time.perf_counter() - sent)
            whole = min(whole, (await proxy.cpu_s() - before) / requests)
            wait = min(wait, median(waits))
    rows: list[Sequence[str]] = [
        ("the election alone", f"{alone * 1000:.2f}"),
        ("the proxy, the election included", f"{whole * 1000:.2f}"),
        ("what the proxy adds", f"{(whole - alone) * 1000:.2f}"),
        ("answer time as the client sees it, median, not CPU", f"{wait * 1000:.2f}"),
    ]
    return rows, (whole - alone) * 1000


class Load(NamedTuple):
    """What became of many requests at a time."""

    seconds: float
    waits: Sequence[float]
    lost: int
    wrong: int
    cpu_s: float


async def load(server: Child, at_once: int, total: int) -> Load:
    """Ask for `total` answers, so many at a time."""
    numbers, waits, lost, wrong = iter(range(total)), [], 0, 0

    async def client(http: aiohttp.ClientSession) -> None:
        nonlocal lost, wrong
        for number in numbers:
            sent = time.perf_counter()
            try:
                async with http.post(f"{server.url}/chat/completions", json=body(number, VOTES)) as response:
                    said = await response.json()
                    answer = said["choices"][0]["message"]["content"]
            except (aiohttp.ClientError, KeyError, TimeoutError):
                lost += 1
                continue
            waits.append(time.perf_counter() - sent)
            wrong += normal(said_in(answer), "number") != str(right(number))

    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        before, began = await server.cpu_s(), time.perf_counter()
        await asyncio.gather(*(client(http) for _ in range(at_once)))
        return Load(time.perf_counter() - began, waits, lost, wrong, await server.cpu_s() - before)


def load_row(name: str, found: Load, total: int) -> Sequence[str]:
    """Return a row of the table."""
    waits = quantiles(found.waits, n=100) if len(found.waits) > 1 else [0.0] * 99
    return (
        name,
        f"{total - found.lost:,}",
        f"{found.lost}",
        f"{found.wrong / total:.1%}",
        f"{total / found.seconds:,.0f}",
        f"{waits[49]:.2f}",
        f"{waits[98]:.2f}",
        f"{found.cpu_s / total * 1000:.1f}",
    )


async def measured(
    problems: int, requests: int, at_once: int, total: int, litellm: str | None
) -> tuple[str, bool]:
    """Return the page but for its origin, and whether it is as it says."""
    rows, pairs = await accuracy(problems)
    costs, overhead = await cost(requests)
    async with child(sys.executable, "model", str(LATENCY_S)) as model:
        async with child(sys.executable, "proxy", model.url) as proxy:
            ours = await load(proxy, at_once, total)
        loads = [load_row("surefoot proxy", ours, total)]
        if litellm:
            async with child(litellm, "router", model.url) as router:
                theirs = await load(router, at_once, total)
            loads.append(load_row("litellm Router", theirs, total))
    samples = fmean(each.samples for each in await elected(sums(0.2), min(problems, 200), VOTES))
    better = sum(voted > other for voted, other in pairs)
    page = PAGE_TEXT.format(
        origin="{origin}",
        headline=f"It is in {better} of {len(pairs)} lines of the table below.",
        overhead=overhead,
        at_once=at_once,
        total=total,
        samples=samples,
        latency=LATENCY_S * 1000,
        throughput=total / ours.seconds,
        problems=problems,
        limit=LIMIT,
        requests=requests,
        rounds=ROUNDS,
        beside="; beside it the same election over samples of litellm's `Router`, those of a round in one request, in a Starlette application on uvicorn"
        if litellm
        else "",
        accuracy=table(("the double is wrong in", "way", "right", "wrong", "stalled", "samples"), rows),
        cost=table(("", "ms"), costs),
        load=table(
            ("", "answered", "lost", "wrong", "a second", "median, s", "p99, s", "CPU, ms a request"), loads
        ),
    )
    return page, not ours.lost and overhead < 1.0 and better > len(pairs) / 2


def main() -> int:
    """Measure and print."""
    parser = options(__doc__, PAGE)
    parser.add_argument("--problems", type=int, default=2000)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=500)
    parser.add_argument("--total", type=int, default=1000)
    parser.add_argument("--litellm", help="an interpreter that has litellm and surefoot")
    given = parser.parse_args()
    page, as_said = asyncio.run(
        measured(given.problems, given.requests, given.at_once, given.total, given.litellm)
    )
    page = page.replace("{origin}", origin("proxy", given.results))
    print(page)
    write(given.results, PAGE, page)
    return int(not as_said)


if __name__ == "__main__":
    sys.exit(main())
