import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from activities.storage import ResultStore
from engross.contracts import ErrorInfo, Outcome, RunResult, StoreRequest
from engross.settings import load_settings
from starters.cli.app import app


async def store(run_id: str, started_at: str, answer: bytes | None, *, tenant: str = "acme") -> None:
    error = None if answer else ErrorInfo(type="NeedsOcr", message="a scan")
    result = RunResult.model_validate(
        {
            "run_id": run_id,
            "job": "receipt",
            "tenant": tenant,
            "outcome": Outcome.DONE if answer else Outcome.FAILED,
            "error": error,
            "cost_usd": "0.00000012",
        }
    )
    results = ResultStore.open(load_settings().results_url)
    await results.start()
    await results.put(StoreRequest(result=result, started_at=started_at, document_name="=a.txt"), answer)
    await results.close()


def engross(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(autouse=True)
def rows(clean_environment: None, tmp_path: Path) -> None:
    import asyncio

    asyncio.run(store("old", "2026-01-01", b'{"company": "=evil()", "total": -1.5, "until_v1": [1]}'))
    asyncio.run(store("new", "2026-01-02", None))
    asyncio.run(store("other", "2026-01-03", None, tenant="other"))


def test_csv_has_a_column_for_each_field_and_keeps_the_rest() -> None:
    rows = list(csv.DictReader(io.StringIO(engross("export", "--job", "receipt", "--format", "csv"))))

    assert [row["run_id"] for row in rows] == ["other", "new", "old"]
    assert (rows[1]["outcome"], rows[1]["error_type"], rows[1]["answer.company"]) == ("failed", "NeedsOcr", "")
    old = rows[2]
    assert (old["answer.company"], old["answer.total"], old["answer.other"]) == (
        "'=evil()",
        "-1.5",
        '{"until_v1": [1]}',
    )
    assert (old["document"], old["cost_usd"]) == ("'=a.txt", "0.00000012")


def test_json_lines_are_exact_and_filtered() -> None:
    text = engross("export", "--job", "receipt", "--format", "jsonl", "--tenant", "acme", "--outcome", "done")
    (row,) = map(json.loads, text.splitlines())
    assert (row["run_id"], row["answer"]["company"], row["document"]) == ("old", "=evil()", "=a.txt")


def test_a_job_without_rows_gives_only_the_head() -> None:
    assert len(engross("export", "--job", "invoice", "--format", "csv").splitlines()) == 1
    assert engross("export", "--job", "invoice", "--format", "jsonl") == ""


def test_list_shows_rows_newest_first() -> None:
    text = engross("list", "--json", "--limit", "2")
    assert [json.loads(line)["run_id"] for line in text.splitlines()] == ["other", "new"]
