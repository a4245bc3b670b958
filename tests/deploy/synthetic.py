"""A page of metrics as a busy worker serves it, for Prometheus to scrape: every name with its labels, and all grows."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

_CALL: Final = {"provider": "openai", "model": "gpt", "job": "invoice", "step": "extract", "tenant": "acme"}
_WORK: Final = {"job": "invoice", "step": "extract", "tenant": "acme"}
_OWNER: Final = {"job": "invoice", "tenant": "acme"}
_QUEUE: Final = {"queue": "workflows", "kind": "workflow"}

# By name: the label sets that it comes with.
COUNTERS: Final[dict[str, tuple[dict[str, str], ...]]] = {
    "engross_model_calls_total": ({**_CALL, "status": "valid"}, {**_CALL, "status": "invalid"}),
    "engross_model_errors_total": ({**_CALL, "error": "ProviderOverloaded"},),
    "engross_model_tokens_total": tuple({**_CALL, "kind": kind} for kind in ("input", "cached", "output")),
    "engross_model_cost_usd_total": (_CALL,),
    "engross_model_unpriced_calls_total": ({"provider": "openai", "model": "gpt"},),
    "engross_completions_served_total": ({**_WORK, "source": "cached"},),
    "engross_completions_unstored_total": ({},),
    "engross_completions_rejected_total": ({},),
    "engross_maybe_billed_total": (_CALL,),
    "engross_repairs_total": ({**_WORK, "rung": "fixed"},),
    "engross_calls_postponed_total": tuple(
        {"provider": "openai", "why": why} for why in ("limit", "budget", "circuit")
    ),
    "engross_circuit_opened_total": ({"provider": "openai"},),
    "engross_budgets_nearly_spent_total": ({"scope": "day"},),
    "engross_runs_total": ({**_OWNER, "outcome": "done"}, {**_OWNER, "outcome": "failed"}),
    "engross_run_errors_total": ({**_OWNER, "error": "NeedsOcr"},),
    "engross_batch_rows_total": ({**_OWNER, "outcome": "done"},),
    "engross_extractions_total": ({"format": "pdf"},),
    "engross_extractions_refused_total": ({"error": "NeedsOcr"},),
    "engross_approval_decisions_total": ({**_OWNER, "verdict": "approved"},),
    "engross_notices_total": ({"channel": "webhook", "outcome": "delivered"},),
    "engross_steps_total": (
        {"activity": "ask_model", "outcome": "done", "error": ""},
        {"activity": "note_approval", "outcome": "done", "error": ""},
    ),
    "engross_watch_failures_total": ({"source": "temporal"},),
    "temporal_request_total": ({"operation": "RespondActivityTaskCompleted"},),
    "temporal_request_failure_total": ({"operation": "RespondActivityTaskCompleted"},),
    "temporal_workflow_task_execution_failed_total": ({"workflow_type": "chain", "failure_reason": "WorkflowError"},),
}
HISTOGRAMS: Final[dict[str, dict[str, str]]] = {
    "engross_model_seconds": {"provider": "openai", "model": "gpt", "job": "invoice", "step": "extract"},
    "engross_limit_wait_seconds": {"provider": "openai"},
    "engross_extraction_seconds": {"format": "pdf"},
    "engross_run_seconds": {"job": "invoice"},
    "engross_step_seconds": {"activity": "ask_model"},
}
GAUGES: Final[dict[str, dict[str, str]]] = {
    "engross_circuit_state": {"provider": "openai"},
    "engross_approvals_waiting": {**_OWNER, "risk": "high"},
    "engross_approvals_overdue": _OWNER,
    "engross_approval_oldest_seconds": _OWNER,
    "engross_runs_open": {},
    "engross_runs_with_task_problems": {},
    "engross_queue_backlog": _QUEUE,
    "engross_queue_backlog_age_seconds": _QUEUE,
    "engross_queue_pollers": _QUEUE,
    "engross_watch_age_seconds": {},
    "engross_build_info": {"version": "0.1.0", "build_id": "b1"},
    "temporal_worker_task_slots_available": {"task_queue": "workflows", "worker_type": "ActivityWorker"},
}
# The same gauge with other labels.
_MORE_GAUGES: Final = (
    ("engross_runs_waiting", {"outcome": "parked"}),
    ("engross_runs_waiting", {"outcome": "needs_approval"}),
    ("engross_budget_used_usd", {"scope": "day", "name": ""}),
    ("engross_budget_limit_usd", {"scope": "day", "name": ""}),
    ("engross_budget_used_usd", {"scope": "tenant", "name": "acme"}),
    ("engross_budget_limit_usd", {"scope": "tenant", "name": "acme"}),
)


def _line(name: str, labels: dict[str, str], value: float) -> str:
    inside = ",".join(f'{label}="{text}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {value}\n"


def page(seconds: float) -> str:
    """What the worker says after so many seconds."""
    lines = [_line(name, labels, 1 + 2 * seconds) for name, sets in COUNTERS.items() for labels in sets]
    lines += [_line(name, labels, 1) for name, labels in (*GAUGES.items(), *_MORE_GAUGES)]
    for name, labels in HISTOGRAMS.items():
        lines += [_line(f"{name}_bucket", {**labels, "le": bound}, 2 * seconds) for bound in ("0.5", "2", "+Inf")]
        lines += [_line(f"{name}_count", labels, 2 * seconds), _line(f"{name}_sum", labels, seconds)]
    return "".join(lines)


@contextmanager
def served() -> Iterator[str]:
    """The address of a server of such pages."""
    begun = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page(time.monotonic() - begun).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named so in the base class
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
