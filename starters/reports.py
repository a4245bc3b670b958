"""What a client tells about runs: values with exactly the fields that the JSON output has."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import PlainSerializer

from activities.storage import StoredRun
from engross.contracts import Contract, ErrorInfo, LedgerEntry, Outcome, Risk, RunResult, Verdict
from engross.errors import EngrossError
from engross.names import NEEDS_APPROVAL

Cost = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
Part = Annotated[LedgerEntry, PlainSerializer(lambda part: part.model_dump(mode="json", exclude_defaults=True))]


class StillRunning(EngrossError):
    """The run has not ended, so it has no result yet."""


class Tokens(Contract):
    """Tokens of all calls of a run."""

    input_tokens: int = 0
    output_tokens: int = 0


class Submitted(Contract):
    """A run that was started, or `joined` because equal work is running or done."""

    run_id: str
    job: str
    tenant: str
    document: str
    joined: bool


class Decided(Contract):
    """What people decided on an answer, and when (UTC)."""

    approval_id: str
    risk: Risk
    verdict: Verdict
    by: tuple[str, ...]
    at: datetime | None


class RunReport(Contract):
    """How one document ended. `run_id` is None when it was refused before a run was started.

    `answer` is a JSON value; `cost_usd` None when the price of the model is unknown; `calls` counts model calls. With
    the outcome `parked`, or `needs_approval` and the error NeedsApproval, it has not ended: it waits for what `error`
    tells to do, then goes on by itself, and its accounts are not known yet. `missing` is what a `partial` answer lacks,
    `flags` what a reader should know of it, and `ledger` how each part of the run ended, without the fields that say
    nothing. `approval` is what people decided.
    """

    run_id: str | None
    job: str
    tenant: str
    document: str
    outcome: Outcome
    answer: Any = None
    error: ErrorInfo | None = None
    usage: Tokens = Tokens()
    cost_usd: Cost | None = None
    model: str | None = None
    prompt_version: str | None = None
    calls: int = 0
    repairs: int = 0
    missing: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    ledger: tuple[Part, ...] = ()
    approval: Decided | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it has not ended, but waits for somebody."""
        why = self.error.type if self.error else ""
        return self.outcome is Outcome.PARKED or (self.outcome is Outcome.NEEDS_APPROVAL and why == NEEDS_APPROVAL)


class PendingStep(Contract):
    """A step that is running or waiting for its next attempt, and the error type that the last attempt ended with."""

    step: str
    attempt: int
    last_error: str | None = None


class RunStatus(Contract):
    """Where a run stands. `outcome` is None while it runs, or says as what it waits, with the reason as its `error`.

    A run has ended when `ended_at` is set: one may also have ended as `needs_approval`.
    """

    run_id: str
    job: str
    tenant: str
    document: str
    outcome: Outcome | None
    error: ErrorInfo | None = None
    started_at: datetime
    ended_at: datetime | None = None
    cost_usd: Cost | None = None
    pending: tuple[PendingStep, ...] = ()

    @property
    def state(self) -> str:
        """The outcome, or `running`."""
        return self.outcome.value if self.outcome else "running"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.ended_at is not None


class BudgetReport(Contract):
    """A budget as it stands. `name` is the run or tenant, "" for the day; `limit_usd` excludes raises, None is no cap.

    `unclear_usd` may have been billed and counts like spent; `spent_usd` is None where a price is unknown. `period` is
    a month, a day, or "" for a run, which has no `ends_at` (UTC). `waiting_for` is what a parked run waits for.
    """

    scope: Literal["run", "tenant", "day"]
    name: str
    limit_usd: Decimal | None
    raised_usd: Decimal = Decimal(0)
    spent_usd: Decimal | None
    reserved_usd: Decimal = Decimal(0)
    unclear_usd: Decimal = Decimal(0)
    left_usd: Decimal | None = None
    period: str = ""
    ends_at: datetime | None = None
    waiting_for: str = ""


def json_line(value: Contract) -> str:
    """`value` as one line of JSON in ASCII, safe for any terminal, with money in its exact decimal digits."""
    fields = value.model_dump(mode="json")
    texts = {name: json.dumps(field) for name, field in fields.items()}
    money = {name: getattr(value, name) for name in fields}
    texts |= {name: format(amount, "f") for name, amount in money.items() if isinstance(amount, Decimal)}
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}"


def refusal(error: EngrossError, *, job: str, tenant: str, document: str) -> RunReport:
    """The report on a document that no run was started for."""
    info = ErrorInfo(type=error.type, message=str(error))
    return RunReport(
        run_id=None, job=job, tenant=tenant, document=document, outcome=Outcome.FAILED, error=info, cost_usd=Decimal(0)
    )


def of_row(run: StoredRun) -> RunReport:
    """The report on a run that has a row."""
    shared = {name: getattr(run, name) for name in RunReport.model_fields if name in StoredRun.model_fields}
    return RunReport.model_validate(_shown(shared) | {"document": run.document_name, "usage": _tokens(run)})


def of_result(result: RunResult, *, answer: Any) -> RunReport:
    """The report on a run that Temporal knows the result of and the result store does not."""
    shared = {name: getattr(result, name) for name in RunReport.model_fields if name in RunResult.model_fields}
    own = {"document": "", "answer": answer, "usage": _tokens(result), "approval": _decided(result)}
    return RunReport.model_validate(_shown(shared) | own)


def status_of_row(run: StoredRun) -> RunStatus:
    """The status of a run that has a row."""
    return RunStatus(
        run_id=run.run_id,
        job=run.job,
        tenant=run.tenant,
        document=run.document_name,
        outcome=run.outcome,
        error=run.error,
        started_at=run.started_at,
        ended_at=run.stored_at,
        cost_usd=run.cost_usd,
    )


def _decided(result: RunResult) -> Decided | None:
    mark = result.approval
    if mark is None:
        return None
    verdict = Verdict.CORRECTED if mark.is_corrected else Verdict.APPROVED
    return Decided(approval_id=mark.approval_id, risk=mark.risk, verdict=verdict, by=mark.by, at=None)


def _tokens(run: StoredRun | RunResult) -> Tokens:
    return Tokens(input_tokens=run.usage.input_tokens, output_tokens=run.usage.output_tokens)


def _shown(fields: dict[str, Any]) -> dict[str, Any]:
    # A run that never reached a model has none to name.
    return fields | {name: fields[name] or None for name in ("model", "prompt_version")}
