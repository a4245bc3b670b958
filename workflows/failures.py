"""Names for what ends a run early: from replies that are no answer, and from steps that gave up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pydantic import ValidationError
from temporalio import exceptions
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from engross.contracts import ErrorInfo, LedgerEntry, PartState, Reply, ReplyStatus, RunResult, Verdict

_OF_STATUS: Final = {
    ReplyStatus.INVALID: ("InvalidAnswer", "the answer breaks its schema, also after the declared repairs"),
    ReplyStatus.TRUNCATED: (
        "TruncatedAnswer",
        "the reply was cut off, also with twice the room; raise max_output_tokens",
    ),
    ReplyStatus.REFUSED: ("RefusedAnswer", "the model declined; a person must look at this document"),
    ReplyStatus.FILTERED: ("FilteredAnswer", "the provider's content filter stopped the reply; a person must look"),
    ReplyStatus.EMPTY: ("EmptyAnswer", "the model replied with nothing"),
}

# What a model can't settle, a person can.
FOR_A_PERSON: Final = frozenset(
    {
        "BelowBar",
        "ContentRefused",
        "FilteredAnswer",
        "IncompleteAnswer",
        "InvalidAnswer",
        "RefusedAnswer",
        "UnknownLabel",
        "UnsureLabel",
    }
)
# What people, or the job's own bar, have turned down.
TURNED_DOWN: Final = frozenset({"Rejected", "ApprovalExpired", "TooUnsure"})
NO_FAILURE: Final = FOR_A_PERSON | TURNED_DOWN
CANCELLED: Final = ErrorInfo(type="Cancelled", message="cancelled by request")
_DECLINED: Final = frozenset({"RefusedAnswer", "FilteredAnswer", "ContentRefused"})

# Mistakes of our own in workflow code fail the run; Temporal would otherwise retry the workflow task for ever.
# Not `Exception`: that would make nondeterminism, which a corrected deploy can heal, permanent.
OF_OUR_OWN: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)

# What somebody has to put right; the run waits for that and goes on by itself.
_NEEDS_A_HAND: Final = frozenset({"AuthenticationFailed", "QuotaExhausted"})
_POSTPONED: Final = frozenset({"LimitReached", "CircuitOpen", "BudgetExhausted"})
# The time that a circuit stays open at first: whoever opened it comes back when it lets a probe through.
_FIRST_PROBE: Final = timedelta(seconds=30)

_FELL_SILENT: Final = frozenset({exceptions.TimeoutType.HEARTBEAT, exceptions.TimeoutType.START_TO_CLOSE})

# Trouble of one provider or model, which the next one on the route may not have.
_OF_ONE_MODEL: Final = frozenset(
    {
        "AuthenticationFailed",
        "BillingUnclear",
        "CallTooDear",
        "CircuitOpen",
        "ContextTooLong",
        "PriceUnknown",
        "ProviderGarbled",
        "ProviderOverloaded",
        "ProviderTimeout",
        "ProviderUnreachable",
        "QuotaExhausted",
        "RateLimited",
        "ReplyTooLarge",
        "StepTimedOut",
    }
)


@dataclass(frozen=True)
class Wait:
    """Why a call must wait. `time` None is until somebody acts, and `parks` says that somebody has to.

    `tried` counts the calls that went out, and failed, before it came to that.
    """

    reason: ErrorInfo
    time: timedelta | None
    parks: bool = False
    tried: int = 0


def another_model_may_help(error: ActivityError) -> bool:
    """Whether the route goes on after this failure. Refusals don't: they go to a person."""
    info = None if is_cancelled_exception(error) else describe(error)
    return info is not None and info.type in _OF_ONE_MODEL


def vanished(error: ActivityError) -> int:
    """The calls of a step that failed for good which may have been billed all the same, as far as they are known."""
    failure: BaseException | None = error.cause
    calls = 0
    if isinstance(failure, exceptions.TimeoutError):
        # A worker fell silent at it. Whether earlier ones did so too nobody can tell.
        calls += failure.type in _FELL_SILENT
        failure = failure.cause
    if isinstance(failure, ApplicationError) and failure.type not in _POSTPONED and failure.details:
        calls += int(failure.details[0])
    return calls


def wait_of(error: ActivityError) -> Wait | None:
    """Why a call must wait and how long; None when it failed for good."""
    failure = error.cause
    if not isinstance(failure, ApplicationError):
        return None
    if failure.type in _NEEDS_A_HAND:
        return Wait(ErrorInfo(type=failure.type, message=failure.message), _FIRST_PROBE, parks=True)
    if failure.type not in _POSTPONED:
        return None
    # Runs that began under an earlier version know the first of them only.
    told: list[Any] = [*failure.details, *(None, "", 0)[len(failure.details) :]]
    seconds, cause, tried = told
    kind = cause if cause in _NEEDS_A_HAND else failure.type
    return Wait(
        reason=ErrorInfo(type=kind, message=failure.message),
        time=None if seconds is None else timedelta(seconds=max(1.0, float(seconds))),
        parks=kind == "BudgetExhausted" or kind in _NEEDS_A_HAND,
        tried=tried,
    )


