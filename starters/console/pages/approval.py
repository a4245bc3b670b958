"""The approval page: the document beside the answer, and what people can do about it."""

from dataclasses import replace
from typing import Annotated, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from activities.approvals.rows import ApprovalRow
from engross.contracts import ActKind, ApprovalRequest, Verdict
from engross.errors import DocumentError, EngrossError, InvalidAnswer, NotAcceptable, RunNotFound, ServiceUnavailable
from starters.approvals_sending import became
from starters.approvals_signing import MOST_NOTE
from starters.approvals_view import ApprovalView, needed
from starters.console.browsing import redirect
from starters.console.documents.view import DocumentView, Links
from starters.console.identity import Identity, SignedIn, must_see, read_form
from starters.console.pages.answers import owned, read_answer
from starters.console.pages.approval_typed import Trouble, Typed, checked, hours_of, parsed_of, typed_of
from starters.console.pages.approval_view import approval_page
from starters.console.pages.inbox_rows import address_of_approval
from starters.console.pages.printable import one_line
from starters.console.problems import status_of
from starters.console.rendering import render
from starters.console.services import Services
from starters.console.state import services_of

_LONGEST_ID: Final = 300
_PICTURE_SECONDS: Final = 600
_DIGITS: Final = 7
_MOST_RECEIVERS: Final = 200

router = APIRouter(prefix="/approvals/{approval_id}", include_in_schema=False)

Id = Annotated[str, Path(max_length=_LONGEST_ID)]


@router.get("")
async def approval(request: Request, approval_id: Id, identity: SignedIn, told: str = "") -> Response:
    """The page."""
    view = await services_of(request).approvals.show(identity.person, approval_id)
    return await _shown(request, identity, view, told=told)


@router.get("/document")
async def document(request: Request, approval_id: Id, identity: SignedIn) -> Response:
    """The document alone, at the page that is asked for."""
    view = await services_of(request).approvals.show(identity.person, approval_id)
    shown, problem = await _document(request, view)
    return render(request, "approval_document.html", document=shown, document_problem=problem)


@router.get("/document/pages/{number}.png")
async def picture(request: Request, approval_id: Id, number: int, identity: SignedIn, width: int = 1000) -> Response:
    """A page of the document as a picture, which the same browser may keep for a while."""
    services = services_of(request)
    row = await _row(services, identity, approval_id)
    png = await services.documents.picture(_own(row.request), number, width)
    headers = {"Cache-Control": f"private, max-age={_PICTURE_SECONDS}", "Vary": "Cookie"}
    return Response(png, media_type="image/png", headers=headers)


@router.get("/stand")
async def stand(request: Request, approval_id: Id, identity: SignedIn, shown: str = "", revision: int = 0) -> Response:
    """Where it stands by now, for a page that hears that something changed."""
    services = services_of(request)
    row = await _row(services, identity, approval_id)
    state, is_open = row.state, row.state.verdict is Verdict.OPEN
    return render(
        request,
        "approval_stand.html",
        address=address_of_approval(approval_id),
        state=state,
        needed=needed(row.request),
        needs_senior=row.request.risk.needs_senior,
        is_new=state.shown != shown or (not is_open and state.revision > revision),
        ended="" if is_open else became(state),
        shown=shown,
        revision=revision,
    )


@router.post("/{kind}")
async def act(request: Request, approval_id: Id, kind: ActKind, identity: SignedIn) -> Response:
    """Does it and shows the page as it is then. What does not count comes back with all that was typed."""
    form, approvals = await read_form(request), services_of(request).approvals
    typed = typed_of(kind, form)
    try:
        if kind is ActKind.CORRECT:
            typed = _with_answer(await approvals.show(identity.person, approval_id), typed, form)
        if typed.errors:
            raise InvalidAnswer("some fields are not right; nothing has been decided")
        receipt = await approvals.act(
            identity.person,
            approval_id,
            kind,
            shown=typed.shown,
            key=typed.key,
            reason=typed.reason,
            value=typed.value,
            to=typed.to.strip(),
            hours=hours_of(typed.hours) if kind is ActKind.EXTEND else 0.0,
            source=identity.source,
            address=identity.address,
        )
    except EngrossError as error:
        return await _again(request, identity, approval_id, typed, error)
    return redirect(f"{address_of_approval(approval_id)}?{urlencode({'told': receipt.key})}")


