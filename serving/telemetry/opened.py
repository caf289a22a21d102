"""Telemetry of a run: opened around it, told its events, closed after it."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from surefoot.errors import BadInput
from surefoot.orchestration.events import Event, Listen
from surefoot.orchestration.progress import Progress

from .settings import TelemetrySettings

if TYPE_CHECKING:
    from .scrapes import Served

LOOK_EVERY_S = 0.1


class SpanCounts(NamedTuple):
    """What has become of the spans of a run."""

    ended: int
    exported: int
    """Of these, taken by the receiver."""

    @property
    def lost(self) -> int:
        """Those that were not; while the telemetry is open some of them only wait."""
        return self.ended - self.exported


class Telemetry:
    """A listener of a run, or of several that belong together, made by `open_telemetry`."""

    def __init__(
        self,
        listeners: Sequence[Listen],
        progress: Progress,
        served: "Served | None",
        counts: Callable[[], Mapping[str, int]] | None,
    ) -> None:
        self._listeners = listeners
        self._counts = counts
        self._served = served
        self.progress = progress

    @property
    def metrics_url(self) -> str | None:
        """Where Prometheus reads; None if nothing is served."""
        return None if self._served is None else self._served.url

    def listen(self, event: Event) -> None:
        """Hear an event: give this to `on_event`."""
        for hears in self._listeners:
            hears(event)

    async def read_again(self, within_s: float) -> bool:
        """Wait until the metrics have been read once more, as they are now, for so many seconds at most; return whether they were.

        How a run ended is told by the last reading, so alarms need one after the end.
        """
        ended = time.monotonic()
        while self._served is not None and time.monotonic() - ended < within_s:
            read_at = self._served.read_at()
            if read_at is not None and read_at >= ended:
                return True
            await asyncio.sleep(LOOK_EVERY_S)
        return False

    @property
    def spans(self) -> SpanCounts:
        """What has become of the spans."""
        found = {} if self._counts is None else self._counts()
        return SpanCounts(found.get("ended", 0), found.get("exported", 0))


@contextmanager
def open_telemetry(settings: TelemetrySettings, progress: Progress | None = None) -> Iterator[Telemetry]:
    """Serve metrics and send spans for as long as the block lasts.

        with open_telemetry(TelemetrySettings(metrics_port=9464)) as telemetry:
            report = await surefoot.run(task, ..., on_event=telemetry.listen)

    A `progress` that is given is told the events, too; a display may show it.  For several runs with one listener, as of `solve` with branches, it is a
    `ProgressOfSeveral`, whose name the metrics have.  At the end of the block up to 5 s are waited for spans that
    are still in the queue; `telemetry.spans.lost` then says how many never arrived.  The run itself waits for nobody.
    Raises `BadInput` without `surefoot[otel]`, and for an address that cannot be had.
    """
    try:
        from .metrics import RunMetrics
        from .redis_memory import RedisMemory
        from .scrapes import metrics_server
        from .spans import RunSpans
    except ImportError as error:
        raise BadInput(f"telemetry needs an extra ({error}): pip install 'surefoot[otel]'") from None
    told = progress or Progress()
    listeners: list[Listen] = [told.listen]
    counts: Callable[[], Mapping[str, int]] | None = None
    served = None
    with ExitStack() as until_the_end:
        memory = None if settings.redis is None else RedisMemory(settings.redis)
        metrics = RunMetrics(told, lambda: {} if counts is None else counts(), memory)
        if settings.metrics_port is not None:
            listeners.append(metrics.listen)
            served = until_the_end.enter_context(
                metrics_server(metrics, settings.metrics_host, settings.metrics_port)
            )
        if settings.otlp is not None:
            spans = RunSpans(settings, lambda: metrics.run)
            until_the_end.callback(spans.close)
            listeners.append(spans.listen)
            counts = spans.counts
        yield Telemetry(listeners, told, served, counts)
