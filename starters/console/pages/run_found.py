"""A run as its page shows it: what Temporal and the stores know, for somebody who may see it."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from temporalio.client import WorkflowExecutionDescription

from activities.approvals.rows import ApprovalRow
from engross.contracts import ErrorInfo, LedgerEntry, Outcome
from engross.errors import RunNotFound
from engross.names import APPROVAL, BATCH, NO_RUNS
from engross.people import Person
from starters.connection import RPC_TIMEOUT, translated
from starters.console.identity import must_see
from starters.console.pages.printable import one_line, visible
from starters.console.pages.run_advice import advice
from starters.console.pages.runs_listed import INPUTS, money
from starters.console.services import Services
from starters.reports import RunReport, RunStatus

MOST_PARTS: Final = 500
"""Entries of a ledger that are shown; the rest is counted."""
_PLACES: Final = {BATCH: "/batches/", APPROVAL: "/approvals/"}


@dataclass(frozen=True)
class Pending:
    """Steps of one kind that are under way: how many, and what their last attempt ended with."""

    step: str
    count: int
    attempt: int
    last_error: str


@dataclass(frozen=True)
class FoundRun:
    """A run. `report` is None until it has ended; `is_known`: Temporal's Web UI has a page for it.

    `moved` is the address to go to instead when this is a batch or an approval; then nothing else is filled in.
    """

    run_id: str
    moved: str = ""
    status: RunStatus | None = None
    report: RunReport | None = None
    approval: ApprovalRow | None = None
    submitter: str = ""
    document: str = ""
    is_known: bool = False
    may_act: bool = False

    @property
    def tenant(self) -> str:
        return self.status.tenant if self.status else ""

    @property
    def has_ended(self) -> bool:
        return self.status is not None and self.status.has_ended

    @property
    def is_parked(self) -> bool:
        return self.status is not None and not self.has_ended and self.status.outcome is Outcome.PARKED

    @property
    def error(self) -> ErrorInfo | None:
        return self.report.error if self.report else self.status.error if self.status else None

    @property
    def told(self) -> str:
        """The message of its error, as it may be shown."""
        return visible(self.error.message) if self.error else ""

    @property
    def what_to_do(self) -> str:
        return advice(self.error.type) if self.error and self.has_ended else ""

    @property
    def ended_at(self) -> datetime | None:
        return self.status.ended_at if self.status else None

    @property
    def cost(self) -> str:
        return money(self.report.cost_usd) if self.report else ""

    @property
    def pending(self) -> list[Pending]:
        """What is under way, most of a kind first."""
        steps = self.status.pending if self.status else ()
        counts = Counter((step.step, step.last_error or "") for step in steps)
        attempts: dict[tuple[str, str], int] = {}
        for step in steps:
            kind = step.step, step.last_error or ""
            attempts[kind] = max(attempts.get(kind, 0), step.attempt)
        return [
            Pending(one_line(step), count, attempts[step, error], one_line(error))
            for (step, error), count in counts.most_common()
        ]

    @property
    def parts(self) -> tuple[LedgerEntry, ...]:
        return self.report.ledger[:MOST_PARTS] if self.report else ()

    @property
    def answer(self) -> Any:
        return self.report.answer if self.report else None

    @property
    def part_counts(self) -> dict[str, int]:
        """How many parts ended how."""
        return dict(Counter(entry.state.value for entry in self.report.ledger)) if self.report else {}


async def find_run(services: Services, person: Person, run_id: str) -> FoundRun:
    """The run of that id.

    Raises `RunNotFound`, and `NotAuthorised` when it belongs to a tenant that `person` has no role for.
    """
    described = await _described(services, run_id)
    if described is not None and described.workflow_type in NO_RUNS:
        place = _PLACES.get(described.workflow_type)
        if place is None:
            raise RunNotFound(f"no run has the id {run_id!r}")
        return FoundRun(run_id, moved=place + run_id)  # that page sees to the rights
    status = await services.client.status(run_id)
    must_see(person, status.tenant)
    report = await services.client.result(run_id) if status.has_ended else None
    if report is not None:
        must_see(person, report.tenant)
    request = None
    if described is not None:
        request = await INPUTS.of(services.temporal, services.endpoints.temporal, described)
    approval = await services.rows.of_run(run_id)
    if approval is not None and approval.request.tenant != status.tenant:
        approval = None
    submitter = request.submitter if request else approval.request.submitter if approval else ""
    document = status.document or (request.document.name if request else "")
    return FoundRun(
        run_id=run_id,
        status=status,
        report=report,
        approval=approval,
        submitter=submitter,
        document=one_line(document),
        is_known=described is not None,
        may_act=_may_act(person, status.tenant, request.submitter if request else ""),
    )


def _may_act(person: Person, tenant: str, submitter: str) -> bool:
    """Whether they may stop it, and tell it to go on."""
    return person.may_operate(tenant) or (bool(submitter) and person.name == submitter)


async def _described(services: Services, run_id: str) -> WorkflowExecutionDescription | None:
    """None when Temporal does not know it: it is of a batch, or too long ago."""
    try:
        with translated(services.endpoints.temporal):
            return await services.temporal.get_workflow_handle(run_id).describe(rpc_timeout=RPC_TIMEOUT)
    except RunNotFound:
        return None
