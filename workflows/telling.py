"""A run's story as log lines: begun, parked, asked people, decided, ended. Each is told once, and never on replay.

Ids, names, counts and amounts only. What is told here reaches `workers.logs` in one field, so that no name of ours can
meet one of `logging`'s own.
"""

from typing import Final

from temporalio import workflow

from engross.contracts import RunRequest, RunResult
from workflows.attributes import JOB, TENANT

with workflow.unsafe.imports_passed_through():
    import logging

# `workflow.logger`, with a name of our own and without the SDK's additions to the message.
_logger: Final = workflow.LoggerAdapter(logging.getLogger("workflows"), None)
_logger.workflow_info_on_message = _logger.workflow_info_on_extra = False


def tell(event: str, *, run_id: str = "", request: RunRequest | None = None, **fields: str | float | None) -> None:
    """One line about the run `run_id` (default: this workflow) of `request` (default: as the workflow is found by).

    Does nothing outside of a workflow, and never raises: a line is not worth a failed task.
    """
    if not workflow.in_workflow():
        return
    try:
        _logger.info(event, extra={"engross": _fields(run_id, request) | fields})
    except Exception:  # noqa: BLE001 - whatever it is, the run goes on; handlers report their own trouble
        return


def tell_end(result: RunResult, request: RunRequest) -> None:
    """How a run ended, what it cost, and how often models were asked."""
    tell(
        "run ended",
        run_id=result.run_id,
        request=request,
        outcome=result.outcome.value,
        error=result.error.type if result.error else None,
        cost_usd=None if result.cost_usd is None else float(result.cost_usd),
        calls=result.calls,
        cached=result.cached,
        repairs=result.repairs,
        maybe_billed=result.maybe_billed,
        input_tokens=result.usage.input_tokens,
        output_tokens=result.usage.output_tokens,
        model=result.model,
    )


def _fields(run_id: str, request: RunRequest | None) -> dict[str, str | float | None]:
    info = workflow.info()
    found = info.typed_search_attributes
    return {
        "run_id": run_id or info.workflow_id,
        "workflow_id": info.workflow_id,
        "workflow_run_id": info.run_id,
        "workflow": info.workflow_type,
        "job": request.job if request else found.get(JOB),
        "tenant": request.tenant if request else found.get(TENANT),
    }
