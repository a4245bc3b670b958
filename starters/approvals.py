"""The one way by which the command, the console and the REST API read approvals and act on them.

The workflow of an approval alone decides whether an act counts. What is checked here keeps people from what belongs to
other tenants, and keeps nonsense from travelling.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, Protocol, Unpack

from temporalio.client import Client

from activities.approvals.rows import ApprovalRow, Page, Wanted
from activities.approvals.rows_queries import MOST_TEXT
from activities.storage import BlobStore
from engross.catalog import Catalog
from engross.contracts import Act, ActKind, Receipt
from engross.errors import EngrossError, InvalidRequest, NotAcceptable, NotAuthorised, RunNotFound
from engross.people import Person
from starters.approvals_sending import WAIT_SECONDS, Row, Sending
from starters.approvals_signing import Said, Signing
from starters.approvals_view import ApprovalView, History, Viewing

_BULK_AT_ONCE: Final = 8
_PAGE: Final = 100


class Rows(Row, Protocol):
    """What is asked of the inbox; see `activities.approvals.rows.ApprovalRows`."""

    async def of_run(self, run_id: str) -> ApprovalRow | None: ...

    async def page(self, wanted: Wanted, *, after: str | None = None, limit: int = 50) -> Page: ...


def seen_by(person: Person, wanted: Wanted) -> Wanted:
    """`wanted`, of the tenants that the person may see."""
    own = person.tenants
    if own is None:
        return wanted
    return replace(wanted, tenants=own if wanted.tenants is None else wanted.tenants & own)


class Approvals:
    """Approvals of one installation.

    Every method raises `NotAuthorised` for what belongs to a tenant that the person may not see, `RunNotFound` for what
    is not there, and `ServiceUnavailable` when Temporal or a store does not answer. `seconds` is how long an act waits
    for its answer.
    """

    def __init__(
        self,
        *,
        temporal: Client,
        address: str,
        rows: Rows,
        blobs: BlobStore,
        catalog: Catalog,
        secret: bytes,
        history: History | None = None,
        seconds: float = WAIT_SECONDS,
    ) -> None:
        self._rows = rows
        self._history = history
        self._seconds = seconds
        self._viewing = Viewing(temporal=temporal, address=address, rows=rows, blobs=blobs, catalog=catalog)
        self._signing = Signing(blobs, secret)
        self._sending = Sending(temporal, address, rows)

    # --- reading ----------------------------------------------------------------------------------------------------

    async def page(self, person: Person, wanted: Wanted, *, after: str | None = None, limit: int = 50) -> Page:
        """Approvals that the person may see, a page at a time. Raises `InvalidRequest` when `after` is no place."""
        return await self._rows.page(seen_by(person, wanted), after=after, limit=limit)

    async def show(self, person: Person, approval_id: str) -> ApprovalView:
        """The approval as it stands now, with its history when there is an audit log."""
        row = await self._row(person, approval_id)
        return await self._viewing.view(row, await self._history.of(approval_id) if self._history else ())

    async def find(self, person: Person, name: str) -> str:
        """The id of the approval that `name` means: its id, that of its run, or how only one of them begins.

        Raises `InvalidRequest` when several begin so.
        """
        row = await self._rows.get(name) or await self._rows.of_run(name)
        if row is not None:
            return _visible(person, row).approval_id
        found = await self._beginning(person, name) if name else set()
        if len(found) > 1:
            raise InvalidRequest(f"several approvals begin with {name!r}; give more of the id")
        if not found:
            raise RunNotFound(f"no approval has the id {name!r}; see `engross approvals list`")
        return found.pop()

    async def _beginning(self, person: Person, start: str) -> set[str]:
        """Approvals whose id, or run's, begins with `start`: two are enough to say that there are several."""
        wanted, after, found = seen_by(person, Wanted(verdict=None, text=start[:MOST_TEXT])), None, set[str]()
        while len(found) < 2:
            page = await self._rows.page(wanted, after=after, limit=_PAGE)
            ids = [(row.approval_id, row.request.run_id) for row in page.rows]
            found |= {own for own, run in ids if own.startswith(start) or run.startswith(start)}
            after = page.next
            if after is None:
                break
        return found

    # --- acting -----------------------------------------------------------------------------------------------------

    async def act(self, person: Person, approval_id: str, kind: ActKind, **said: Unpack[Said]) -> Receipt:
        """Does it, and returns once it is counted and noted.

        Raises each refusal of the workflow by its class in `engross.errors`, `LateDecision` with what became of it,
        `InvalidRequest` for what can't be sent, and `ServiceUnavailable` when it is not known whether it counted: ask
        again with the same key.
        """
        return await self._sending.send(await self.signed(person, approval_id, kind, **said), self._seconds)

    async def signed(self, person: Person, approval_id: str, kind: ActKind, **said: Unpack[Said]) -> Act:
        """The act as `act` sends it, for who sends it by other means. It counts for whoever has it: keep it safe."""
        row = await self._row(person, approval_id)
        return await self._signing.signed(person, row.request.tenant, approval_id, kind, said)

    async def approve_many(
        self,
        person: Person,
        chosen: Iterable[tuple[str, str]],
        *,
        key: str = "",
        source: str,
        address: str,
    ) -> Sequence[tuple[str, Receipt | EngrossError]]:
        """Approves each of (approval id, shown), where its job allows that; in their order, what came of each.

        `key` serves for all of them.
        """
        turn = asyncio.Semaphore(_BULK_AT_ONCE)

        async def approve(approval_id: str, shown: str) -> tuple[str, Receipt | EngrossError]:
            async with turn:
                try:
                    row = await self._row(person, approval_id)
                    if not row.request.policy.bulk:
                        raise NotAcceptable("its job asks people to look at each answer: open it and decide there")
                    return approval_id, await self.act(
                        person, approval_id, ActKind.APPROVE, shown=shown, key=key, source=source, address=address
                    )
                except EngrossError as error:
                    return approval_id, error

        return await asyncio.gather(*(approve(approval_id, shown) for approval_id, shown in chosen))

    async def _row(self, person: Person, approval_id: str) -> ApprovalRow:
        row = await self._rows.get(approval_id)
        if row is None:
            raise RunNotFound("no approval has that id; see `engross approvals list`")
        return _visible(person, row)


def _visible(person: Person, row: ApprovalRow) -> ApprovalRow:
    if not person.may_see(row.request.tenant):
        raise NotAuthorised("that approval belongs to a tenant for which you have no role")
    return row
