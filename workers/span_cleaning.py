"""What leaves in spans: names, ids and numbers. Whatever exceptions say stays here, as it does in logs."""

from collections.abc import Sequence
from typing import Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status, StatusCode

from workers.redaction import Redactor

_TYPE: Final = "exception.type"


class Cleaned(SpanExporter):
    """Hands on to `exporter` what may leave.

    Instrumentation, Temporal's among it, puts messages and stack traces of exceptions into events and states.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._redact = Redactor()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([self._clean(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def _clean(self, span: ReadableSpan) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=span.get_span_context(),
            parent=span.parent,
            resource=span.resource,
            attributes={name: self._redact.value(name, value) for name, value in (span.attributes or {}).items()},
            events=[_bare(event) for event in span.events],
            links=span.links,
            kind=span.kind,
            status=_named(span),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )


def _bare(event: Event) -> Event:
    kind = (event.attributes or {}).get(_TYPE)
    return Event(event.name, {_TYPE: kind} if kind is not None else None, event.timestamp)


def _named(span: ReadableSpan) -> Status:
    """The state, with the type of the exception in place of what it says."""
    if span.status.status_code is not StatusCode.ERROR:
        return Status(span.status.status_code)
    kinds = [(event.attributes or {}).get(_TYPE) for event in span.events]
    return Status(StatusCode.ERROR, next((str(kind) for kind in kinds if kind is not None), None))
