"""Around every activity: heartbeats, names for failures, a line in the log. Activities themselves stay free of it."""

import asyncio
import random
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from engross.errors import BillingUnclear, EngrossError, ExtractionCrashed, Postponed, ProviderError, RateLimited

_CRASHES_BEFORE_GIVING_UP: Final = 2
_JITTER: Final = 0.25
_log = structlog.get_logger(__name__)


class StepInterceptor(Interceptor):
    """Register on the worker; see the module's docstring."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        return _Step(next)


class _Step(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        info = activity.info()
        structlog.contextvars.bind_contextvars(
            run_id=info.workflow_id, activity=info.activity_type, attempt=info.attempt
        )
        started = time.monotonic()
        try:
            async with _heartbeats(info.heartbeat_timeout):
                result = await super().execute_activity(input)
        except EngrossError as error:
            _log.warning("step failed", error=error.type, message=str(error), seconds=_since(started))
            raise as_failure(error, info.attempt) from None
        except ApplicationError:
            raise
        except Exception as error:  # noqa: BLE001 - it goes on as a named failure
            # A bug or a library's own trouble. Its message can hold document text, so only the places are told.
            places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)][-5:]
            _log.error("step broke", error=type(error).__name__, places=places, seconds=_since(started))
            raise ApplicationError(
                f"unexpected {type(error).__name__} in {info.activity_type}; the worker's log says where",
                type="Unexpected",
            ) from None
        _log.info("step done", seconds=_since(started))
        return result


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
