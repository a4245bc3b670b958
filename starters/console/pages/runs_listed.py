"""The list of runs: those that go on or wait first, then those that ended, newest first, page by page."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode

from activities.storage import StoredRun
from activities.storage.results import Place, place_of
from engross.contracts import ErrorInfo, Outcome
from engross.errors import InvalidRequest, ServiceUnavailable
from engross.people import Person
from starters import ends
from starters.connection import RPC_TIMEOUT, translated
from starters.console.identity import must_see
from starters.console.pages.printable import one_line
from starters.console.pages.run_inputs import RunInputs
from starters.console.services import Services
from starters.reports import RunStatus
from workers.waking import WAITING

PAGE_ROWS: Final = 50
GOING_ON: Final = "going_on"
_LIVE, _ENDED = "live", "ended"
_LONGEST: Final = 4000

INPUTS: Final = RunInputs()


@dataclass(frozen=True)
class WantedRuns:
    """What somebody looks for; "" is anything. `state` is an outcome, or `GOING_ON`. `after` is a cursor."""

    job: str = ""
    tenant: str = ""
    state: str = ""
    after: str = ""

    @property
    def outcome(self) -> Outcome | None:
        return Outcome(self.state) if self.state not in ("", GOING_ON) else None

    @property
    def is_filtered(self) -> bool:
        return bool(self.job or self.tenant or self.state)

    def query(self, **changed: str) -> str:
        """The query of an address that shows this, with changes."""
        fields = {"job": self.job, "tenant": self.tenant, "state": self.state, "after": self.after} | changed
        kept = {name: value for name, value in fields.items() if value}
        return f"?{urlencode(kept)}" if kept else ""


@dataclass(frozen=True)
class RunRow:
    """A line of the list. `outcome` is "" for what goes on; `why` is the kind of its error."""

    run_id: str
    document: str
    job: str
    tenant: str
    outcome: str
    why: str
    started_at: datetime
    cost: str
    has_ended: bool


@dataclass(frozen=True)
class RunPage:
    """`next` is the cursor of the page behind, or "". Without `has_live`, Temporal did not say what goes on."""

    rows: list[RunRow]
    next: str
    has_live: bool


def wanted_of(query: Mapping[str, str]) -> WantedRuns:
    """What an address asks for. Raises `InvalidRequest` for a state that there is not."""
    wanted = WantedRuns(**{name: query.get(name, "").strip() for name in ("job", "tenant", "state", "after")})
    if wanted.state not in ("", GOING_ON, *Outcome):
        raise InvalidRequest("there is no such outcome")
    return wanted


async def listed(services: Services, person: Person, wanted: WantedRuns) -> RunPage:
    """A page of what `person` may see.

    Raises `NotAuthorised` for a tenant that they may not, `InvalidRequest` for a cursor or name that is none.
    """
    tenants = person.tenants
    if wanted.tenant:
        must_see(person, wanted.tenant)
        tenants = frozenset({wanted.tenant})
    if tenants is not None and not tenants:
        return RunPage([], "", has_live=True)
    kind, place = _read(wanted.after)
    live, token, has_live = list[RunRow](), b"", True
    if kind == _LIVE and (wanted.outcome is None or wanted.outcome in WAITING):
        try:
            live, token = await _live(services, wanted, tenants, place)
        except ServiceUnavailable:
            has_live = False  # the page says so: what has ended can be listed without Temporal
    if token:
        return RunPage(live, _cursor(_LIVE, urlsafe_b64encode(token).decode()), has_live)
    if wanted.state in (GOING_ON, Outcome.PARKED):
        return RunPage(live, "", has_live)
    shown = {row.run_id for row in live}
    room = max(PAGE_ROWS - len(live), 1)
    after: Place | None = (place[0], place[1], place[2]) if kind == _ENDED else None
    found = await services.results.page(
        tenants=tenants, job=wanted.job or None, outcome=wanted.outcome, after=after, limit=room + 1
    )
    following = _cursor(_ENDED, *place_of(found[room - 1])) if len(found) > room else ""
    # The row of a run that is running again tells of its last attempt.
    ended = [_of_stored(run) for run in found[:room] if run.run_id not in shown]
    return RunPage(live + ended, following, has_live)


def money(cost: Decimal | None) -> str:
    """`$0.0012`, or that the price is not known."""
    if cost is None:
        return "unknown"
    if not cost:
        return "$0"
    return f"${cost:,.2f}" if cost >= 1 else f"${cost:.4f}" if cost >= Decimal("0.0001") else f"${cost:.6f}"


async def _live(
    services: Services, wanted: WantedRuns, tenants: Collection[str] | None, place: list[str]
) -> tuple[list[RunRow], bytes]:
    """A page of runs that have not ended, and where Temporal goes on."""
    query = ends.running_query(wanted.job or None, None, wanted.outcome) + ends.of_tenants(tenants)
    address = services.endpoints.temporal
    token = _token(place[0]) if place else None
    with translated(address):
        pages = services.temporal.list_workflows(
            query, page_size=PAGE_ROWS, next_page_token=token, rpc_timeout=RPC_TIMEOUT
        )
        await pages.fetch_next_page()
    runs = sorted(pages.current_page or (), key=lambda run: run.start_time, reverse=True)
    requests = await INPUTS.of_all(services.temporal, address, runs)
    names = [request.document.name if request else "" for request in requests]
    rows = [_of_live(await ends.running(run), name) for run, name in zip(runs, names, strict=True)]
    return rows, pages.next_page_token or b""


def _of_live(status: RunStatus, document: str) -> RunRow:
    return _row(status.run_id, document, status.job, status.tenant, status.outcome, status.error, status.started_at)


def _of_stored(run: StoredRun) -> RunRow:
    return _row(
        run.run_id, run.document_name, run.job, run.tenant, run.outcome, run.error, run.started_at, money(run.cost_usd)
    )


def _row(
    run_id: str,
    document: str,
    job: str,
    tenant: str,
    outcome: Outcome | None,
    error: ErrorInfo | None,
    started_at: datetime,
    cost: str = "",
) -> RunRow:
    return RunRow(
        run_id=run_id,
        document=one_line(document),
        job=one_line(job),
        tenant=one_line(tenant),
        outcome=outcome.value if outcome else "",
        why=one_line(error.type) if error else "",
        started_at=started_at,
        cost=cost,
        has_ended=bool(cost),
    )


def _cursor(*parts: str) -> str:
    return urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[str, list[str]]:
    """The part of the list, and the place in it. Raises `InvalidRequest`. Which runs one may see is asked anew."""
    if not cursor:
        return _LIVE, []
    try:
        parts = json.loads(urlsafe_b64decode(cursor[:_LONGEST] + "=" * (-len(cursor) % 4)))
    except (NotBase64, ValueError):
        raise _no_page() from None
    sizes = {_LIVE: 2, _ENDED: 4}
    is_ours = isinstance(parts, list) and parts and all(isinstance(part, str) and "\0" not in part for part in parts)
    if not is_ours or sizes.get(parts[0]) != len(parts):
        raise _no_page()
    return parts[0], parts[1:]


def _token(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text)
    except (NotBase64, ValueError):
        raise _no_page() from None


def _no_page() -> InvalidRequest:
    return InvalidRequest("that is no page of this list; begin with the first one")
