import asyncio
import hashlib
import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from activities.storage import BlobStore, ResultStore
from engross.contracts import BlobRef, Outcome, RunResult, StoreRequest
from engross.errors import (
    ConfigurationError,
    DocumentNotFound,
    DocumentTooLarge,
    EmptyDocument,
    InvalidRequest,
    RunNotFound,
    ServiceUnavailable,
    UnknownJob,
)
from engross.settings import Settings
from starters.client import Client
from starters.reports import StillRunning, Submitted

pytestmark = pytest.mark.asyncio(loop_scope="module")


def fresh(tmp_path: Path, name: str = "a.txt") -> Path:
    """A document whose bytes no other test has."""
    path = tmp_path / name
    path.write_bytes(os.fsencode(path))
    return path


async def store_row(client: Client, server: WorkflowEnvironment, run: Submitted, answer: bytes) -> None:
    """What `store_answer` does at the end of a real run."""
    described = await server.client.get_workflow_handle(run.run_id).describe()
    result = RunResult(run_id=run.run_id, job=run.job, tenant=run.tenant, outcome=Outcome.DONE, model="stored")
    request = StoreRequest(result=result, started_at=described.start_time.isoformat(), document_name=run.document)
    results = ResultStore.open(client.settings.results_url)
    await results.put(request, answer)
    await results.close()


async def test_a_run_is_reported_from_its_row(client: Client, server: WorkflowEnvironment, tmp_path: Path) -> None:
    run = await client.submit("invoice", fresh(tmp_path), tenant="acme")
    await server.client.get_workflow_handle(run.run_id).result()
    await store_row(client, server, run, b'{"amount": 12.5}')

    report = await client.wait(run.run_id)

    assert (report.outcome, report.answer, report.model) == (Outcome.DONE, {"amount": 12.5}, "stored")
    assert (report.run_id, report.job, report.tenant, report.document) == (run.run_id, "invoice", "acme", "a.txt")


async def test_without_a_row_temporal_knows_the_result(client: Client, tmp_path: Path) -> None:
    run = await client.submit("invoice", fresh(tmp_path))
    report = await client.wait(run.run_id)

    assert (report.outcome, report.cost_usd, report.model) == (Outcome.DONE, Decimal("1.2E-7"), "fake")
    assert (report.usage.input_tokens, report.usage.output_tokens, report.calls) == (3, 2, 1)


async def test_the_document_is_stored_before_the_start_is_acknowledged(client: Client, tmp_path: Path) -> None:
    path = fresh(tmp_path)
    await client.submit("invoice", path, tenant="acme")

    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert await BlobStore.open(client.settings.blobs_url).find("acme", sha256) == BlobRef(
        tenant="acme", sha256=sha256, size=path.stat().st_size
    )


async def test_equal_work_submitted_fifty_times_at_once_is_one_run(
    client: Client, server: WorkflowEnvironment, tmp_path: Path
) -> None:
    path = fresh(tmp_path, "hangs.txt")
    runs = await asyncio.gather(*(client.submit("invoice", path) for _ in range(50)))

    assert len({run.run_id for run in runs}) == 1
    assert sum(not run.joined for run in runs) == 1
    # One run, not a row of runs that replaced each other.
    started = [run.start_time async for run in server.client.list_workflows(f"WorkflowId = '{runs[0].run_id}'")]
    assert len(started) == 1
    assert await client.cancel(runs[0].run_id)


@pytest.mark.parametrize("name", ["done.txt", "asks.txt"])
async def test_equal_work_that_ended_well_is_joined(client: Client, tmp_path: Path, name: str) -> None:
    path = fresh(tmp_path, name)
    first = await client.submit("invoice", path)
    await client.wait(first.run_id)

    assert await client.submit("invoice", path) == first.model_copy(update={"joined": True})


async def test_work_that_failed_is_run_anew(client: Client, server: WorkflowEnvironment, tmp_path: Path) -> None:
    path = fresh(tmp_path, "fails.txt")
    first = await client.submit("invoice", path)
    report = await client.wait(first.run_id)
    assert (report.outcome, report.error and report.error.type) == (Outcome.FAILED, "EncryptedDocument")
    assert (report.calls, report.cost_usd) == (1, Decimal("1.2E-7")), "the accounts of a failed run are kept"

    assert not (await client.submit("invoice", path)).joined


async def test_again_asks_for_a_run_of_its_own(client: Client, tmp_path: Path) -> None:
    path = fresh(tmp_path)
    first = await client.submit("invoice", path)
    second = await client.submit("invoice", path, again=True)

    assert not second.joined
    assert first.run_id != second.run_id


async def test_tenants_and_jobs_do_not_share_runs(client: Client) -> None:
    runs = [
        await client.submit(job, b"the same bytes", tenant=tenant)
        for job in ("invoice", "receipt")
        for tenant in ("a", "b")
    ]
    assert len({run.run_id for run in runs}) == 4


async def test_ids_and_summaries_hold_no_file_name(client: Client, server: WorkflowEnvironment, tmp_path: Path) -> None:
    run = await client.submit("invoice", fresh(tmp_path, "John Doe.txt"), tenant="acme")
    described = await server.client.get_workflow_handle(run.run_id).describe()

    assert await described.static_summary() == "invoice for acme"
    outside = f"{run.run_id} {described.search_attributes} {await described.memo()} {await described.static_details()}"
    assert "acme" in outside
    assert "John" not in outside


@pytest.mark.parametrize("name", ["a b.txt", "Ünï.txt", "new\nline.txt", "-dash.txt", "[red]x.txt", b"\xff.txt"])
async def test_any_file_name_works(client: Client, tmp_path: Path, name: str | bytes) -> None:
    text = name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")
    run = await client.submit("invoice", fresh(tmp_path, text))

    assert (await client.wait(run.run_id)).outcome is Outcome.DONE
    assert run.document == (text if isinstance(name, str) else "?.txt")


