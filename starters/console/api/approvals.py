"""Approvals: what waits for people, and their decisions."""

import hashlib
import json
from datetime import timedelta
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Body, Query, Request
from pydantic import BaseModel, Field

from activities.approvals.rows import Wanted
from activities.approvals.rows_queries import MOST_TEXT, Order
from engross.contracts import Receipt, Risk, Verdict
from engross.people import Person
from starters.approvals_reports import ApprovalLine, ApprovalReport
from starters.console.api.answers import answers
from starters.console.api.decisions import Decision
from starters.console.api.fields import ApprovalId, IdempotencyKey, Name, Paged
from starters.console.api.seen import wanted_tenants
from starters.console.api.tame import tamed
from starters.console.identity import Caller
from starters.console.state import services_of

_MOST_HOURS: Final = 10 * 365 * 24
_ANY: Final = "any"
_CLAIMED: Final = r"^([a-z0-9][a-z0-9._@+-]{0,126})?$"
_SHOWN: Final = "4f" * 32
_EXAMPLES: Final = {
    "approve": {"value": {"kind": "approve", "shown": _SHOWN}},
    "reject": {"value": {"kind": "reject", "shown": _SHOWN, "reason": "This is no invoice"}},
    "correct": {"value": {"kind": "correct", "shown": _SHOWN, "value": {"amount": 119.0}}},
    "delegate": {"value": {"kind": "delegate", "to": "sue"}},
    "extend": {"value": {"kind": "extend", "hours": 24}},
}

router = APIRouter(tags=["approvals"])


class ApprovalsQuery(Paged):
    """What approvals are wanted."""

    job: Name | None = Field(None, description="Only approvals of this job")
    risk: Risk | None = Field(None, description="Only approvals of this risk")
    verdict: Verdict | Literal["any"] = Field(
        Verdict.OPEN, description="Those of which this became: `open` wait for people; `any` are all"
    )
    older_than_hours: float | None = Field(None, ge=0, le=_MOST_HOURS, allow_inf_nan=False)
    search: str = Field("", max_length=MOST_TEXT, description="In the document's name, or the id of run or approval")
    claimed_by: str | None = Field(None, pattern=_CLAIMED, description="Who is at it; empty for nobody")
    order: Order = Field("priority", description="`priority`: the highest first, then what is due first")


class ApprovalPage(BaseModel):
    """Approvals. `next` null is the last page; `total` counts those of all pages."""

    approvals: list[ApprovalLine]
    next: str | None
    total: int


@router.get("/approvals", operation_id="listApprovals", summary="List approvals", responses=answers())
async def list_approvals(request: Request, identity: Caller, query: Annotated[ApprovalsQuery, Query()]) -> ApprovalPage:
    """Approvals of the tenants that you may see, a page at a time."""
    page = await services_of(request).approvals.page(
        identity.person, _wanted(identity.person, query), after=query.after, limit=query.limit
    )
    return ApprovalPage(approvals=[ApprovalLine.of(row) for row in page.rows], next=page.next, total=page.total)


@router.get(
    "/approvals/{approval_id}",
    operation_id="getApproval",
    summary="What there is to decide on",
    responses=answers(404, because_422="As everywhere; or a part of it is damaged: `CorruptDocument`"),
)
async def get_approval(request: Request, identity: Caller, approval_id: ApprovalId) -> ApprovalReport:
    """The approval as it stands now, with the answer. `shown` is the hash that decisions have to name."""
    view = await services_of(request).approvals.show(identity.person, approval_id)
    report = ApprovalReport.of_view(view)
    return report.model_copy(update={"answer": tamed(report.answer), "draft": tamed(report.draft)})


@router.post(
    "/approvals/{approval_id}/decisions",
    operation_id="decide",
    summary="Decide, or say who should",
    responses=answers(
        404,
        408,
        413,
        because_403="You may not: `NotAuthorised`, `SelfDecision` when you submitted the document; or see above",
        because_409="It changed since: `StaleDecision`. It is closed: `LateDecision`. You have approved it already, or"
        " the key stood for something else: `DuplicateDecision`",
        because_422="It breaks this description: `InvalidRequest`. Or it can't count so: `NotAcceptable`,"
        " `InvalidAnswer` for a corrected answer that breaks the schema",
        because_503="As everywhere; whether it counted may be unknown: send it again with the same Idempotency-Key",
    ),
)
async def decide(
    request: Request,
    identity: Caller,
    approval_id: ApprovalId,
    decision: Annotated[Decision, Body(openapi_examples=_EXAMPLES)],
    key: IdempotencyKey = None,
) -> Receipt:
    """Counts what you decide, signed in your name, and answers once it is in the audit log.

    `is_repeat` is true when it had counted before.
    """
    services, person = services_of(request), identity.person
    said = decision.said(identity.source, identity.address)
    if not key:
        return await services.approvals.act(person, approval_id, decision.kind, **said)
    known = await services.requests.begin(person.name, key, _fingerprint(approval_id, decision))
    if known:
        return Receipt.model_validate_json(known).model_copy(update={"is_repeat": True})
    # Two people may use the same key, and the approval knows those of all. No name has a ":".
    said["key"] = f"{person.name}:{key}"
    receipt = await services.approvals.act(person, approval_id, decision.kind, **said)
    receipt = receipt.model_copy(update={"key": key})
    await services.requests.end(person.name, key, receipt.model_dump_json())
    return receipt


def _wanted(person: Person, query: ApprovalsQuery) -> Wanted:
    hours = query.older_than_hours
    return Wanted(
        tenants=wanted_tenants(person, query.tenant),
        job=query.job,
        risk=query.risk,
        verdict=None if query.verdict == _ANY else Verdict(query.verdict),
        older_than=None if hours is None else timedelta(hours=hours),
        text=query.search,
        claimed_by=query.claimed_by,
        order=query.order,
    )


def _fingerprint(approval_id: str, decision: Decision) -> str:
    said = [approval_id, decision.model_dump_json()]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
