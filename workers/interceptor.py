"""Around every activity: heartbeats, names for failures, a line in the log, counts. Activities stay free of it."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import structlog
from prometheus_client import Counter, Histogram
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from engross.errors import BillingUnclear, EngrossError, ExtractionCrashed, Postponed, ProviderError, RateLimited
from engross.names import is_name
from workers.library_logs import places_of
from workers.tracing import trace_id

STEPS: Final = Counter(
    "engross_steps", "Steps by how they ended: done, failed, broke", ("activity", "outcome", "error")
)
# In seconds: from what is stored in a moment to the longest model call.
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
STEP_SECONDS: Final = Histogram("engross_step_seconds", "Time of a step", ("activity",), buckets=BUCKETS)

_CRASHES_BEFORE_GIVING_UP: Final = 2
_ABOUT: Final = ("result", "request", "text")
_JITTER: Final = 0.25
_log = structlog.get_logger(__name__)


class StepInterceptor(Interceptor):
    """Register on the worker; see the module's docstring."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        return _Step(next)


class _Step(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        info = activity.info()
        structlog.contextvars.bind_contextvars(**_about(info, input.args))
        started = time.monotonic()
        try:
            async with _heartbeats(info.heartbeat_timeout):
                result = await super().execute_activity(input)
        except EngrossError as error:
            _count(info, started, "failed", error.type)
            _log.warning("step failed", error=error.type, message=str(error), seconds=_since(started))
            raise as_failure(error, info.attempt) from None
        except ApplicationError as error:
            _count(info, started, "failed", error.type or "")
            raise
        except Exception as error:  # noqa: BLE001 - it goes on as a named failure
            # A bug or a library's own trouble. Its message can hold document text, so only the places are told.
            name = type(error).__name__
            _count(info, started, "broke", name)
            _log.error("step broke", error=name, places=places_of(error.__traceback__), seconds=_since(started))
            raise ApplicationError(
                f"unexpected {name} in {info.activity_type}; the worker's log says where", type="Unexpected"
            ) from None
        _count(info, started, "done")
        _log.info("step done", seconds=_since(started))
        return result


def _about(info: activity.Info, args: Sequence[Any]) -> dict[str, str | int]:
    """The fields of every line that is logged in the step."""
    about = {
        "run_id": info.workflow_id,
        **_given(args[0] if args else None),
        "workflow_id": info.workflow_id,
        "workflow_run_id": info.workflow_run_id,
        "activity": info.activity_type,
        "attempt": info.attempt,
        "trace_id": trace_id(),
    }
    return {name: value for name, value in about.items() if value}


def _given(given: object) -> dict[str, str]:
    """Whose work it is, as far as the step's argument says: itself, or what it is about."""
    parts = [given, *(getattr(given, name, None) for name in _ABOUT)]
    found: dict[str, str] = {}
    for name in ("tenant", "job", "step"):
        for part in parts:
            value = getattr(part, name, None)
            value = getattr(value, "name", value)  # a step's plan has a name
            if isinstance(value, str) and is_name(value):  # what else people send can be anything
                found.setdefault(name, value)
    return found


def _count(info: activity.Info, started: float, outcome: str, error: str = "") -> None:
    STEPS.labels(info.activity_type, outcome, error).inc()
    STEP_SECONDS.labels(info.activity_type).observe(time.monotonic() - started)


def as_failure(error: EngrossError, attempt: int) -> ApplicationError:
    """The Temporal failure for a named error: same name, same message, retried only where that can help."""
    poisonous = isinstance(error, ExtractionCrashed) and attempt >= _CRASHES_BEFORE_GIVING_UP
    return ApplicationError(
        str(error),
        *_details(error, attempt),
        type=error.type,
        non_retryable=poisonous or not error.retryable,
        next_retry_delay=_wait(error.retry_after) if isinstance(error, RateLimited) else None,
    )


def _details(error: EngrossError, attempt: int) -> list[float | str | None]:
    """What the workflow needs to know; see `workflows.failures`."""
    if isinstance(error, Postponed):
        return [error.seconds, error.cause, attempt - 1]
    if isinstance(error, ProviderError | BillingUnclear) and error.vanished:
        return [error.vanished]
    return []


def _wait(retry_after: float | None) -> timedelta | None:
    """Never less than asked, and a little more, so that those who were turned away together don't return together."""
    if retry_after is None:
        return None
    return timedelta(seconds=max(retry_after, 1.0) * (1 + random.uniform(0, _JITTER)))  # noqa: S311 - not a secret


@asynccontextmanager
async def _heartbeats(silence_limit: timedelta | None) -> AsyncIterator[None]:
    if silence_limit is None:
        yield
        return
    beating = asyncio.create_task(_beat(silence_limit.total_seconds() / 3))
    try:
        yield
    finally:
        beating.cancel()


async def _beat(seconds: float) -> None:
    # Not at once: most steps end before the first beat is due.
    while True:
        await asyncio.sleep(seconds)
        activity.heartbeat()


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
