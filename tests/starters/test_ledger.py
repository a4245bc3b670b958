"""What the commands say of runs that have a ledger, and of answers that lack something."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from activities.storage import ResultStore
from engross.contracts import LedgerEntry, Outcome, PartState, RunResult, StoreRequest
from engross.settings import Settings
from starters.cli.app import app
from starters.reports import RunReport, json_line, of_row

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEDGER = (
    LedgerEntry(name="chunk 1", state=PartState.MAPPED, number=1, start=0, end=900, first_page=1, last_page=2),
    LedgerEntry(name="chunk 2", state=PartState.REFUSED, error="RefusedAnswer", number=2, first_page=3, last_page=3),
    LedgerEntry(name="chunk 3", state=PartState.REPAIRED, label="bill\x1b[2J", score=0.25, is_best=True, parts=3),
    LedgerEntry(name="chunk 4", state=PartState.FAILED, error="ProviderTimeout"),
)


async def engross(*arguments: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, list(arguments)))


async def stored(settings: Settings, run_id: str, ledger: tuple[LedgerEntry, ...] = (), **fields: Any) -> RunReport:
    """A run that has ended long ago; Temporal knows it no more."""
    result = RunResult.model_validate(
        {"run_id": run_id, "job": "invoice", "tenant": "acme", "outcome": "done"} | fields
    )
    results = ResultStore.open(settings.results_url)
    await results.start()
    await results.put(StoreRequest(result=result, started_at="2026-01-01", document_name="a.pdf"), b'{"x": 1}', ledger)
    row = await results.get(run_id)
    await results.close()
    assert row is not None
    return of_row(row)


async def test_a_partial_answer_says_what_it_lacks(settings: Settings) -> None:
    await stored(settings, "partial", LEDGER, outcome="partial", missing=["chunk 2", "chunk 4"], flags=["below-bar"])

    result = await engross("result", "partial")

    assert result.exit_code == 1, "it is not done"
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines == [
        "partial a.pdf partial model none calls 0 repairs 0 $0",
        "missing: chunk 2",
        "missing: chunk 4",
        "flag: below-bar",
        "part state pages characters about error",
        "chunk 2 refused 3 RefusedAnswer",
        "chunk 4 failed ProviderTimeout",
        "4 parts: 1 mapped, 1 repaired, 1 refused, 1 failed; `engross ledger partial` lists them",
        "x 1",
    ]


async def test_an_answer_without_gaps_says_nothing_of_its_parts(settings: Settings) -> None:
    await stored(settings, "whole", LEDGER[:1])
    assert len((await engross("result", "whole")).stdout.splitlines()) == 2


async def test_very_many_gaps_are_cut_short(settings: Settings) -> None:
    gaps = tuple(LedgerEntry(name=f"chunk {n}", state=PartState.FAILED, error="X") for n in range(500))
    await stored(settings, "gaps", gaps, outcome="partial", missing=[entry.name for entry in gaps])
    shown = (await engross("result", "gaps")).stdout
    assert len(shown.splitlines()) < 30
    assert "missing: 490 more" in shown
    assert "500 parts: 500 failed" in shown


async def test_the_ledger_lists_every_part(settings: Settings) -> None:
    await stored(settings, "parts", LEDGER)
    result = await engross("ledger", "parts")
    assert result.exit_code == 0
    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == [
        "part state pages characters about error",
        "chunk 1 mapped 1-2 0-900",
        "chunk 2 refused 3 RefusedAnswer",
        r"chunk 3 repaired (best) bill\x1b[2J 0.25 in 3 pieces",
        "chunk 4 failed ProviderTimeout",
        "4 parts: 1 mapped, 1 repaired, 1 refused, 1 failed",
    ]


async def test_the_ledger_as_json_has_what_says_something(settings: Settings) -> None:
    report = await stored(settings, "json", LEDGER, outcome="partial", missing=["chunk 2"])
    lines = [json.loads(line) for line in (await engross("ledger", "json", "--json")).stdout.splitlines()]
    assert lines[1] == {
        "name": "chunk 2", "state": "refused", "error": "RefusedAnswer", "number": 2, "first_page": 3, "last_page": 3,
    }  # fmt: skip
    assert [LedgerEntry.model_validate(line) for line in lines] == list(LEDGER)
    told = json.loads(json_line(report))
    assert (told["ledger"], told["missing"], told["flags"]) == (lines, ["chunk 2"], [])


async def test_a_run_without_a_ledger_says_so(settings: Settings) -> None:
    await stored(settings, "plain")
    result = await engross("ledger", "plain")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "plain has no ledger" in result.stderr
    assert (await engross("ledger", "nobody")).exit_code == 2


async def test_partial_is_an_outcome_like_the_others(settings: Settings) -> None:
    report = await stored(settings, "one-more", outcome="partial", cost_usd=Decimal("0.1"))
    assert report.outcome is Outcome.PARTIAL
    listed = await engross("list", "--outcome", "partial", "--json")
    assert "one-more" in [json.loads(line)["run_id"] for line in listed.stdout.splitlines()]
