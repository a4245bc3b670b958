"""What a step that failed for good tells of its calls."""

import pytest
from temporalio import exceptions
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TimeoutType

from workflows import failures


def ended(cause: BaseException, before: BaseException | None = None) -> ActivityError:
    """The failure of a step that ended with `cause`, its last attempt but one with `before`."""
    error = ActivityError(
        "failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="worker",
        activity_type="ask_model",
        activity_id="1",
        retry_state=RetryState.MAXIMUM_ATTEMPTS_REACHED,
    )
    cause.__cause__ = before
    error.__cause__ = cause
    return error


def silent(kind: TimeoutType) -> exceptions.TimeoutError:
    return exceptions.TimeoutError("timed out", type=kind, last_heartbeat_details=[])


def told(kind: str, *details: object) -> ApplicationError:
    return ApplicationError("failed", *details, type=kind, non_retryable=True)


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        pytest.param(ended(told("BillingUnclear", 2)), 2, id="vanished twice"),
        pytest.param(ended(told("ProviderTimeout", 1)), 1, id="late"),
        pytest.param(ended(told("AuthenticationFailed")), 0, id="refused"),
        pytest.param(ended(told("CircuitOpen", 30.0, "ProviderTimeout", 4)), 0, id="goes on later"),
        pytest.param(ended(silent(TimeoutType.HEARTBEAT)), 1, id="the worker died"),
        pytest.param(ended(silent(TimeoutType.START_TO_CLOSE), told("ProviderTimeout", 1)), 2, id="late, then it died"),
        pytest.param(ended(silent(TimeoutType.SCHEDULE_TO_START)), 0, id="nobody took it"),
    ],
)
def test_calls_without_a_reply_are_known(error: ActivityError, calls: int) -> None:
    assert failures.vanished(error) == calls
