"""A run as one of many in a group: prepared and stored with the others, and moved out when it has to wait."""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow

from engross.contracts import (
    ApprovalRequest,
    ApprovalResult,
    ErrorInfo,
    GroupRequest,
    Outcome,
    Prepared,
    PreparedRow,
    RunRequest,
    StoreRequest,
)
from engross.names import NEEDS_APPROVAL
from workflows import steps
from workflows.children import Children
from workflows.parking import Parking
from workflows.place import needed


class MovesOut(Exception):
    """The document waits for somebody; it goes on in a run of its own."""

    def __init__(self, reason: ErrorInfo) -> None:
        super().__init__(reason.type)
        self.reason = reason


class NoParking(Parking):
    """Nobody waits here."""

    async def wait(self, who: str, reason: ErrorInfo, time: timedelta | None) -> None:
        raise MovesOut(reason)

    def leave(self, who: str) -> None:
        """Nobody came."""


class InGroup:
    """The place of one row. `keep` takes what is to be stored of it."""

    def __init__(self, group: GroupRequest, row: PreparedRow, keep: Callable[[StoreRequest], None]) -> None:
        self._group = group
        self._row = row
        self._keep = keep
        self.run_id = row.run_id
        self.attempt = self.account = self.scope = f"{workflow.info().first_execution_run_id}/{row.row.row}"
        self.started_at: datetime = workflow.now()

    async def prepare(self, request: RunRequest, summary: str) -> Prepared:
        """What the group has read; what it couldn't is tried again by itself, as its own step."""
        document, text = self._row.document, self._row.text
        if document is None or text is None:
            again = await steps.prepare(request, summary=summary)
            document, text = again.document, again.text
        return Prepared(plan=self._group.plan, document=document, text=text)

    async def store(self, request: StoreRequest, *, here: bool) -> None:
        self._keep(request)

    async def decide(self, request: ApprovalRequest, children: Children, parking: Parking) -> ApprovalResult:
        """A group doesn't wait for people."""
        raise MovesOut(ErrorInfo(type=NEEDS_APPROVAL, message=needed(request, "in a run of its own")))

    def parking(self, tell: Callable[[], None]) -> Parking:
        return NoParking(tell)

    def introduce(self, request: RunRequest) -> None:
        """A batch is found as a whole."""

    def show(self, story: str) -> None:
        """A batch is told as a whole."""

    def show_end(self, outcome: Outcome) -> None:
        """A batch is told as a whole."""
