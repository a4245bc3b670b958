"""What open workflows need: all that their histories hold, decoded."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from google.protobuf.message import DecodeError, Message
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from engross.errors import ConfigurationError, CorruptDocument, TenantErased
from engross.names import WORKFLOWS_QUEUE
from starters.connection import RPC_TIMEOUT, translated
from starters.retention.marking import Marks, digests
from starters.retention.report import Told

_AT_ONCE: Final = 4
_CLEAR: Final = frozenset({b"json/plain", b"json/protobuf", b"binary/plain", b"binary/null", b"binary/protobuf"})
# The list of open workflows is a moment late, and clocks differ.
_MARGIN: Final = timedelta(minutes=2)


class OpenWorkflows:
    """The open workflows on our queue, whatever their type, and the schedules that start some."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._address = client.service_client.config.target_host

    async def mark(self, marks: Marks, told: Told, since: datetime | None = None) -> set[str]:
        """Marks what they name, or those that started since some time before `since`; gives their ids.

        Raises `ServiceUnavailable` when Temporal does not answer, `ConfigurationError` or `KeyUnavailable` for a
        history that does not decode: nobody knows then what that workflow needs.
        """
        query = f"ExecutionStatus = 'Running' AND TaskQueue = '{WORKFLOWS_QUEUE}'"
        if since is not None:
            query += f" AND StartTime >= '{(since - _MARGIN).isoformat()}'"
        ids: set[str] = set()
        with translated(self._address):
            some: list[WorkflowExecution] = []
            async for run in self._client.list_workflows(query, rpc_timeout=RPC_TIMEOUT):
                ids.add(run.id)
                some.append(run)
                if len(some) == _AT_ONCE:
                    await self._mark_all(marks, some)
                    some = []
                    told("open runs read", len(ids))
            await self._mark_all(marks, some)
        return ids

    async def mark_schedules(self, marks: Marks) -> None:
        """Marks what schedules hand to the workflows of ours that they start. Raises as `mark` does."""
        with translated(self._address):
            async for schedule in await self._client.list_schedules(rpc_timeout=RPC_TIMEOUT):
                try:
                    found = await self._client.get_schedule_handle(schedule.id).describe(rpc_timeout=RPC_TIMEOUT)
                except RPCError as error:
                    if error.status is RPCStatusCode.NOT_FOUND:
                        continue
                    raise
                action = found.raw_description.schedule.action.start_workflow
                if action.task_queue.name == WORKFLOWS_QUEUE:
                    await self._mark_message(marks, action, f"schedule {schedule.id}")

    async def _mark_all(self, marks: Marks, runs: Iterable[WorkflowExecution]) -> None:
        await asyncio.gather(*(self._mark_run(marks, run.id) for run in runs))

    async def _mark_run(self, marks: Marks, workflow_id: str) -> None:
        """By its id alone, so that it is the newest run of a chain, whichever was listed."""
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            described = await handle.describe(rpc_timeout=RPC_TIMEOUT)
            await self._mark_message(marks, described.raw_description, workflow_id)
            async for event in handle.fetch_history_events(rpc_timeout=RPC_TIMEOUT):
                await self._mark_message(marks, event, workflow_id)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # ended and removed since it was listed
                raise

    async def _mark_message(self, marks: Marks, message: Message, holder: str) -> None:
        marks.mark(digests(message.SerializeToString()))
        payloads = list(payloads_of(message))
        if payloads:
            for payload in await self._decoded(payloads, holder):
                if payload.metadata.get("encoding") not in _CLEAR:
                    raise _undecodable(holder)
                marks.mark(digests(payload.data))

    async def _decoded(self, payloads: list[Payload], holder: str) -> list[Payload]:
        """What an erased tenant's key had locked names nothing: nobody can read it."""
        codec = self._client.data_converter.payload_codec
        if codec is None:
            return payloads
        clear: list[Payload] = []
        for payload in payloads:
            try:
                clear += await codec.decode([payload])
            except TenantErased:
                continue
            except (CorruptDocument, DecodeError) as error:
                raise _undecodable(holder) from error
        return clear


def payloads_of(message: Message) -> Iterator[Payload]:
    """All payloads in `message`, at any depth."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in _parts(value, is_map=field.message_type.GetOptions().map_entry):
                yield from payloads_of(part)


def _parts(value: Any, *, is_map: bool) -> Iterable[Message]:
    if is_map:
        return [part for part in value.values() if isinstance(part, Message)]
    return [value] if isinstance(value, Message) else value


def _undecodable(holder: str) -> ConfigurationError:
    return ConfigurationError(
        f"{holder} does not decode, so nobody knows what it needs; set ENGROSS_ENCRYPTION_KEYS here as for the workers,"
        " or end it if it is not one of Engross"
    )
