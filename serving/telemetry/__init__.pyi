"""What `surefoot.serving.telemetry` offers."""

from .opened import SpanCounts, Telemetry, open_telemetry
from .settings import TelemetrySettings

__all__ = ["SpanCounts", "Telemetry", "TelemetrySettings", "open_telemetry"]
