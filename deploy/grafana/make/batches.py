"""How batches get on: documents a minute, what fails, and what holds them up."""

from typing import Final

from panels import Dashboard, Panel, Query, Row, grown, one, per_minute, quantile, quantiles

_OF: Final = 'job=~"$job", tenant=~"$tenant"'
_ROWS: Final = f"engross_batch_rows_total{{{_OF}}}"
# Duplicates are not worked at, and what is parked ends in a run of its own.
_WORKED_AT: Final = f'engross_batch_rows_total{{{_OF}, outcome!~"duplicate|parked"}}'
_DONE: Final = f'engross_batch_rows_total{{{_OF}, outcome="done"}}'
_COST: Final = f"engross_model_cost_usd_total{{{_OF}}}"
_RUNS: Final = f'engross_runs_total{{{_OF}, outcome!="parked"}}'

_PROGRESS: Final = Row(
    "Documents",
    (
        Panel(
            "Documents that ended",
            "A minute, by how they ended. `engross batch status B` has one batch.",
            "short",
            one(per_minute(_ROWS, "outcome"), "{{outcome}}"),
            stacked=True,
            width=12,
        ),
        Panel(
            "Documents, by job",
            "A minute.",
            "short",
            one(per_minute(_ROWS, "job"), "{{job}}"),
            stacked=True,
            width=12,
        ),
        Panel(
            "Ended",
            "In the time that is shown, by job and outcome. `engross batch rows B --outcome failed` names them.",
            "short",
            one(f"sort_desc({grown(_ROWS, 'job, outcome')} > 0)"),
            kind="table",
        ),
        Panel(
            "Done",
            "Share of the documents that ended as done, in the time that is shown. Duplicates don't count.",
            "percentunit",
            one(
                f"({grown(_DONE, 'job')} or {grown(_WORKED_AT, 'job')} * 0) / ({grown(_WORKED_AT, 'job')} > 0)",
                "{{job}}",
            ),
            kind="bargauge",
            top=1,
        ),
        Panel(
            "Cost of 1,000 documents",
            "From the cost of all runs in the time that is shown, those outside of batches included.",
            "currencyUSD",
            one(f"1000 * {grown(_COST, 'job')} / ({grown(_RUNS, 'job')} > 0)", "{{job}}"),
            kind="bargauge",
        ),
    ),
)

_READING: Final = Row(
    "Reading documents",
    (
        Panel(
            "Documents read",
            "A minute, by format.",
            "short",
            one(per_minute("engross_extractions_total", "format"), "{{format}}"),
            stacked=True,
        ),
        Panel(
            "Time to read one",
            "By format. Long ones hold a parser; ENGROSS_PARSERS says how many there are.",
            "s",
            quantiles("engross_extraction_seconds_bucket", "format", "{{format}}"),
        ),
        Panel(
            "Documents that can't be read",
            "In the time that is shown, by reason.",
            "short",
            one(grown("engross_extractions_refused_total", "error"), "{{error}}"),
            kind="bargauge",
        ),
    ),
)

_HOLDUPS: Final = Row(
    "What holds them up",
    (
        Panel(
            "Time of a step",
            "95 in a hundred are quicker, by activity.",
            "s",
            one(quantile(0.95, "engross_step_seconds_bucket", "activity"), "{{activity}}"),
        ),
        Panel(
            "Tasks that wait",
            "By task queue. What waits on models-... waits for calls, on documents for parsers.",
            "short",
            one("max by (queue, kind) (engross_queue_backlog)", "{{queue}} {{kind}}"),
        ),
        Panel(
            "Calls that had to wait",
            "A minute, by reason: limit, budget, circuit.",
            "short",
            one(per_minute("engross_calls_postponed_total", "provider, why"), "{{provider}} {{why}}"),
        ),
        Panel(
            "Errors of runs",
            "A minute, by name; documents of batches included.",
            "short",
            one(per_minute(f"engross_run_errors_total{{{_OF}}}", "error"), "{{error}}"),
            width=12,
        ),
        Panel(
            "Runs",
            "Open, and those of them that wait.",
            "short",
            (
                Query("max(engross_runs_open)", "open"),
                Query("max by (outcome) (engross_runs_waiting)", "{{outcome}}"),
            ),
            width=12,
        ),
    ),
)

BATCHES: Final = Dashboard(
    "batches",
    "batches",
    "How batches get on: documents a minute, what fails, and what holds them up.",
    ("job", "tenant"),
    (_PROGRESS, _READING, _HOLDUPS),
)
