"""Metrics of how runs and rows of batches ended: each is counted when the store learns of it, so once."""

from datetime import datetime
from typing import Final

from activities.metrics import BATCH_ROWS, OTHER, RUN_ERRORS, RUN_SECONDS, RUNS, job_label, tenant_label
from activities.storage.writes import News, Row
from engross.contracts import Outcome
from engross.errors import UnknownJob

# Such a run goes on, or may do so: how long it took is not known yet.
_WAITING: Final = (str(Outcome.PARKED), str(Outcome.NEEDS_APPROVAL))


def count(news: News) -> None:
    """Counts what was stored. To be called after the commit."""
    for run in news.runs:
        _count_run(run)
    for row in news.of_batch:
        BATCH_ROWS.labels(job_label(row["job"]), tenant_label(row["tenant"]), row["outcome"]).inc()


def _count_run(run: Row) -> None:
    error = run["error_type"]
    # Such a name is whatever somebody typed.
    job = OTHER if error == UnknownJob.__name__ else job_label(run["job"])
    tenant = tenant_label(run["tenant"])
    RUNS.labels(job, tenant, run["outcome"]).inc()
    if error:
        RUN_ERRORS.labels(job, tenant, error).inc()
    if run["outcome"] not in _WAITING:
        started, stored = (datetime.fromisoformat(run[name]) for name in ("started_at", "stored_at"))
        # The clocks of the server, which says the start, and of this machine can differ.
        RUN_SECONDS.labels(job).observe(max(0.0, (stored - started).total_seconds()))
