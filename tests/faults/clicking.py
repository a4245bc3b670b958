"""Many people who click on many approvals, and what must be true of it afterwards."""

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from activities.access.store import AccessStore
from activities.approvals.audit import AuditLog
from activities.approvals.audit_entries import AuditLine
from activities.approvals.rows import ApprovalRow, ApprovalRows
from activities.storage import BlobStore
from activities.storage.database import Database
from engross.catalog import load_catalog
from engross.contracts import Act, ActKind, Approval, ApprovalRequest, BlobRef, Receipt, Risk, Verdict
from engross.endpoints import Endpoints
from engross.errors import EngrossError, ServiceUnavailable
from engross.names import APPROVAL, DECIDE, WORKFLOWS_QUEUE
from engross.people import Person, Role
from engross.settings import Settings
from starters.approvals import Approvals
from starters.connection import connect
from workers.redis_access import installation_secret

TENANT: Final = "acme"
APPROVED: Final = (Verdict.APPROVED, Verdict.CORRECTED)
_AT_ONCE: Final = 40
_ANSWER: Final[dict[str, Any]] = {
    "issuer": "ACME Ltd",
    "invoice_number": "A-1",
    "date": "2026-03-01",
    "date_due": None,
    "currency": "EUR",
    "amount": 119.0,
    "amount_untaxed": 100.0,
    "amount_tax": 19.0,
}


@dataclass(frozen=True)
class Click:
    """One click, and what the person was told: the receipt, or the name of the refusal."""

    approval_id: str
    by: str
    kind: ActKind
    key: str
    shown: str
    told: str
    receipt: Receipt | None = None


