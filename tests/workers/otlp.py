"""A collector of traces that tests ask afterwards: OTLP over HTTP, as protobuf."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """A span as it arrived. `raw` is all of it, as text; `parent` is empty for the first span of a trace."""

    name: str
    trace: str
    id: str
    parent: str
    service: str
    attributes: dict[str, Any]
    start: int
    raw: str


@dataclass
class Collector:
    """What has arrived so far, at `http://127.0.0.1:<port>`."""

    port: int
    spans: list[Span] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def traces(self) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = {}
        for span in list(self.spans):
            found.setdefault(span.trace, []).append(span)
        return found


def tree(spans: list[Span]) -> list[str]:
    """The names of a trace's spans, each below its parent, in the order in which they began."""
    ids = {span.id for span in spans}
    lines: list[str] = []

    def add(parent: str, depth: int) -> None:
        for span in sorted(spans, key=lambda span: span.start):
            if span.parent == parent or (not parent and span.parent not in ids):
                lines.append(f"{'  ' * depth}{span.name}")
                add(span.id, depth + 1)

    add("", 0)
    return lines


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a port of its own, while the body runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.spans.extend(_spans(ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
            """Nothing: what matters is what arrives."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        about = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    service=about["service.name"],
                    attributes={pair.key: _value(pair.value) for pair in span.attributes},
                    start=span.start_time_unix_nano,
                    raw=str(span),
                )


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)
