"""The rows of a group that have ended: counted at once, stored some at a time."""

from datetime import timedelta
from decimal import Decimal
from typing import Final

from temporalio import workflow
from temporalio.exceptions import FailureError

from engross.contracts import BatchCounts, GroupRequest, RowOutcome, RunResult, StoreGroupRequest
from workflows import steps

# Rows are stored together, but none waits for long.
_TOGETHER: Final = 10
_EVERY: Final = timedelta(seconds=5)


class Shelf:
    """What a group has to store. `counts` is what its rows came to so far, stored or not."""

    def __init__(self, group: GroupRequest) -> None:
        self._group = group
        self._rows: list[RowOutcome] = []
        self._started_at = workflow.info().start_time.isoformat()
        self._stored_at = workflow.now()
        self.counts = BatchCounts()

    def put(self, row: RowOutcome, result: RunResult | None) -> None:
        """Takes a row, with the result of its run where there is one."""
        self._rows.append(row)
        self.counts += _counted(row.outcome, result)

    @property
    def is_due(self) -> bool:
        """Whether it is time to store."""
        return len(self._rows) >= _TOGETHER or workflow.now() - self._stored_at >= _EVERY

    async def store(self) -> None:
        """Stores what there is. What could not be stored stays for the next time."""
        rows, self._rows, self._stored_at = self._rows, [], workflow.now()
        if not rows:
            return
        group = self._group
        request = StoreGroupRequest(
            batch_id=group.batch_id, job=group.job, tenant=group.tenant, started_at=self._started_at, rows=tuple(rows)
        )
        try:
            await steps.store_group.here(request, summary=f"store {len(rows)} rows")
        except FailureError:
            self._rows[:0] = rows
            raise


def _counted(outcome: str, result: RunResult | None) -> BatchCounts:
    """One row, with what its run cost, as far as that is known."""
    if result is None:
        return BatchCounts.model_validate({outcome: 1})
    return BatchCounts.model_validate(
        {
            outcome: 1,
            "calls": result.calls,
            "cached": result.cached,
            "cost_usd": result.cost_usd or Decimal(0),
            "unpriced": int(result.cost_usd is None),
        }
    )
