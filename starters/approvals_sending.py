"""Brings an act to the workflow of its approval, once, and says truthfully what came of it."""

import asyncio
from collections.abc import Iterator
from random import SystemRandom
from typing import Final, Protocol
from weakref import WeakValueDictionary

from temporalio import exceptions
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.approvals.rows import ApprovalRow
from engross import errors
from engross.contracts import Act, ApprovalState, Receipt, Verdict
from engross.errors import EngrossError, InvalidRequest, LateDecision, RunNotFound, ServiceUnavailable
from engross.names import DECIDE
from starters.asking import UNANSWERED
from starters.connection import RPC_TIMEOUT, translated

WAIT_SECONDS: Final = 30.0

# Temporal takes ten updates of a workflow at a time. Several consoles and commands share these.
_AT_ONCE: Final = 4
# So long after a workflow's end its row may still say that it is open, or its next round not have begun.
_SETTLES_SECONDS: Final = 5.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
# How the server says "not now": too many at once, on its way to another execution, restarting, or no answer yet.
_PASSING: Final = (
    *UNANSWERED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.ABORTED,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.UNKNOWN,
)
# The server's word for an update whose execution ended, or was continued as another, before it was answered.
_INTERRUPTED: Final = "AcceptedUpdateCompletedWorkflow"
# Errors that a message alone doesn't make.
_NEED_MORE: Final = (errors.Postponed, errors.TooManyRequests)
_KINDS: Final = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, EngrossError) and not issubclass(kind, _NEED_MORE)
}


class Row(Protocol):
    """What is asked of the inbox."""

    async def get(self, approval_id: str) -> ApprovalRow | None: ...


class Sending:
    """The way of acts to their workflows. Acts on one approval wait for each other, as Temporal takes few at a time."""

    def __init__(self, temporal: Client, address: str, rows: Row) -> None:
        self._temporal = temporal
        self._address = address
        self._rows = rows
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def send(self, act: Act, seconds: float = WAIT_SECONDS) -> Receipt:
        """What the workflow answers. Sending an act again with its key is free of harm.

        Raises the refusal by its class in `engross.errors`; `LateDecision` with what became of a closed approval;
        `ServiceUnavailable` when there is no answer in `seconds`.
        """
        is_sent = False
        turn = self._turns.setdefault(act.approval_id, asyncio.Semaphore(_AT_ONCE))
        try:
            async with asyncio.timeout(seconds), turn:
                is_sent = True
                with translated(self._address):
                    return _of_this(await self._until_answered(act), act)
        except TimeoutError:
            raise _unanswered(act, is_sent=is_sent) from None

    async def _until_answered(self, act: Act) -> Receipt:
        ended_at: float | None = None
        clock = asyncio.get_running_loop()
        for pause in _pauses():
            try:
                return await self._ask(act)
            except WorkflowUpdateFailedError as failed:
                # What was interrupted by the end of an execution is told so for ever, if no other one follows.
                _raise_refusal(failed)
                has_ended = True
            except RPCError as error:
                has_ended = error.status is RPCStatusCode.NOT_FOUND and "namespace" not in error.message.lower()
                if not has_ended and error.status not in _PASSING:
                    raise
            if has_ended:
                ended_at = ended_at or clock.time()
                known = await self._what_became(act, is_final=clock.time() - ended_at > _SETTLES_SECONDS)
                if known is not None:
                    return known
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    async def _ask(self, act: Act) -> Receipt:
        handle = self._temporal.get_workflow_handle(act.approval_id)
        try:
            told: Receipt = await handle.execute_update(DECIDE, act, id=act.key, result_type=Receipt)
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            cause = error.__cause__
            if isinstance(cause, asyncio.CancelledError | RPCError):
                # The SDK gives cancellation a name of its own, which neither time limits nor callers would know.
                raise cause from None
            raise
        return told

    async def _what_became(self, act: Act, *, is_final: bool) -> Receipt | None:
        """The receipt of an act that counted before its approval was closed; None when that is not to be seen yet.

        Raises `LateDecision` when it was closed without it.
        """
        row = await self._rows.get(act.approval_id)
        if row is None:
            raise RunNotFound("no approval has that id")
        for receipt in row.state.receipts:
            if receipt.key == act.key:
                return receipt.model_copy(update={"is_repeat": True})
        if row.state.verdict is not Verdict.OPEN:
            raise LateDecision(became(row.state))
        if is_final:
            await self._check_running(act.approval_id)
        return None

    async def _check_running(self, approval_id: str) -> None:
        """Raises `LateDecision` when the workflow has ended without a verdict."""
        try:
            run = await self._temporal.get_workflow_handle(approval_id).describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise LateDecision(
                "nothing was decided, and Temporal has no workflow of this approval any more; ask an operator"
            ) from None
        if run.status is not None and run.status is not WorkflowExecutionStatus.RUNNING:
            how = run.status.name.lower()
            raise LateDecision(f"nothing was decided: the approval's workflow has ended ({how}); ask an operator")


def became(state: ApprovalState) -> str:
    """What became of a closed approval, in a line."""
    who = " and ".join(state.decided_by) or "nobody"
    when = f" at {state.decided_at:%Y-%m-%d %H:%M:%S} UTC" if state.decided_at else ""
    return {
        Verdict.OPEN: "it is open",
        Verdict.APPROVED: f"already approved by {who}{when}",
        Verdict.CORRECTED: f"already corrected and approved by {who}{when}",
        Verdict.REJECTED: f"already rejected by {who}{when}",
        Verdict.AGAIN: f"{who} asked for another attempt{when}; it will be a new round",
        Verdict.EXPIRED: f"nobody decided in time: it expired{when}",
        Verdict.WITHDRAWN: f"withdrawn, as its run was cancelled{when}",
    }[state.verdict]


def _of_this(receipt: Receipt, act: Act) -> Receipt:
    """`receipt`, unless the key brought that of somebody's other act."""
    if (receipt.by, receipt.kind) != (act.by, act.kind):
        raise InvalidRequest("that key has served another act on this approval; use a new one")
    return receipt


def _raise_refusal(failed: WorkflowUpdateFailedError) -> None:
    """Raises the refusal behind a failed update, unless it was only interrupted and may be sent again."""
    cause: BaseException | None = failed.cause
    while cause is not None:
        if isinstance(cause, exceptions.CancelledError):
            return
        if isinstance(cause, ApplicationError):
            if cause.type == _INTERRUPTED:
                return
            kind = _KINDS.get(cause.type or "")
            if kind is not None:
                raise kind(cause.message) from None
        cause = cause.__cause__
    # Whatever it is may quote a document.
    name = getattr(failed.cause, "type", None) or type(failed.cause).__name__
    raise EngrossError(f"the approval could not take it ({name}); its workflow's history says more") from None


def _unanswered(act: Act, *, is_sent: bool) -> ServiceUnavailable:
    if not is_sent:
        return ServiceUnavailable("too many are acting on this approval at this moment, so it was not sent; try again")
    return ServiceUnavailable(
        f"no answer, so it is not known whether it counted: is a worker running? ask again with the same key, {act.key}"
    )


def _pauses() -> Iterator[float]:
    """Seconds between tries: longer and longer, and never the same for two who began together."""
    chance, pause = SystemRandom(), _FIRST_PAUSE
    while True:
        yield pause * chance.uniform(0.5, 1.5)
        pause = min(2 * pause, _LONGEST_PAUSE)
