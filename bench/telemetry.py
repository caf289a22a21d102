"""What telemetry costs a run, and whether a receiver has the spans that were sent: a model that answers at once.

python bench/telemetry.py [--disks 16] [--k 2] [--rounds 8] [--results bench/results]

Whole runs beside each other differ by a fifth on a machine that others share, which is ten times what is looked for.  So one run does both: of each
two windows of 1,000 steps, a segment, one is listened to, which of them by chance, and the CPU time of the run's thread is compared within the pair.  A collection
of the interpreter's garbage makes one window ten times as long as others, so of the differences the middle three fifths are averaged (a
trimmed mean, its error after Yuen 1974); the mean of all stands beside it.  What telemetry's other threads take, which send spans and answer who reads metrics, is added in full.  On a Valkey of the bench's own; the receiver is a process of its own, and reads
the metrics once a second:

    nothing      a listener that does nothing: what differs here is noise
    progress     a `Progress` listens, as it always does on the command line
    metrics      metrics for Prometheus as well
    1 in 1,000   metrics, and spans of notable steps and of so many of the others
    1 in 100     as many as without being asked
    every step   metrics, and a span of every step

Beside that each listener alone hears the events of one run, again and again, without the run: what it does, least of some repetitions, without what it does to
the run's caches and to who else wants the interpreter.

Every round with spans has to end with as many received as were made, less those that were lost.  At last a receiver that takes
nothing: every step is decided, and what a short queue loses is counted.

Predicted before the first run, from the costs of an event (0.5 us), of a counter (0.3) and of a span (38 with its way over the wire): 1.0 us a step
for `progress`, 1.4 for `metrics`, 2.2 for 1 span in 100, 45 for `every step`; of a step of 100 us 1.0, 1.4, 2.2 and 45 %.  Aim: metrics and a sample of spans below 3 %.
1 in 1,000 came later: predicted 1.6.

Exits 1 if a count differs.
"""

import asyncio
import gc
import random
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pages import options, origin, table, write
from servers import redis_server

import surefoot
from surefoot.models.doubles import towers_double
from surefoot.orchestration import Event
from surefoot.orchestration.events import Committed, Listen, StepDecided
from surefoot.serving.telemetry import SpanCounts, TelemetrySettings, open_telemetry

ERROR = 0.0005
"""Of a sample: ballots differ on one step in a thousand."""
SHARES = {"1 in 1,000": 0.001, "1 in 100": 0.01, "every step": 1.0}
NOTHING, PROGRESS = "nothing", "progress"
WAYS = (NOTHING, PROGRESS, "metrics", *SHARES)
SCRAPE_S = 1.0
WINDOW = 1000
"""A segment: each window has as many commits and one audit."""
REPLAYS = 9
SHORT = 16
"""Spans that wait at most where the receiver takes nothing."""
SHORT_DISKS = 12
"""Of that run, so that it ends before an exporter's patience does: whether a span came that was not answered nobody knows."""


class Switched:
    """Passes a run's steps on in one of each two windows, and takes the CPU time of the thread in both."""

    def __init__(self, listen: Callable[[Event], None], seed: int) -> None:
        self._listen, self._dice = listen, random.Random(seed)
        self._on, self._second, self._left, self._since = False, True, WINDOW, 0.0
        self.on: list[float] = []
        """Microseconds a step of the windows that were listened to."""
        self.off: list[float] = []

    def listen(self, event: Event) -> None:
        """Hear an event; those that are neither of a step nor of a commit are always passed on."""
        step = type(event) is StepDecided
        if self._on or not (step or type(event) is Committed):
            self._listen(event)
        if step:
            self._left -= 1
            if not self._left:
                self._turn()

    def _turn(self) -> None:
        if self._since:  # the first window began with the run
            (self.on if self._on else self.off).append((time.thread_time() - self._since) / WINDOW * 1e6)
        self._second = not self._second
        self._on = not self._on if self._second else self._dice.random() < 0.5
        self._left, self._since = WINDOW, time.thread_time()

    @property
    def pairs(self) -> list[tuple[float, float]]:
        """The windows that are a pair: listened to, not listened to."""
        return list(zip(self.on, self.off, strict=False))


class Round(NamedTuple):
    """One run."""

    pairs: list[tuple[float, float]]
    """CPU microseconds a step of the run's thread, with and without."""
    threads_us: float
    """Of all other threads, a step that was listened to."""
    spans: SpanCounts = SpanCounts(0, 0)