async def test_a_terminated_run_is_reported_and_the_row_of_an_earlier_run_is_not(
    client: Client, server: WorkflowEnvironment, tmp_path: Path
) -> None:
    path = fresh(tmp_path, "hangs.txt")
    first = await client.submit("invoice", path)
    await store_row(client, server, first, b'"old"')
    await client.cancel(first.run_id)
    await client.wait(first.run_id)
    await client.submit("invoice", path)
    await server.client.get_workflow_handle(first.run_id).terminate("by the test")

    report = await client.wait(first.run_id)

    assert (report.outcome, report.answer) == (Outcome.FAILED, None)
    assert report.error is not None
    assert (report.error.type, report.job, report.tenant) == ("Terminated", "invoice", "default")


async def test_a_cancelled_run_without_a_row_is_cancelled(client: Client, tmp_path: Path) -> None:
    run = await client.submit("invoice", fresh(tmp_path, "hangs.txt"))
    assert await client.cancel(run.run_id)

    report = await client.wait(run.run_id)

    assert report.outcome is Outcome.CANCELLED
    assert not await client.cancel(run.run_id), "it has ended"


async def test_a_run_beyond_its_time_limit_is_reported(client: Client, server: WorkflowEnvironment) -> None:
    handle = await server.client.start_workflow(
        "chain",
        {"job": "invoice", "document": {"uri": "file:///x", "name": "hangs"}},
        id="too-long",
        task_queue="workflows",
        execution_timeout=timedelta(seconds=1),
    )
    report = await client.wait(handle.id)
    assert (report.outcome, report.error and report.error.type) == (Outcome.FAILED, "TimedOut")


async def test_a_running_run_has_a_status_and_no_result(client: Client, tmp_path: Path) -> None:
    run = await client.submit("invoice", fresh(tmp_path, "hangs.txt"), tenant="acme")

    status = await client.status(run.run_id)
    assert (status.state, status.job, status.tenant, status.ended_at) == ("running", "invoice", "acme", None)
    with pytest.raises(StillRunning, match=run.run_id):
        await client.result(run.run_id)

    await client.cancel(run.run_id)
    await client.wait(run.run_id)
    assert (await client.status(run.run_id)).state == "cancelled"


async def test_list_gives_running_runs_then_rows(client: Client, server: WorkflowEnvironment, tmp_path: Path) -> None:
    done = await client.submit("invoice", fresh(tmp_path), tenant="lists")
    await client.wait(done.run_id)
    await store_row(client, server, done, b"1")
    hanging = await client.submit("invoice", fresh(tmp_path, "hangs.txt"), tenant="lists")

    async def listed(**wanted: object) -> list[tuple[str, str]]:
        return [(run.run_id, run.state) async for run in client.list(tenant="lists", **wanted)]  # type: ignore[arg-type]

    both = [(hanging.run_id, "running"), (done.run_id, "done")]
    async with asyncio.timeout(10):  # the server lists runs a moment after it has started them
        while await listed() != both:  # noqa: ASYNC110  # another process: there is no event to wait for
            await asyncio.sleep(0.02)
    assert await listed(limit=1) == both[:1]
    assert await listed(outcome=Outcome.DONE) == both[1:]
    assert await listed(job="receipt") == []
    with pytest.raises(InvalidRequest):
        await listed(job="' OR ''='")
    await client.cancel(hanging.run_id)


@pytest.mark.parametrize("run_id", ["nobody", "", "a\0b", "x" * 2000])
async def test_an_unknown_run_is_named(client: Client, run_id: str) -> None:
    for ask in (client.wait, client.result, client.status, client.cancel):
        with pytest.raises((RunNotFound, InvalidRequest)):
            await ask(run_id)


async def test_what_cannot_be_submitted_is_refused_by_name(client: Client, tmp_path: Path) -> None:
    empty, large = tmp_path / "empty.txt", tmp_path / "large.txt"
    empty.touch()
    with large.open("wb") as file:
        file.truncate(200_000_000)

    with pytest.raises(DocumentNotFound, match="no file"):
        await client.submit("invoice", tmp_path / "missing.pdf")
    with pytest.raises(DocumentNotFound, match="folder"):
        await client.submit("invoice", tmp_path)
    with pytest.raises(DocumentNotFound, match="not a file"):
        await client.submit("invoice", Path("/dev/zero"))
    with pytest.raises(EmptyDocument):
        await client.submit("invoice", empty)
    with pytest.raises(DocumentTooLarge, match="ENGROSS_MAX_DOCUMENT_MB"):
        await client.submit("invoice", large)
    with pytest.raises(UnknownJob, match="did you mean 'invoice'"):
        await client.submit("invoise", b"x")
    with pytest.raises(InvalidRequest, match="tenant"):
        await client.submit("invoice", b"x", tenant="../acme")


async def test_an_unreachable_server_gives_one_line_with_the_address(settings: Settings, unused_tcp_port: int) -> None:
    elsewhere = settings.model_copy(update={"temporal_address": f"127.0.0.1:{unused_tcp_port}"})
    with pytest.raises(ServiceUnavailable, match=str(unused_tcp_port)) as refused:
        await Client.connect(elsewhere)
    assert "\n" not in str(refused.value)


async def test_a_namespace_that_is_not_there_names_the_setting(settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"temporal_namespace": "nowhere"})
    async with await Client.connect(elsewhere) as client:
        with pytest.raises(ConfigurationError, match="TEMPORAL_NAMESPACE"):
            await client.submit("invoice", b"x")
