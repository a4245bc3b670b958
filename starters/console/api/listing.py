"""Runs, a page at a time: from Temporal those that have not ended, then from the result store the others."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from activities.storage import StoredRun
from activities.storage.results import Place, place_of
from engross.contracts import Outcome
from engross.errors import InvalidRequest
from starters import ends
from starters.connection import RPC_TIMEOUT, translated
from starters.console.api.cursors import Cursors
from starters.console.services import Services
from starters.reports import RunStatus, status_of_row
from workers.waking import WAITING

_RUNNING: Final = "running"
_ENDED: Final = "ended"
_PLACE: Final = 3
# An id that cannot end a literal in a filter, as all of ours are.
_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_.:@~+-]{1,300}")


@dataclass(frozen=True)
class RunsWanted:
    """What runs are wanted; None asks for nothing."""

    tenants: frozenset[str] | None
    job: str | None
    outcome: Outcome | None

    @property
    def has_running(self) -> bool:
        return self.outcome is None or self.outcome in WAITING

    @property
    def has_ended(self) -> bool:
        return self.outcome is not Outcome.PARKED

    @property
    def query(self) -> str:
        """Temporal's list filter for those that have not ended."""
        return ends.running_query(self.job, None, self.outcome) + ends.of_tenants(self.tenants)


class RunPages:
    """Every method raises `ServiceUnavailable` when Temporal or the result store does not answer."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._cursors = Cursors(services.secret)

    async def page(self, wanted: RunsWanted, after: str | None, limit: int) -> tuple[list[RunStatus], str | None]:
        """Runs, and the cursor of the page behind them. Raises `InvalidRequest` for a cursor that is none."""
        if wanted.tenants is not None and not wanted.tenants:
            return [], None
        kind, *place = self._cursors.read(after) if after else [_RUNNING, ""]
        if kind == _RUNNING and wanted.has_running:
            return await self._running(wanted, urlsafe_b64decode("".join(place)), limit)
        return await self._ended(wanted, _place(place), limit)

    async def _running(self, wanted: RunsWanted, token: bytes, limit: int) -> tuple[list[RunStatus], str | None]:
        pages = self._services.temporal.list_workflows(
            wanted.query, page_size=limit, next_page_token=token or None, rpc_timeout=RPC_TIMEOUT
        )
        with translated(self._services.endpoints.temporal):
            await pages.fetch_next_page()
            found = [await ends.running(run) for run in pages.current_page or ()]
        if pages.next_page_token:
            return found, self._cursors.make(_RUNNING, urlsafe_b64encode(pages.next_page_token).decode())
        if len(found) == limit:
            return found, self._cursors.make(_ENDED) if wanted.has_ended else None
        more, following = await self._ended(wanted, None, limit - len(found))
        return found + more, following

    async def _ended(self, wanted: RunsWanted, after: Place | None, limit: int) -> tuple[list[RunStatus], str | None]:
        if not wanted.has_ended:
            return [], None
        rows = await self._services.results.page(
            tenants=wanted.tenants, job=wanted.job, outcome=wanted.outcome, after=after, limit=limit + 1
        )
        following = self._cursors.make(_ENDED, *place_of(rows[limit - 1])) if len(rows) > limit else None
        rows = rows[:limit]
        # The row of a run that is running again tells of its last attempt.
        again = await self._running_of(rows) if wanted.has_running else frozenset()
        return [status_of_row(row) for row in rows if row.run_id not in again], following

    async def _running_of(self, rows: Sequence[StoredRun]) -> frozenset[str]:
        ids = [row.run_id for row in rows if _PLAIN_ID.fullmatch(row.run_id)]
        if not ids:
            return frozenset()
        named = ", ".join(f"'{run_id}'" for run_id in ids)
        query = f"ExecutionStatus = 'Running' AND WorkflowId IN ({named})"
        with translated(self._services.endpoints.temporal):
            found = self._services.temporal.list_workflows(query, rpc_timeout=RPC_TIMEOUT)
            return frozenset([run.id async for run in found])


def _place(parts: Sequence[str]) -> Place | None:
    if not parts or parts == [""]:
        return None
    if len(parts) != _PLACE:
        raise InvalidRequest("that is no page of this list; begin with the first one")
    started_at, run_id, tenant = parts
    return started_at, run_id, tenant
