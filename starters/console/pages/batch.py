"""A batch: how far it is, its rows, and steering it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from engross.contracts import MOST_AT_ONCE
from engross.errors import InvalidRequest, NotAuthorised, RunNotFound, ServiceUnavailable
from starters.batch_reports import BatchReport, BatchRowReport, BatchState, of_rows
from starters.batches import BatchClient
from starters.console.identity import Identity, SignedIn, must_see
from starters.console.pages.acting import Part, back, field_of, flashes, note, part_of, reload, renewed
from starters.console.pages.batches import BATCHES, SHOWN
from starters.console.pages.printable import one_line
from starters.console.pages.runs_listed import money
from starters.console.rendering import render
from starters.console.services import Services
from starters.console.state import services_of

BATCH: Final = BATCHES + "/{batch_id}"
_PAGE_ROWS: Final = 50
_LONGEST_NUMBER: Final = 6

router = APIRouter(include_in_schema=False)

Change = Callable[[BatchClient, str], Awaitable[object]]


@dataclass(frozen=True)
class Share:
    """The rows that ended in one way, and the percent of the bar where they begin and that they take."""

    outcome: str
    name: str
    count: int
    start: float
    width: float


@dataclass(frozen=True)
class FoundBatch:
    """`is_told` is false when no worker is there to say how it stands, so that only its rows are known."""

    report: BatchReport
    may_operate: bool
    is_told: bool

    @property
    def is_going_on(self) -> bool:
        return not self.report.has_ended

    @property
    def shares(self) -> list[Share]:
        counts = [(outcome, name, int(getattr(self.report, outcome))) for outcome, name in SHOWN]
        total = max(self.report.total, sum(count for _, _, count in counts), 1)
        ends = [0.0]
        for _, _, count in counts:
            ends.append(ends[-1] + 100 * count / total)
        places = pairwise(ends)
        return [
            Share(*each, round(start, 3), round(end - start, 3))
            for each, (start, end) in zip(counts, places, strict=True)
        ]

    @property
    def cost(self) -> str:
        return money(self.report.cost_usd) + (f" and {self.report.unpriced:,} unknown" if self.report.unpriced else "")

    @property
    def left(self) -> str:
        """About how long it goes on; "" when that is not known."""
        seconds = self.report.eta_seconds
        return "" if seconds is None or self.report.has_ended else _span(seconds)

    @property
    def took(self) -> str:
        return _span(self.report.seconds)


@router.get(BATCH)
async def batch(request: Request, batch_id: str, identity: SignedIn, outcome: str = "", after: int = 0) -> Response:
    """The page."""
    found = await find_batch(services_of(request), identity, batch_id)
    return render(
        request,
        "batch.html",
        batch=found,
        part=_part(request, found),
        list=await _list(request, found, outcome, after),
        outcome=outcome,
        after=after,
        most_at_once=MOST_AT_ONCE,
        flashes=flashes(request),
    )


@router.get(f"{BATCH}/rows")
async def rows(request: Request, batch_id: str, identity: SignedIn, outcome: str = "", after: int = 0) -> Response:
    """The rows alone, when the page asks for them anew."""
    found = await find_batch(services_of(request), identity, batch_id)
    part = await _list(request, found, outcome, after)
    values = {"batch": found, "list": part, "outcome": outcome, "after": after}
    return renewed(request, part, "batch_list.html", **values)


@router.get(f"{BATCH}/live")
async def live(request: Request, batch_id: str, identity: SignedIn, state: str = "") -> Response:
    """How far it is, when the page asks for that anew; the whole page when it can be steered otherwise now."""
    found = await find_batch(services_of(request), identity, batch_id)
    if found.report.state.value != state:
        return reload()
    return renewed(request, _part(request, found), "batch_live.html", batch=found)


@router.post(f"{BATCH}/pause")
async def pause(request: Request, batch_id: str, identity: SignedIn) -> Response:
    return await _steer(request, identity, batch_id, "paused", "paused", lambda client, name: client.pause_batch(name))


@router.post(f"{BATCH}/resume")
async def resume(request: Request, batch_id: str, identity: SignedIn) -> Response:
    return await _steer(
        request, identity, batch_id, "resumed", "unpaused", lambda client, name: client.resume_batch(name)
    )


@router.post(f"{BATCH}/window")
async def window(request: Request, batch_id: str, identity: SignedIn) -> Response:
    text = await field_of(request, "at_once")
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER):
        raise InvalidRequest(f"the number of documents in flight is 1 to {MOST_AT_ONCE}")
    number = int(text)
    return await _steer(
        request,
        identity,
        batch_id,
        "window",
        "window",
        lambda client, name: client.set_window(name, number),
        str(number),
    )


@router.post(f"{BATCH}/cancel")
async def cancel(request: Request, batch_id: str, identity: SignedIn) -> Response:
    return await _steer(
        request, identity, batch_id, "cancelled", "cancelling", lambda client, name: client.cancel_batch(name)
    )


async def find_batch(services: Services, identity: Identity, batch_id: str) -> FoundBatch:
    """The batch of that id. Raises `RunNotFound`, and `NotAuthorised` when they have no role for its tenant."""
    tenant = await _tenant_of(services, batch_id)
    must_see(identity.person, tenant)
    may_operate = identity.person.may_operate(tenant)
    try:
        report = await services.client.batch_status(batch_id)
    except ServiceUnavailable:
        stored = await services.results.batches.get(batch_id)
        if stored is None:
            raise
        return FoundBatch(of_rows(stored, BatchState.RUNNING), may_operate, is_told=False)
    must_see(identity.person, report.tenant)
    return FoundBatch(report, may_operate, is_told=True)


async def _tenant_of(services: Services, batch_id: str) -> str:
    try:
        _, tenant = await services.client.whose(batch_id)
    except InvalidRequest:
        raise RunNotFound("no batch has that id") from None
    return tenant


async def _rows(services: Services, batch_id: str, outcome: str, after: int) -> tuple[list[BatchRowReport], int]:
    """A page of its rows, and behind which row the next begins, or 0."""
    if outcome and outcome not in dict(SHOWN):
        raise InvalidRequest("there is no such outcome")
    if not 0 <= after < 2**31:
        raise InvalidRequest("there is no such row")
    rows: list[BatchRowReport] = []
    async for row in services.client.batch_rows(batch_id, outcome=outcome or None, after=after):
        rows.append(row)
        if len(rows) > _PAGE_ROWS:
            break
    return rows[:_PAGE_ROWS], rows[_PAGE_ROWS - 1].row if len(rows) > _PAGE_ROWS else 0


async def _steer(
    request: Request, identity: Identity, batch_id: str, action: str, said: str, change: Change, detail: str = ""
) -> Response:
    services = services_of(request)
    tenant = await _tenant_of(services, batch_id)
    must_see(identity.person, tenant)
    if not identity.person.may_operate(tenant):
        raise NotAuthorised("only operators of its tenant may steer a batch; ask one of them")
    if await change(services.client, batch_id) is False:
        return back(f"{BATCHES}/{batch_id}", "over")
    await note(request, identity, f"batch.{action}", batch_id, tenant=tenant, detail=detail)
    return back(f"{BATCHES}/{batch_id}", said)


def _part(request: Request, found: FoundBatch) -> Part:
    link = services_of(request).client.link(found.report.batch_id)
    return part_of(request, "batch_facts.html", batch=found, link=link, one_line=one_line)


async def _list(request: Request, found: FoundBatch, outcome: str, after: int) -> Part:
    shown, following = await _rows(services_of(request), found.report.batch_id, outcome, after)
    values = {"batch": found, "rows": shown, "next": following, "outcome": outcome, "after": after}
    return part_of(request, "batch_rows.html", one_line=one_line, money=money, **values)


def _span(seconds: float) -> str:
    """`2 h 5 min`, in the two largest units."""
    whole = timedelta(seconds=round(max(seconds, 0)))
    hours, minutes = whole.seconds // 3600, whole.seconds // 60 % 60
    sizes = ((whole.days, "d"), (hours, "h"), (minutes, "min"), (whole.seconds % 60, "s"))
    return " ".join([f"{count} {unit}" for count, unit in sizes if count][:2]) or "under a second"
