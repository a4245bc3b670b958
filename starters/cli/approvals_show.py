"""What a terminal shows of approvals. All of it may come from outside, so all of it is escaped."""

from datetime import UTC, datetime, timedelta
from typing import Any

from engross.contracts import Receipt
from starters.approvals_reports import ApprovalLine
from starters.approvals_view import ApprovalView, needed
from starters.cli.approvals_values import flat
from starters.cli.output import clean, data, note, out
from starters.cli.tables import cells, plain_table, show_fields


def show_lines(lines: list[ApprovalLine], total: int) -> None:
    """Prints approvals as a table."""
    table = plain_table("approval", "state", "risk", "document", "approved", "time left", "claimed by")
    for each in lines:
        approved = f"{each.given} of {each.needed}"
        left = time_left(each.due_at) if each.verdict.value == "open" else ""
        table.add_row(
            *cells(
                each.approval_id, each.verdict.value, each.risk.value, each.document, approved, left, each.claimed_by
            )
        )
    out.print(table)
    if total > len(lines):
        note(f"{len(lines):,} of {total:,}; --limit shows more")


def show_view(view: ApprovalView) -> None:
    """Prints an approval: what it is about, why people are asked, where it stands, then the proposed answer."""
    fields = {**_asked(view), **_stands(view)}
    show_fields({name: value for name, value in fields.items() if value})
    for each in view.request.rounds:
        by = f", asked again by {each.by}" if each.by else ""
        data(clean(f"  round {each.number}{by}{f' at {_time(each.at)}' * bool(each.at)}"))
    if view.answer is not None:
        data("answer")
        show_fields(flat(view.answer))
    elif view.draft is not None:
        data("draft, which is no valid answer")
        show_fields(flat(view.draft))
    else:
        data("there is no answer")
    for problem in view.request.problems:
        data(clean(f"  problem: {problem.field or 'answer'}: {problem.code}"))


def show_changes(before: Any, after: Any) -> None:
    """Prints what a correction changes."""
    old, new = flat(before), flat(after)
    for path in dict.fromkeys((*old, *new)):
        if old.get(path) != new.get(path):
            data(clean(f"  {path}: {old.get(path, '(nothing)')} -> {new.get(path, '(nothing)')}"))


def receipt_line(receipt: Receipt) -> str:
    """What an act came to, in a line."""
    state = f"{receipt.approval_id}  {receipt.verdict.value}  {receipt.given} of {receipt.needed} approvals"
    return f"{state}{'  (it had counted before)' * receipt.is_repeat}"


def time_left(due_at: datetime | None) -> str:
    """`2 d 3 h`, `45 min`, or that time is up."""
    if due_at is None:
        return ""
    left = due_at - datetime.now(UTC)
    if left <= timedelta(0):
        return "time is up"
    hours, minutes = divmod(int(left.total_seconds()) // 60, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _asked(view: ApprovalView) -> dict[str, str]:
    request = view.request
    error = request.error
    return {
        "approval": view.approval_id,
        "run": request.run_id,
        "job": request.job,
        "tenant": request.tenant,
        "document": request.document_name,
        "submitter": request.submitter,
        "risk": request.risk.value,
        "why": "; ".join((*request.reasons, *([f"{error.type}: {error.message}"] if error else []))),
        "confidence": f"{request.confidence:g}" if request.confidence is not None else "",
        "flags": "; ".join(request.flags),
        "round": str(request.round),
    }


def _stands(view: ApprovalView) -> dict[str, str]:
    state = view.state
    given = ", ".join(f"{each.by} at {_time(each.at)}" for each in state.given)
    decided = f" by {' and '.join(state.decided_by)}" * bool(state.decided_by)
    at = f" at {_time(state.decided_at)}" * bool(state.decided_at)
    due = f"{_time(state.due_at)} ({time_left(state.due_at)})" if state.due_at and view.is_open else ""
    return {
        "state": f"{state.verdict.value}{decided}{at}{'' if view.is_fresh or not view.is_open else ', as last noted'}",
        "approved": f"{len(state.given)} of {needed(view.request)}{f': {given}' * bool(given)}",
        "asked": ", ".join(state.asked) if view.is_open else "",
        "claimed by": state.claimed_by,
        "due": due,
        "corrected": ", ".join(state.changed) if state.is_corrected else "",
        "note": view.note,
        "shown": state.shown,
    }


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""
