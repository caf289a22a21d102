"""The options of what is told of a run while it runs: metrics and spans."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Annotated

from typer import Option

from surefoot.errors import BadInput
from surefoot.orchestration.events import Listen, Noted
from surefoot.orchestration.progress import Progress
from surefoot.serving.telemetry import Telemetry, TelemetrySettings, open_telemetry

USUAL = TelemetrySettings()


@dataclass(frozen=True)
class TelemetryOptions:
    """What is told of a run, and to whom."""

    metrics_port: Annotated[
        int | None,
        Option(
            help="Serve metrics for Prometheus at /metrics on this port while it runs, 0 on a free one (surefoot[otel])."
        ),
    ] = USUAL.metrics_port
    metrics_host: Annotated[
        str,
        Option(
            help="The address that --metrics-port is on; whoever reaches it reads names of jobs and counts."
        ),
    ] = USUAL.metrics_host
    metrics_linger: Annotated[
        float,
        Option(
            help="Seconds for which metrics are served on after the end, at most: until they were read once more."
        ),
    ] = 0.0
    otlp: Annotated[
        str | None,
        Option(
            metavar="URL",
            help="Send spans to this OpenTelemetry receiver (surefoot[otel]); OTEL_EXPORTER_OTLP_HEADERS holds its key.",
        ),
    ] = USUAL.otlp
    span_share: Annotated[
        float,
        Option(
            help="Share of steps that get a span; contested, flagged, climbed, retried and slow ones always do."
        ),
    ] = USUAL.span_share
    span_content: Annotated[
        bool, Option("--span-content", help="Put answers into spans, and the samples behind a stall.")
    ] = USUAL.content

    @property
    def _wanted(self) -> bool:
        return self.metrics_port is not None or self.otlp is not None

    def check(self, *, on_ray: bool) -> None:
        """Raise `BadInput` for a run whose events are not heard here."""
        if on_ray and self._wanted:
            raise BadInput(
                "what the actors of a Ray cluster do is told of in Redis alone: leave --metrics-port and --otlp out with --on ray"
            )

    @asynccontextmanager
    async def listening(
        self, progress: Progress, redis: str | None, say: Listen | None = None
    ) -> AsyncIterator[Listen]:
        """Yield the listener of the runs' events; it tells the progress, too.

        `redis` is the address of their Redis, None for the embedded one.  Sentences for the user go to `say`, or else to the progress: where metrics are
        served, and in the end how many spans were lost.
        """
        say = say or progress.listen
        if not self._wanted:
            yield progress.listen
            return
        settings = TelemetrySettings(
            metrics_port=self.metrics_port,
            metrics_host=self.metrics_host,
            redis=redis,
            otlp=self.otlp,
            span_share=self.span_share,
            content=self.span_content,
        )
        opened: Telemetry | None = None
        try:
            with open_telemetry(settings, progress) as telemetry:
                opened = telemetry
                if telemetry.metrics_url is not None:
                    say(Noted(sentence=f"metrics are served at {telemetry.metrics_url}"))
                try:
                    yield telemetry.listen
                finally:
                    await self._linger(telemetry)
        finally:
            if opened is not None and opened.spans.lost:
                count = opened.spans
                say(Noted(sentence=f"{count.lost:,} of {count.ended:,} spans were lost on their way"))

    async def _linger(self, telemetry: Telemetry) -> None:
        """Let the end be read, unless the user has given up the run, or gives up the waiting."""
        task = asyncio.current_task()
        if self.metrics_linger > 0 and not (task and task.cancelling()):
            with suppress(asyncio.CancelledError):
                await telemetry.read_again(self.metrics_linger)
