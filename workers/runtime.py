"""Temporal's runtime of a worker: its core's logs go with ours, and its metrics to a page that `/metrics` fetches."""

import logging
import socket
from contextlib import suppress
from typing import Final

from temporalio import activity, workflow
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from engross.errors import ServiceUnavailable
from workers.interceptor import BUCKETS
from workers.library_logs import CORE_LOGGER

_HOST: Final = "127.0.0.1"
_TRIES: Final = 5
# Steps that call models last longer than the core's own buckets go, which end at a minute.
_LONG: Final = ("activity_execution_latency", "activity_succeed_endtoend_latency")


def build_runtime() -> tuple[Runtime, str]:
    """A runtime, and the address of its core's metrics: `http://127.0.0.1:<port>/metrics`.

    Each has threads of its own: a process needs one. Raises `ServiceUnavailable` where no port is free.
    """
    # What they add to messages is in fields already.
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False
    # What the SDK says there of a step that failed, `workers.interceptor` says better.
    activity.logger.base_logger.setLevel(logging.ERROR)
    for _ in range(_TRIES):
        address = f"{_HOST}:{_free_port()}"
        with suppress(ValueError):  # somebody else was quicker to take the port
            return Runtime(telemetry=_telemetry(address)), f"http://{address}/metrics"
    raise ServiceUnavailable(f"no port of {_HOST} can be taken for the metrics of Temporal's core")


def _telemetry(address: str) -> TelemetryConfig:
    forwarding = LogForwardingConfig(
        logger=logging.getLogger(CORE_LOGGER),
        append_target_to_name=False,
        prepend_target_on_message=False,
        append_log_fields_to_message=False,
    )
    metrics = PrometheusConfig(
        bind_address=address,
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides=dict.fromkeys(_LONG, BUCKETS),
    )
    logs = LoggingConfig(filter=TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=forwarding)
    return TelemetryConfig(logging=logs, metrics=metrics)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
