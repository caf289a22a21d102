"""A run as metrics for Prometheus and as OpenTelemetry spans: listeners of its events, which it never waits for."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
