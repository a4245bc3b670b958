import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from activities.storage import ResultStore, StoredRun
from activities.storage.results import place_of
from engross.contracts import BlobRef, ErrorInfo, Outcome, Problem, RunResult, StoreRequest, Usage
from engross.errors import ConfigurationError, InvalidRequest, ServiceUnavailable

EARLY = "2026-01-01T10:00:00+00:00"
LATE = "2026-01-01T10:00:00.5+00:00"


def url_of(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'new folder' / 'results.db'}"


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[ResultStore]:
    store = ResultStore.open(url)
    try:
        await store.start()
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ResultStore]:
    async with opened(url_of(tmp_path)) as store:
        yield store


def report(run_id: str = "run-1", started_at: str = EARLY, **fields: Any) -> StoreRequest:
    result = RunResult.model_validate(
        {"run_id": run_id, "job": "invoice", "tenant": "acme", "outcome": "done", "model": "m"} | fields
    )
    document = BlobRef(tenant=result.tenant, sha256="d" * 64, size=3)
    return StoreRequest(result=result, started_at=started_at, document_name="a.pdf", document=document)


async def stored(store: ResultStore, run_id: str = "run-1") -> StoredRun:
    run = await store.get(run_id)
    assert run is not None
    return run


async def ids(store: ResultStore, **wanted: Any) -> list[str]:
    return [run.run_id async for run in store.rows(**wanted)]


async def test_everything_about_a_run_comes_back(store: ResultStore) -> None:
    request = report(
        usage=Usage(input_tokens=5, output_tokens=7, cached_tokens=2),
        cost_usd="0.0000001230",
        prompt_version="p1",
        calls=2,
        repairs=1,
        problems=(Problem(field="amount", code="missing"),),
    )
    await store.put(request, b'{"amount": 12.5, "issuer": "M\\u00fcller"}')

    run = await stored(store)
    assert run.answer == {"amount": 12.5, "issuer": "Müller"}
    assert str(run.cost_usd) == str(Decimal("0.0000001230"))
    assert run.started_at.isoformat() == EARLY
    assert (run.document_name, run.document_sha256) == ("a.pdf", "d" * 64)
    for name in ("run_id", "job", "tenant", "outcome", "usage", "problems", "model", "prompt_version", "calls"):
        assert getattr(run, name) == getattr(request.result, name)


async def test_a_failed_run_has_an_error_and_no_answer(store: ResultStore) -> None:
    error = ErrorInfo(type="EncryptedDocument", message="needs a password")
    await store.put(report(outcome="failed", error=error, cost_usd=None), None)

    run = await stored(store)
    assert (run.outcome, run.error, run.answer, run.cost_usd) == (Outcome.FAILED, error, None, None)


async def test_an_unknown_run_is_none(store: ResultStore) -> None:
    assert await store.get("nobody") is None


async def test_repeating_a_report_changes_nothing(store: ResultStore) -> None:
    await store.put(report(), b"1")
    first = await stored(store)
    await store.put(report(), b"1")

    assert await stored(store) == first


async def test_the_same_run_may_correct_its_report(store: ResultStore) -> None:
    await store.put(report(outcome="needs_approval"), b"1")
    await store.put(report(outcome="done"), b"2")

    run = await stored(store)
    assert (run.outcome, run.answer) == (Outcome.DONE, 2)


async def test_an_older_run_never_overwrites_a_newer_one(store: ResultStore) -> None:
    await store.put(report(started_at=LATE), b'"new"')
    await store.put(report(started_at=EARLY, outcome="failed"), b'"old"')
    assert (await stored(store)).answer == "new"


async def test_a_newer_run_overwrites_an_older_one(store: ResultStore) -> None:
    await store.put(report(started_at=EARLY, outcome="failed"), b'"old"')
    await store.put(report(started_at=LATE), b'"new"')
    assert (await stored(store)).answer == "new"


async def test_times_are_compared_as_times_whatever_their_zone(store: ResultStore) -> None:
    await store.put(report(started_at="2026-01-01T10:00:00Z"), b'"new"')
    await store.put(report(started_at="2026-01-01T10:59:00+01:00"), b'"old"')
    assert (await stored(store)).answer == "new"


