"""Where a run waits for people: visible in lists and in the Web UI, woken by a timer or by a signal."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from temporalio import workflow
from temporalio.exceptions import FailureError

from engross.contracts import ChildParked, ErrorInfo, Outcome
from engross.names import CHILD_PARKED_SIGNAL, NEEDS_APPROVAL, PARKED_MEMO
from workflows import failures
from workflows.attributes import OUTCOME
from workflows.telling import tell

# A day less than clients let a run live: it then ends by the name of its trouble, with its accounts stored.
_AT_MOST: Final = timedelta(days=6)


class Parking:
    """The asks of one run that wait for somebody to act. `tell` shows the run's story anew; `parent` is told too."""

    def __init__(self, tell: Callable[[], None], parent: str = "") -> None:
        self._tell = tell
        self._parent = parent
        self._telling: set[asyncio.Task[None]] = set()
        self._reasons: dict[str, ErrorInfo] = {}
        self._since: dict[str, datetime] = {}
        self._shown: ErrorInfo | None = None
        self._wakes = 0

    @property
    def reason(self) -> ErrorInfo | None:
        """Why the run waits; None when it doesn't."""
        return next(iter(self._reasons.values()), None)

    async def wait(self, who: str, reason: ErrorInfo, time: timedelta | None) -> None:
        """Parks the ask called `who` until `wake`, or until `time` is over. Raises `reason` after six days of it."""
        left = self._since.setdefault(who, workflow.now()) + _AT_MOST - workflow.now()
        if left <= timedelta(0):
            raise failures.named(reason.type, f"{reason.message}; waited {_AT_MOST.days} days for that")
        self._reasons[who] = reason
        self._show()
        wakes = self._wakes
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                lambda: self._wakes != wakes,
                timeout=left if time is None else min(time, left),
                timeout_summary=f"parked: {reason.type}",
            )

    def note(self, who: str, reason: ErrorInfo | None) -> None:
        """A child run waits, or goes on when `reason` is None."""
        if reason is None:
            self._reasons.pop(who, None)
        else:
            self._reasons[who] = reason
        self._show()

    def leave(self, who: str) -> None:
        """The ask called `who` is over, or has got through."""
        self._since.pop(who, None)
        if self._reasons.pop(who, None) is not None:
            self._show()

    def wake(self) -> None:
        """Everybody who waits tries again now, except those whom only a decision helps."""
        self._wakes += 1
        self._reasons = {who: reason for who, reason in self._reasons.items() if reason.type == NEEDS_APPROVAL}
        self._show()

    def _show(self) -> None:
        reason = self.reason
        # A worker that stops drops its runs from memory: they are not over, and have nothing to show.
        if reason == self._shown or not workflow.in_workflow():
            return
        self._shown = reason
        outcome = Outcome.NEEDS_APPROVAL if reason and reason.type == NEEDS_APPROVAL else Outcome.PARKED
        parked = OUTCOME.value_set(outcome.value) if reason else OUTCOME.value_unset()
        workflow.upsert_search_attributes([parked])
        workflow.upsert_memo({PARKED_MEMO: reason})
        tell("run parked" if reason else "run goes on", error=reason.type if reason else None)
        self._tell()
        if self._parent:
            task = asyncio.create_task(self._tell_parent(reason))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell_parent(self, reason: ErrorInfo | None) -> None:
        told = reason.model_dump() if reason else {}
        news = ChildParked(run_id=workflow.info().workflow_id, **told)
        try:
            await workflow.get_external_workflow_handle(self._parent).signal(CHILD_PARKED_SIGNAL, news)
        except FailureError:
            tell("the parent has ended, and could not be told that this run waits")
