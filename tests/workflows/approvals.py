"""Approvals in workflow tests: people with rights, an inbox in memory, and helpers that act as people do."""

from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from engross.contracts import (
    Act,
    ActCheck,
    ActChecked,
    ActKind,
    ApprovalNote,
    ApprovalState,
    Assessment,
    AssessRequest,
    BlobRef,
    ErrorInfo,
    EventKind,
    Noted,
    Notice,
    Receipt,
    Risk,
)
from engross.names import APPROVAL_QUERY, DECIDE
from tests.workflows.fakes import blob

SENIORS = ("sue",)
STRANGERS = ("mallory",)


@dataclass
class ScriptedPeople:
    """Everybody but `STRANGERS` may approve. `assessments` are used up in order; the last one stays."""

    assessments: list[Assessment] = field(default_factory=lambda: [Assessment(risk=Risk.MEDIUM, reasons=("large",))])
    has_channels: bool = False
    is_signed: bool = True
    check_error: Exception | None = None
    assessed: list[AssessRequest] = field(default_factory=list)
    checked: list[ActCheck] = field(default_factory=list)
    notes: list[ApprovalNote] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    @activity.defn
    async def assess_risk(self, request: AssessRequest) -> Assessment:
        self.assessed.append(request)
        found = self.assessments.pop(0) if len(self.assessments) > 1 else self.assessments[0]
        return found.model_copy(update={"risk": found.risk or request.model_risk})

    @activity.defn
    async def check_act(self, request: ActCheck) -> ActChecked:
        self.checked.append(request)
        if self.check_error:
            raise self.check_error
        act = request.act
        if act.by in STRANGERS:
            return ActChecked(refusal=ErrorInfo(type="NotAuthorised", message=f"{act.by} may not approve"))
        return ActChecked(
            is_senior=act.by in SENIORS,
            is_signed=self.is_signed,
            value=act.value,
            note=act.note,
            changed=("total",) if act.value else (),
        )

    @activity.defn
    async def note_approval(self, note: ApprovalNote) -> Noted:
        self.notes.append(note)
        return Noted(has_channels=self.has_channels)

    @activity.defn
    async def send_notice(self, notice: Notice) -> Noted:
        self.notices.append(notice)
        return Noted(has_channels=True)

    @property
    def here(self) -> list[Any]:
        """What workflows run where they are."""
        return [self.assess_risk, self.check_act]

    @property
    def events(self) -> list[EventKind]:
        """What the audit got, in order."""
        return [event.kind for note in self.notes for event in note.events]


def approval_of(client: Client, run_id: str) -> WorkflowHandle[Any, Any]:
    return client.get_workflow_handle(f"{run_id}-approval")


async def state_of(client: Client, run_id: str) -> ApprovalState:
    state: ApprovalState = await approval_of(client, run_id).query(APPROVAL_QUERY, result_type=ApprovalState)
    return state


def act(kind: ActKind, by: str, shown: str = "", key: str = "", **more: Any) -> Act:
    return Act(kind=kind, by=by, shown=shown, key=key or f"{kind}-{by}-{shown[:8]}", source="test", **more)


async def decide(client: Client, run_id: str, said: Act) -> Receipt:
    """Raises the refusal as `ApplicationError`."""
    try:
        receipt: Receipt = await approval_of(client, run_id).execute_update(
            DECIDE, said, id=said.key, result_type=Receipt
        )
    except WorkflowUpdateFailedError as error:
        raise error.cause from None
    return receipt


async def refusal(client: Client, run_id: str, said: Act) -> str:
    """The type of the refusal."""
    try:
        await decide(client, run_id, said)
    except ApplicationError as error:
        return error.type or ""
    return "counted"


def value(name: str = "corrected") -> BlobRef:
    return blob(name)
