"""`/metrics`: a server in a thread of its own, so that a scrape is answered while a run holds the event loop."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, MetricsHandler
from prometheus_client.registry import Collector

from surefoot.serving.listening import bound_socket, is_loopback, root_of

SCRAPES = 8
"""Connections at a time; one more is closed."""
SILENT_S = 5.0
"""A connection that says nothing for so long is closed."""
PATH = "/metrics"


class _Handler(MetricsHandler):
    timeout = SILENT_S
    server_version = "surefoot"
    sys_version = ""

    def do_GET(self) -> None:  # noqa: N802 - so it is called
        name = self.headers.get("Host", "")
        host = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        if is_loopback(str(self.connection.getsockname()[0])) and not is_loopback(host):
            self.send_error(403, "unknown Host")  # a page of somebody else's, whose name leads here
        elif self.path.partition("?")[0] != PATH:
            self.send_error(404)
        else:
            began = time.monotonic()
            super().do_GET()
            served: Any = self.server
            served.read_at = began


class _Server(ThreadingHTTPServer):
    """Works on a bounded number of connections at a time."""

    daemon_threads = True
    read_at: float | None = None
    """When the latest scrape that was answered to its end began, in monotonic time."""

    def __init__(self, *given: Any, **more: Any) -> None:
        self._places = threading.BoundedSemaphore(SCRAPES)
        super().__init__(*given, **more)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread for a connection if there is a place."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Work on a connection, and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that break off."""


class Served(NamedTuple):
    """Metrics that are served."""

    url: str
    read_at: Callable[[], float | None]
    """Returns when the latest scrape that was answered to its end began, in monotonic time."""


@contextmanager
def metrics_server(collector: Collector, host: str, port: int) -> Iterator[Served]:
    """Serve what a collector has for as long as the block lasts; raises `BadInput` for an address that cannot be had."""
    registry = CollectorRegistry()
    registry.register(collector)
    listening = bound_socket(host, port, "metrics")
    server = _Server(listening.getsockname()[:2], _Handler.factory(registry), bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    with server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        serving.start()
        try:
            yield Served(root_of(host, listening) + PATH, lambda: server.read_at)
        finally:
            server.shutdown()
            serving.join()