@dataclass
class Office:
    """People, approvals, and the stores behind them, in one installation."""

    database: Database
    access: AccessStore
    rows: ApprovalRows
    audit: AuditLog
    approvals: Approvals
    blobs: BlobStore
    temporal: Any
    people: list[Person] = field(default_factory=list)

    @classmethod
    async def opened(cls, settings: Settings, endpoints: Endpoints) -> "Office":
        database, secret = Database.open(settings.results_url), installation_secret(settings)
        access, rows, audit = AccessStore(database), ApprovalRows(database), AuditLog(database, secret)
        for store in (access, rows, audit):
            await store.start()
        blobs, temporal = BlobStore.open(settings.blobs_url), await connect(settings, endpoints)
        approvals = Approvals(
            temporal=temporal,
            address=endpoints.temporal,
            rows=rows,
            blobs=blobs,
            catalog=load_catalog(settings.jobs_path),
            secret=secret,
            seconds=90.0,
        )
        return cls(database, access, rows, audit, approvals, blobs, temporal)

    async def hire(self, count: int, numbers: random.Random) -> None:
        """Of ten people one is a senior, one only looks, one is of another tenant, one has left."""
        for number in range(count):
            name = f"p{number:03}"
            await self.access.add(name)
            kind = number % 10
            role = {0: Role.SENIOR, 1: Role.VIEWER}.get(kind, Role.APPROVER)
            await self.access.grant(name, "other" if kind == 2 else TENANT, role)
            if kind == 2:
                await self.access.grant(name, TENANT, Role.VIEWER)  # sees it, and may not decide
            if kind == 3:
                await self.access.set_active(name, False)
        found = [await self.access.person(f"p{number:03}") for number in range(count)]
        self.people = [person for person in found if person]
        numbers.shuffle(self.people)

    async def open_approvals(self, count: int, numbers: random.Random) -> list[str]:
        """Approvals on their own: each stores what was approved as the official copy."""
        ids = [f"clicked-{number:03}-approval" for number in range(count)]
        answer = await self.json_blob(_ANSWER)
        for approval_id in ids:
            request = ApprovalRequest(
                job="invoice",
                tenant=TENANT,
                step="extract",
                submitter=numbers.choice(self.people).name,
                document_name=f"{approval_id}.pdf",
                answer=answer,
                risk=numbers.choice([Risk.MEDIUM, Risk.HIGH, Risk.CRITICAL]),
                reasons=("made up",),
                policy=Approval(),
            )
            await self.temporal.start_workflow(APPROVAL, request, id=approval_id, task_queue=WORKFLOWS_QUEUE)
        for approval_id in ids:
            await self.row(approval_id)
        return ids

    async def json_blob(self, value: Any) -> BlobRef:
        return await self.blobs.put(TENANT, json.dumps(value).encode(), "application/json")

    async def row(self, approval_id: str) -> ApprovalRow:
        async with asyncio.timeout(180):
            while (row := await self.rows.get(approval_id)) is None:  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.1)
            return row

    # --- clicking ---------------------------------------------------------------------------------------------------

    async def click_all(self, ids: Sequence[str], numbers: random.Random) -> list[Click]:
        """Everybody on everything, in a random order, so many at a time; one in ten clicks twice."""
        first = {approval_id: (await self.row(approval_id)).state.shown for approval_id in ids}
        pairs = [(person, approval_id) for person in self.people for approval_id in ids]
        numbers.shuffle(pairs)
        turn = asyncio.Semaphore(_AT_ONCE)
        plans = [(person, approval_id, numbers.random(), numbers.random()) for person, approval_id in pairs]

        async def one(person: Person, approval_id: str, what: float, how: float) -> list[Click]:
            async with turn:
                shown = (await self.row(approval_id)).state.shown if how > 0.1 else first[approval_id]
                kind = ActKind.REJECT if what < 0.02 else ActKind.CORRECT if what < 0.06 else ActKind.APPROVE
                key = f"{approval_id}-{person.name}"
                times = 2 if how > 0.9 else 1
                said = [self._click(person, approval_id, kind, key, shown) for _ in range(times)]
                return list(await asyncio.gather(*said))

        return [click for clicks in await asyncio.gather(*(one(*plan) for plan in plans)) for click in clicks]

    async def finish(self, ids: Sequence[str]) -> list[Click]:
        """One after the other on what the clicks have left open, until it is closed."""
        clicks = []
        for approval_id in ids:
            for person in self.people:
                row = await self.row(approval_id)
                if row.state.verdict is not Verdict.OPEN:
                    break
                key = f"{approval_id}-{person.name}-last"
                clicks.append(await self._click(person, approval_id, ActKind.APPROVE, key, row.state.shown))
        return clicks

    async def _click(self, person: Person, approval_id: str, kind: ActKind, key: str, shown: str) -> Click:
        value = _ANSWER | {"issuer": f"as {person.name} sees it"} if kind is ActKind.CORRECT else None
        told: list[str] = []
        while True:
            try:
                receipt = await self.approvals.act(
                    person,
                    approval_id,
                    kind,
                    shown=shown,
                    key=key,
                    reason="wrong" if kind is ActKind.REJECT else "",
                    value=value,
                    source="test",
                    address="here",
                )
            except ServiceUnavailable as error:
                told.append(error.type)  # not known whether it counted: ask again with the same key
                if len(told) == 5:
                    return Click(approval_id, person.name, kind, key, shown, f"unknown: {error}")
            except EngrossError as error:
                return Click(approval_id, person.name, kind, key, shown, error.type)
            else:
                return Click(approval_id, person.name, kind, key, shown, "counted", receipt)

    async def forge(self, ids: Sequence[str], numbers: random.Random) -> int:
        """Acts straight at Temporal, unsigned or with a made-up signature: how many of the updates were refused."""
        refused = 0
        for approval_id in ids:
            row = await self.row(approval_id)
            seniors = [person.name for person in self.people if person.is_senior(TENANT)]
            act = Act(
                kind=ActKind.APPROVE,
                by=numbers.choice(seniors),
                approval_id=approval_id,
                shown=row.state.shown,
                key=f"forged-{approval_id}",
                signature=numbers.choice(["", "0" * 64]),
            )
            handle = self.temporal.get_workflow_handle(approval_id)
            await handle.signal(DECIDE, act)
            try:
                await handle.execute_update(DECIDE, act)
            except Exception as error:  # noqa: BLE001 - whatever it is called, it must not have counted
                refused += "counted" not in str(error)
        return refused

    async def lines(self) -> list[AuditLine]:
        return [line async for line in self.audit.export(TENANT)]


