"""What comes of acts when workflows and workers don't behave: a stand-in for the workflow does as it is told."""

import asyncio
import dataclasses
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio import activity, workflow
from temporalio.client import WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.approvals.rows import ApprovalRow
from engross.contracts import Act, ActKind, ApprovalRequest, ApprovalState, Receipt, Verdict
from engross.errors import (
    ConfigurationError,
    EngrossError,
    LateDecision,
    NotAuthorised,
    ServiceUnavailable,
    StaleDecision,
)
from engross.names import APPROVAL, APPROVAL_QUERY, DECIDE
from starters import approvals_sending, approvals_view
from starters.approvals import Approvals
from tests.starters.approvals_world import INVOICE, World, opened_world
from tests.starters.conftest import start_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

FROM: dict[str, Any] = {"source": "api", "address": "127.0.0.1"}
SECRET_TEXT = "the patient's name"


@activity.defn
async def breaks() -> None:
    raise ApplicationError("the store is away", type="ServiceUnavailable", non_retryable=True)


@workflow.defn(name=APPROVAL)
class Odd:
    """Does what an act's `to` says; `policy.group` of the request is its `shown`."""

    @workflow.init
    def __init__(self, request: ApprovalRequest) -> None:
        self._end = self._goes_on = False
        self._is_second = request.state is not None
        self._state = ApprovalState(shown=request.policy.group, answer=request.answer)

    @workflow.run
    async def run(self, request: ApprovalRequest) -> None:
        await workflow.wait_condition(lambda: self._end or self._goes_on)
        if self._goes_on:
            workflow.continue_as_new(request.model_copy(update={"state": self._state}))

    @workflow.update(name=DECIDE, unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def decide(self, act: Act) -> Receipt:
        match act.to:
            case "odd":
                raise ApplicationError(SECRET_TEXT, type="KeyError")
            case "stale":
                raise ApplicationError("look again", type="StaleDecision")
            case "activity":
                await workflow.execute_activity(breaks, start_to_close_timeout=timedelta(seconds=10))
            case "hang":
                await workflow.wait_condition(lambda: False)
            case "slow":
                await workflow.sleep(0.2)
            case "end":
                self._end = True
                await workflow.wait_condition(lambda: False)
            case "go-on" if not self._is_second:
                self._goes_on = True
                await workflow.wait_condition(lambda: False)
        return Receipt(
            approval_id=act.approval_id, key=act.key, kind=act.kind, by=act.by, verdict=Verdict.OPEN, given=0, needed=1
        )

    @workflow.query(name=APPROVAL_QUERY)
    def state(self) -> ApprovalState:
        return self._state


class Rows:
    """An inbox of one approval, which may change each time that it is looked at."""

    def __init__(self, *rows: ApprovalRow) -> None:
        self.rows = list(rows)

    async def get(self, approval_id: str) -> ApprovalRow:
        return self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with start_server() as server, opened_world(server, tmp_path_factory.mktemp("home")) as world:
        yield world


@asynccontextmanager
async def worker(world: World, queue: str = "odd") -> AsyncIterator[None]:
    runner = UnsandboxedWorkflowRunner()
    async with Worker(
        world.server.client, task_queue=queue, workflows=[Odd], activities=[breaks], workflow_runner=runner
    ):
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def odd_worker(world: World) -> AsyncIterator[None]:
    async with worker(world):
        yield


async def started(world: World, *, queue: str = "odd", **state: Any) -> ApprovalRow:
    """An approval by the stand-in, and its row."""
    request = await world.request(run_id=f"r{secrets.token_hex(8)}")
    shown = request.policy.group
    approval_id = f"{request.run_id}-approval"
    await world.server.client.start_workflow(APPROVAL, request, id=approval_id, task_queue=queue)
    now = datetime.now(UTC)
    return ApprovalRow(approval_id, "1", request, ApprovalState(**{"shown": shown} | state), now, now)


def closed(row: ApprovalRow, **state: Any) -> ApprovalRow:
    end = {"verdict": Verdict.REJECTED, "decided_by": ("zoe",), "decided_at": datetime(2026, 3, 1, 8, tzinfo=UTC)}
    return dataclasses.replace(row, state=row.state.model_copy(update=end | state))


async def claim(world: World, row: ApprovalRow, to: str, *, by: Approvals | None = None, key: str = "") -> Receipt:
    approvals = by or world.approvals(rows=Rows(row))
    return await approvals.act(await world.person("ann"), row.approval_id, ActKind.CLAIM, to=to, key=key, **FROM)


# --- refusals -----------------------------------------------------------------------------------------------------


async def test_named_errors_keep_their_class_and_words(world: World) -> None:
    row = await started(world)
    with pytest.raises(StaleDecision, match=r"^look again$"):
        await claim(world, row, "stale")
    with pytest.raises(ServiceUnavailable, match=r"^the store is away$"):
        await claim(world, row, "activity")


async def test_errors_of_no_name_tell_no_text(world: World) -> None:
    with pytest.raises(EngrossError) as raised:
        await claim(world, await started(world), "odd")
    assert raised.type is EngrossError
    assert "KeyError" in str(raised.value)
    assert SECRET_TEXT not in str(raised.value)


# --- ends ---------------------------------------------------------------------------------------------------------


async def test_an_act_that_met_the_next_execution_is_sent_to_that(world: World) -> None:
    row = await started(world)
    receipt = await claim(world, row, "go-on", key="once")
    assert (receipt.key, receipt.by) == ("once", "ann")


async def test_an_act_that_met_the_end_is_late_or_had_counted(world: World) -> None:
    row = await started(world)
    with pytest.raises(LateDecision, match=r"^already rejected by zoe at 2026-03-01 08:00:00 UTC$"):
        await claim(world, row, "end", by=world.approvals(rows=Rows(row, row, closed(row))))

    receipt = Receipt(
        approval_id=row.approval_id, key="k", kind=ActKind.CLAIM, by="ann", verdict=Verdict.OPEN, given=0, needed=1
    )
    known = await claim(world, row, "", key="k", by=world.approvals(rows=Rows(closed(row, receipts=(receipt,)))))
    assert known == receipt.model_copy(update={"is_repeat": True})


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.APPROVED, "already approved by zoe at 2026"),
        (Verdict.CORRECTED, "already corrected and approved by zoe at"),
        (Verdict.AGAIN, "zoe asked for another attempt at .* new round"),
        (Verdict.EXPIRED, "^nobody decided in time: it expired at 2026"),
        (Verdict.WITHDRAWN, "^withdrawn, as its run was cancelled"),
    ],
)
async def test_who_comes_late_is_told_what_became_of_it(world: World, verdict: Verdict, words: str) -> None:
    row = await started(world)
    await world.server.client.get_workflow_handle(row.approval_id).terminate()
    with pytest.raises(LateDecision, match=words):
        await claim(world, row, "", by=world.approvals(rows=Rows(closed(row, verdict=verdict))))


