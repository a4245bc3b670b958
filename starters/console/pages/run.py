"""A run: where it stands, what came of it, and stopping it."""

import json
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from engross.errors import NotAuthorised, RunNotFound
from starters.console.browsing import redirect
from starters.console.identity import Identity, SignedIn
from starters.console.pages.acting import Part, back, flashes, note, part_of, reload, renewed
from starters.console.pages.answer_shown import SHOWING
from starters.console.pages.printable import one_line
from starters.console.pages.run_found import MOST_PARTS, FoundRun, find_run
from starters.console.pages.runs import RUNS
from starters.console.rendering import render
from starters.console.state import services_of

RUN: Final = RUNS + "/{run_id}"

router = APIRouter(include_in_schema=False)


@router.get(RUN)
async def run(request: Request, run_id: str, identity: SignedIn) -> Response:
    """The page."""
    found = await find_run(services_of(request), identity.person, run_id)
    if found.moved:
        return redirect(found.moved)
    return render(
        request,
        "run.html",
        run=found,
        part=_part(request, found),
        most_parts=MOST_PARTS,
        one_line=one_line,
        flashes=flashes(request),
        **SHOWING,
    )


@router.get(f"{RUN}/live")
async def live(request: Request, run_id: str, identity: SignedIn) -> Response:
    """How it stands, when the page asks for that anew; the whole page once it has ended."""
    found = await find_run(services_of(request), identity.person, run_id)
    if found.moved or found.has_ended:
        return reload()
    return renewed(request, _part(request, found), "run_live.html", run=found)


@router.get(f"{RUN}/answer.json")
async def answer(request: Request, run_id: str, identity: SignedIn) -> Response:
    """The whole answer as a file."""
    found = await find_run(services_of(request), identity.person, run_id)
    if found.report is None or found.report.answer is None:
        raise RunNotFound("this run has no answer")
    # The id of a run that was started by hand can have any characters, a header can't.
    name = "".join(char if char.isascii() and (char.isalnum() or char in "-_.") else "_" for char in run_id)
    headers = {"Content-Disposition": f'attachment; filename="{name}.json"'}
    return Response(_json(found.answer), media_type="application/json", headers=headers)


@router.post(f"{RUN}/cancel")
async def cancel(request: Request, run_id: str, identity: SignedIn) -> Response:
    """Asks it to stop."""
    found = await _mine(request, run_id, identity)
    if not await services_of(request).client.cancel(run_id):
        return back(f"{RUNS}/{run_id}", "over")
    await note(request, identity, "run.cancelled", run_id, tenant=found.tenant)
    return back(f"{RUNS}/{run_id}", "cancelling")


@router.post(f"{RUN}/resume")
async def resume(request: Request, run_id: str, identity: SignedIn) -> Response:
    """Tells it to try again now."""
    found = await _mine(request, run_id, identity)
    if not await services_of(request).client.resume(run_id):
        return back(f"{RUNS}/{run_id}", "over")
    await note(request, identity, "run.resumed", run_id, tenant=found.tenant)
    return back(f"{RUNS}/{run_id}", "resumed")


async def _mine(request: Request, run_id: str, identity: Identity) -> FoundRun:
    found = await find_run(services_of(request), identity.person, run_id)
    if found.moved:
        raise RunNotFound("no run has that id")
    if not found.may_act:
        raise NotAuthorised("only its submitter and operators may do that; ask one of them")
    return found


def _part(request: Request, found: FoundRun) -> Part:
    link = services_of(request).client.link(found.run_id) if found.is_known else None
    return part_of(request, "run_facts.html", run=found, link=link, one_line=one_line)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace")
