"""What is told of a run, and to whom."""

import re
from dataclasses import dataclass

from surefoot.errors import BadInput
from surefoot.models.openai.redaction import redacted_url
from surefoot.typed_input import check_fields

LARGEST_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """What is told of a run, and to whom.  Raises `BadInput` for what cannot be.

    TelemetrySettings(metrics_port=9464)                     Prometheus reads http://127.0.0.1:9464/metrics
    TelemetrySettings(metrics_port=9464, redis="redis://h")  and how full that Redis is
    TelemetrySettings(otlp="http://collector:4318")          spans are sent to an OpenTelemetry receiver
    TelemetrySettings(otlp=..., span_share=1.0)              of every step, not of one in a hundred and the notable ones
    """

    metrics_port: int | None = None
    """Where metrics are served; 0 takes a free port, None serves none."""
    metrics_host: str = "127.0.0.1"
    """The address that is listened on.  Off loopback everybody who reaches it reads names of jobs and counts, and nothing else."""
    redis: str | None = None
    """The URL of the Redis whose memory is among the metrics, asked when they are read; None leaves it out."""
    otlp: str | None = None
    """The base URL of a receiver that speaks OTLP over HTTP.  Its headers are taken from OTEL_EXPORTER_OTLP_HEADERS, and so is a key."""
    span_share: float = 0.01
    """Share of the steps that get a span whatever they are; notable ones always do."""
    slow_s: float = 10.0
    """A step that takes longer is notable, like one that is contested, flagged, climbed, retried, or an agent's."""
    content: bool = False
    """Whether answers and the samples behind a stall are in spans, cut and with what steers a terminal escaped."""
    queue: int = 2048
    """Spans that wait to be sent; more than that are lost, and counted."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.metrics_port is not None and not 0 <= self.metrics_port <= LARGEST_PORT:
            raise BadInput(f"a port is a number from 0 to {LARGEST_PORT:,}, not {self.metrics_port!r}")
        if self.otlp is not None and not re.match("https?://[^/]", self.otlp):
            raise BadInput(
                f"a receiver of spans is a URL such as http://collector:4318, not {redacted_url(self.otlp)!r}"
            )
        if not 0 <= self.span_share <= 1:
            raise BadInput(f"a share of steps lies between 0 and 1, not {self.span_share!r}")
        if not (self.slow_s > 0 and self.queue > 0):
            raise BadInput(f"slow_s and queue are more than 0, not {self.slow_s!r} and {self.queue!r}")
