"""What only a running run can tell or change, so that a worker has to be there: its budget."""

from datetime import timedelta
from decimal import Decimal
from typing import Final

from pydantic import ValidationError
from temporalio.client import (
    Client,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.service import RPCError, RPCStatusCode

from engross.contracts import MOST_DOLLARS, BudgetRaise, BudgetState
from engross.errors import InvalidRequest, ServiceUnavailable
from engross.names import BUDGET_QUERY, RAISE_BUDGET_UPDATE

_ANSWER_TIMEOUT: Final = timedelta(seconds=10)
_LONGEST_NAME: Final = 200
# How calls end that no worker answers: at our end, at the server's, or before they are passed on.
UNANSWERED: Final = (RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.FAILED_PRECONDITION)


def no_answer(run_id: str) -> ServiceUnavailable:
    """No worker is there to answer for the run."""
    return ServiceUnavailable(f"no worker answers for run {run_id}: start one with `engross worker` or `engross up`")


async def run_budget(client: Client, run_id: str) -> BudgetState:
    """What the run may spend. Raises `InvalidRequest` for a run that is not ours, and Temporal's `RPCError`."""
    handle = client.get_workflow_handle(run_id)
    try:
        told: BudgetState = await handle.query(BUDGET_QUERY, result_type=BudgetState, rpc_timeout=_ANSWER_TIMEOUT)
    except WorkflowQueryFailedError:
        raise InvalidRequest(
            f"run {run_id} tells nothing of a budget: it is none of Engross, or of an older one"
        ) from None
    except RPCError as error:
        if error.status in UNANSWERED:
            raise no_answer(run_id) from None
        raise
    return told


async def raise_run_budget(client: Client, run_id: str, *, by_usd: Decimal, by: str) -> BudgetState:
    """Raises the run's own budget. `InvalidRequest` says why it can't be; and Temporal's `RPCError` is raised."""
    try:
        more = BudgetRaise(by_usd=by_usd, by=by[:_LONGEST_NAME])
    except ValidationError:
        raise InvalidRequest(f"raise a budget by more than 0 USD, and by {MOST_DOLLARS:,} at most") from None
    try:
        told: BudgetState = await client.get_workflow_handle(run_id).execute_update(
            RAISE_BUDGET_UPDATE, more, result_type=BudgetState, rpc_timeout=_ANSWER_TIMEOUT
        )
    except WorkflowUpdateFailedError as refused:
        raise InvalidRequest(await _why_not(client, run_id, refused)) from None
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        # The server keeps it for a while: a worker that comes may still be told.
        raise ServiceUnavailable(
            f"{no_answer(run_id)}, and look with `engross budget show {run_id}` before you raise it again"
        ) from None
    return told


async def _why_not(client: Client, run_id: str, refused: WorkflowUpdateFailedError) -> str:
    state = await run_budget(client, run_id)
    if state.budget is None and state.waiting_for:
        return f"run {run_id} has no budget of its own; what it waits for is another: {state.waiting_for}"
    return f"run {run_id}: {getattr(refused.cause, 'message', 'its budget cannot be raised')}"
