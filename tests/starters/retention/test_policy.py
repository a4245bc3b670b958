"""How old is old, with a real server's retention."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from engross.errors import InvalidRequest
from engross.settings import Settings, load_settings
from starters.retention.policy import namespace_retention, policy_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def test_results_are_never_kept_shorter_than_temporal_shows_their_runs(
    server: WorkflowEnvironment, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = await namespace_retention(server.client)
    assert shown >= timedelta(hours=1)

    monkeypatch.setenv("ENGROSS_RESULT_DAYS", "0.01")
    policy = await policy_of(server.client, load_settings(), None, NOW)
    assert (policy.runs_before, policy.raised_from) == (NOW - shown, 0.01)

    monkeypatch.setenv("ENGROSS_RESULT_DAYS", "1000")
    monkeypatch.setenv("ENGROSS_BLOB_DAYS", "3")
    policy = await policy_of(server.client, load_settings(), "acme", NOW)
    assert (policy.runs_before, policy.raised_from) == (NOW - timedelta(days=1000), None)
    assert (policy.blobs_before, policy.tenant) == (NOW - timedelta(days=3), "acme")


async def test_without_the_setting_runs_stay_for_ever(server: WorkflowEnvironment, settings: Settings) -> None:
    policy = await policy_of(server.client, settings, None, NOW)
    assert (policy.runs_before, policy.ended_before) == (None, "")
    assert policy.blobs_before == NOW - timedelta(days=7)


@pytest.mark.parametrize("name", ["ENGROSS_RESULT_DAYS", "ENGROSS_BLOB_DAYS"])
async def test_days_beyond_the_calendar_are_never(
    server: WorkflowEnvironment, settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1e12")
    policy = await policy_of(server.client, load_settings(), None, NOW)
    assert datetime.min.replace(tzinfo=UTC) in (policy.runs_before, policy.blobs_before)


async def test_a_tenant_that_is_no_name_is_refused(server: WorkflowEnvironment, settings: Settings) -> None:
    with pytest.raises(InvalidRequest, match="no name"):
        await policy_of(server.client, settings, "../x", NOW)
