"""`engross export`: the rows of a job as JSON lines or CSV."""

import csv
import json
import sys
from collections.abc import Sequence
from typing import Any, Final

from engross.catalog import load_catalog
from engross.contracts import Outcome
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.formats import Format
from starters.cli.output import data
from starters.cli.show import opened_results
from starters.reports import RunReport, json_line, of_row
from starters.running import run

# A spreadsheet runs text that starts like this as a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
# Everything else that does not print moves cursors or is no character at all.
_LAYOUT: Final = "\n\t"
_HEAD: Final = ("run_id", "job", "tenant", "document", "outcome", "error_type", "error_message")
_TAIL: Final = ("cost_usd", "model", "prompt_version", "calls", "repairs", "input_tokens", "output_tokens")


def export(settings: Settings, *, job: str, tenant: str | None, outcome: Outcome | None, form: Format) -> ExitCode:
    """Writes every row of `job`, newest first, row by row."""
    loaded = load_catalog(settings.jobs_path).get(job)
    step = loaded.job.pattern.official or loaded.steps[-1]
    schema = step.output.model_json_schema()
    fields = list(schema.get("properties", {}))
    run(_export(settings, job, tenant, outcome, fields if form is Format.CSV else None))
    return ExitCode.OK


async def _export(
    settings: Settings, job: str, tenant: str | None, outcome: Outcome | None, fields: Sequence[str] | None
) -> None:
    """Writes CSV with a column for each of `fields`, or JSON lines when there are none."""
    table = csv.writer(sys.stdout, lineterminator="\n")
    if fields is not None:
        table.writerow([*_HEAD, *(f"answer.{field}" for field in fields), "answer.other", *_TAIL])
    async with opened_results(settings) as results:
        async for row in results.rows(job=job, tenant=tenant, outcome=outcome):
            report = of_row(row)
            if fields is None:
                data(json_line(report))
            else:
                table.writerow([_cell(value) for value in _values(report, fields)])


def _values(report: RunReport, fields: Sequence[str]) -> list[Any]:
    answer = report.answer if isinstance(report.answer, dict) else {}
    # What the schema of today doesn't have, an older version's answers may: nothing is dropped.
    other = {name: value for name, value in answer.items() if name not in fields}
    error = report.error
    return [
        report.run_id,
        report.job,
        report.tenant,
        report.document,
        report.outcome.value,
        error.type if error else None,
        error.message if error else None,
        *(answer.get(field) for field in fields),
        other or None,
        None if report.cost_usd is None else format(report.cost_usd, "f"),
        report.model,
        report.prompt_version,
        report.calls,
        report.repairs,
        report.usage.input_tokens,
        report.usage.output_tokens,
    ]


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        text = "".join(each if each.isprintable() or each in _LAYOUT else "\N{REPLACEMENT CHARACTER}" for each in value)
        return f"'{text}" if text.startswith(_FORMULA) else text
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else value