class Receiver:
    """The process that takes spans and reads metrics."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None and process.stdout is not None
        self._ask, self._say = process.stdin, process.stdout
        self.url = self._say.readline().strip()

    def tell(self, order: str) -> int:
        """Give an order, see `receive`, and return how many spans have been taken, or scrapes made, so far."""
        self._ask.write(f"{order}\n")
        self._ask.flush()
        return int(self._say.readline())


@contextmanager
def receiver() -> Iterator[Receiver]:
    command = [sys.executable, __file__, "--receive"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Receiver(process)
        process.terminate()


def receive() -> None:
    """Be the receiver: print the URL, then obey each line of standard input: `spans`, `scrape URL`, `scrapes` (no more of them), `hold`, `go on`."""
    spans = scrapes = 0
    takes, over = threading.Event(), threading.Event()
    takes.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            nonlocal spans
            body = self.rfile.read(int(self.headers["Content-Length"]))
            takes.wait()
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                spans += sum(len(scope.spans) for scope in resource.scope_spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    def scrape(url: str) -> None:
        nonlocal scrapes
        while not over.wait(SCRAPE_S):
            with urllib.request.urlopen(url, timeout=30) as answer:
                scrapes += bool(answer.read())

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        scraping = threading.Thread()
        for order in map(str.strip, sys.stdin):
            if order.startswith("scrape "):
                over.clear()
                scraping = threading.Thread(target=scrape, args=(order.removeprefix("scrape "),), daemon=True)
                scraping.start()
            elif order == "scrapes":
                over.set()
                scraping.join()
            elif order in ("hold", "go on"):
                (takes.clear if order == "hold" else takes.set)()
            print(scrapes if order.startswith("scrape") else spans, flush=True)


class Job(NamedTuple):
    """What is done in every way."""

    redis: str
    disks: int
    k: int

    def run(self, listen: Callable[[Event], None] | None) -> surefoot.Report:
        task, model = surefoot.Towers(self.disks, "compact"), towers_double(error=ERROR)
        settings = surefoot.Settings(k=self.k)
        return asyncio.run(surefoot.run(task, settings, model=model, redis=self.redis, on_event=listen))


@contextmanager
def listening(way: str, received: Receiver) -> Iterator[tuple[Listen, Callable[[], SpanCounts]]]:
    """Open what listens in one way, with its metrics read; yields it, and what says of its spans how many were made and received, for after the block."""
    if way in (NOTHING, PROGRESS):
        yield surefoot.Progress().listen if way == PROGRESS else lambda event: None, lambda: SpanCounts(0, 0)
        return
    share = SHARES.get(way)
    otlp = None if share is None else received.url
    settings = TelemetrySettings(metrics_port=0, otlp=otlp, span_share=share or 0.0)
    with open_telemetry(settings) as telemetry:
        received.tell(f"scrape {telemetry.metrics_url}")
        yield telemetry.listen, lambda: telemetry.spans
        received.tell("scrapes")


def once(way: str, job: Job, received: Receiver, seed: int = 0) -> Round:
    """Do the job in one way."""
    gc.collect()
    began, own = time.process_time(), time.thread_time()
    with listening(way, received) as (listen, counts):
        switched = Switched(listen, seed)
        job.run(switched.listen)
    spans = counts()
    threads = (time.process_time() - began) - (time.thread_time() - own)
    return Round(switched.pairs, threads / max(1, len(switched.on) * WINDOW) * 1e6, spans)


def alone(job: Job, received: Receiver) -> dict[str, float]:
    """Return the CPU microseconds a step that each listener takes by itself: the least of some replays of one run's events."""
    events: list[Event] = []
    steps = job.run(events.append).steps
    found = {}
    for way in WAYS:
        with listening(way, received) as (listen, _):
            took = []
            for _ in range(REPLAYS):
                gc.collect()
                began = time.thread_time()
                for event in events:
                    listen(event)
                took.append(time.thread_time() - began)
        found[way] = min(took) / steps * 1e6
    return found