async def test_an_end_without_a_verdict_is_told_as_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approvals_sending, "_SETTLES_SECONDS", 0.1)
    row = await started(world)
    await world.server.client.get_workflow_handle(row.approval_id).terminate()
    with pytest.raises(LateDecision, match=r"nothing was decided.*terminated"):
        await claim(world, row, "")
    with pytest.raises(LateDecision, match=r"nothing was decided, and Temporal has no workflow"):
        await claim(world, dataclasses.replace(row, approval_id="never-started"), "")


# --- no answer ----------------------------------------------------------------------------------------------------


async def test_without_an_answer_it_says_so_and_the_key_asks_again(world: World) -> None:
    row = await started(world, queue="later")
    with pytest.raises(ServiceUnavailable, match=r"not known whether it counted.*same key, k-9"):
        await claim(world, row, "", key="k-9", by=world.approvals(rows=Rows(row), seconds=0.5))
    async with worker(world, "later"):
        receipt = await claim(world, row, "", key="k-9")
    assert receipt.key == "k-9"
    history = await world.server.client.get_workflow_handle(row.approval_id).fetch_history()
    assert sum(event.HasField("workflow_execution_update_accepted_event_attributes") for event in history.events) == 1


async def test_what_was_never_sent_is_said_not_to_be(world: World) -> None:
    row = await started(world)
    approvals = world.approvals(rows=Rows(row))
    sending = approvals_sending.Sending(world.server.client, world.address, Rows(row))
    ann = await world.person("ann")
    acts = [await approvals.signed(ann, row.approval_id, ActKind.CLAIM, to="hang", **FROM) for _ in range(5)]
    first = [asyncio.create_task(sending.send(act, 60)) for act in acts[:4]]
    await asyncio.sleep(0)  # they take their places
    with pytest.raises(ServiceUnavailable, match="was not sent"):
        await sending.send(acts[4], 0.5)
    for task in first:
        task.cancel()
    assert all(
        isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*first, return_exceptions=True)
    )


