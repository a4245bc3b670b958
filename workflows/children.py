"""Child runs: how they start, and how news goes up and down."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import FailureError
from temporalio.workflow import ChildWorkflowHandle, ParentClosePolicy

from engross.contracts import Contract, RunBudget
from engross.names import NEW_BUDGET_SIGNAL, RESUME_SIGNAL
from workflows.attributes import JOB, TENANT

_Out = TypeVar("_Out", bound=Contract)
_Handle = ChildWorkflowHandle[Any, Any]


class Children:
    """The child runs of a run that are running. They end with it: cancelled with it, and cancelled when it is gone.

    `forget` hears of each that has ended.
    """

    def __init__(self, tenant: str, forget: Callable[[str], None]) -> None:
        self._tenant = tenant
        self._forget = forget
        self._running: dict[str, _Handle | None] = {}  # None while it starts
        self._lent: RunBudget | None = None
        self._telling: set[asyncio.Task[None]] = set()

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._running

    async def run(self, kind: str, argument: Contract, gives: type[_Out], *, job: str, run_id: str) -> _Out:
        """The result of a child run of workflow type `kind`. Its priority is the parent's."""
        self._running[run_id], lent = None, self._lent
        try:
            handle = await self._started(kind, argument, gives, job, run_id)
            self._running[run_id] = handle
            if self._lent and self._lent is not lent:
                self._tell([handle], NEW_BUDGET_SIGNAL, [self._lent])
            result: _Out = await handle
            return result
        finally:
            del self._running[run_id]
            self._forget(run_id)

    async def _started(self, kind: str, argument: Contract, gives: type[_Out], job: str, run_id: str) -> _Handle:
        attributes = [SearchAttributePair(JOB, job), SearchAttributePair(TENANT, self._tenant)]
        return await workflow.start_child_workflow(
            kind,
            argument,
            id=run_id,
            result_type=gives,
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            search_attributes=TypedSearchAttributes(attributes),
            static_summary=f"{job} for {self._tenant}",
        )

    def wake(self) -> None:
        """Everybody who waits below tries again now."""
        self._tell(self._running.values(), RESUME_SIGNAL, [])

    def lend(self, budget: RunBudget) -> None:
        """Everybody below may spend this."""
        self._lent = budget
        self._tell(self._running.values(), NEW_BUDGET_SIGNAL, [budget])

    def _tell(self, handles: Iterable[_Handle | None], signal: str, arguments: Sequence[Any]) -> None:
        for handle in handles:
            if handle is not None:
                task = asyncio.create_task(_told(handle, signal, arguments))
                self._telling.add(task)
                task.add_done_callback(self._telling.discard)


async def _told(handle: _Handle, signal: str, arguments: Sequence[Any]) -> None:
    try:
        await handle.signal(signal, args=arguments)
    except FailureError as error:
        # It has ended in the meantime, and needs nothing any more.
        workflow.logger.info("child run could not be told", extra={"signal": signal, "error": type(error).__name__})
