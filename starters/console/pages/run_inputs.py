"""What runs that go on were asked to do: Temporal's lists don't have it, the first event of their history does."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from temporalio.client import Client, WorkflowExecution

from engross.contracts import RunRequest
from engross.errors import InvalidRequest, RunNotFound
from starters.connection import RPC_TIMEOUT, translated

_MOST: Final = 2000
_AT_ONCE: Final = 8


class RunInputs:
    """Keeps what it read, for the last runs: an input never changes."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._kept: OrderedDict[str, RunRequest] = OrderedDict()

    async def of(self, temporal: Client, address: str, run: WorkflowExecution) -> RunRequest | None:
        """None when Temporal does not know it any more, or it was not started as ours are.

        Raises `ServiceUnavailable`.
        """
        kept = self._kept.get(run.run_id)
        if kept is not None:
            self._kept.move_to_end(run.run_id)
            return kept
        read = await _read(temporal, address, run)
        if read is not None:
            self._kept[run.run_id] = read
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return read

    async def of_all(
        self, temporal: Client, address: str, runs: Sequence[WorkflowExecution]
    ) -> list[RunRequest | None]:
        """Those of several, some at a time. Raises `ServiceUnavailable`."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(run: WorkflowExecution) -> RunRequest | None:
            async with places:
                return await self.of(temporal, address, run)

        return await asyncio.gather(*map(one, runs))


async def _read(temporal: Client, address: str, run: WorkflowExecution) -> RunRequest | None:
    handle = temporal.get_workflow_handle(run.id, run_id=run.run_id)
    try:
        with translated(address):
            events = handle.fetch_history_events(page_size=1, rpc_timeout=RPC_TIMEOUT)
            first = await anext(aiter(events), None)
    except (RunNotFound, InvalidRequest):
        return None
    payloads = first.workflow_execution_started_event_attributes.input.payloads if first else ()
    if not payloads:
        return None
    try:
        [request, *_] = await temporal.data_converter.decode(payloads, [RunRequest])
    except (RuntimeError, ValueError, TypeError):  # somebody else's workflow
        return None
    return request if isinstance(request, RunRequest) else None