def _with_answer(view: ApprovalView, typed: Typed, form: FormData) -> Typed:
    """`typed` with the answer in the form, and what is wrong with it. Raises when nothing says what that has to be."""
    if view.job is None or view.output is None:
        raise NotAcceptable("the job is not in this catalog any more, so nothing says what a corrected answer must be")
    parsed = parsed_of(view.output, form)
    value, errors = checked(view.job, view.request.step, view.output, parsed)
    return replace(typed, parsed=parsed, value=value, errors=errors)


async def _again(request: Request, identity: Identity, approval_id: str, typed: Typed, error: EngrossError) -> Response:
    view = await services_of(request).approvals.show(identity.person, approval_id)
    return await _shown(request, identity, view, typed=typed, trouble=Trouble(error, status_of(error)))


async def _shown(
    request: Request,
    identity: Identity,
    view: ApprovalView,
    *,
    told: str = "",
    typed: Typed | None = None,
    trouble: Trouble | None = None,
) -> Response:
    services = services_of(request)
    page = await approval_page(
        services.blobs,
        view,
        identity.person,
        told=told,
        typed=typed,
        trouble=trouble,
        web_ui=_web_ui(services, view.approval_id),
    )
    shown, problem = await _document(request, view)
    receivers = await _receivers(services, view.request.tenant) if page.rights.manages else []
    return render(
        request,
        "approval.html",
        status=trouble.status if trouble else 200,
        page=page,
        document=shown,
        document_problem=problem,
        asked_for=request.query_params.get("do", ""),
        most_note=MOST_NOTE,
        receivers=receivers,
    )


def _web_ui(services: Services, approval_id: str) -> str:
    """Its workflow in Temporal's Web UI; "" where nobody knows one."""
    web_ui = services.endpoints.web_ui
    return (
        f"{web_ui}/namespaces/{services.temporal.namespace}/workflows/{quote(approval_id, safe='')}" if web_ui else ""
    )


async def _receivers(services: Services, tenant: str) -> list[str]:
    """Who may be asked instead: people and groups, as far as they are known by name."""
    people = [person for person in await services.access.people(tenant) if person.may_approve(tenant)]
    groups = {group for person in people for group in person.groups.get(tenant, frozenset())}
    return sorted({person.name for person in people} | groups)[:_MOST_RECEIVERS]


async def _document(request: Request, view: ApprovalView) -> tuple[DocumentView | None, str]:
    """What is shown of the document, and why that is nothing."""
    services, asked = services_of(request), _own(view.request)
    address = address_of_approval(view.approval_id)
    number, shown = request.query_params.get("page", ""), request.query_params.get("view", "")
    answer = await read_answer(services.blobs, view.state.answer or asked.answer or asked.draft, asked.tenant)
    try:
        found = await services.documents.view(
            asked.model_copy(update={"document_name": one_line(asked.document_name)}),
            answer,
            Links(page=address, fragment=f"{address}/document"),
            number=int(number) if number.isdecimal() and len(number) < _DIGITS else 1,
            shown="text" if shown == "text" else "picture",
        )
    except (DocumentError, ServiceUnavailable) as error:
        return None, str(error) if isinstance(error, DocumentError) else "its store does not answer"
    return found, ""


async def _row(services: Services, identity: Identity, approval_id: str) -> ApprovalRow:
    row = await services.rows.get(approval_id)
    if row is None:
        raise RunNotFound("no approval has that id")
    must_see(identity.person, row.request.tenant)
    return row


def _own(request: ApprovalRequest) -> ApprovalRequest:
    """`request`, unless it refers to what belongs to another tenant."""
    for ref in (request.document, request.text):
        if ref is not None:
            owned(ref, request.tenant)
    return request
