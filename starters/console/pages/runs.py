"""The list of runs."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from engross.contracts import Outcome
from starters.console.identity import Identity, SignedIn
from starters.console.pages.acting import Part, flashes, part_of, renewed
from starters.console.pages.runs_listed import GOING_ON, WantedRuns, listed, wanted_of
from starters.console.rendering import render
from starters.console.state import services_of

RUNS: Final = "/runs"
_STATES: Final = [
    ("", "Any outcome"),
    (GOING_ON, "Going on or waiting"),
    (Outcome.NEEDS_APPROVAL.value, "Needs approval"),
    (Outcome.PARKED.value, "Parked"),
    (Outcome.DONE.value, "Done"),
    (Outcome.PARTIAL.value, "Partial"),
    (Outcome.FAILED.value, "Failed"),
    (Outcome.REJECTED.value, "Rejected"),
    (Outcome.CANCELLED.value, "Cancelled"),
]

router = APIRouter(include_in_schema=False)


@router.get(RUNS)
async def runs(request: Request, identity: SignedIn) -> Response:
    """The page."""
    wanted = wanted_of(request.query_params)
    tenants = identity.person.tenants
    return render(
        request,
        "runs.html",
        part=await _part(request, identity, wanted),
        wanted=wanted,
        jobs=sorted({*services_of(request).catalog.jobs, *filter(None, [wanted.job])}),
        tenants=None if tenants is None else sorted(tenants),
        states=_STATES,
        flashes=flashes(request),
    )


@router.get(f"{RUNS}/list")
async def rows(request: Request, identity: SignedIn) -> Response:
    """The list alone, when the page asks for it anew."""
    wanted = wanted_of(request.query_params)
    return renewed(request, await _part(request, identity, wanted), "runs_list.html", wanted=wanted)


async def _part(request: Request, identity: Identity, wanted: WantedRuns) -> Part:
    page = await listed(services_of(request), identity.person, wanted)
    return part_of(request, "runs_rows.html", page=page, wanted=wanted)
