"""What people are told who click at the same time, and what is kept of it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from activities.approvals.rows import ApprovalRow
from engross.contracts import ActKind, ApprovalState, Receipt, Verdict
from engross.errors import EngrossError
from starters.approvals import Approvals
from tests.starters.approvals_world import World

FROM: Final[dict[str, Any]] = {"source": "test", "address": "here"}
Said = Receipt | EngrossError


async def click(world: World, by: Approvals, name: str, row: ApprovalRow, kind: ActKind, **said: Any) -> Said:
    """What the person is told. What is no refusal of ours is raised."""
    shown = {"shown": row.state.shown} if kind.decides else {}
    reason = {"reason": "wrong"} if kind is ActKind.REJECT else {}
    try:
        return await by.act(await world.person(name), row.approval_id, kind, **FROM | shown | reason | said)
    except EngrossError as error:
        return error


async def until_so(world: World, row: ApprovalRow, holds: Callable[[ApprovalState], bool]) -> ApprovalState:
    """Where it stands, as noted, once that holds."""
    async with asyncio.timeout(90):
        while not holds(state := (await world.row(row.approval_id)).state):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)
    return state


async def settled(world: World, row: ApprovalRow) -> ApprovalState:
    """Where it stands once it is no longer open."""
    return await until_so(world, row, lambda state: state.verdict is not Verdict.OPEN)


async def noted(world: World, row: ApprovalRow) -> Counter[str]:
    """How many lines of each kind the audit has on it."""
    return Counter(line.action.removeprefix("approval.") for line in await world.audit.of(row.approval_id))


def receipts_of(answers: Sequence[Said | None]) -> list[Receipt]:
    return [each for each in answers if isinstance(each, Receipt)]


def counts(answers: Sequence[Said]) -> dict[str, int]:
    return dict(Counter("counted" if isinstance(each, Receipt) else each.type for each in answers))


async def executions(world: World, approval_id: str, first: str) -> int:
    """How many executions the approval has had, by what each says of the next."""
    count, run_id = 0, first
    while run_id:
        count += 1
        handle = world.server.client.get_workflow_handle(approval_id, run_id=run_id)
        last = (await handle.fetch_history()).events[-1]
        run_id = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return count