def measure(job: Job, rounds: int, received: Receiver) -> tuple[dict[str, list[Round]], bool]:
    """Return the rounds of each way, and whether every span that was sent was received."""
    found: dict[str, list[Round]] = {way: [] for way in WAYS}
    right = True
    for way in WAYS:
        once(way, job._replace(disks=6), received)  # what is loaded, is
    before = received.tell("spans")
    order = random.Random(0)
    for number in range(rounds):
        for way in order.sample(WAYS, len(WAYS)):
            made = once(way, job, received, number)
            found[way].append(made)
            after = received.tell("spans")
            right = right and after - before == made.spans.exported
            before = after
    return found, right


def standing_still(job: Job, received: Receiver) -> tuple[str, bool]:
    """Do the job with a receiver that takes nothing before its end; return what is said of it, and whether the counts are right."""
    before = received.tell("hold")
    settings = TelemetrySettings(otlp=received.url, span_share=1.0, queue=SHORT)
    with open_telemetry(settings) as telemetry:
        report = job.run(telemetry.listen)
        received.tell("go on")
    spans = telemetry.spans
    right = report.solved and received.tell("spans") - before == spans.exported and spans.lost > 0
    said = (
        f"A receiver that takes nothing before the end, and room for {SHORT} spans: {report.steps:,} of {2**job.disks - 1:,} steps decided, "
        f"{report.steps / report.wall_s:,.0f} a second; {spans.lost:,} of {spans.ended:,} spans lost, and counted."
    )
    return said, right


def trimmed(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean of the middle three fifths, and its standard error, from the values with each tail drawn in to its end."""
    ranked, cut = sorted(values), len(values) // 5
    kept = ranked[cut : len(ranked) - cut]
    drawn_in = [kept[0]] * cut + kept + [kept[-1]] * cut
    error = statistics.stdev(drawn_in) * len(values) ** 0.5 / len(kept)
    return statistics.mean(kept), error


def rows(found: Mapping[str, list[Round]], replayed: Mapping[str, float]) -> Iterator[list[str]]:
    idle = statistics.mean(one.threads_us for one in found[NOTHING])
    for way, made in found.items():
        more = [with_it - without for one in made for with_it, without in one.pairs]
        if len(more) < 2:
            continue  # too short to tell
        middle, error = trimmed(more)
        threads = statistics.mean(one.threads_us for one in made) - idle
        ended, lost = (sum(getattr(one.spans, name) for one in made) for name in ("ended", "lost"))
        yield [
            way,
            f"{replayed[way]:.2f}",
            f"{middle:+.2f} ({middle - 1.96 * error:+.2f} to {middle + 1.96 * error:+.2f})",
            f"{statistics.mean(more):+.2f}",
            "" if way == NOTHING else f"{threads:+.2f}",
            f"{len(more):,}",
            *((f"{ended:,}", f"{lost:,}") if ended else ("", "")),
        ]


COLUMNS = (
    *("", "CPU µs a step, alone", "more in the run's thread (95 %)", "mean of all"),
    *("in other threads", "pairs of windows", "spans", "lost"),
)


def main() -> None:
    parser = options(__doc__, "telemetry.md")
    parser.add_argument("--disks", type=int, default=16)
    parser.add_argument("--k", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--receive", action="store_true")
    given = parser.parse_args()
    if given.receive:
        receive()
        return
    with redis_server() as url, receiver() as received:
        job = Job(url, given.disks, given.k)
        found, right = measure(job, given.rounds, received)
        short = job._replace(disks=min(given.disks, SHORT_DISKS))
        replayed = alone(short, received)
        said, counted = standing_still(short, received)
    about = origin("telemetry", given.results)
    plain_us = statistics.mean(without for one in found[NOTHING] for _, without in one.pairs or [(0.0, 0.0)])
    steps = (
        f"{given.rounds} runs of {2**given.disks - 1:,} steps each, k = {given.k}, {plain_us:.0f} µs of CPU a step without a listener. The receiver has every span that was sent: "
        f"{'yes' if right and counted else 'NO'}."
    )
    predicted = (
        "Predicted: 1.0 µs a step for `progress`, 1.4 for `metrics`, 1.6 and 2.2 with spans, 45 for `every step`; of a run of 10,000 steps a second 1 µs is 1 %. The metrics were read once a second; "
        "spans go over HTTP to another process."
    )
    parts = [
        "# What telemetry costs",
        about,
        table(COLUMNS, list(rows(found, replayed))),
        steps,
        said,
        predicted,
    ]
    page = "\n\n".join(parts) + "\n"
    print(page)
    write(given.results, "telemetry.md", page)
    if not (right and counted):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
