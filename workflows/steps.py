"""Every activity once: its name, its types, its time limits, its retries. Nothing else calls `execute_activity`."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Generic, TypeAlias, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy

from engross.contracts import (
    ActCheck,
    ActChecked,
    ApprovalNote,
    AskRequest,
    Assessment,
    AssessRequest,
    BatchPlan,
    BatchRequest,
    BlobRef,
    Chunks,
    ChunksRequest,
    Contract,
    GroupRowsRequest,
    LedgerRequest,
    Noted,
    Notice,
    Prepared,
    PreparedGroup,
    RepairRequest,
    Reply,
    RunRequest,
    Split,
    SplitRequest,
    Stored,
    StoreGroupRequest,
    StoreRequest,
)
from engross.names import DOCUMENTS_QUEUE

_In = TypeVar("_In", bound=Contract)
_Out = TypeVar("_Out", bound=Contract)

# A result over 2 MiB fails the same way on every attempt, after paying again for each.
_NEVER_RETRIED: Final = ("PayloadsTooLarge",)


def _policy(attempts: int, first: timedelta, longest: timedelta) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=first,
        backoff_coefficient=2.0,
        maximum_interval=longest,
        maximum_attempts=attempts,
        non_retryable_error_types=_NEVER_RETRIED,
    )


@dataclass(frozen=True)
class ActivityStep(Generic[_In, _Out]):
    """One activity as workflows see it. Awaiting a call runs it durably.

    `attempt_limit` bounds one attempt, `total_limit` all of them with their waits and the time in the queue;
    `silence_limit` is how long a worker may go without a heartbeat before it counts as dead.
    """

    name: str
    takes: type[_In]
    gives: type[_Out]
    attempt_limit: timedelta
    total_limit: timedelta
    silence_limit: timedelta
    retry: RetryPolicy

    async def __call__(self, argument: _In, *, summary: str, queue: str = DOCUMENTS_QUEUE) -> _Out:
        result: _Out = await workflow.execute_activity(
            self.name,
            argument,
            result_type=self.gives,
            task_queue=queue,
            start_to_close_timeout=self.attempt_limit,
            schedule_to_close_timeout=self.total_limit,
            heartbeat_timeout=self.silence_limit,
            retry_policy=self.retry,
            summary=summary,
        )
        return result

    async def here(self, argument: _In, *, summary: str) -> _Out:
        """Runs it in the worker that runs the workflow: for what is short, at a third of the cost."""
        result: _Out = await workflow.execute_local_activity(
            self.name,
            argument,
            result_type=self.gives,
            start_to_close_timeout=self.attempt_limit,
            schedule_to_close_timeout=self.total_limit,
            retry_policy=self.retry,
            summary=summary,
        )
        return result

    def after(self, tried: int) -> "ActivityStep[_In, _Out]":
        """The same step when so many of its attempts are used up."""
        left = max(1, self.retry.maximum_attempts - tried)  # to Temporal 0 is without end
        return replace(self, retry=replace(self.retry, maximum_attempts=left))


AskStep: TypeAlias = ActivityStep[AskRequest, Reply]


def _on_documents(
    name: str, takes: type[_In], gives: type[_Out], attempt_limit: timedelta, *, attempts: int
) -> ActivityStep[_In, _Out]:
    return ActivityStep(
        name=name,
        takes=takes,
        gives=gives,
        attempt_limit=attempt_limit,
        total_limit=timedelta(hours=24),
        silence_limit=timedelta(seconds=10),
        retry=_policy(attempts=attempts, first=timedelta(seconds=1), longest=timedelta(seconds=30)),
    )


_MINUTE: Final = timedelta(minutes=1)
# Most of it waiting for a free parser when many documents come at once.
_READING: Final = timedelta(hours=1)

prepare: Final = _on_documents("prepare", RunRequest, Prepared, _READING, attempts=20)
# The same for text that needs no parser.
prepare_plain: Final = _on_documents("prepare_plain", RunRequest, Prepared, _MINUTE, attempts=20)

split_text: Final = _on_documents("split_text", SplitRequest, Split, timedelta(minutes=10), attempts=10)
read_chunks: Final = _on_documents("read_chunks", ChunksRequest, Chunks, _MINUTE, attempts=100)
keep_ledger: Final = _on_documents("keep_ledger", LedgerRequest, BlobRef, _MINUTE, attempts=100)

plan_batch: Final = _on_documents("plan_batch", BatchRequest, BatchPlan, timedelta(minutes=10), attempts=20)
prepare_group: Final = _on_documents("prepare_group", GroupRowsRequest, PreparedGroup, _READING, attempts=20)

# Attempts are few because each may be billed. Together with the circuit breaker, which opens after five failures and
# then lets one of these attempts through at a time, they ride out a quarter of an hour.
ask_model: Final = ActivityStep(
    name="ask_model",
    takes=AskRequest,
    gives=Reply,
    attempt_limit=timedelta(minutes=65),
    total_limit=timedelta(hours=24),
    silence_limit=timedelta(seconds=10),
    retry=_policy(attempts=10, first=timedelta(seconds=2), longest=timedelta(minutes=1)),
)

# With another model on the route, waiting out an outage helps nobody: two tries, then move on.
ask_model_or_move_on: Final = replace(
    ask_model, retry=_policy(attempts=2, first=timedelta(seconds=2), longest=timedelta(seconds=10))
)

repair_answer: Final = ActivityStep(
    name="repair_answer",
    takes=RepairRequest,
    gives=Reply,
    attempt_limit=_MINUTE,
    total_limit=timedelta(minutes=30),
    silence_limit=timedelta(seconds=10),
    retry=_policy(attempts=10, first=timedelta(seconds=1), longest=timedelta(seconds=30)),
)


assess_risk: Final = _on_documents("assess_risk", AssessRequest, Assessment, _MINUTE, attempts=100)
check_act: Final = _on_documents("check_act", ActCheck, ActChecked, _MINUTE, attempts=100)
# A day of trying: a mail server may be down for an hour, and a notice after two days helps nobody.
send_notice: Final = ActivityStep(
    name="send_notice",
    takes=Notice,
    gives=Noted,
    attempt_limit=timedelta(minutes=2),
    total_limit=timedelta(hours=24),
    silence_limit=timedelta(minutes=1),
    retry=_policy(attempts=0, first=timedelta(seconds=5), longest=timedelta(minutes=30)),
)


def _storing(name: str, takes: type[_In]) -> ActivityStep[_In, Stored]:
    """An answer that was paid for must find its place: this is tried longest."""
    return ActivityStep(
        name=name,
        takes=takes,
        gives=Stored,
        attempt_limit=_MINUTE,
        total_limit=timedelta(hours=24),
        silence_limit=timedelta(seconds=10),
        retry=_policy(attempts=0, first=timedelta(seconds=1), longest=_MINUTE),
    )


store_answer: Final = _storing("store_answer", StoreRequest)
note_approval: Final = ActivityStep(
    name="note_approval",
    takes=ApprovalNote,
    gives=Noted,
    attempt_limit=_MINUTE,
    total_limit=timedelta(days=180),
    silence_limit=timedelta(seconds=10),
    retry=_policy(attempts=0, first=timedelta(seconds=1), longest=_MINUTE),
)
store_group: Final = _storing("store_group", StoreGroupRequest)

ALL: Final = (
    prepare,
    prepare_plain,
    split_text,
    read_chunks,
    keep_ledger,
    ask_model,
    repair_answer,
    store_answer,
    plan_batch,
    prepare_group,
    store_group,
    assess_risk,
    check_act,
    note_approval,
    send_notice,
)