@pytest.mark.parametrize("answer", [b"", b"{", b"NaN", b'"\xff"'])
async def test_an_answer_that_is_not_json_is_refused(store: ResultStore, answer: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await store.put(report(), answer)


async def test_a_start_that_is_no_time_is_refused(store: ResultStore) -> None:
    with pytest.raises(InvalidRequest):
        await store.put(report(started_at="yesterday"), None)


async def test_any_file_name_can_be_stored(store: ResultStore) -> None:
    await store.put(report().model_copy(update={"document_name": "a\0b\udcff c\n\N{SNOWMAN}.pdf"}), None)
    assert (await stored(store)).document_name == "a\N{REPLACEMENT CHARACTER}b? c\n\N{SNOWMAN}.pdf"


async def test_rows_are_newest_first_and_filtered(store: ResultStore) -> None:
    await store.put(report("a", "2026-01-01"), None)
    await store.put(report("b", "2026-01-03", job="receipt"), None)
    await store.put(report("c", "2026-01-02", tenant="other", outcome="failed"), None)

    assert await ids(store) == ["b", "c", "a"]
    assert await ids(store, job="invoice") == ["c", "a"]
    assert await ids(store, tenant="acme") == ["b", "a"]
    assert await ids(store, outcome=Outcome.FAILED) == ["c"]
    assert await ids(store, limit=2) == ["b", "c"]
    assert await ids(store, limit=0) == []


async def test_rows_cross_pages_without_a_gap_or_a_double(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.storage.results._PAGE", 3)
    names = [f"run-{number:02}" for number in range(10)]
    # Equal start times: the place in the order must still be unambiguous.
    for name in names:
        await store.put(report(name), None)

    assert await ids(store) == names[::-1]
    assert await ids(store, limit=7) == names[:2:-1]


async def test_a_page_goes_on_behind_any_row_and_knows_tenants(store: ResultStore) -> None:
    names = [f"run-{number:02}" for number in range(7)]
    for number, name in enumerate(names):
        tenant = ("acme", "other", "third")[number % 3]
        await store.put(report(name, outcome="failed" if number > 3 else "done", tenant=tenant), None)

    seen, after = [], None
    while found := await store.page(tenants={"acme", "other"}, after=after, limit=2):
        seen += [run.run_id for run in found]
        after = place_of(found[-1])
    assert seen == ["run-06", "run-04", "run-03", "run-01", "run-00"]
    assert [run.run_id for run in await store.page(outcome=Outcome.DONE, limit=9)] == names[3::-1]
    assert await store.page(job="receipt", limit=9) == []
    assert await store.page(tenants=(), limit=9) == []


async def test_several_stores_start_and_write_to_one_new_file_at_once(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stores = [ResultStore.open(url_of(tmp_path)) for _ in range(8)]
        for store in stores:
            stack.push_async_callback(store.close)
        await asyncio.gather(*(store.start() for store in stores))
        await asyncio.gather(*(store.put(report(f"run-{n}"), b"1") for n in range(25) for store in stores))

        assert len(await ids(stores[0])) == 25


async def test_an_unusable_database_gives_one_line_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / "new folder").mkdir()
    (tmp_path / "new folder" / "results.db").write_text("not a database, and long enough to be told apart from one")
    store = ResultStore.open(url_of(tmp_path))

    with pytest.raises(ServiceUnavailable, match="ENGROSS_RESULTS") as refused:
        await store.check()

    assert "\n" not in str(refused.value)
    await store.close()


async def test_an_unreachable_server_gives_one_line_without_the_password(unused_tcp_port: int) -> None:
    store = ResultStore.open(f"postgresql+asyncpg://me:hunter2@127.0.0.1:{unused_tcp_port}/x")

    with pytest.raises(ServiceUnavailable, match="ENGROSS_RESULTS") as refused:
        await store.start()

    assert "hunter2" not in str(refused.value)
    await store.close()


@pytest.mark.parametrize("url", ["", "results.db", "sqlite:///x.db", "mysql+aiomysql://h/x"])
def test_an_address_that_is_no_result_store_names_the_setting(url: str) -> None:
    with pytest.raises(ConfigurationError, match="ENGROSS_RESULTS"):
        ResultStore.open(url)
