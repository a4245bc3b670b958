"""What people do about parked runs, as the client has it: look, wake, raise budgets."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from engross.contracts import Outcome
from engross.errors import InvalidRequest, ServiceUnavailable
from starters import asking
from starters.client import Client
from tests.starters.conftest import PARKING
from tests.starters.test_parked import submit, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def listed(client: Client, **wanted: Any) -> dict[str, str]:
    return {run.run_id: run.state async for run in client.list(**wanted)}


async def test_a_parked_run_is_shown_as_such_and_can_be_cancelled(client: Client, tmp_path: Path) -> None:
    run = await submit(client, tmp_path, "locked.txt", "looks")
    other = await submit(client, tmp_path, "hangs.txt", "looks")
    await client.wait(run.run_id)

    status = await client.status(run.run_id)
    assert (status.state, status.error, status.ended_at) == ("parked", PARKING["locked"], None)
    with pytest.raises(InvalidRequest, match="no name"):
        await listed(client, tenant="' OR ''='", outcome=Outcome.PARKED)
    assert await listed(client, tenant="looks") == {run.run_id: "parked", other.run_id: "running"}
    assert await listed(client, tenant="looks", outcome=Outcome.PARKED) == {run.run_id: "parked"}
    assert await client.cancel(run.run_id)
    assert (await client.wait(run.run_id)).outcome is Outcome.CANCELLED
    await client.cancel(other.run_id)


async def test_parked_runs_are_woken_by_tenant_and_by_what_they_wait_for(client: Client, tmp_path: Path) -> None:
    names = {"a": ("locked.txt", "waits.txt"), "b": ("waits.txt",)}
    for tenant in names:
        (tmp_path / tenant).mkdir()
    runs = [await submit(client, tmp_path / tenant, name, tenant) for tenant in names for name in names[tenant]]
    locked, waiting, others = (run.run_id for run in runs)

    async def all_parked() -> bool:
        return {locked, waiting, others} <= set(await listed(client, outcome=Outcome.PARKED))

    await until(all_parked)
    assert await client.resume_parked(tenant="a", kinds={"BudgetExhausted"}) == 1
    assert (await client.wait(waiting)).outcome is Outcome.DONE
    assert (await client.status(locked)).state == "parked"
    assert (await client.status(others)).state == "parked"
    assert await client.resume_parked() == 2
    assert {(await client.wait(run)).outcome for run in (locked, others)} == {Outcome.DONE}


async def test_a_run_tells_of_its_budget_and_may_be_given_more(client: Client, tmp_path: Path) -> None:
    run = await submit(client, tmp_path, "spends.txt")
    await client.wait(run.run_id)
    state = await client.budget(run.run_id)
    assert state.budget is not None
    assert (state.budget.limit_usd, state.waiting_for) == (Decimal("0.1"), PARKING["spends"].message)

    state = await client.raise_budget(run.run_id, by_usd=Decimal("0.25"), by="ann")

    assert state.budget is not None
    assert (state.budget.limit_usd, state.raised_usd) == (Decimal("0.35"), Decimal("0.25"))
    assert (await client.wait(run.run_id)).outcome is Outcome.DONE
    with pytest.raises(InvalidRequest, match=r"has ended \(done\)"):
        await client.raise_budget(run.run_id, by_usd=Decimal(1))
    assert (await client.budget(run.run_id)).waiting_for == "", "what it was can still be seen"


async def test_a_run_without_a_budget_says_whose_it_waits_for(client: Client, tmp_path: Path) -> None:
    run = await submit(client, tmp_path, "waits.txt")
    await client.wait(run.run_id)
    with pytest.raises(InvalidRequest, match="--day"):
        await client.raise_budget(run.run_id, by_usd=Decimal(1))
    await client.cancel(run.run_id)


@pytest.mark.parametrize("amount", ["0", "-1", "1000001", "NaN"])
async def test_an_amount_that_is_none_is_refused(client: Client, tmp_path: Path, amount: str) -> None:
    run = await submit(client, tmp_path, "spends.txt")
    with pytest.raises(InvalidRequest, match="more than 0 USD"):
        await client.raise_budget(run.run_id, by_usd=Decimal(amount))
    await client.cancel(run.run_id)


async def test_without_a_worker_to_answer_it_says_so(
    client: Client, server: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_ANSWER_TIMEOUT", timedelta(seconds=1))
    handle = await server.client.start_workflow("chain", {}, id="unserved", task_queue="nobody-polls-this")
    with pytest.raises(ServiceUnavailable, match="no worker answers"):
        await client.budget("unserved")
    with pytest.raises(ServiceUnavailable, match=r"no worker answers.*before you raise it again"):
        await client.raise_budget("unserved", by_usd=Decimal(1))
    await handle.terminate()
