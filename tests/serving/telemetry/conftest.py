"""A Valkey, and a receiver of spans: OTLP over HTTP, as a collector takes it."""

import gzip
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from surefoot.orchestration.redis.embedded import server_binary


class Receiver:
    """Keeps every span that it has taken."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Any] = []
        self.open = threading.Event()
        """While it is not set, requests wait."""
        self.open.set()

    def named(self, name: str) -> list[Any]:
        """Return the spans of this name, in the order of their beginning."""
        found = [span for span in self.spans if span.name == name]
        return sorted(found, key=lambda span: int(span.start_time_unix_nano))

    def said(self, name: str) -> list[dict[str, Any]]:
        """Return what is said of each of them."""
        return [{each.key: _plain(each.value) for each in span.attributes} for span in self.named(name)]

    def check_conventions(self) -> None:
        """Check that what is called `gen_ai` is so by OpenTelemetry's own package of names, and that of each span what it does is."""
        said = [each for name in {span.name for span in self.spans} for each in self.said(name)]
        ours = {name for each in said for name in each if name.startswith("gen_ai.")}
        names = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
        assert ours and ours <= names
        known = {each.value for each in gen_ai_attributes.GenAiOperationNameValues}
        done = {each["gen_ai.operation.name"] for each in said if "gen_ai.operation.name" in each}
        assert done and done <= known

    @property
    def bytes(self) -> bytes:
        """All that it was sent."""
        return b"".join(span.SerializeToString() for span in self.spans)


def _plain(value: Any) -> Any:
    if value.WhichOneof("value") == "array_value":
        return [_plain(each) for each in value.array_value.values]
    return getattr(value, value.WhichOneof("value"))


@contextmanager
def _receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.open.wait()
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    receiver.spans += scope.spans
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield receiver
        receiver.open.set()
        server.shutdown()
        serving.join()


@pytest.fixture
def receiving() -> Callable[[], AbstractContextManager[Receiver]]:
    """Receives on loopback for as long as a block lasts."""
    return _receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One receiver for the test."""
    with _receiving() as made:
        yield made


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """The address of a Valkey of these tests' own."""
    # Not pytest's tmp_path: a unix socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="sf-") as folder:
        path = Path(folder) / "s"
        command = [
            str(server_binary()),
            "--port",
            "0",
            "--unixsocket",
            str(path),
            "--dir",
            folder,
            "--save",
            "",
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while not path.exists():
                assert process.poll() is None
            yield f"unix://{path}"
            process.terminate()


@pytest.fixture
def closed_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return int(closed.getsockname()[1])
