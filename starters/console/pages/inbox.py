"""The inbox: what waits for people, what is urgent first; claiming it, and approving many at once."""

import secrets
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response

from engross.contracts import ActKind, Risk, Verdict
from engross.errors import EngrossError, InvalidRequest
from starters.console.browsing import HOME, is_background, is_htmx, redirect
from starters.console.identity import Identity, SignedIn, read_form
from starters.console.pages.inbox_rows import Told, row_view, sentence, told_of
from starters.console.pages.inbox_wanted import AGES, EVERYTHING, WHOSE, Choice, choice_of
from starters.console.pages.printable import one_line
from starters.console.problems import status_of
from starters.console.rendering import render
from starters.console.state import services_of

PAGE_ROWS: Final = 50
_MOST_CHOSEN: Final = 200
_CLAIMING: Final = {"claim": ActKind.CLAIM, "release": ActKind.RELEASE}

router = APIRouter(include_in_schema=False)

Flashes = Sequence[tuple[str, str]]


@router.get(HOME)
async def inbox(request: Request, identity: SignedIn) -> Response:
    """The page; for htmx the list alone."""
    return await _shown(request, identity, choice_of(request.query_params))


@router.get(HOME + "/approve")
async def after_approving(identity: SignedIn) -> Response:
    """Where the browser stands after approving many without scripts, when somebody loads that again."""
    return redirect(HOME)


@router.post(HOME + "/approve")
async def approve(request: Request, identity: SignedIn) -> Response:
    """Approves what is ticked, each with the hash of what was shown, and tells of each what came of it."""
    form = await read_form(request)
    choice = _choice_in(str(form.get("query", "")))
    chosen = [_chosen(str(value)) for value in form.getlist("chosen")]
    if len(chosen) > _MOST_CHOSEN:
        raise InvalidRequest(f"approve at most {_MOST_CHOSEN} at once")
    services = services_of(request)
    came = await services.approvals.approve_many(
        identity.person, chosen, key=str(form.get("key", "")), source=identity.source, address=identity.address
    )
    told = []
    for approval_id, each in came:
        row = await services.rows.get(approval_id)
        is_seen = row is not None and identity.person.may_see(row.request.tenant)
        name = one_line(row.request.document_name) if row and is_seen else ""
        told.append(told_of(approval_id, name or one_line(approval_id), each))
    return await _shown(request, identity, choice, told=told)


@router.post(HOME + "/{kind}/{approval_id}")
async def claim(request: Request, kind: str, approval_id: str, identity: SignedIn) -> Response:
    """Claims or releases one, and shows the list as it was chosen."""
    act = _CLAIMING.get(kind)
    if act is None:
        raise InvalidRequest("from the inbox you can claim and release")
    form = await read_form(request)
    choice = _choice_in(str(form.get("query", "")))
    try:
        receipt = await services_of(request).approvals.act(
            identity.person,
            approval_id,
            act,
            key=str(form.get("key", "")),
            source=identity.source,
            address=identity.address,
        )
    except EngrossError as error:
        flashes = [("bad", f"{error.type}: {one_line(str(error))}")]
        return await _shown(request, identity, choice, status=status_of(error), flashes=flashes)
    if not is_htmx(request):
        return redirect(choice.query())
    return await _shown(request, identity, choice, flashes=[("good", sentence(receipt))])


async def _shown(
    request: Request,
    identity: Identity,
    choice: Choice,
    *,
    status: int = 200,
    flashes: Flashes = (),
    told: Sequence[Told] = (),
) -> Response:
    services, person = services_of(request), identity.person
    page = await services.approvals.page(person, choice.wanted(person), after=choice.after or None, limit=PAGE_ROWS)
    rows = [row_view(row, person) for row in page.rows]
    values: dict[str, Any] = {
        "choice": choice,
        "rows": rows,
        "total": page.total,
        "next": choice.query(after=page.next) if page.next else "",
        "key": secrets.token_hex(16),
        "flashes": flashes,
        "told": told,
        "has_bulk": any(row.chosen for row in rows),
    }
    if is_htmx(request):
        is_quiet = is_background(request)
        # The form itself would push every field that nobody chose.
        headers = {"HX-Push-Url": choice.query()} if request.method == "GET" and not is_quiet else {}
        values |= {"is_part": True, "is_quiet": is_quiet}
        return render(request, "inbox_list.html", status=status, headers=headers, **values)
    jobs, tenants = services.catalog.jobs, person.tenants
    return render(
        request,
        "inbox.html",
        status=status,
        is_part=False,
        is_quiet=False,
        jobs=_options(jobs, choice.job),
        tenants=None if tenants is None else _options(tenants, choice.tenant),
        risks=[(risk.value, risk.value.capitalize()) for risk in Risk if risk is not Risk.LOW],
        states=[(verdict.value, _STATES[verdict]) for verdict in Verdict] + [(EVERYTHING, "Everything")],
        ages=AGES,
        whose=WHOSE,
        **values,
    )


_STATES: Final = {
    Verdict.OPEN: "Waiting",
    Verdict.APPROVED: "Approved",
    Verdict.CORRECTED: "Corrected",
    Verdict.REJECTED: "Rejected",
    Verdict.AGAIN: "Asked again",
    Verdict.EXPIRED: "Expired",
    Verdict.WITHDRAWN: "Withdrawn",
}


def _options(known: Iterable[str], chosen: str) -> list[tuple[str, str]]:
    """What is sent and what is read, with what is chosen, which may be gone."""
    return [(name, one_line(name)) for name in sorted({*known, chosen} - {""})]


def _choice_in(address: str) -> Choice:
    """The choice that an address of the inbox has."""
    return choice_of(dict(parse_qsl(urlsplit(address).query)))


def _chosen(value: str) -> tuple[str, str]:
    """Id and hash of a ticked row."""
    shown, _, approval_id = value.partition(":")
    return approval_id, shown
