"""A tenant's workflows in Temporal: found by their search attribute, and those without it by what they were sent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from temporalio.api.common.v1 import Payload
from temporalio.api.common.v1 import WorkflowExecution as Execution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest, DescribeScheduleRequest
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from activities.encryption.codec import tenant_of
from activities.encryption.tenants import named_tenant
from engross.errors import CorruptDocument, ServiceUnavailable
from engross.names import TENANT_ATTRIBUTE, WORKFLOWS_QUEUE
from starters.connection import RPC_TIMEOUT, translated

_REASON: Final = "its tenant is erased"
_OPEN: Final = "ExecutionStatus = 'Running'"
_AT_ONCE: Final = 20
# Lists are a moment behind, and histories are deleted in the background.
_GONE_SECONDS: Final = 120.0
_AGAIN_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Histories:
    """How many of a tenant's executions Temporal has; `clear` of them were written before encryption was on."""

    kept: int = 0
    clear: int = 0


class TenantRuns:
    """Every execution on our queue that is a tenant's: runs, batches, groups, segments, approvals, notices.

    Methods raise `ServiceUnavailable` when Temporal does not answer, or does not get done.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._address = client.service_client.config.target_host

    async def open(self, tenant: str) -> int:
        """How many are running."""
        with translated(self._address):
            return sum([1 async for _ in self._of(tenant, _OPEN)])

    async def unschedule(self, tenant: str) -> int:
        """Deletes the schedules that start runs of it; gives how many there were."""
        deleted = 0
        with translated(self._address):
            async for listed in await self._client.list_schedules(rpc_timeout=RPC_TIMEOUT):
                with _unless_gone():
                    # Not as the client describes it, which decrypts, with a key that is destroyed.
                    request = DescribeScheduleRequest(namespace=self._client.namespace, schedule_id=listed.id)
                    found = await self._client.workflow_service.describe_schedule(request, timeout=RPC_TIMEOUT)
                    starts = found.schedule.action.start_workflow
                    if starts.task_queue.name == WORKFLOWS_QUEUE and _is_of(tenant, starts.input.payloads):
                        await self._client.get_schedule_handle(listed.id).delete(rpc_timeout=RPC_TIMEOUT)
                        deleted += 1
        return deleted

    async def terminate(self, tenant: str) -> int:
        """Ends all that run, and what they start meanwhile; gives how many there were."""
        return await self._until_none(tenant, _OPEN, self._end)

    async def delete(self, tenant: str) -> int:
        """Deletes all histories; gives how many there were."""
        return await self._until_none(tenant, "", self._remove)

    async def histories(self, tenant: str) -> Histories:
        """What Temporal keeps of it."""
        kept = clear = 0
        with translated(self._address):
            async for some in _some(self._of(tenant, "")):
                kept += len(some)
                inputs = await asyncio.gather(*map(self._input, some))
                clear += sum(any(not _is_sealed(payload) for payload in sent) for sent in inputs)
        return Histories(kept, clear)

    # --- finding ----------------------------------------------------------------------------------------------------

    async def _of(self, tenant: str, condition: str) -> AsyncIterator[WorkflowExecution]:
        more = f" AND {condition}" if condition else ""
        marked = f"{TENANT_ATTRIBUTE} = '{tenant}'{more}"
        async for run in self._client.list_workflows(marked, rpc_timeout=RPC_TIMEOUT):
            yield run
        # Started by hand, a run marks itself at its first task; before that, what it was sent says whose it is.
        unmarked = f"{TENANT_ATTRIBUTE} IS NULL AND TaskQueue = '{WORKFLOWS_QUEUE}'{more}"
        async for some in _some(self._client.list_workflows(unmarked, rpc_timeout=RPC_TIMEOUT)):
            for run, sent in zip(some, await asyncio.gather(*map(self._input, some)), strict=True):
                if _is_of(tenant, sent):
                    yield run

    async def _input(self, run: WorkflowExecution) -> Sequence[Payload]:
        """What it was started with, as it is stored."""
        handle = self._client.get_workflow_handle(run.id, run_id=run.run_id)
        try:
            async for event in handle.fetch_history_events(page_size=1, rpc_timeout=RPC_TIMEOUT):
                return event.workflow_execution_started_event_attributes.input.payloads
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # deleted since it was listed
                raise
        return ()

    # --- doing ------------------------------------------------------------------------------------------------------

    async def _until_none(self, tenant: str, condition: str, do: Callable[[WorkflowExecution], Awaitable[None]]) -> int:
        """Does it to all of them, again and again, as others may have come, until a list has none."""
        met = set[tuple[str, str]]()
        deadline = asyncio.get_running_loop().time() + _GONE_SECONDS
        with translated(self._address):
            while True:
                is_new = is_left = False
                async for some in _some(self._of(tenant, condition)):
                    is_left = True
                    is_new = is_new or any((run.id, run.run_id) not in met for run in some)
                    met.update((run.id, run.run_id) for run in some)
                    await asyncio.gather(*map(do, some))
                if not is_left:
                    return len(met)
                now = asyncio.get_running_loop().time()
                deadline = now + _GONE_SECONDS if is_new else deadline
                if now > deadline:
                    raise ServiceUnavailable(f"Temporal still lists runs of tenant {tenant}; run the command again")
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _end(self, run: WorkflowExecution) -> None:
        handle = self._client.get_workflow_handle(run.id, run_id=run.run_id)
        with _unless_gone():
            await handle.terminate(reason=_REASON, rpc_timeout=RPC_TIMEOUT)

    async def _remove(self, run: WorkflowExecution) -> None:
        execution = Execution(workflow_id=run.id, run_id=run.run_id)
        request = DeleteWorkflowExecutionRequest(namespace=self._client.namespace, workflow_execution=execution)
        with _unless_gone():
            await self._client.workflow_service.delete_workflow_execution(request, timeout=RPC_TIMEOUT)


@contextmanager
def _unless_gone() -> Iterator[None]:
    """What has ended or gone by itself is as well."""
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


async def _some(runs: AsyncIterator[WorkflowExecution]) -> AsyncIterator[list[WorkflowExecution]]:
    """A few at a time."""
    some = list[WorkflowExecution]()
    async for run in runs:
        some.append(run)
        if len(some) == _AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _is_of(tenant: str, sent: Sequence[Payload]) -> bool:
    try:
        sealed_for = {tenant_of(payload) for payload in sent}
    except CorruptDocument:
        return False
    return tenant in sealed_for or named_tenant(sent) == tenant


def _is_sealed(payload: Payload) -> bool:
    try:
        return tenant_of(payload) is not None
    except CorruptDocument:  # sealed, though not by us
        return True