def state_of(error: ErrorInfo) -> PartState:
    """How a part of a run ended that has no answer."""
    if error.type in _DECLINED:
        return PartState.REFUSED
    return PartState.TRUNCATED if error.type == "TruncatedAnswer" else PartState.FAILED


def of_missing(missing: Sequence[LedgerEntry], parts: int) -> ApplicationError:
    """The failure of a run that lacks parts: for a person when each of them is, else that of the first one."""
    told = f"{len(missing)} of {parts} parts gave no answer, first {missing[0].name}; the ledger names them all"
    serious = [entry.error for entry in missing if entry.error not in FOR_A_PERSON]
    return named(serious[0], told) if serious else named("IncompleteAnswer", told)


def told_missing(entry: LedgerEntry) -> str:
    """One missing part, for a partial answer: `chunk 3, page 2: RefusedAnswer`."""
    pages = f", page {entry.first_page}" if entry.first_page else ""
    more = f" to {entry.last_page}" if entry.last_page != entry.first_page else ""
    return f"{entry.name}{pages}{more}: {entry.error}"


def named(kind: str, message: str) -> ApplicationError:
    """A failure with a class name of `engross.errors` as its type."""
    return ApplicationError(message, type=kind, non_retryable=True)


def turned_down(verdict: Verdict, by: Sequence[str], approval_id: str) -> ErrorInfo:
    """What a verdict other than an approval is called."""
    if verdict is Verdict.EXPIRED:
        return ErrorInfo(type="ApprovalExpired", message=f"nobody decided in time; asked were {', '.join(by)}")
    if verdict is Verdict.REJECTED:
        who = ", ".join(by) or "people"
        return ErrorInfo(type="Rejected", message=f"rejected by {who}; `engross approvals show {approval_id}` says why")
    return ErrorInfo(type="Unexpected", message=f"{approval_id} ended as {verdict.value}")


def of_reply(reply: Reply) -> ApplicationError:
    """The failure that a reply other than a valid one stands for. Names fields, never values."""
    kind, message = _OF_STATUS.get(reply.status, ("InvalidAnswer", "the answer is missing"))
    problems = ", ".join(str(problem) for problem in reply.problems)
    return named(kind, f"step {reply.step!r}: {message}{': ' + problems if problems else ''}")


def _of_child(error: ChildWorkflowError) -> ErrorInfo:
    cause = describe(error.cause) if error.cause else None
    if cause:
        return cause
    return ErrorInfo(type="Unexpected", message=f"child run {error.workflow_id} ended: {type(error.cause).__name__}")


def carried_result(error: ChildWorkflowError) -> RunResult | None:
    """The result that a run fails with, so that its accounts are known."""
    cause = error.cause
    if not isinstance(cause, ApplicationError) or not cause.details:
        return None
    try:
        return RunResult.model_validate(cause.details[0])
    except ValidationError:
        return None


def caught(error: BaseException) -> ErrorInfo:
    """The name and message of a failure that isn't the run's end. Raises a cancellation, or a bug, again."""
    info = None if is_cancelled_exception(error) else describe(error)
    if info is None:
        raise error
    return info


def describe(error: BaseException) -> ErrorInfo | None:
    """The name and message of a failure; None for what is not a failure (a bug: left to Temporal)."""
    if isinstance(error, ApplicationError):
        return ErrorInfo(type=error.type or "Unexpected", message=error.message)
    if isinstance(error, ChildWorkflowError):
        return _of_child(error)
    if isinstance(error, exceptions.TimeoutError):
        return ErrorInfo(type="StepTimedOut", message="a step did not finish within its time limits")
    if isinstance(error, WorkflowAlreadyStartedError):
        told = f"child run {error.workflow_id} of an earlier run goes on; submit again when it has ended"
        return ErrorInfo(type="Unexpected", message=told)
    if not isinstance(error, ActivityError):
        return None
    cause: BaseException | None = error.cause
    if isinstance(cause, exceptions.TimeoutError):
        # When the total limit ends a series of failed attempts, the last of them says more than "timed out".
        if isinstance(cause.cause, ApplicationError):
            return describe(cause.cause)
        return ErrorInfo(type="StepTimedOut", message=f"{error.activity_type} did not finish within its time limits")
    if isinstance(cause, ApplicationError):
        return describe(cause)
    return ErrorInfo(type="Unexpected", message=f"{error.activity_type} failed")
