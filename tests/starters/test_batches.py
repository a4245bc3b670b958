"""Batches against a real server with a workflow that stands in for ours, through the client and the command."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment
from typer.testing import CliRunner, Result

from activities.storage import BlobStore, ResultStore
from engross.contracts import (
    BatchRequest,
    BlobRef,
    ErrorInfo,
    Outcome,
    RowOutcome,
    RunResult,
    StoreGroupRequest,
    StoreRequest,
)
from engross.errors import EmptyBatch, InvalidRequest, RunNotFound, UnknownJob
from engross.settings import Settings
from starters.batch_items import BatchItem
from starters.batch_reports import BatchReport, BatchState, SubmittedBatch
from starters.batches import BatchClient
from starters.cli.app import app
from starters.cli.batch_progress import line_of
from tests.starters.conftest import FAILING_GROUP, HANGING_GROUP

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def client(settings: Settings) -> AsyncIterator[BatchClient]:
    async with asyncio.timeout(10), await BatchClient.connect(settings) as client:
        yield client


@pytest.fixture
def item(tmp_path: Path) -> BatchItem:
    """A document whose bytes no other test has."""
    return BatchItem("a.txt", os.fsencode(tmp_path))


async def engross(*arguments: str) -> Result:
    # In a thread: the fake worker needs this thread's loop.
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["batch", *arguments]))


async def started_with(server: WorkflowEnvironment, batch_id: str) -> BatchRequest:
    """What the workflow was started with."""
    async for event in server.client.get_workflow_handle(batch_id).fetch_history_events():
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        [request] = await server.client.data_converter.decode(payloads, [BatchRequest])
        return BatchRequest.model_validate(request)
    raise LookupError(batch_id)


async def manifest_of(client: BatchClient, request: BatchRequest) -> list[dict[str, Any]]:
    blobs = BlobStore.open(client.settings.blobs_url)
    ref = await blobs.find(request.tenant, request.manifest.uri.removeprefix("blob:"))
    assert ref is not None
    return [json.loads(line) for line in (await blobs.get(ref)).splitlines()]


async def store_rows(client: BatchClient, batch_id: str, *rows: RowOutcome) -> None:
    """What `store_group` does."""
    results = ResultStore.open(client.settings.results_url)
    await results.put_group(StoreGroupRequest(batch_id=batch_id, tenant="acme", job="invoice", rows=rows), [])
    await results.close()


def row(number: int, outcome: str, uri: str = "", error: ErrorInfo | None = None) -> RowOutcome:
    return RowOutcome(row=number, run_id=f"r-{number}", name=f"{number}.txt", uri=uri, outcome=outcome, error=error)


# --- submitting -------------------------------------------------------------------------------------------------


async def test_documents_are_uploaded_and_listed_in_order(
    client: BatchClient, server: WorkflowEnvironment, tmp_path: Path
) -> None:
    (tmp_path / "ü.txt").write_text("one")
    (tmp_path / "empty.txt").touch()
    items = [
        BatchItem("in/ü.txt", tmp_path / "ü.txt"),
        BatchItem("row 2", b"two", media_type="text/plain"),
        BatchItem("remote", "file:///elsewhere/a.pdf"),
        BatchItem("gone", tmp_path / "gone.txt"),
        BatchItem("none", b"", ErrorInfo(type="EmptyDocument", message="no text")),
        BatchItem("\udcff", tmp_path / "empty.txt"),
    ]
    batch = await client.submit_batch("invoice", items, tenant="acme", at_once=5, group=7, cache=False)

    assert (batch.documents, batch.joined, batch.job, batch.tenant) == (6, False, "invoice", "acme")
    assert [(each.document, each.error.type) for each in batch.unread] == [
        ("gone", "DocumentNotFound"),
        ("none", "EmptyDocument"),
        ("?", "EmptyDocument"),
    ]
    assert batch.batch_id.startswith("batch-invoice-acme-")
    request = await started_with(server, batch.batch_id)
    assert (request.job, request.tenant, request.at_once, request.group, request.cache) == (
        "invoice", "acme", 5, 7, False,
    )  # fmt: skip
    lines = await manifest_of(client, request)
    assert lines[:3] == [
        {"uri": f"blob:{hashlib.sha256(b'one').hexdigest()}", "name": "in/ü.txt"},
        {"uri": f"blob:{hashlib.sha256(b'two').hexdigest()}", "name": "row 2", "media_type": "text/plain"},
        {"uri": "file:///elsewhere/a.pdf", "name": "remote"},
    ]
    assert lines[3]["uri"] == (tmp_path / "gone.txt").as_uri(), "it may be there when it is tried again"
    assert lines[4] == {"name": "none", "error": {"type": "EmptyDocument", "message": "no text"}}
    stored = await BlobStore.open(client.settings.blobs_url).find("acme", hashlib.sha256(b"one").hexdigest())
    assert stored == BlobRef(tenant="acme", sha256=hashlib.sha256(b"one").hexdigest(), size=3)


async def test_many_documents_keep_their_order(client: BatchClient, server: WorkflowEnvironment) -> None:
    batch = await client.submit_batch("invoice", (BatchItem(f"{n}", b"x" * (n + 1)) for n in range(200)))
    lines = await manifest_of(client, await started_with(server, batch.batch_id))
    assert [line["name"] for line in lines] == [str(n) for n in range(200)]


async def test_an_equal_batch_is_joined(client: BatchClient, item: BatchItem) -> None:
    first = await client.submit_batch("invoice", [item], group=HANGING_GROUP)
    assert await client.submit_batch("invoice", [item], at_once=3) == first.model_copy(update={"joined": True})
    others = [
        await client.submit_batch("invoice", [item], again=True),
        await client.submit_batch("invoice", [item], cache=False),
        await client.submit_batch("invoice", [item], tenant="other"),
        await client.submit_batch("receipt", [item]),
        await client.submit_batch("invoice", [item, BatchItem("b", b"more")]),
    ]
    assert len({batch.batch_id for batch in [first, *others]}) == 6
    assert not any(batch.joined for batch in others)
    await client.cancel_batch(first.batch_id)


async def test_a_batch_that_was_cancelled_is_run_anew_and_one_that_ended_is_joined(
    client: BatchClient, item: BatchItem
) -> None:
    first = await client.submit_batch("invoice", [item], group=HANGING_GROUP)
    assert await client.cancel_batch(first.batch_id)
    assert (await client.wait_batch(first.batch_id, every_seconds=0.05)).state is BatchState.CANCELLED
    assert not await client.cancel_batch(first.batch_id), "it has ended"

    assert not (await client.submit_batch("invoice", [item])).joined
    await client.wait_batch(first.batch_id, every_seconds=0.05)
    assert (await client.submit_batch("invoice", [item])).joined


async def test_what_is_no_batch_is_refused(client: BatchClient, item: BatchItem) -> None:
    with pytest.raises(EmptyBatch):
        await client.submit_batch("invoice", [])
    with pytest.raises(UnknownJob):
        await client.submit_batch("invoise", [item])
    with pytest.raises(InvalidRequest, match="tenant"):
        await client.submit_batch("invoice", [item], tenant="../acme")
    with pytest.raises(InvalidRequest, match="at_once"):
        await client.submit_batch("invoice", [item], at_once=0)
    for ask in (client.batch_status, client.pause_batch, client.retry_failed, client.cancel_batch):
        with pytest.raises(RunNotFound, match="no batch"):
            await ask("batch-nobody")
    run = await client.submit("invoice", b"a run of its own")
    with pytest.raises(InvalidRequest, match="no batch but a run"):
        await client.batch_status(run.run_id)


# --- where it stands --------------------------------------------------------------------------------------------


async def test_a_batch_tells_how_it_stands_and_ends(client: BatchClient, item: BatchItem) -> None:
    batch_id = (await client.submit_batch("invoice", [item], tenant="acme", group=HANGING_GROUP)).batch_id
    running = await client.batch_status(batch_id)
    assert (running.state, running.total, running.done, running.running, running.at_once) == ("running", 7, 3, 4, 64)
    assert line_of(running) == "3 of 7: 3 done, 0 failed, 4 running; $0.000000; 3 a minute; 0:01:20 left"

    await client.set_window(batch_id, 9)
    await client.pause_batch(batch_id)
    paused = await client.batch_status(batch_id)
    assert (paused.state, paused.at_once, paused.has_ended) == ("paused", 9, False)
    assert line_of(paused).endswith("left; paused")
    with pytest.raises(InvalidRequest, match="1 to 1000"):
        await client.set_window(batch_id, 0)

    seen: list[BatchReport] = []
    waiting = asyncio.create_task(client.wait_batch(batch_id, every_seconds=0.05, seen=seen.append))
    while not seen:  # noqa: ASYNC110  # a task of the code under test
        await asyncio.sleep(0.01)
    await client.resume_batch(batch_id)
    ended = await waiting
    assert (ended.state, ended.done, ended.is_done, ended.tenant) == ("ended", 7, True, "acme")
    assert seen[0].state is BatchState.PAUSED
    for act in (client.pause_batch, client.resume_batch):
        with pytest.raises(InvalidRequest, match="has ended"):
            await act(batch_id)


async def test_an_update_that_is_refused_says_why(client: BatchClient, item: BatchItem) -> None:
    batch_id = (await client.submit_batch("invoice", [item], group=HANGING_GROUP)).batch_id
    with pytest.raises(InvalidRequest, match="it is not paused"):
        await client.resume_batch(batch_id)
    await client.cancel_batch(batch_id)


async def test_a_batch_that_failed_as_a_whole_says_why(client: BatchClient, item: BatchItem) -> None:
    batch_id = (await client.submit_batch("invoice", [item], group=FAILING_GROUP)).batch_id
    report = await client.wait_batch(batch_id, every_seconds=0.05)
    assert (report.state, report.error, report.total) == (
        "failed", ErrorInfo(type="EmptyBatch", message="no document"), 0,
    )  # fmt: skip
    assert not report.is_done


async def test_a_cancelled_batch_is_counted_from_its_rows(client: BatchClient, item: BatchItem) -> None:
    batch_id = (await client.submit_batch("invoice", [item], group=HANGING_GROUP)).batch_id
    await store_rows(client, batch_id, *(row(number, "done") for number in (1, 2, 3)), row(4, "cancelled"))
    await client.cancel_batch(batch_id)
    report = await client.wait_batch(batch_id, every_seconds=0.05)
    assert (report.state, report.done, report.cancelled, report.total) == ("cancelled", 3, 1, 7)
    assert (report.running, report.eta_seconds) == (0, None)


async def test_a_batch_that_temporal_forgot_is_counted_from_its_rows(client: BatchClient) -> None:
    await store_rows(client, "batch-forgotten", row(1, "done"), row(2, "failed"), row(3, "parked"))
    report = await client.batch_status("batch-forgotten")
    assert (report.state, report.done, report.failed, report.parked, report.total) == ("ended", 1, 1, 1, 3)
    assert (report.job, report.tenant, report.is_done) == ("invoice", "acme", False)
    with pytest.raises(InvalidRequest, match="has ended"):
        await client.pause_batch("batch-forgotten")
    assert not await client.cancel_batch("batch-forgotten")
    assert [line.state for line in await client.batches(50) if line.batch_id == "batch-forgotten"] == ["ended"]


async def test_a_row_that_was_parked_shows_how_its_document_ended(client: BatchClient) -> None:
    await store_rows(client, "batch-parked", row(1, "parked"))
    result = RunResult(run_id="r-1", job="invoice", tenant="acme", outcome=Outcome.DONE)
    results = ResultStore.open(client.settings.results_url)
    await results.put(StoreRequest(result=result, started_at="2026-01-01"), b"1")
    await results.close()

    assert [(each.row, each.outcome, each.document) async for each in client.batch_rows("batch-parked")] == [
        (1, "done", "1.txt")
    ]
    assert (await client.batch_status("batch-parked")).is_done


async def test_batches_are_listed_and_are_no_runs(client: BatchClient, item: BatchItem) -> None:
    running = await client.submit_batch("invoice", [item], tenant="lists", group=HANGING_GROUP)
    run = await client.submit("invoice", Path(__file__), tenant="lists", name="hangs")

    async def runs() -> list[str]:
        return [status.run_id async for status in client.list(tenant="lists")]

    async def batches() -> list[tuple[str, str, str]]:
        found = await client.batches(100)
        return [(line.batch_id, line.state, line.job) for line in found if line.tenant == "lists"]

    async with asyncio.timeout(10):  # the server lists them a moment after it has started them
        while not await batches() or not await runs():  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.02)
    assert await batches() == [(running.batch_id, "running", "invoice")]
    assert await runs() == [run.run_id]
    await client.cancel_batch(running.batch_id)
    await client.cancel(run.run_id)


# --- again ------------------------------------------------------------------------------------------------------


async def test_only_what_failed_is_tried_again(client: BatchClient, server: WorkflowEnvironment) -> None:
    error = ErrorInfo(type="BadManifest", message="line 3")
    rows = [
        row(1, "done", "blob:1"),
        row(2, "failed", "blob:2", ErrorInfo(type="CorruptDocument", message="damaged")),
        row(3, "failed", "", error),
        row(4, "cancelled", "file:///4"),
        row(5, "needs_approval", "blob:5"),
        row(6, "duplicate", "blob:2"),
        row(7, "partial", "blob:7"),
    ]
    await store_rows(client, "batch-some-failed", *rows)

    retried = await client.retry_failed("batch-some-failed")

    assert retried is not None
    assert (retried.documents, retried.job, retried.tenant) == (2, "invoice", "acme")
    request = await started_with(server, retried.batch_id)
    assert await manifest_of(client, request) == [
        {"uri": "blob:2", "name": "2.txt"},
        {"uri": "file:///4", "name": "4.txt"},
    ]
    await client.wait_batch(retried.batch_id, every_seconds=0.05)
    again = await client.retry_failed("batch-some-failed")
    assert again is not None
    assert (again.batch_id != retried.batch_id, again.joined, again.documents) == (True, False, 2)


async def test_what_a_stopped_batch_never_came_to_is_tried_again_too(
    client: BatchClient, server: WorkflowEnvironment, item: BatchItem
) -> None:
    items = [item, BatchItem("b", b"b"), BatchItem("c", "file:///c"), BatchItem("d", b"d"), BatchItem("b again", b"b")]
    batch_id = (await client.submit_batch("invoice", items, tenant="acme", group=HANGING_GROUP)).batch_id
    await store_rows(client, batch_id, row(1, "done"), row(4, "failed", "blob:4"))
    running = await client.retry_failed(batch_id)
    assert running is not None
    assert running.documents == 1, "it goes on, and may come to the others"
    await client.cancel_batch(batch_id)
    await client.wait_batch(batch_id, every_seconds=0.05)

    retried = await client.retry_failed(batch_id)

    assert retried is not None
    lines = await manifest_of(client, await started_with(server, retried.batch_id))
    assert [line["name"] for line in lines] == ["b", "c", "4.txt"]


async def test_a_retry_that_runs_is_joined(client: BatchClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starters.batches.DEFAULT_GROUP", HANGING_GROUP)
    await store_rows(client, "batch-retried", row(1, "failed", "blob:1"))
    first = await client.retry_failed("batch-retried")
    assert first is not None
    assert await client.retry_failed("batch-retried") == first.model_copy(update={"joined": True})
    await client.cancel_batch(first.batch_id)


async def test_without_failures_there_is_nothing_to_try_again(client: BatchClient) -> None:
    await store_rows(client, "batch-all-done", row(1, "done"))
    assert await client.retry_failed("batch-all-done") is None
    await store_rows(client, "batch-no-document", row(1, "failed"))
    with pytest.raises(EmptyBatch, match="submit them anew"):
        await client.retry_failed("batch-no-document")


# --- the command ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("settings")
async def test_submit_wait_shows_how_it_ended(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(os.fsencode(tmp_path))
    result = await engross("submit", "invoice", str(tmp_path / "a.txt"), "--wait", "--json")
    assert result.exit_code == 0, result.output
    [report] = [json.loads(line) for line in result.stdout.splitlines()]
    assert list(report) == list(BatchReport.model_fields)
    assert (report["state"], report["done"], report["cost_usd"]) == ("ended", 7, 1.2e-7)
    assert 'cost_usd": 0.00000012,' in result.stdout
    assert "7 of 7" in (await engross("status", report["batch_id"])).stdout
    assert json.loads((await engross("status", report["batch_id"], "--json")).stdout) == report


@pytest.mark.usefixtures("settings")
async def test_submit_tells_what_it_could_not_read(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(f"text\n{tmp_path}\n,\n\n")
    result = await engross("submit", "invoice", "--rows", str(tmp_path / "in.csv"), "nope.pdf", "--tenant", "acme")
    assert result.exit_code == 0
    assert "refused: no file at nope.pdf\n" in result.stderr
    batch_id, told = result.stdout.split(maxsplit=1)
    assert (batch_id[:19], told.strip()) == ("batch-invoice-acme-", "3 documents")
    again = await engross(
        "submit", "invoice", "--rows", str(tmp_path / "in.csv"), "nope.pdf", "--tenant", "acme", "--json"
    )
    assert SubmittedBatch.model_validate_json(again.stdout).joined


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["submit", "invoice"], "name documents"),
        (["submit", "invoice", "."], "no documents in ."),
        (["submit", "invoise", "x"], "did you mean 'invoice'"),
        (["status", "nobody"], "no batch has the id"),
        (["rows", "nobody"], "no batch has the id"),
        (["rows", "nobody", "--outcome", "oops"], "--outcome is one of done, partial"),
        (["window", "nobody", "5"], "no batch has the id"),
    ],
)
async def test_refusals_are_one_line_and_wrong_usage(arguments: list[str], told: str) -> None:
    result = await engross(*arguments)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert told in result.stderr


async def test_the_commands_act_on_a_batch(client: BatchClient, item: BatchItem) -> None:
    batch_id = (await client.submit_batch("invoice", [item], group=HANGING_GROUP)).batch_id
    for arguments in (["pause"], ["window", "12"]):
        result = await engross(arguments[0], batch_id, *arguments[1:])
        assert result.exit_code == 0, result.output
    shown = (await engross("status", batch_id)).stdout
    assert "paused" in shown
    assert f"engross batch resume {batch_id}" in shown
    assert "12" in shown
    watching = asyncio.create_task(engross("status", batch_id, "--watch"))
    await client.resume_batch(batch_id)  # two commands at once would share this process's stdout
    watched = await watching
    assert (watched.exit_code, watched.stdout.splitlines()[1].split()) == (0, ["state", "ended"])
    assert (await engross("cancel", batch_id)).stderr == f"{batch_id} had ended already\n"
    assert "has ended" in (await engross("resume", batch_id)).stderr
    assert batch_id in (await engross("list")).stdout


async def test_rows_and_retries_of_the_command(client: BatchClient) -> None:
    error = ErrorInfo(type="CorruptDocument", message="damaged")
    await store_rows(client, "batch-rows", row(1, "done"), row(2, "failed", "blob:22", error))
    found = await engross("rows", "batch-rows", "--outcome", "failed", "--json")
    assert json.loads(found.stdout) == {
        "batch_id": "batch-rows", "row": 2, "document": "2.txt", "uri": "blob:22", "outcome": "failed",
        "run_id": "r-2", "error": {"type": "CorruptDocument", "message": "damaged"}, "cost_usd": 0,
    }  # fmt: skip
    assert (await engross("rows", "batch-rows")).stdout.splitlines()[1:] == [
        "1  done  1.txt  r-1",
        "2  failed  2.txt  r-2  CorruptDocument: damaged",
    ]
    assert (await engross("retry-failed", "batch-rows", "--wait")).exit_code == 0
    await store_rows(client, "batch-fine", row(1, "done"))
    nothing = await engross("retry-failed", "batch-fine")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "nothing failed in batch-fine\n")


async def test_a_batch_with_failures_is_not_done(client: BatchClient, item: BatchItem) -> None:
    batch_id = (await client.submit_batch("invoice", [item], group=FAILING_GROUP)).batch_id
    result = await engross("status", batch_id, "--watch")
    assert result.exit_code == 1
    assert "EmptyBatch: no document" in result.stdout
