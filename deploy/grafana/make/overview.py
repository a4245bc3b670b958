"""How things stand, for whoever opens only one page."""

from typing import Final

from panels import Dashboard, Panel, Query, Row, grown, one, per_minute, quantiles

_RUNS: Final = 'engross_runs_total{job=~"$job", tenant=~"$tenant", outcome!="parked"}'
_DONE: Final = 'engross_runs_total{job=~"$job", tenant=~"$tenant", outcome="done"}'
_RUN_ERRORS: Final = 'engross_run_errors_total{job=~"$job", tenant=~"$tenant"}'
_BAD: Final = ((1, "red"),)

_NOW: Final = Row(
    "Now",
    (
        Panel(
            "Workers",
            "Worker processes that answered the last scrape.",
            "short",
            one('count(up{job="engross"} == 1) or vector(0)'),
            kind="stat",
            width=4,
            base="red",
            steps=((1, "green"),),
        ),
        Panel(
            "Open runs",
            "Runs that have not ended, those that wait included.",
            "short",
            one("max(engross_runs_open)"),
            kind="stat",
            width=4,
        ),
        Panel(
            "Wait for people",
            "Runs that wait for an approval.",
            "short",
            one('max(engross_runs_waiting{outcome="needs_approval"})'),
            kind="stat",
            width=4,
        ),
        Panel(
            "Parked",
            "Runs that wait for an operator: a key, credit or a budget is missing. `engross list --outcome parked`.",
            "short",
            one('max(engross_runs_waiting{outcome="parked"})'),
            kind="stat",
            width=4,
            steps=((1, "orange"),),
        ),
        Panel(
            "Stuck",
            "Runs whose workflow tasks fail again and again, most likely since a deploy.",
            "short",
            one("max(engross_runs_with_task_problems)"),
            kind="stat",
            width=4,
            steps=_BAD,
        ),
        Panel(
            "Providers given up",
            "Circuits that are not closed. `engross circuits`.",
            "short",
            one("count(max by (provider) (engross_circuit_state) > 0) or vector(0)"),
            kind="stat",
            width=4,
            steps=_BAD,
        ),
    ),
)

_ENDED: Final = Row(
    "Runs",
    (
        Panel(
            "Runs that ended",
            "A minute, by how they ended.",
            "short",
            one(per_minute(_RUNS, "outcome"), "{{outcome}}"),
            stacked=True,
        ),
        Panel(
            "Done",
            "Share of the runs of each job that ended as done, in the time that is shown.",
            "percentunit",
            one(f"{grown(_DONE, 'job')} / ({grown(_RUNS, 'job')} > 0)", "{{job}}"),
            kind="bargauge",
            top=1,
        ),
        Panel(
            "Time of a run",
            "From its start to its stored end, waits for people included.",
            "s",
            quantiles('engross_run_seconds_bucket{job=~"$job"}', "job", "{{job}}"),
        ),
        Panel(
            "Errors of runs",
            "By job and name, in the time that is shown. docs/runs.md says what each name means.",
            "short",
            one(f"sort_desc({grown(_RUN_ERRORS, 'job, error')} > 0)"),
            kind="table",
            width=12,
        ),
        Panel(
            "Alerts that fire",
            "docs/runbook.md has a section for each.",
            "short",
            one('ALERTS{alertname=~"Engross.*", alertstate="firing"}'),
            kind="table",
            width=12,
        ),
    ),
)

_QUEUES: Final = Row(
    "Task queues",
    (
        Panel(
            "Backlog",
            "Tasks that wait for a worker.",
            "short",
            one("max by (queue, kind) (engross_queue_backlog)", "{{queue}} {{kind}}"),
        ),
        Panel(
            "Age of the oldest task",
            "How long the oldest task has waited. Over five minutes somebody is woken.",
            "s",
            one("max by (queue, kind) (engross_queue_backlog_age_seconds)", "{{queue}} {{kind}}"),
        ),
        Panel(
            "Pollers",
            "Who asks for tasks. None, and nobody serves the queue.",
            "short",
            one("max by (queue, kind) (engross_queue_pollers)", "{{queue}} {{kind}}"),
        ),
        Panel(
            "Free slots",
            "What workers could do at once in addition. None for long: more workers are needed.",
            "short",
            one(
                "sum by (task_queue, worker_type) "
                '(temporal_worker_task_slots_available{worker_type=~"WorkflowWorker|ActivityWorker"})',
                "{{task_queue}} {{worker_type}}",
            ),
        ),
        Panel(
            "Steps",
            "A minute, by activity and how they ended: broke is a defect, failed an error with a name.",
            "short",
            one(per_minute("engross_steps_total", "activity, outcome"), "{{activity}} {{outcome}}"),
        ),
        Panel(
            "Workflow tasks that failed",
            "A minute, by reason. NonDeterminismError: the deployed code does not fit a history.",
            "short",
            one(
                "sum by (failure_reason) (rate(temporal_workflow_task_execution_failed_total[$__rate_interval])) * 60",
                "{{failure_reason}}",
            ),
        ),
    ),
)

_WORKERS: Final = Row(
    "Workers",
    (
        Panel(
            "Builds",
            "Which versions run, and how many processes of each.",
            "short",
            one("count by (version, build_id) (engross_build_info)"),
            kind="table",
        ),
        Panel(
            "Requests to Temporal",
            "A minute, and those that failed.",
            "short",
            (
                Query("sum(rate(temporal_request_total[$__rate_interval])) * 60", "all"),
                Query("sum(rate(temporal_request_failure_total[$__rate_interval])) * 60 or vector(0)", "failed"),
            ),
        ),
        Panel(
            "Age of these gauges",
            "How long ago queues, circuits, budgets and approvals were looked up. Old: those numbers stand still.",
            "s",
            one("min(engross_watch_age_seconds > 0)", "age"),
        ),
    ),
)

OVERVIEW: Final = Dashboard(
    "overview",
    "overview",
    "How things stand: runs, task queues, workers, alerts.",
    ("job", "tenant"),
    (_NOW, _ENDED, _QUEUES, _WORKERS),
)
