"""Clicks that race: with each other, with the deadline, with what is shown, and with the next execution.

Against the real workflow on a real server; FAULTS=long: many more of them.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from engross.contracts import ActKind, Approval, ApprovalState, Receipt, Risk, Verdict
from engross.errors import DuplicateDecision, LateDecision, SelfDecision, StaleDecision
from engross.names import DECIDE
from tests.faults.figures import Record, tell
from tests.faults.fleet import LONG
from tests.faults.racing import FROM, Said, click, counts, executions, noted, receipts_of, settled, until_so
from tests.starters.approvals_world import INVOICE, World, opened_world
from tests.starters.conftest import start_server
from workflows import approval

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(1200 if LONG else 300)]

CLICKS = 500
CONSOLES = 5
DEADLINES = 300 if LONG else 20
ACTS = 600 if LONG else 60
ACTS_AN_EXECUTION = 5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with start_server() as server, opened_world(server, tmp_path_factory.mktemp("home")) as world:
        yield world


@pytest.fixture
def seed() -> int:
    return random.randrange(10**6)  # noqa: S311 - who clicks when


# --- many at once -------------------------------------------------------------------------------------------------


@pytest.mark.fault(57)
async def test_one_click_five_hundred_times_is_one_decision(world: World, record_property: Record) -> None:
    row, consoles = await world.start(), [world.approvals(seconds=200) for _ in range(CONSOLES)]
    answers = await asyncio.gather(
        *(click(world, consoles[n % CONSOLES], "ann", row, ActKind.APPROVE, key="one") for n in range(CLICKS))
    )
    state, audit = await settled(world, row), await noted(world, row)
    told = tell(record_property, CLICKS, 0, f"{counts(answers)}, in the audit {dict(audit)}")
    # Nobody is late who asks with the key that counted.
    assert counts(answers) == {"counted": CLICKS}, told
    assert {receipt.model_copy(update={"is_repeat": False}) for receipt in receipts_of(answers)} == set(
        state.receipts
    ), told
    assert (len(state.receipts), state.verdict, state.decided_by) == (1, Verdict.APPROVED, ("ann",)), told
    assert (audit["approved"], audit["rejected"]) == (1, 0), told


@pytest.mark.fault(57)
async def test_five_hundred_clicks_of_one_person_are_one_of_two_approvals(
    world: World, record_property: Record
) -> None:
    row, consoles = await world.start(risk=Risk.HIGH), [world.approvals(seconds=200) for _ in range(CONSOLES)]
    answers = await asyncio.gather(
        *(click(world, consoles[n % CONSOLES], "ann", row, ActKind.APPROVE) for n in range(CLICKS))
    )
    state = (await world.row(row.approval_id)).state
    told = tell(record_property, CLICKS, 0, str(counts(answers)))
    assert counts(answers) == {"counted": 1, DuplicateDecision.__name__: CLICKS - 1}, told
    assert (state.verdict, [each.by for each in state.given]) == (Verdict.OPEN, ["ann"]), told
    assert (await noted(world, row))["approved"] == 1, told


@pytest.mark.fault(57)
async def test_approve_against_reject_has_one_winner_and_all_hear_of_it(
    world: World, record_property: Record, seed: int
) -> None:
    row, consoles = await world.start(), [world.approvals(seconds=200) for _ in range(CONSOLES)]
    plans = [("ann", ActKind.APPROVE), ("ben", ActKind.REJECT)] * (CLICKS // 2)
    random.Random(seed).shuffle(plans)  # noqa: S311 - who clicks first
    answers = await asyncio.gather(
        *(click(world, consoles[n % CONSOLES], name, row, kind) for n, (name, kind) in enumerate(plans))
    )
    state, audit = await settled(world, row), await noted(world, row)
    [winner] = receipts_of(answers)
    told = tell(record_property, CLICKS, seed, f"{counts(answers)}, {state.verdict.value} by {state.decided_by}")
    late = [str(each) for each in answers if isinstance(each, LateDecision)]
    assert len(late) == CLICKS - 1, told
    assert (state.verdict, state.decided_by, state.receipts) == (winner.verdict, (winner.by,), (winner,)), told
    assert all(winner.by in each and state.verdict.value in each for each in late), (told, set(late))
    assert audit["approved"] + audit["rejected"] == 1, told


# --- what is shown ------------------------------------------------------------------------------------------------


@pytest.mark.fault(46, 58)
async def test_what_is_edited_after_an_approval_needs_it_again(world: World) -> None:
    row, approvals = await world.start(risk=Risk.HIGH), world.approvals()
    before = await click(world, approvals, "ann", row, ActKind.APPROVE)
    edited = await click(world, approvals, "ben", row, ActKind.CORRECT, value=INVOICE | {"issuer": "Mallory"})
    now = await world.row(row.approval_id)

    assert [receipt.given for receipt in receipts_of([before, edited])] == [1, 1]
    assert now.state.shown != row.state.shown
    assert [each.by for each in now.state.given] == ["ben"], "what ann approved was something else"
    for name, kind in (("ann", ActKind.APPROVE), ("sue", ActKind.APPROVE), ("sue", ActKind.REJECT)):
        assert isinstance(await click(world, approvals, name, row, kind), StaleDecision)
    assert (await world.row(row.approval_id)).state.verdict is Verdict.OPEN
    [last] = receipts_of([await click(world, approvals, "ann", now, ActKind.APPROVE)])
    assert last.verdict is Verdict.CORRECTED


@pytest.mark.fault(58)
async def test_the_hash_of_another_approval_is_stale(world: World) -> None:
    row, other, approvals = await world.start(), await world.start(), world.approvals()
    said = await click(world, approvals, "ann", row, ActKind.APPROVE, shown=other.state.shown)
    assert isinstance(said, StaleDecision), "equal answers of two documents are two decisions"


@pytest.mark.fault(59)
async def test_who_submitted_it_is_refused_by_the_workflow_itself(world: World) -> None:
    row, approvals = await world.start(submitter="ann"), world.approvals()
    assert isinstance(await click(world, approvals, "ann", row, ActKind.APPROVE), SelfDecision)
    # Signed as it should be, and past everything of ours but the workflow.
    act = await approvals.signed(
        await world.person("ann"), row.approval_id, ActKind.APPROVE, shown=row.state.shown, **FROM
    )
    handle = world.server.client.get_workflow_handle(row.approval_id)
    await handle.signal(DECIDE, act)
    state = await until_so(world, row, lambda state: bool(state.refusals))
    assert [each.error.type for each in state.refusals] == [SelfDecision.__name__]
    assert (state.verdict, state.receipts) == (Verdict.OPEN, ())


# --- the deadline -------------------------------------------------------------------------------------------------


async def at_its_deadline(world: World, numbers: random.Random, policy: Approval) -> tuple[ApprovalState, list[Said]]:
    """Two people click just before the time is up, when it is, or just after."""
    row, approvals = await world.start(policy=policy), world.approvals()
    assert row.state.due_at is not None

    async def one(name: str, wait: float) -> Said:
        await asyncio.sleep(max(0.0, wait))
        return await click(world, approvals, name, row, ActKind.APPROVE)

    left = (row.state.due_at - datetime.now(UTC)).total_seconds()
    answers = await asyncio.gather(*(one(name, left + numbers.uniform(-0.3, 0.1)) for name in ("ann", "ben")))
    return await settled(world, row), answers


def untrue(state: ApprovalState, answers: Sequence[Said]) -> list[str]:
    """What was told that is not so."""
    wrong = [str(each) for each in answers if not isinstance(each, Receipt | LateDecision)]
    if tuple(receipts_of(answers)) != state.receipts or len(state.receipts) > 1:
        wrong.append(f"told {receipts_of(answers)}, counted {state.receipts}")
    if state.verdict is not (Verdict.APPROVED if state.receipts else Verdict.EXPIRED):
        wrong.append(f"{state.verdict} with {len(state.receipts)} receipts")
    words = ("approved",) if state.receipts else ("expired", "time to decide is over")
    late = [str(each) for each in answers if isinstance(each, LateDecision)]
    return wrong + [each for each in late if not any(word in each for word in words)]


@pytest.mark.fault(57)
async def test_at_the_deadline_it_is_decided_or_expired_and_never_both(
    world: World, record_property: Record, seed: int
) -> None:
    numbers, found, wrong = random.Random(seed), Counter[str](), list[str]()  # noqa: S311 - who clicks when
    policy = Approval(deadline_hours=2 / 3600)
    while found.total() < DEADLINES or len(found) < 2:  # how fast this machine is, is not what is tested
        raced = await asyncio.gather(*(at_its_deadline(world, numbers, policy) for _ in range(10)))
        found.update(state.verdict.value for state, _ in raced)
        wrong += [each for state, answers in raced for each in untrue(state, answers)]
    told = tell(record_property, found.total(), seed, str(dict(found)))
    assert wrong == [], (told, wrong[:5])
    assert set(found) == {"approved", "expired"}, told


@pytest.mark.fault(57)
async def test_nobody_is_late_when_time_is_up_and_others_are_asked(world: World) -> None:
    policy = Approval(deadline_hours=2 / 3600, escalate_to="seniors", on_expiry="escalate")
    row, approvals, told = await world.start(policy=policy), world.approvals(), list[str]()
    assert row.state.due_at is not None
    async with asyncio.timeout(60):
        while not (state := (await world.row(row.approval_id)).state).is_escalated:
            said = await click(world, approvals, "vera", row, ActKind.APPROVE)
            told += counts([said])
            # The others who are asked get as much time again; only then it is over, however slow this machine is.
            is_over = datetime.now(UTC) >= row.state.due_at + timedelta(hours=policy.deadline_hours)
            assert is_over or not isinstance(said, LateDecision), Counter(told)
    assert state.asked == ("approvers", "seniors")


# --- the next execution -------------------------------------------------------------------------------------------


@pytest.mark.fault(60)
async def test_what_is_said_while_it_goes_on_as_new_is_not_lost(
    world: World, record_property: Record, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "_MOST_ACTS", ACTS_AN_EXECUTION)
    numbers = random.Random(seed)  # noqa: S311 - who says what when
    row, consoles = await world.start(risk=Risk.HIGH), [world.approvals(seconds=200) for _ in range(3)]
    handle = world.server.client.get_workflow_handle(row.approval_id)
    sent = list[str]()

    async def say(number: int, wait: float) -> Said | None:
        await asyncio.sleep(wait)
        key, by = f"k{number}", consoles[number % len(consoles)]
        if number % 4:
            return await click(world, by, "ann", row, ActKind.CLAIM, key=key)
        sent.append(key)
        act = await by.signed(await world.person("ann"), row.approval_id, ActKind.CLAIM, key=key, **FROM)
        await handle.signal(DECIDE, act)
        return None

    async def approve(name: str, wait: float) -> Said:
        await asyncio.sleep(wait)
        return await click(world, consoles[0], name, row, ActKind.APPROVE, key=name)

    seconds = ACTS / 20
    waits = [numbers.uniform(0, seconds) for _ in range(ACTS)]
    first, *answers = await asyncio.gather(approve("ann", seconds / 2), *(say(*each) for each in enumerate(waits)))
    wanted = {f"k{number}" for number in range(ACTS)} | {"ann"}
    await until_so(world, row, lambda state: wanted <= {each.key for each in state.receipts})
    again = await click(world, consoles[1], "ann", row, ActKind.APPROVE, key="ann")
    last = await approve("ben", 0)
    state, audit = await settled(world, row), await noted(world, row)
    count = await executions(world, row.approval_id, row.attempt)
    figures = f"{counts([each for each in (first, *answers, last) if each])}, {len(sent)} signals, {count} executions"
    told = tell(record_property, ACTS + 2, seed, figures)
    assert sorted(each.key for each in state.receipts) == sorted(wanted | {"ben"}), told
    repeated = [receipt.model_copy(update={"is_repeat": True}) for receipt in receipts_of([first])]
    assert repeated == receipts_of([again]) != [], told
    assert (audit["claimed"], audit["approved"], audit["opened"]) == (ACTS, 2, 1), (told, audit)
    assert (state.verdict, state.decided_by) == (Verdict.APPROVED, ("ann", "ben")), told
    # It goes on when nobody's act is under way, which on a busy machine is seldom.
    assert count >= 2, told
