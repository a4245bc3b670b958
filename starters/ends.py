"""What Temporal itself knows about a run: where it stands, and how it ended when no row says so."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final

from pydantic import ValidationError
from temporalio import exceptions
from temporalio.client import WorkflowExecution, WorkflowExecutionDescription
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError, CancelledError, TerminatedError

from activities.storage import StoredRun
from engross.contracts import ErrorInfo, Outcome, RunResult
from engross.errors import InvalidRequest
from engross.names import JOB_ATTRIBUTE, NO_RUNS, TENANT_ATTRIBUTE, WORKFLOWS_QUEUE, is_name
from starters.reports import PendingStep, RunReport, RunStatus
from workers.waking import WAITING, waiting_query, waits_for

JOB: Final = SearchAttributeKey.for_keyword(JOB_ATTRIBUTE)
TENANT: Final = SearchAttributeKey.for_keyword(TENANT_ATTRIBUTE)
_NO_RUNS: Final = ", ".join(f"'{name}'" for name in NO_RUNS)
# Temporal counts nanoseconds, a row microseconds.
_ROUNDING: Final = timedelta(milliseconds=1)


def is_of(row: StoredRun, run: WorkflowExecution) -> bool:
    """Whether `row` is of this very run, not of an earlier one with the same id."""
    return row.started_at >= run.start_time - _ROUNDING


def result_of(run: WorkflowExecution, end: object) -> RunResult:
    """The result of a closed run from what its workflow returned or failed with."""
    if isinstance(end, ApplicationError):
        # Our workflows attach the result, so that the accounts of a failed run survive the loss of its row.
        carried = _parsed(end.details[0]) if end.details else None
        return carried or _without_accounts(run, Outcome.FAILED, end.type or "Unexpected", end.message)
    if isinstance(end, CancelledError):
        return _without_accounts(run, Outcome.CANCELLED, "Cancelled", "cancelled by request")
    if isinstance(end, TerminatedError):
        return _without_accounts(run, Outcome.FAILED, "Terminated", f"terminated by an operator: {end.message}")
    if isinstance(end, exceptions.TimeoutError):
        return _without_accounts(run, Outcome.FAILED, "TimedOut", "did not end within its time limit")
    return _parsed(end) or _without_accounts(
        run, Outcome.FAILED, "Unexpected", f"workflow type {run.workflow_type} gave no run result"
    )


async def running(run: WorkflowExecution) -> RunStatus:
    """The status of a run that has not ended, with its pending steps when `run` was described, not listed."""
    waits = await waits_for(run)
    steps = run.raw_description.pending_activities if isinstance(run, WorkflowExecutionDescription) else ()
    return RunStatus(
        run_id=run.id,
        job=attribute(run, JOB),
        tenant=attribute(run, TENANT),
        document="",
        outcome=waits[0] if waits else None,
        error=waits[1] if waits else None,
        started_at=run.start_time,
        pending=tuple(
            PendingStep(
                step=step.activity_type.name,
                attempt=step.attempt,
                last_error=step.last_failure.application_failure_info.type or None,
            )
            for step in steps
        ),
    )


def waiting(run: WorkflowExecution, outcome: Outcome, reason: ErrorInfo) -> RunReport:
    """The report on a run that waits for somebody to act."""
    return RunReport(
        run_id=run.id,
        job=attribute(run, JOB),
        tenant=attribute(run, TENANT),
        document="",
        outcome=outcome,
        error=reason,
    )


def running_query(job: str | None, tenant: str | None, outcome: Outcome | None = None) -> str:
    """Temporal's list filter for runs that have not ended, or of these the ones that wait as `outcome` says.

    Batches and what runs share their work with are no runs; but whatever is parked waits for somebody, and is shown.
    Raises `InvalidRequest` for what is no name.
    """
    query = f"ExecutionStatus = 'Running' AND WorkflowType NOT IN ({_NO_RUNS})"
    if outcome in WAITING:
        query = waiting_query((outcome,))
    query += f" AND TaskQueue = '{WORKFLOWS_QUEUE}'"
    for key, value in ((JOB, job), (TENANT, tenant)):
        if value is None:
            continue
        # Names hold no quotes, so they cannot end the literal.
        if not is_name(value):
            raise InvalidRequest(f"{value!r} is no name of a job or tenant")
        query += f" AND {key.name} = '{value}'"
    return query


def of_tenants(tenants: Collection[str] | None) -> str:
    """What a list filter of Temporal ends with for what belongs to one of `tenants`; nothing for None.

    Raises `InvalidRequest` for what is no name.
    """
    if tenants is None:
        return ""
    for tenant in tenants:
        if not is_name(tenant):
            raise InvalidRequest(f"{tenant!r} is no name of a tenant")
    # None of them is nothing: what has no tenant has no such attribute either.
    names = ", ".join(f"'{tenant}'" for tenant in sorted(tenants)) or "''"
    return f" AND {TENANT.name} IN ({names})"


def ended(run: WorkflowExecution, report: RunReport) -> RunStatus:
    """The status of a run that has ended as `report` says."""
    return RunStatus(
        run_id=run.id,
        job=report.job,
        tenant=report.tenant,
        document=report.document,
        outcome=report.outcome,
        error=report.error,
        started_at=run.start_time,
        ended_at=run.close_time,
        cost_usd=report.cost_usd,
    )


def attribute(run: WorkflowExecution, key: SearchAttributeKey[str]) -> str:
    """The value of a search attribute; empty when the run has none."""
    return run.typed_search_attributes.get(key) or ""


def _parsed(value: object) -> RunResult | None:
    try:
        return RunResult.model_validate(value) if isinstance(value, Mapping) else None
    except ValidationError:
        return None


def _without_accounts(run: WorkflowExecution, outcome: Outcome, kind: str, message: str) -> RunResult:
    return RunResult(
        run_id=run.id,
        job=attribute(run, JOB),
        tenant=attribute(run, TENANT),
        outcome=outcome,
        error=ErrorInfo(type=kind, message=message),
        cost_usd=None,
    )
