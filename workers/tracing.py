"""Traces by OpenTelemetry, from `submit` to the stored row. Without ENGROSS_OTLP_ENDPOINT nothing of it is loaded."""

import threading
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from engross.settings import Settings

if TYPE_CHECKING:
    from temporalio.contrib.opentelemetry import ReplaySafeTracerProvider

SERVICE: Final = "engross"
# At the end of a process; what the collector hasn't taken by then is lost.
CLOSE_SECONDS: Final = 3.0

_TRACES_PATH: Final = "/v1/traces"
_EXPORT_SECONDS: Final = 5.0


def client_plugins(settings: Settings) -> list[Any]:
    """Plugins for `temporalio.client.Client.connect`, of workers as of those who submit.

    With them, every run is one trace: the client's span, the workflow's, each step's and each model call's. Which
    traces are kept is said by the standard variables OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG.
    """
    if settings.otlp_endpoint is None:
        return []
    from temporalio.contrib.opentelemetry import OpenTelemetryPlugin

    _provider(settings.otlp_endpoint, settings.build_id)
    return [OpenTelemetryPlugin(add_temporal_spans=True)]


def trace_id() -> str | None:
    """The id of the trace that the caller is part of, as 32 digits; None without traces."""
    if not _is_on():
        return None
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def close_tracing(seconds: float = CLOSE_SECONDS) -> None:
    """Sends the spans that wait, and ends it. Never takes longer than so many seconds, whatever the collector does.

    Call it once, at the end of the process, where the event loop may wait or is over.
    """
    if not _is_on():
        return
    from opentelemetry import trace

    provider: Any = trace.get_tracer_provider()
    # A thread that can be left behind: retries of an export go on as long as they like.
    closing = threading.Thread(target=provider.shutdown, name="close-tracing", daemon=True)
    closing.start()
    closing.join(seconds)


def _is_on() -> bool:
    return _provider.cache_info().currsize > 0


@cache
def _provider(endpoint: str, build_id: str | None) -> "ReplaySafeTracerProvider":
    """The process's provider of tracers; there can be only one."""
    from importlib.metadata import version

    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from temporalio.contrib.opentelemetry import create_tracer_provider

    from workers.span_cleaning import Cleaned

    about = {"service.name": SERVICE, "service.version": version("engross")}
    if build_id:
        about["deployment.build"] = build_id
    # Not at exit, which would wait for a collector that is gone: see `close_tracing`.
    provider = create_tracer_provider(resource=Resource.create(about), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=endpoint + _TRACES_PATH, timeout=_EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(Cleaned(exporter)))
    trace.set_tracer_provider(provider)
    return provider
