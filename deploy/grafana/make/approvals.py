"""What waits for people, how long, and what they decide."""

from typing import Final

from panels import Dashboard, Panel, Row, grown, one, per_minute

_OF: Final = '{job=~"$job", tenant=~"$tenant"}'
_DECISIONS: Final = f"engross_approval_decisions_total{_OF}"

_NOW: Final = Row(
    "Now",
    (
        Panel(
            "Waiting",
            "Approvals that are open.",
            "short",
            one(f"sum(max by (job, tenant, risk) (engross_approvals_waiting{_OF})) or vector(0)"),
            kind="stat",
            width=6,
        ),
        Panel(
            "Overdue",
            "Open after their deadline. It should never be more than none.",
            "short",
            one(f"sum(max by (job, tenant) (engross_approvals_overdue{_OF})) or vector(0)"),
            kind="stat",
            width=6,
            steps=((1, "red"),),
        ),
        Panel(
            "Oldest",
            "How long the oldest open approval has waited. A job's deadline is 72 hours where it says nothing else.",
            "s",
            one(f"max(engross_approval_oldest_seconds{_OF}) or vector(0)"),
            kind="stat",
            width=6,
            steps=((86400, "orange"), (172800, "red")),
        ),
        Panel(
            "Decisions",
            "In the time that is shown.",
            "short",
            one(f"{grown(_DECISIONS)} or vector(0)"),
            kind="stat",
            width=6,
        ),
    ),
)

_WAITING: Final = Row(
    "What waits",
    (
        Panel(
            "Waiting, by risk",
            "High risk needs two people, critical risk a senior among them.",
            "short",
            one(f"sum by (risk) (max by (job, tenant, risk) (engross_approvals_waiting{_OF}))", "{{risk}}"),
            stacked=True,
        ),
        Panel(
            "Waiting, by job and tenant",
            "Where they pile up.",
            "short",
            one(
                f"sum by (job, tenant) (max by (job, tenant, risk) (engross_approvals_waiting{_OF}))",
                "{{job}} {{tenant}}",
            ),
            stacked=True,
        ),
        Panel(
            "Oldest, by job and tenant",
            "How long the oldest has waited.",
            "s",
            one(f"max by (job, tenant) (engross_approval_oldest_seconds{_OF})", "{{job}} {{tenant}}"),
        ),
    ),
)

_DECIDED: Final = Row(
    "What is decided",
    (
        Panel(
            "Decisions",
            "A minute, by verdict.",
            "short",
            one(per_minute(_DECISIONS, "verdict"), "{{verdict}}"),
            stacked=True,
        ),
        Panel(
            "Verdicts",
            "In the time that is shown, by job. Many corrections: the job's prompt or schema wants work.",
            "short",
            one(f"sort_desc({grown(_DECISIONS, 'job, verdict')} > 0)"),
            kind="table",
        ),
        Panel(
            "Overdue",
            "Open after their deadline, by job and tenant: their workflow does not run.",
            "short",
            one(f"max by (job, tenant) (engross_approvals_overdue{_OF})", "{{job}} {{tenant}}"),
        ),
    ),
)

_TOLD: Final = Row(
    "What is told and written down",
    (
        Panel(
            "Notices",
            "A minute, by channel and how it went.",
            "short",
            one(per_minute("engross_notices_total", "channel, outcome"), "{{channel}} {{outcome}}"),
            width=12,
        ),
        Panel(
            "Inbox and audit log",
            "A minute: what was written down about approvals. failed and broke are tried again until it works.",
            "short",
            one(per_minute('engross_steps_total{activity="note_approval"}', "outcome"), "{{outcome}}"),
            width=12,
        ),
    ),
)

APPROVALS: Final = Dashboard(
    "approvals",
    "approvals",
    "What waits for people, how long, and what they decide.",
    ("job", "tenant"),
    (_NOW, _WAITING, _DECIDED, _TOLD),
)
