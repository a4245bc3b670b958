"""An approval as people see it: one content, of which `state.shown` is the hash, with the values behind its blobs."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

from pydantic import BaseModel
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from activities.approvals.audit_entries import AuditLine
from activities.approvals.rows import ApprovalRow
from activities.storage import BlobStore
from engross.catalog import Catalog
from engross.contracts import ApprovalRequest, ApprovalState, BlobRef, Verdict
from engross.errors import NotAuthorised
from engross.job import LoadedJob
from engross.names import APPROVAL_QUERY
from starters.approvals_sending import Row
from starters.asking import UNANSWERED
from starters.connection import translated

_ANSWER_SECONDS: Final = 3.0
# How long the row of a change that its workflow tells already may take.
_NOTED_SECONDS: Final = 2.0
_EVERY_SECONDS: Final = 0.1


class History(Protocol):
    """What is asked of the audit log."""

    async def of(self, subject: str) -> Sequence[AuditLine]: ...


@dataclass(frozen=True)
class ApprovalView:
    """What there is to decide on. `answer` and `draft` are JSON values, the draft also text that is no JSON.

    `job` is None when it is not in this catalog; `output`, the schema of the answer, also when its step is gone. `note`
    is the reason or feedback of the last decision. `is_fresh`: the workflow itself told `state`; otherwise it is as
    last noted.
    """

    row: ApprovalRow
    state: ApprovalState
    is_fresh: bool
    answer: Any = None
    draft: Any = None
    note: str = ""
    job: LoadedJob | None = None
    history: Sequence[AuditLine] = ()

    @property
    def approval_id(self) -> str:
        return self.row.approval_id

    @property
    def request(self) -> ApprovalRequest:
        return self.row.request

    @property
    def output(self) -> type[BaseModel] | None:
        """The schema of the answer."""
        steps = self.job.steps if self.job else ()
        return next((step.output for step in steps if step.name == self.request.step), None)

    @property
    def is_open(self) -> bool:
        return self.state.verdict is Verdict.OPEN


def needed(request: ApprovalRequest) -> int:
    """How many people must approve."""
    return max(request.risk.approvers, 1)


class Viewing:
    """Reads approvals; rights are the caller's to check."""

    def __init__(self, *, temporal: Client, address: str, rows: Row, blobs: BlobStore, catalog: Catalog) -> None:
        self._temporal = temporal
        self._address = address
        self._rows = rows
        self._blobs = blobs
        self._catalog = catalog

    async def view(self, row: ApprovalRow, history: Sequence[AuditLine] = ()) -> ApprovalView:
        """`row`, or a newer one of the same approval, with its values.

        Raises `NotAuthorised` when it refers to what belongs to another tenant, `DocumentNotFound` or `CorruptDocument`
        when a blob is gone: what can't be shown can't be decided on.
        """
        row, state = await self._told(row)
        tenant, request = row.request.tenant, row.request
        answer = state.answer or request.answer
        return ApprovalView(
            row=row,
            state=state,
            is_fresh=state is not row.state,
            answer=_json(await self._read(answer, tenant)),
            draft=_json(await self._read(request.draft, tenant)),
            note=state.reason or await self._read(state.note, tenant),
            job=self._catalog.jobs.get(request.job),
            history=history,
        )

    async def _told(self, row: ApprovalRow) -> tuple[ApprovalRow, ApprovalState]:
        """The newest state, with the row of the very same content: `row.state` itself when no workflow tells one.

        What the workflow tells can be of a change, or of a round, that has no row yet. Shown together with the request
        of another, people would decide on what they did not see.
        """
        if row.state.verdict is not Verdict.OPEN:
            return row, row.state
        state = await self._ask(row.approval_id)
        if state is None:
            return row, row.state
        clock = asyncio.get_running_loop()
        until = clock.time() + _NOTED_SECONDS
        while row.state.shown != state.shown and clock.time() < until:
            await asyncio.sleep(_EVERY_SECONDS)
            row = await self._rows.get(row.approval_id) or row
        return row, state if row.state.shown == state.shown else row.state

    async def _ask(self, approval_id: str) -> ApprovalState | None:
        handle = self._temporal.get_workflow_handle(approval_id)
        timeout = timedelta(seconds=_ANSWER_SECONDS)
        try:
            with translated(self._address):
                try:
                    told: ApprovalState = await handle.query(
                        APPROVAL_QUERY, result_type=ApprovalState, rpc_timeout=timeout
                    )
                except RPCError as error:
                    if error.status in (*UNANSWERED, RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE):
                        return None
                    raise
        except WorkflowQueryFailedError:
            return None
        return told

    async def _read(self, ref: BlobRef | None, tenant: str) -> str:
        if ref is None:
            return ""
        if ref.tenant != tenant:
            # Whoever may start workflows may write any reference into one.
            raise NotAuthorised("this approval refers to what belongs to another tenant")
        return (await self._blobs.get(ref)).decode(errors="replace")


def _json(text: str) -> Any:
    """The JSON value in `text`; the text itself when it is none, None when there is none."""
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
