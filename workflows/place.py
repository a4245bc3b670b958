"""Where a run runs: in a workflow of its own, or as one of many in a group of a batch."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from engross.contracts import (
    ApprovalRequest,
    ApprovalResult,
    ErrorInfo,
    Outcome,
    Prepared,
    RunRequest,
    StoreRequest,
)
from engross.names import APPROVAL, NEEDS_APPROVAL, PLAIN_TEXT, approval_id
from workflows import failures, steps
from workflows.attributes import JOB, OUTCOME, TENANT
from workflows.children import Children
from workflows.parking import Parking
from workflows.telling import tell


class Place(Protocol):
    """What a run needs of where it runs.

    `attempt` is this very execution, `account` the run through all its executions, on which its money is spent;
    `scope` names whose replies it finds again, empty is this execution.
    """

    @property
    def run_id(self) -> str: ...

    @property
    def attempt(self) -> str: ...

    @property
    def account(self) -> str: ...

    @property
    def scope(self) -> str: ...

    @property
    def started_at(self) -> datetime: ...

    async def prepare(self, request: RunRequest, summary: str) -> Prepared: ...

    async def store(self, request: StoreRequest, *, here: bool) -> None: ...

    async def decide(self, request: ApprovalRequest, children: Children, parking: Parking) -> ApprovalResult: ...

    def parking(self, tell: Callable[[], None]) -> Parking: ...

    def introduce(self, request: RunRequest) -> None: ...

    def show(self, story: str) -> None: ...

    def show_end(self, outcome: Outcome) -> None: ...


class OwnWorkflow:
    """A workflow of its own: found by its attributes, told in its details."""

    def __init__(self, request: RunRequest) -> None:
        self._inherited = request.inherited
        info = workflow.info()
        self.run_id = info.workflow_id
        self.attempt = info.run_id
        self.account = info.first_execution_run_id
        self.scope = self._inherited.scope if self._inherited else ""
        self.started_at = info.start_time

    async def prepare(self, request: RunRequest, summary: str) -> Prepared:
        """Plain text is read where the workflow runs, which spares a trip; all else by the parsers."""
        if request.document.media_type == PLAIN_TEXT:
            try:
                return await steps.prepare_plain.here(request, summary=summary)
            except (ActivityError, ApplicationError) as error:
                # The failure of an activity that runs here comes as it is, not as the cause of another.
                if failures.caught(error).type != "UnsupportedFormat":
                    raise
        return await steps.prepare(request, summary=summary)

    async def store(self, request: StoreRequest, *, here: bool) -> None:
        summary = f"store: {request.result.outcome.value}"
        if here:
            await steps.store_answer.here(request, summary=summary)
        else:
            await steps.store_answer(request, summary=summary)

    async def decide(self, request: ApprovalRequest, children: Children, parking: Parking) -> ApprovalResult:
        """What people decide, however long it takes. Meanwhile this run is parked."""
        name = approval_id(self.run_id)
        parking.note(name, ErrorInfo(type=NEEDS_APPROVAL, message=needed(request, name)))
        tell("people are asked", step=request.step, risk=request.risk.value, round=len(request.rounds) + 1)
        try:
            told = await children.run(APPROVAL, request, ApprovalResult, job=request.job, run_id=name)
            tell("people decided", step=request.step, verdict=told.verdict.value, people=len(told.by))
            return told
        finally:
            parking.note(name, None)

    def parking(self, tell: Callable[[], None]) -> Parking:
        return Parking(tell, parent=self._inherited.parent if self._inherited else "")

    def introduce(self, request: RunRequest) -> None:
        """Makes a run that was started by hand as easy to find as others."""
        if workflow.info().typed_search_attributes.get(JOB) is None:
            workflow.upsert_search_attributes([JOB.value_set(request.job), TENANT.value_set(request.tenant)])

    def show(self, story: str) -> None:
        workflow.set_current_details(story)

    def show_end(self, outcome: Outcome) -> None:
        workflow.upsert_search_attributes([OUTCOME.value_set(outcome.value)])


def needed(request: ApprovalRequest, name: str) -> str:
    """What a run says that waits for people."""
    people = request.risk.approvers
    return f"{people} {'person has' if people == 1 else 'people have'} to decide ({request.risk.value} risk): {name}"
