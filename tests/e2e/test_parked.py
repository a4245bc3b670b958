"""Runs wait for people: they say so, cost nothing meanwhile, and go on when somebody has acted."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engross.catalog import load_catalog
from tests.e2e.conftest import Engross, until

RECEIPT = load_catalog().jobs["receipt"].samples()[0]


def ask(engross: Engross, *arguments: str) -> list[dict[str, Any]]:
    """What a command says as JSON, with money exact."""
    ended = engross(*arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line, parse_float=Decimal) for line in ended.stdout.splitlines()]


@pytest.mark.fault(32)
@pytest.mark.xdist_group("stack")
def test_a_refused_key_parks_runs_cheaply_until_it_is_put_right(engross: Engross, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.txt").write_bytes(RECEIPT.read_bytes() + b"\nparked %d" % number)
    engross.script({"kind": "auth", "status": 401, "for_seconds": 600})

    reports = engross.submit("receipt", str(tmp_path))

    assert [(report["outcome"], report["error"]["type"]) for report in reports] == [
        ("parked", "AuthenticationFailed")
    ] * 3
    assert len(engross.calls()) <= 3, "before the circuit opened; not again and again"
    runs = {report["run_id"] for report in reports}
    until(lambda: runs <= {run["run_id"] for run in ask(engross, "list", "--outcome", "parked")})
    assert ("openai", "open", "AuthenticationFailed") in [
        (row["provider"], row["state"], row["cause"]) for row in ask(engross, "circuits")
    ]

    engross.script()
    resumed = engross("resume", "--all")

    assert "tried again: openai" in resumed.stdout, resumed
    until(lambda: [engross.outcome(run) for run in runs] == ["done"] * 3)
    calls = [ask(engross, "result", run)[0]["calls"] for run in runs]
    assert len(engross.calls()) == sum(calls) == 3
    assert {row["state"] for row in ask(engross, "circuits")} == {"closed"}


@pytest.mark.xdist_group("anthropic")
def test_a_spent_budget_parks_the_run_until_it_is_raised(engross_anthropic: Engross, tmp_path: Path) -> None:
    engross = engross_anthropic
    document = tmp_path / "slip.txt"
    document.write_text("Total: 12.50")
    engross.script()
    [report] = engross.submit("capped", str(document))
    run = report["run_id"]
    assert (report["outcome"], report["error"]["type"]) == ("parked", "BudgetExhausted")
    assert f"engross budget raise {run} --by USD" in report["error"]["message"]
    [budget] = ask(engross, "budget", "show", run)
    assert (budget["limit_usd"], budget["spent_usd"], budget["left_usd"]) == (Decimal("0.0005"), 0, Decimal("0.0005"))
    assert budget["waiting_for"] == report["error"]["message"]
    assert engross.calls() == []

    raised = engross("budget", "raise", run, "--by", "1")

    assert "$0.0005" in raised.stdout, raised
    until(lambda: engross.outcome(run) == "done")
    [ended] = ask(engross, "result", run)
    assert len(engross.calls()) == ended["calls"] == 1
    [budget] = ask(engross, "budget", "show", run)
    assert (budget["raised_usd"], budget["spent_usd"], budget["reserved_usd"]) == (1, ended["cost_usd"], 0)
    assert ended["cost_usd"] > 0
    assert budget["left_usd"] == Decimal("1.0005") - ended["cost_usd"]
