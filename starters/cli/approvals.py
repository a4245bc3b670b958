"""`engross approvals list`, `show` and the acts: the same rights and the same answers as in the console."""

import json
from dataclasses import dataclass
from typing import Any

from activities.approvals.rows import Wanted
from engross.contracts import Act, ActKind, Receipt, Risk, Verdict
from engross.errors import EngrossError
from engross.settings import Settings
from starters.approvals_reports import ActReport, ApprovalLine, ApprovalReport
from starters.approvals_signing import Said
from starters.approvals_view import ApprovalView
from starters.cli.approvals_asking import Manner, agreed, check_manner
from starters.cli.approvals_edit import Edits, corrected
from starters.cli.approvals_session import SOURCE, host, inbox, opened
from starters.cli.approvals_show import receipt_line, show_changes, show_lines, show_view
from starters.cli.ending import ExitCode
from starters.cli.output import clean, data
from starters.reports import json_line
from starters.running import run


@dataclass(frozen=True)
class Filter:
    """Which approvals to list; `verdict` None is all."""

    job: str | None = None
    tenant: str | None = None
    risk: Risk | None = None
    verdict: Verdict | None = Verdict.OPEN
    search: str = ""


# --- reading ------------------------------------------------------------------------------------------------------


def list_approvals(settings: Settings, chosen: Filter, *, limit: int, as_json: bool) -> ExitCode:
    """Lists approvals: what is to be decided first comes first."""
    wanted = Wanted(
        tenants=None if chosen.tenant is None else frozenset([chosen.tenant]),
        job=chosen.job,
        risk=chosen.risk,
        verdict=chosen.verdict,
        text=chosen.search,
    )
    page = run(inbox(settings, wanted, limit))
    lines = [ApprovalLine.of(row) for row in page.rows]
    if as_json:
        for line in lines:
            data(json_line(line))
    else:
        show_lines(lines, page.total)
    return ExitCode.OK


def show(settings: Settings, name: str, *, as_json: bool) -> ExitCode:
    """Where one approval stands, and what is proposed."""
    view = _view(settings, name)
    if as_json:
        data(json_line(ApprovalReport.of_view(view)))
    else:
        show_view(view)
    return ExitCode.OK


def _view(settings: Settings, name: str) -> ApprovalView:
    async def ask() -> ApprovalView:
        async with opened(settings) as session:
            return await session.view(name)

    return run(ask())


# --- deciding -----------------------------------------------------------------------------------------------------


def decide(settings: Settings, name: str, kind: ActKind, manner: Manner, *, reason: str = "") -> ExitCode:
    """Approves, rejects or asks for another attempt, on exactly what was shown."""
    check_manner(manner)
    view = _view(settings, name)
    shown = agreed(view, manner, f"{kind.value} this?", lambda: show_view(view))
    return _do(settings, view, kind, manner, shown=shown, reason=reason)


def correct(settings: Settings, name: str, edits: Edits, manner: Manner) -> ExitCode:
    """Corrects the answer and approves it."""
    check_manner(manner)
    view = _view(settings, name)
    before = view.draft if view.answer is None else view.answer
    value = corrected(view, edits, can_ask=manner.can_ask)

    def show_it() -> None:
        show_view(view)
        data("your correction")
        show_changes(before, value)

    shown = agreed(view, manner, "Approve it so?", show_it)
    return _do(settings, view, ActKind.CORRECT, manner, shown=shown, value=value)


def do(settings: Settings, name: str, kind: ActKind, manner: Manner, *, to: str = "", hours: float = 0.0) -> ExitCode:
    """What is no decision on the content, and therefore asks nothing: claim, release, delegate, extend."""
    return _do(settings, _view(settings, name), kind, manner, to=to, hours=hours)


def _do(
    settings: Settings,
    view: ApprovalView,
    kind: ActKind,
    manner: Manner,
    *,
    shown: str = "",
    reason: str = "",
    value: Any = None,
    to: str = "",
    hours: float = 0.0,
) -> ExitCode:
    said: Said = {"source": SOURCE, "address": host(), "key": manner.key, "shown": shown}
    said |= {"reason": reason, "value": value, "to": to, "hours": hours}

    async def act() -> Receipt | Act:
        async with opened(settings) as session:
            way = session.approvals.signed if manner.prints else session.approvals.act
            return await way(session.person, view.approval_id, kind, **said)

    try:
        done = run(act())
    except EngrossError as error:
        if manner.as_json:
            data(json_line(ActReport.refused(view.approval_id, kind, error)))
        raise
    _tell(done, as_json=manner.as_json)
    return ExitCode.OK


def _tell(done: Receipt | Act, *, as_json: bool) -> None:
    if isinstance(done, Act):
        data(json.dumps(done.model_dump(mode="json", exclude={"unusable"})))
    elif as_json:
        data(json_line(ActReport.of(done)))
    else:
        data(clean(receipt_line(done)))
