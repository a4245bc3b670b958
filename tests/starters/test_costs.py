import asyncio
import json
from decimal import Decimal

import pytest
from typer.testing import CliRunner, Result

from activities.storage import ResultStore
from engross.contracts import Outcome, ReplySource, ReplyStatus, RunResult, Spent, StoreRequest, Usage
from engross.settings import load_settings
from starters.cli.app import app


def reply(price: str | None, model: str) -> Spent:
    return Spent(
        step="extract",
        model=model,
        status=ReplyStatus.VALID,
        source=ReplySource.CALLED,
        calls=1,
        usage=Usage(input_tokens=1000, output_tokens=2),
        cost_usd=None if price is None else Decimal(price),
    )


def report(attempt: str, tenant: str, *replies: Spent) -> StoreRequest:
    result = RunResult(run_id="r", job="invoice", tenant=tenant, outcome=Outcome.DONE)
    return StoreRequest(result=result, started_at=f"2026-01-0{attempt}", attempt=attempt, spent=replies)


async def fill() -> None:
    results = ResultStore.open(load_settings().results_url)
    await results.start()
    await results.put(report("1", "acme", reply("0.1", "openai:small"), reply("0.2", "openai:small")), None)
    await results.put(report("2", "acme", reply("0.00000000012", "openai:small"), reply(None, "local:x")), None)
    await results.put(report("3", "other", reply(None, "local:x"), reply(None, "local:\x1b[31m[red]")), None)
    await results.close()


@pytest.fixture
def accounts(clean_environment: None) -> None:
    asyncio.run(fill())


def engross(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["costs", *arguments])


def table(*arguments: str) -> list[list[str]]:
    """The lines of the table; two spaces divide its columns."""
    result = engross(*arguments)
    assert result.exit_code == 0, result.output
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in result.stdout.splitlines()]


@pytest.mark.usefixtures("accounts")
def test_people_see_a_table_with_a_total_and_plain_unknown_prices() -> None:
    assert table("--by", "tenant") == [
        ["tenant", "calls", "cached", "tokens in", "tokens out", "maybe billed", "cost"],
        ["acme", "4", "0", "4,000", "8", "0", "$0.300000 + price unknown of 1 call"],
        ["other", "2", "0", "2,000", "4", "0", "price unknown"],
        ["total", "6", "0", "6,000", "12", "0", "$0.300000 + price unknown of 3 calls"],
    ]


@pytest.mark.usefixtures("accounts")
def test_known_prices_are_only_money() -> None:
    assert [line[-1] for line in table("--by", "day", "--until", "2026-01-01")] == ["cost", "$0.300000", "$0.300000"]


@pytest.mark.usefixtures("accounts")
def test_nothing_that_a_terminal_obeys_is_shown() -> None:
    text = engross("--by", "model").stdout
    assert "\x1b" not in text
    assert "local:\\x1b[31m[red]" in text


@pytest.mark.usefixtures("accounts")
def test_machines_get_exact_json_lines_without_a_total() -> None:
    result = engross("--by", "tenant", "--json")

    assert result.exit_code == 0
    lines = [json.loads(line, parse_float=Decimal) for line in result.stdout.splitlines()]
    same = {"cached": 0, "maybe_billed": 0}
    assert lines == [
        same
        | {"name": "acme", "calls": 4, "input_tokens": 4000, "output_tokens": 8}
        | {"cost_usd": Decimal("0.30000000012"), "unpriced": 1},
        same | {"name": "other", "calls": 2, "input_tokens": 2000, "output_tokens": 4} | {"cost_usd": 0, "unpriced": 2},
    ]


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--by", "day"], ["2026-01-03", "2026-01-02", "2026-01-01"]),
        (["--by", "day", "--since", "2026-01-02"], ["2026-01-03", "2026-01-02"]),
        (["--by", "day", "--until", "2026-01-02"], ["2026-01-02", "2026-01-01"]),
        (["--by", "day", "--since", "2026-01-02", "--until", "2026-01-02"], ["2026-01-02"]),
        (["--by", "model", "--tenant", "acme"], ["openai:small", "local:x"]),
        (["--by", "job"], ["invoice"]),
        (["--by", "job", "--job", "gone"], []),
    ],
)
def test_filters_are_handed_on(arguments: list[str], names: list[str]) -> None:
    result = engross(*arguments, "--json")
    assert [json.loads(line)["name"] for line in result.stdout.splitlines()] == names
    assert result.exit_code == 0


@pytest.mark.usefixtures("clean_environment")
def test_empty_accounts_are_said_on_stderr_only() -> None:
    result = engross("--by", "day")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no model calls" in result.stderr


@pytest.mark.usefixtures("clean_environment")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--by"),
        (["--by", "step"], "--by"),
        (["--by", "day", "--since", "yesterday"], "--since"),
        (["--by", "day", "--since", "2026-02-30"], "--since"),
        (["--by", "day", "--until", "2026-01-01T10:00"], "--until"),
        (["--by", "day", "--since", "2026-01-02", "--until", "2026-01-01"], "--since 2026-01-02"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], says: str) -> None:
    result = engross(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
