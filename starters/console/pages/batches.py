"""The list of batches."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from engross.errors import InvalidRequest
from starters.batch_reports import BatchLine
from starters.console.identity import Identity, SignedIn
from starters.console.pages.acting import Part, flashes, part_of, renewed
from starters.console.pages.printable import one_line
from starters.console.pages.runs_listed import money
from starters.console.rendering import render
from starters.console.state import services_of

BATCHES: Final = "/batches"
_STEP: Final = 50
_MOST: Final = 500
SHOWN: Final = (
    ("done", "Done"),
    ("partial", "Partial"),
    ("needs_approval", "Needs approval"),
    ("parked", "Parked"),
    ("rejected", "Rejected"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
    ("duplicate", "Duplicate"),
)
"""What rows of batches end as, and what that is called."""

router = APIRouter(include_in_schema=False)


@router.get(BATCHES)
async def batches(request: Request, identity: SignedIn, most: int = _STEP) -> Response:
    """The page."""
    part = await _part(request, identity, most)
    return render(request, "batches.html", part=part, most=most, flashes=flashes(request))


@router.get(f"{BATCHES}/list")
async def rows(request: Request, identity: SignedIn, most: int = _STEP) -> Response:
    """The list alone, when the page asks for it anew."""
    return renewed(request, await _part(request, identity, most), "batches_list.html", most=most)


async def _part(request: Request, identity: Identity, most: int) -> Part:
    if not 1 <= most <= _MOST:
        raise InvalidRequest(f"a page has 1 to {_MOST} batches")
    found = await services_of(request).client.batches(most, identity.person.tenants)
    more = min(most + _STEP, _MOST) if len(found) == most < _MOST else 0
    return part_of(
        request, "batches_rows.html", lines=found, more=more, shown=SHOWN, one_line=one_line, cost_of=_cost_of
    )


def _cost_of(line: BatchLine) -> str:
    return money(line.cost_usd) + (f" and {line.unpriced:,} unknown" if line.unpriced else "")