def untruths(
    office: Office, clicks: Sequence[Click], rows: Sequence[ApprovalRow], lines: Sequence[AuditLine]
) -> list[str]:
    """Everything that is not as it must be: decisions lost, doubled, or by the wrong people, and wrong answers."""
    wrong: list[str] = []
    people = {person.name: person for person in office.people}
    noted: dict[str, Counter[Noted]] = defaultdict(Counter)
    for line in lines:
        noted[line.subject][(line.actor, line.action, line.shown)] += 1
    by_approval: dict[str, list[Click]] = defaultdict(list)
    for click in clicks:
        by_approval[click.approval_id].append(click)
    for row in rows:
        wrong += [f"{row.approval_id}: {each}" for each in _of_one(row, by_approval[row.approval_id], noted, people)]
    return wrong


# Who did what, and the hash of what was shown.
Noted = tuple[str, str, str]
_DONE: Final = {ActKind.APPROVE: "approved", ActKind.CORRECT: "corrected", ActKind.REJECT: "rejected"}


def _of_one(
    row: ApprovalRow, clicks: Sequence[Click], noted: dict[str, Counter[Noted]], people: dict[str, Person]
) -> list[str]:
    state, request, wrong = row.state, row.request, list[str]()
    counted = {(click.by, f"approval.{_DONE[click.kind]}") for click in clicks if click.receipt}
    acts = {f"approval.{done}" for done in _DONE.values()}
    audited = Counter({key: count for key, count in noted[row.approval_id].items() if key[1] in acts})
    if {(by, action) for by, action, _ in audited} != counted:
        wrong.append(f"told {sorted(counted)}, noted {sorted(audited)}")
    # By what was shown, too: who has approved an answer may approve what somebody corrects it to.
    wrong += [f"noted {count} times: {key}" for key, count in audited.items() if count != 1]
    if sorted(receipt.key for receipt in state.receipts) != sorted({click.key for click in clicks if click.receipt}):
        wrong.append("receipts and what people were told differ")
    for by, _ in counted:
        if not people[by].may_approve(TENANT) or by == request.submitter:
            wrong.append(f"{by} must not decide")
    if state.verdict in APPROVED:
        given = {consent.by for consent in state.given}
        if len(given) < request.risk.approvers or len(given) != len(state.given):
            wrong.append(f"{request.risk} risk approved by {sorted(given)}")
        if request.risk.needs_senior and not any(people[by].is_senior(TENANT) for by in given):
            wrong.append("no senior among them")
    elif state.verdict is Verdict.OPEN:
        wrong.append("nobody decided it")
    return wrong + [each for click in clicks for each in _of_click(click, row, people)]


def _of_click(click: Click, row: ApprovalRow, people: dict[str, Person]) -> list[str]:
    """Whether what one person was told was true. What is late can also lack the right: either may be told."""
    person, request = people[click.by], row.request
    match click.told:
        case "counted":
            fine = click.receipt is not None and click.receipt.key == click.key
        case "NotAuthorised":
            fine = not person.may_approve(TENANT) or request.risk.needs_senior
        case "SelfDecision":
            fine = click.by == request.submitter
        case "DuplicateDecision":
            fine = any(receipt.by == click.by for receipt in row.state.receipts)
        case "StaleDecision":
            fine = any(receipt.kind is ActKind.CORRECT for receipt in row.state.receipts)
        case "LateDecision":
            fine = row.state.verdict is not Verdict.OPEN
        case "NotAcceptable":  # a correction to what is there already
            fine = click.kind is ActKind.CORRECT
        case _:
            fine = False
    return [] if fine else [f"{click.by} was told {click.told} of {click.kind.value}"]
