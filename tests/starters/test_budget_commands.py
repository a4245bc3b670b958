"""`engross budget`: against a real Temporal server and a real Valkey."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from activities.guards.budgets import Budget, Budgets, Reserved
from engross.settings import load_settings
from tests.starters.conftest import start_server
from tests.starters.test_cli import engross, lines
from tests.starters.test_parked_commands import outcomes, parked, table, until
from tests.valkey import make_client
from workers.redis_access import open_budgets

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("settings", "redis_url")]


@pytest.fixture
def limits(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGROSS_BUDGET_TENANT_USD", "100")
    monkeypatch.setenv("ENGROSS_BUDGET_DAY_USD", "0.5")


async def spend(url: str, usd: str, *accounts: Budget) -> None:
    async with make_client(url) as client:
        budgets: Budgets = open_budgets(load_settings(), client)
        amount = Decimal(usd)
        assert await budgets.reserve(accounts, holder=usd, attempt="1", amount_usd=amount) == Reserved()
        await budgets.settle(accounts, holder=usd, cost_usd=amount)


@pytest.mark.usefixtures("limits")
async def test_today_and_the_tenants_of_this_month_are_shown_exactly(redis_url: str) -> None:
    day, acme = Budget("day", "", Decimal("0.5")), Budget("tenant", "acme", Decimal(100))
    await spend(redis_url, "0.100000001", day, acme)
    async with make_client(redis_url) as client:
        await open_budgets(load_settings(), client).balance(Budget("tenant", "looked-at", None))
        await client.hset("engross:{budget}:account:tenant:gone", mapping={"period": "2020-01", "spent": 5})

    head, *rows = table(await engross("budget", "show"))
    assert head == ["budget", "limit", "raised", "spent", "reserved", "maybe billed", "left", "until (UTC)"]
    assert [row[1:7] for row in rows] == [
        ["$0.5", "$0", "$0.100000001", "$0", "$0", "$0.399999999"],
        ["$100", "$0", "$0.100000001", "$0", "$0", "$99.899999999"],
    ]
    assert [row[0].split()[0] for row in rows] == ["day", "tenant"]

    machines = await engross("budget", "show", "--tenant", "acme", "--json")
    assert '"left_usd": 99.899999999,' in machines.stdout
    [told] = lines(machines)
    assert (told["scope"], told["name"], len(told["period"])) == ("tenant", "acme", len("2026-11"))
    assert datetime.fromisoformat(told["ends_at"]).day == 1
    assert lines(await engross("budget", "show", "--day", "--json"))[0]["spent_usd"] == 0.100000001


async def test_without_limits_what_is_spent_is_shown_all_the_same(redis_url: str) -> None:
    await spend(redis_url, "0.25", Budget("day", "", None))
    [told] = lines(await engross("budget", "show", "--day", "--json"))
    assert (told["limit_usd"], told["left_usd"], told["spent_usd"]) == (None, None, 0.25)
    assert table(await engross("budget", "show", "--day"))[1][1] == "none"


async def test_a_runs_budget_is_shown_and_raised(tmp_path: Path, redis_url: str) -> None:
    [report] = await parked(tmp_path, "spends.txt")
    run_id = report["run_id"]
    shown = await engross("budget", "show", run_id)
    assert "parked: the budget of this run is spent: raise it" in shown.stdout
    [before] = lines(await engross("budget", "show", run_id, "--json"))
    assert (before["limit_usd"], before["raised_usd"], before["left_usd"]) == (0.1, 0, 0.1)

    raised = await engross("budget", "raise", run_id, "--by", "0.25")

    assert table(raised)[1][:3] == [run_id, "$0.1", "$0.25"]
    await until(run_id, "done")
    again = await engross("budget", "raise", run_id, "--by", "1")
    assert (again.exit_code, "has ended" in again.stderr) == (2, True)


@pytest.mark.usefixtures("limits")
async def test_raising_a_tenants_budget_wakes_the_runs_of_that_tenant(tmp_path: Path, redis_url: str) -> None:
    [locked, mine] = await parked(tmp_path, "locked.txt", "waits.txt", tenant="acme")
    [other] = await parked(tmp_path, "waits.txt", tenant="other")

    raised = await engross("budget", "raise", "--tenant", "acme", "--by", "12.5")

    assert table(raised)[1][:3] == ["tenant acme", "$100", "$12.5"]
    assert raised.stderr == "1 run woken\n"
    await until(mine["run_id"], "done")
    assert await outcomes([other]) == ["parked"]
    raised = await engross("budget", "raise", "--day", "--by", "1")
    assert table(raised)[1][1:3] == ["$0.5", "$1"]
    await until(other["run_id"], "done")
    assert await outcomes([locked]) == ["parked"]
    await engross("cancel", locked["run_id"])


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["resume"], 2, "--all"),
        (["resume", "x", "--all"], 2, "--all"),
        (["resume", "nobody"], 2, "'nobody'"),
        (["budget", "show", "nobody"], 2, "'nobody'"),
        (["budget", "show", "x", "--day"], 2, "one of them"),
        (["budget", "show", "--tenant", "A B"], 2, "no name of a tenant"),
        (["budget", "raise", "--by", "1"], 2, "name a run"),
        (["budget", "raise", "nobody", "--by", "1"], 2, "'nobody'"),
        (["budget", "raise", "--day", "--by", "-1"], 2, "more than 0"),
        (["budget", "raise", "--day", "--by", "NaN"], 2, "US dollars"),
        (["budget", "raise", "--day", "--by", "1e7"], 2, "US dollars"),
        (["budget", "raise", "--day", "--by", "1"], 4, "ENGROSS_BUDGET_DAY_USD is not set"),
        (["budget", "raise", "--tenant", "acme", "--by", "1"], 4, "ENGROSS_BUDGET_TENANT_USD is not set"),
    ],
)
async def test_wrong_usage_is_one_line(arguments: list[str], code: int, says: str) -> None:
    result = await engross(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    [line] = result.stderr.splitlines()
    assert says in line


async def test_a_run_without_a_budget_of_its_own_names_the_one_to_raise(tmp_path: Path) -> None:
    [report] = await parked(tmp_path, "waits.txt")
    raised = await engross("budget", "raise", report["run_id"], "--by", "1")
    assert (raised.exit_code, raised.stdout) == (2, "")
    assert "raise it with --day" in raised.stderr
    await engross("cancel", report["run_id"])


async def test_without_redis_or_a_worker_it_is_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, server: WorkflowEnvironment, unused_tcp_port: int
) -> None:
    async with start_server() as unserved:
        await unserved.client.start_workflow("chain", {}, id="unserved", task_queue="workflows")
        monkeypatch.setenv("TEMPORAL_ADDRESS", unserved.client.service_client.config.target_host)
        for arguments in (["raise", "unserved", "--by", "1"], ["show", "unserved"]):
            result = await engross("budget", *arguments)
            assert (result.exit_code, result.stdout) == (3, "")
            assert "no worker answers" in result.stderr
            assert "raise it again" not in result.stderr, "nothing was sent"
    monkeypatch.setenv("ENGROSS_REDIS_URL", f"redis://127.0.0.1:{unused_tcp_port}")
    for command in (["circuits"], ["budget", "show"]):
        result = await engross(*command)
        assert (result.exit_code, result.stdout) == (3, "")
        assert "ENGROSS_REDIS_URL" in result.stderr