async def test_more_than_temporal_takes_at_once_all_get_their_turn(world: World) -> None:
    row = await started(world)
    # Each is a process of its own: together they have forty under way.
    receipts = await asyncio.gather(*(claim(world, row, "slow", key=f"k-{n}") for n in range(40)))
    assert [receipt.key for receipt in receipts] == [f"k-{n}" for n in range(40)]


class Flaky(approvals_sending.Sending):
    """The server says these, one after the other, then answers."""

    said: list[RPCStatusCode]

    async def _ask(self, act: Act) -> Receipt:
        if self.said:
            raise RPCError("not now", self.said.pop(0), b"")
        return await super()._ask(act)


@pytest.mark.parametrize("status", ["RESOURCE_EXHAUSTED", "UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED"])
async def test_not_now_is_no_answer_and_no_means_no(world: World, status: str) -> None:
    row = await started(world)
    sending = Flaky(world.server.client, world.address, Rows(row))
    signed = world.approvals(rows=Rows(row)).signed(await world.person("ann"), row.approval_id, ActKind.CLAIM, **FROM)
    act, passing = await signed, RPCStatusCode[status]
    sending.said = [passing, passing]
    assert (await sending.send(act)).key == act.key
    assert sending.said == []
    sending.said = [RPCStatusCode.PERMISSION_DENIED, passing]
    with pytest.raises(ConfigurationError, match="refuses access"):
        await sending.send(act)
    assert sending.said == [passing]


async def test_who_stops_waiting_is_let_go(world: World) -> None:
    task = asyncio.create_task(claim(world, await started(world), "hang"))
    await asyncio.sleep(0.5)  # wherever it is by then
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# --- looking ------------------------------------------------------------------------------------------------------


async def test_what_nobody_answers_for_is_shown_as_noted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approvals_view, "_ANSWER_SECONDS", 0.3)
    row = await started(world, queue="nobody", claimed_by="zoe")
    view = await world.approvals(rows=Rows(row)).show(await world.person("ann"), row.approval_id)
    assert (view.is_fresh, view.state.claimed_by, view.answer, view.is_open) == (False, "zoe", INVOICE, True)
    gone = dataclasses.replace(row, approval_id="never-started")
    assert not (await world.approvals(rows=Rows(gone)).show(await world.person("ann"), "never-started")).is_fresh


async def test_state_and_request_are_always_of_the_same_content(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workflow may be in a round of which the inbox has not heard: showing both would mix two contents."""
    monkeypatch.setattr(approvals_view, "_NOTED_SECONDS", 0.5)
    ann, row = await world.person("ann"), await started(world)
    old = dataclasses.replace(row, state=row.state.model_copy(update={"shown": "old"}))
    view = await world.approvals(rows=Rows(old, old, old, row)).show(ann, row.approval_id)
    assert (view.row, view.state.shown, view.is_fresh) == (row, row.state.shown, True)
    view = await world.approvals(rows=Rows(old)).show(ann, row.approval_id)
    assert (view.row, view.state.shown, view.is_fresh) == (old, "old", False)


@pytest.mark.parametrize("where", ["answer", "draft", "note", "corrected"])
async def test_nothing_of_another_tenant_is_shown(world: World, where: str) -> None:
    row = await started(world)
    theirs = await world.json_blob(INVOICE, "other")
    if where in ("answer", "draft"):
        row = dataclasses.replace(row, request=row.request.model_copy(update={where: theirs}))
    field = {"note": "note", "corrected": "answer"}.get(where)
    row = closed(row, **({field: theirs} if field else {}))
    with pytest.raises(NotAuthorised, match="another tenant"):
        await world.approvals(rows=Rows(row)).show(await world.person("ann"), row.approval_id)


async def test_a_draft_that_is_no_json_is_shown_as_text_and_a_lost_job_has_no_schema(world: World) -> None:
    row = closed(await started(world))
    draft = await world.blobs.put("acme", b"Dear Sir, \xff")
    more = {"answer": None, "draft": draft, "step": "gone"}
    row = dataclasses.replace(row, request=row.request.model_copy(update=more))
    view = await world.approvals(rows=Rows(row)).show(await world.person("ann"), row.approval_id)
    assert (view.answer, view.draft, view.output) == (None, "Dear Sir, \ufffd", None)
    assert view.job is not None
    status = (await world.server.client.get_workflow_handle(row.approval_id).describe()).status
    assert status is WorkflowExecutionStatus.RUNNING
