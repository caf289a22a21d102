"""Runs as OpenTelemetry spans, which wait in a bounded queue until a thread has sent them; where the receiver is slow or gone they are lost, and counted."""

import logging
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from surefoot.orchestration.events import Began, Ended, Event, StepDecided, Waiting, current_run

from .settings import TelemetrySettings
from .traced_run import TracedRun

PATH = "/v1/traces"
BATCH = 512
DELAY_MS = 1_000
SEND_S = 5.0
"""What one request may take, repetitions included."""
CLOSE_S = 5.0
"""At the end of a run so long is waited for what is still in the queue."""

SDK_LOGGER = logging.getLogger("opentelemetry")


class CountingExporter(SpanExporter):
    """Counts what another exporter has sent."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.exported = 0
        self.failed = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Pass a batch on."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            if result is SpanExportResult.SUCCESS:
                self.exported += len(spans)
            else:
                self.failed += len(spans)
        return result

    def shutdown(self) -> None:
        """Close the other one."""
        self._exporter.shutdown()


class CountingProcessor(BatchSpanProcessor):
    """Counts what has ended, and so comes into the queue."""

    ended = 0

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span."""
        self.ended += 1
        super().on_end(span)


class RunSpans:
    """Makes spans of the events of runs, of each by itself where one listener hears several.  `close` ends what is open, and sends what waits.

    `whole` names the job that the metrics show: the runs of a stitched job, of a problem or of a fleet have it in common.
    """

    def __init__(self, settings: TelemetrySettings, whole: Callable[[], str]) -> None:
        assert settings.otlp is not None
        self._settings, self._whole = settings, whole
        # Of a receiver that is gone the SDK tells again and again; what was lost is counted.
        self._loud = SDK_LOGGER.level
        SDK_LOGGER.setLevel(logging.CRITICAL)
        base = settings.otlp.rstrip("/")
        self._exporter = CountingExporter(
            OTLPSpanExporter(base if base.endswith(PATH) else base + PATH, timeout=SEND_S)
        )
        self._queue = CountingProcessor(
            self._exporter,
            max_queue_size=settings.queue,
            schedule_delay_millis=DELAY_MS,
            max_export_batch_size=min(BATCH, settings.queue),
        )
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create({"service.name": "surefoot", "service.version": version("surefoot")}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(self._queue)
        self._tracer = self._provider.get_tracer("surefoot")
        self._runs: dict[object, TracedRun] = {}
        """Those that are going on."""

    def counts(self) -> dict[str, int]:
        """Spans that ended, and how many of them were sent, or failed to be: the others wait, or were lost in a full queue."""
        return {
            "ended": self._queue.ended,
            "exported": self._exporter.exported,
            "failed": self._exporter.failed,
        }

    def listen(self, event: Event) -> None:
        """Make what an event tells of."""
        key = current_run()
        run = self._runs.get(key)
        if type(event) is StepDecided:
            if run is not None:
                run.decided(event.record)
        elif type(event) is Began:
            self._runs[key] = TracedRun(self._tracer, self._settings, event, self._whole())
        elif run is not None:
            run.hear(event)
            if type(event) is Ended:
                del self._runs[key]
        elif type(event) is Waiting:  # for what all of them share
            for each in self._runs.values():
                each.hear(event)

    def close(self) -> None:
        """End what is open, and send what waits, for a few seconds at most; what is left then is lost."""
        for run in self._runs.values():
            run.close()
        # The SDK's own shutdown waits half a minute for a receiver that does not answer.
        closing = threading.Thread(target=self._shut_down, daemon=True)
        closing.start()
        closing.join(CLOSE_S)

    def _shut_down(self) -> None:
        self._provider.shutdown()
        SDK_LOGGER.setLevel(self._loud)
