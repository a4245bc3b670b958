"""Failures leave a worker with a name, the right to be retried, and no document text."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import pytest
import structlog
from prometheus_client import REGISTRY
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from engross.contracts import AskRequest, RunRequest, TextRef
from engross.errors import (
    AuthenticationFailed,
    BillingUnclear,
    BudgetExhausted,
    CircuitOpen,
    EncryptedDocument,
    EngrossError,
    ExtractionCrashed,
    ProviderOverloaded,
    ProviderTimeout,
    RateLimited,
)
from tests.workflows.fakes import step
from workers.interceptor import StepInterceptor, as_failure


class Inner(ActivityInboundInterceptor):
    """The end of the chain: runs the function of a test."""

    def __init__(self, function: Callable[[], Awaitable[object]]) -> None:
        self._function = function

    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002 - the SDK's name
        return await self._function()


async def run(
    function: Callable[[], Awaitable[object]], environment: ActivityEnvironment | None = None, *args: object
) -> object:
    outer = StepInterceptor().intercept_activity(Inner(function))
    given = ExecuteActivityInput(fn=function, args=args, executor=None, headers={})
    result: object = await (environment or ActivityEnvironment()).run(outer.execute_activity, given)
    return result


async def failure(error: Exception) -> ApplicationError:
    async def raises() -> None:
        raise error

    with pytest.raises(ApplicationError) as caught:
        await run(raises)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (EncryptedDocument("needs a password"), False),
        (AuthenticationFailed("check the key"), False),
        (ProviderOverloaded("HTTP 529"), True),
    ],
)
async def test_named_errors_keep_their_name_and_say_whether_to_retry(error: EngrossError, retried: bool) -> None:
    raised = await failure(error)
    assert (raised.type, raised.message, raised.non_retryable) == (type(error).__name__, str(error), not retried)


async def test_an_unexpected_error_leaves_without_its_message() -> None:
    raised = await failure(KeyError("patient Jane Doe"))
    assert raised.type == "Unexpected"
    assert "KeyError" in raised.message
    assert "Jane" not in raised.message
    assert not raised.non_retryable


def vanished(error: ProviderTimeout | BillingUnclear, calls: int) -> EngrossError:
    error.vanished = calls
    return error


@pytest.mark.parametrize(
    ("error", "details"),
    [
        (CircuitOpen("down", 30.0, "AuthenticationFailed"), (30.0, "AuthenticationFailed", 3)),
        (BudgetExhausted("spent", None, "run"), (None, "run", 3)),
        (vanished(ProviderTimeout("late"), 2), (2,)),
        (vanished(BillingUnclear("twice"), 2), (2,)),
        (ProviderOverloaded("HTTP 529"), ()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_the_workflow_is_told_what_it_decides_by(error: EngrossError, details: tuple[object, ...]) -> None:
    assert tuple(as_failure(error, attempt=4).details) == details


def test_a_crashing_parser_gets_two_attempts() -> None:
    assert not as_failure(ExtractionCrashed("died"), attempt=1).non_retryable
    assert as_failure(ExtractionCrashed("died"), attempt=2).non_retryable


@pytest.mark.parametrize("asked", [0.0, 1.0, 90.0])
def test_a_rate_limit_waits_at_least_as_long_as_asked(asked: float) -> None:
    waits = [as_failure(RateLimited("slow down", asked), 1).next_retry_delay for _ in range(50)]
    low, high = timedelta(seconds=max(asked, 1.0)), timedelta(seconds=max(asked, 1.0) * 1.25)
    assert all(wait is not None and low <= wait <= high for wait in waits)
    assert len(set(waits)) > 1


def test_a_rate_limit_without_a_wish_waits_as_the_policy_says() -> None:
    assert as_failure(RateLimited("slow down"), 1).next_retry_delay is None


async def test_cancellation_passes_through() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run(cancelled)


async def test_long_steps_heartbeat_by_themselves() -> None:
    environment = ActivityEnvironment()
    beats: asyncio.Queue[object] = asyncio.Queue()
    environment.on_heartbeat = lambda *details: beats.put_nowait(details)
    environment.info = environment.default_info()
    environment.info = environment.info.__class__(
        **{**environment.info.__dict__, "heartbeat_timeout": timedelta(milliseconds=30)}
    )

    async def waits_for_three_beats() -> int:
        for _ in range(3):
            await asyncio.wait_for(beats.get(), timeout=5)
        return 3

    assert await run(waits_for_three_beats, environment) == 3


def steps(outcome: str, error: str = "") -> float:
    labels = {"activity": "unknown", "outcome": outcome, "error": error}
    return REGISTRY.get_sample_value("engross_steps_total", labels) or 0.0


@pytest.mark.parametrize(
    ("error", "outcome", "name"),
    [
        (None, "done", ""),
        (ProviderOverloaded("HTTP 529"), "failed", "ProviderOverloaded"),
        (ApplicationError("slow", type="StepTimedOut"), "failed", "StepTimedOut"),
        (KeyError("Jane Doe"), "broke", "KeyError"),
    ],
)
async def test_steps_are_counted_by_how_they_ended(error: Exception | None, outcome: str, name: str) -> None:
    async def ends() -> None:
        if error:
            raise error

    before = steps(outcome, name)
    with suppress(ApplicationError):
        await run(ends)
    assert steps(outcome, name) == before + 1
    assert REGISTRY.get_sample_value("engross_step_seconds_count", {"activity": "unknown"})


def request() -> AskRequest:
    text = TextRef(tenant="acme", sha256="0" * 64, size=1, pages=1, characters=1)
    plan = step("extract")
    return AskRequest(job="invoice", step=plan, model=plan.route[0], text=text)


async def test_every_line_of_a_step_says_whose_work_it_is() -> None:
    found: dict[str, object] = {}

    async def looks() -> None:
        found.update(structlog.contextvars.get_contextvars())

    await run(looks, None, request())
    info = ActivityEnvironment.default_info()
    work = {"tenant": "acme", "job": "invoice", "step": "extract", "activity": "unknown", "attempt": 1}
    ids = {"run_id": info.workflow_id, "workflow_id": info.workflow_id, "workflow_run_id": info.workflow_run_id}
    assert found == work | ids


async def test_what_is_no_name_is_no_field() -> None:
    found: dict[str, object] = {}

    async def looks() -> None:
        found.update(structlog.contextvars.get_contextvars())

    await run(looks, None, RunRequest(job="Jane Doe owes 4711", tenant="acme"))
    assert "job" not in found
    assert found["tenant"] == "acme"
