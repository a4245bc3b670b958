"""Acting on approvals: against the real workflow on a real server, with the real stores."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from activities.approvals.rows import ApprovalRow, Wanted
from engross.contracts import ActKind, Approval, Receipt, Risk, Verdict
from engross.errors import (
    DuplicateDecision,
    EngrossError,
    InvalidAnswer,
    InvalidRequest,
    LateDecision,
    NotAcceptable,
    NotAuthorised,
    RunNotFound,
    SelfDecision,
    StaleDecision,
)
from starters.approvals import Approvals
from tests.starters.approvals_world import INVOICE, World, opened_world
from tests.starters.conftest import start_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

FROM: dict[str, Any] = {"source": "api", "address": "127.0.0.1"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with start_server() as server, opened_world(server, tmp_path_factory.mktemp("home")) as world:
        yield world


@pytest.fixture
def approvals(world: World) -> Approvals:
    return world.approvals()


async def do(
    world: World, name: str, row: ApprovalRow, kind: ActKind, *, by: Approvals | None = None, **said: Any
) -> Receipt:
    person = await world.person(name)
    shown = {"shown": row.state.shown} if kind.decides else {}
    return await (by or world.approvals()).act(person, row.approval_id, kind, **FROM | shown | said)


# --- deciding -----------------------------------------------------------------------------------------------------


async def test_an_approval_counts_and_everything_of_it_is_kept(world: World) -> None:
    row = await world.start()
    receipt = await do(world, "ann", row, ActKind.APPROVE)

    assert (receipt.verdict, receipt.given, receipt.needed) == (Verdict.APPROVED, 1, 1)
    assert (receipt.by, receipt.kind, receipt.is_repeat) == ("ann", ActKind.APPROVE, False)
    assert len(receipt.key) == 32
    [line] = [line for line in await world.audit.of(row.approval_id) if line.action == "approval.approved"]
    assert (line.actor, line.source, line.address, line.is_signed) == ("ann", "api", "127.0.0.1", True)
    assert line.shown == row.state.shown


async def test_two_must_approve_what_is_risky(world: World) -> None:
    row = await world.start(risk=Risk.HIGH)
    first = await do(world, "ann", row, ActKind.APPROVE)
    with pytest.raises(DuplicateDecision, match="ann has approved"):
        await do(world, "ann", row, ActKind.APPROVE)
    second = await do(world, "ben", row, ActKind.APPROVE)

    assert [(each.verdict, each.given, each.needed) for each in (first, second)] == [
        (Verdict.OPEN, 1, 2),
        (Verdict.APPROVED, 2, 2),
    ]
    with pytest.raises(LateDecision, match=r"^already approved by ann and ben at 20..-..-.. ..:..:.. UTC$"):
        await do(world, "sue", row, ActKind.APPROVE)


async def test_reasons_and_corrections_travel_as_blobs_of_the_tenant(world: World) -> None:
    rejected, corrected = await world.start(), await world.start()
    await do(world, "ann", rejected, ActKind.REJECT, reason="no such firm \ud800")
    value = INVOICE | {"invoice_number": "A-2"}
    receipt = await do(world, "ann", corrected, ActKind.CORRECT, value=value)

    note = (await world.row(rejected.approval_id)).state.note
    assert note is not None
    assert (note.tenant, (await world.blobs.get(note)).decode()) == ("acme", "no such firm ?")
    assert receipt.verdict is Verdict.CORRECTED
    state = (await world.row(corrected.approval_id)).state
    assert state.changed == ("invoice_number",)
    assert state.answer is not None
    assert json.loads(await world.blobs.get(state.answer)) == value


@pytest.mark.parametrize(
    ("name", "kind", "said", "refusal"),
    [
        ("ann", ActKind.APPROVE, {"shown": "0" * 64}, StaleDecision),
        ("ann", ActKind.REJECT, {"reason": " \n"}, NotAcceptable),
        ("ann", ActKind.FEEDBACK, {"reason": "again"}, NotAcceptable),
        ("ann", ActKind.CORRECT, {"value": INVOICE | {"amount": "many"}}, InvalidAnswer),
        ("ann", ActKind.CORRECT, {"value": INVOICE}, NotAcceptable),
        ("ann", ActKind.CORRECT, {"value": None}, InvalidAnswer),
        ("vera", ActKind.APPROVE, {}, NotAuthorised),
        ("ann", ActKind.DELEGATE, {"to": "vera"}, NotAcceptable),
        ("ann", ActKind.EXTEND, {"hours": -1.0}, NotAcceptable),
        ("ann", ActKind.RELEASE, {}, NotAcceptable),
    ],
)
async def test_refusals_come_by_their_names_and_change_nothing(
    world: World, name: str, kind: ActKind, said: dict[str, Any], refusal: type[EngrossError]
) -> None:
    row = await world.start()
    with pytest.raises(refusal) as raised:
        await do(world, name, row, kind, **said)

    assert raised.type is refusal
    assert "\n" not in str(raised.value)
    state = (await world.row(row.approval_id)).state
    assert (state.verdict, state.given, state.receipts) == (Verdict.OPEN, (), ())


async def test_who_submitted_it_cannot_decide(world: World) -> None:
    row = await world.start(submitter="ann")
    with pytest.raises(SelfDecision):
        await do(world, "ann", row, ActKind.APPROVE)


async def test_what_is_no_decision_changes_who_decides_and_until_when(world: World) -> None:
    row = await world.start()
    await do(world, "ann", row, ActKind.CLAIM)
    with pytest.raises(NotAcceptable, match="ann is at it"):
        await do(world, "ben", row, ActKind.CLAIM)
    await do(world, "ann", row, ActKind.RELEASE)
    await do(world, "olga", row, ActKind.EXTEND, hours=5.0)
    await do(world, "ann", row, ActKind.DELEGATE, to="ben")

    state = (await world.row(row.approval_id)).state
    assert state.claimed_by == ""
    assert state.asked == ("approvers", "ben")
    assert row.state.due_at is not None
    assert state.due_at is not None
    assert (state.due_at - row.state.due_at).total_seconds() == 5 * 3600


# --- the same again -----------------------------------------------------------------------------------------------


async def test_the_same_key_is_answered_alike_while_it_is_open_and_afterwards(world: World) -> None:
    row = await world.start(risk=Risk.HIGH)
    first = await do(world, "ann", row, ActKind.APPROVE, key="k-1")
    again = await do(world, "ann", row, ActKind.APPROVE, key="k-1")
    await do(world, "ben", row, ActKind.APPROVE)
    late = await do(world, "ann", row, ActKind.APPROVE, key="k-1")

    fields = {"is_repeat"}
    assert first.model_dump(exclude=fields) == again.model_dump(exclude=fields) == late.model_dump(exclude=fields)
    assert len((await world.row(row.approval_id)).state.given) == 2


async def test_a_key_never_brings_the_receipt_of_somebody_elses_act(world: World) -> None:
    row = await world.start(risk=Risk.HIGH)
    await do(world, "ann", row, ActKind.APPROVE, key="mine")
    with pytest.raises(InvalidRequest, match="key"):
        await do(world, "ben", row, ActKind.APPROVE, key="mine")
    with pytest.raises(InvalidRequest, match="key"):
        await do(world, "ann", row, ActKind.CLAIM, key="mine")
    await do(world, "ben", row, ActKind.APPROVE)
    with pytest.raises(InvalidRequest, match="key"):
        await do(world, "sue", row, ActKind.APPROVE, key="mine")


async def test_a_hundred_clicks_at_once_have_one_effect_and_each_a_true_answer(world: World) -> None:
    row, processes = await world.start(), [world.approvals() for _ in range(3)]
    clicks = [
        do(
            world,
            "ann" if n % 2 else "ben",
            row,
            ActKind.REJECT if n % 5 == 0 else ActKind.APPROVE,
            reason="x",
            by=processes[n % 3],
        )
        for n in range(100)
    ]
    answers = await asyncio.gather(*clicks, return_exceptions=True)

    receipts = [each for each in answers if isinstance(each, Receipt)]
    late = [each for each in answers if isinstance(each, LateDecision)]
    assert (len(receipts), len(late)) == (1, 99)
    state = (await world.row(row.approval_id)).state
    assert state.verdict is receipts[0].verdict
    assert state.decided_by == (receipts[0].by,)
    assert len(state.receipts) == 1
    assert all(receipts[0].by in str(each) for each in late)
    assert all(state.verdict.value in str(each) for each in late)


# --- rights -------------------------------------------------------------------------------------------------------


async def test_another_tenants_approval_is_neither_shown_nor_decided_nor_found(world: World) -> None:
    row, eve = await world.start(), await world.person("eve")
    approvals = world.approvals()
    blobs = sorted(world.settings.home.rglob("blobs/acme/**/*"))
    for ask in (
        approvals.show(eve, row.approval_id),
        approvals.act(eve, row.approval_id, ActKind.REJECT, reason="spam of eve", shown=row.state.shown, **FROM),
        approvals.signed(eve, row.approval_id, ActKind.APPROVE, **FROM),
        approvals.find(eve, row.request.run_id),
    ):
        with pytest.raises(NotAuthorised):
            await ask
    with pytest.raises(RunNotFound):
        await approvals.find(eve, row.approval_id[:-3])
    assert sorted(world.settings.home.rglob("blobs/acme/**/*")) == blobs, "nothing of hers is stored for that tenant"
    assert (await approvals.page(eve, Wanted())).total == 0
    assert (await approvals.page(eve, Wanted(tenants=frozenset({"acme"})))).total == 0


async def test_pages_have_what_the_person_may_see_only(world: World) -> None:
    mine, theirs = (
        await world.start(document_name="seen.pdf"),
        await world.start(tenant="other", document_name="seen.pdf"),
    )
    approvals = world.approvals()
    wanted = Wanted(text="seen.pdf")

    async def seen(name: str, wanted: Wanted) -> list[str]:
        return [row.approval_id for row in (await approvals.page(await world.person(name), wanted)).rows]

    assert await seen("ann", wanted) == [mine.approval_id]
    assert await seen("eve", wanted) == [theirs.approval_id]
    assert await seen("eve", Wanted(text="seen.pdf", tenants=frozenset({"acme", "other"}))) == [theirs.approval_id]
    await world.access.set_active("vera", False)
    assert await seen("vera", wanted) == []
    await world.access.set_active("vera", True)


async def test_what_is_not_there_is_not_found(world: World, approvals: Approvals) -> None:
    ann = await world.person("ann")
    with pytest.raises(RunNotFound):
        await approvals.show(ann, "nothing")
    with pytest.raises(RunNotFound):
        await approvals.act(ann, "nothing", ActKind.APPROVE, **FROM)
    with pytest.raises(RunNotFound):
        await approvals.find(ann, "")


async def test_approvals_are_found_by_run_and_by_how_their_ids_begin(world: World, approvals: Approvals) -> None:
    ann = await world.person("ann")
    one, two = await world.start(run_id="batch-7-one"), await world.start(run_id="batch-7-two")
    await world.start(document_name="my batch-7-one.pdf")

    assert await approvals.find(ann, one.approval_id) == one.approval_id
    assert await approvals.find(ann, "batch-7-two") == two.approval_id
    assert await approvals.find(ann, "batch-7-o") == one.approval_id
    with pytest.raises(InvalidRequest, match="several"):
        await approvals.find(ann, "batch-7")


@pytest.mark.parametrize(
    "said",
    [
        {"key": "two words"},
        {"key": "k" * 201},
        {"to": "no one"},
        {"hours": float("nan")},
        {"value": {"amount": float("inf")}},
        {"value": {"issuer": "\ud800"}},
        {"value": {"x": object()}},
    ],
)
async def test_what_cannot_travel_is_refused_before_it_does(world: World, said: dict[str, Any]) -> None:
    row = await world.start()
    with pytest.raises(InvalidRequest):
        await do(world, "ann", row, ActKind.CORRECT, **said)


async def test_a_novel_is_no_reason(world: World) -> None:
    with pytest.raises(NotAcceptable, match="20,000 characters"):
        await do(world, "ann", await world.start(), ActKind.REJECT, reason="x" * 20_001)


# --- many at once -------------------------------------------------------------------------------------------------


async def test_many_are_approved_at_once_where_the_job_allows_that(world: World, approvals: Approvals) -> None:
    good = [await world.start() for _ in range(10)]
    one_by_one, foreign = await world.start(policy=Approval()), await world.start(tenant="other")
    chosen = [(row.approval_id, row.state.shown) for row in (*good, one_by_one, foreign)]
    chosen += [(good[0].approval_id, good[0].state.shown), ("nothing", ""), (good[1].approval_id, "0" * 64)]
    told = await approvals.approve_many(await world.person("ann"), chosen, key="bulk-1", **FROM)

    assert [approval_id for approval_id, _ in told] == [approval_id for approval_id, _ in chosen]
    kinds = [type(each).__name__ for _, each in told]
    assert kinds[:12] == ["Receipt"] * 10 + ["NotAcceptable", "NotAuthorised"]
    assert kinds[12:14] == ["Receipt", "RunNotFound"], "the same one twice in one go is one act"
    assert (await world.row(one_by_one.approval_id)).state.verdict is Verdict.OPEN
    assert (await world.row(foreign.approval_id)).state.verdict is Verdict.OPEN
