"""The result store on a PostgreSQL server of its own: what differs from SQLite."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal

import pytest

from activities.ports import RunReport
from activities.storage import CostLine, ResultStore
from engross.contracts import (
    LedgerEntry,
    Outcome,
    PartState,
    ReplySource,
    ReplyStatus,
    RowOutcome,
    RunResult,
    Spent,
    StoreGroupRequest,
    StoreRequest,
    Usage,
)
from engross.errors import ServiceUnavailable
from tests.metrics import counted
from tests.postgresql import IS_INSTALLED, running_postgresql

pytestmark = pytest.mark.skipif(not IS_INSTALLED, reason="no PostgreSQL server is installed")


@pytest.fixture(scope="module")
def url(unused_tcp_port_factory: Callable[[], int]) -> Iterator[str]:
    with running_postgresql(unused_tcp_port_factory()) as address:
        yield address


async def started(url: str) -> ResultStore:
    store = ResultStore.open(url)
    async with asyncio.timeout(20):
        while True:
            try:
                await store.start()
            except ServiceUnavailable:  # the server takes a moment
                await asyncio.sleep(0.05)
            else:
                return store


def report(run_id: str, started_at: str = "2026-01-01", outcome: Outcome = Outcome.DONE) -> StoreRequest:
    result = RunResult(run_id=run_id, job="invoice", tenant="acme", outcome=outcome)
    return StoreRequest(result=result, started_at=started_at, document_name="a\0.pdf")


async def test_it_behaves_like_the_one_on_sqlite(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.storage.results._PAGE", 3)
    async with contextlib.AsyncExitStack() as stack:
        stores = [await started(url)]
        stores += [ResultStore.open(url) for _ in range(5)]
        for store in stores:
            stack.push_async_callback(store.close)
        await asyncio.gather(*(store.start() for store in stores))

        await asyncio.gather(*(store.put(report(f"run-{n}"), b'"\\u0000"') for n in range(8) for store in stores))
        first = await stores[0].get("run-1")
        assert first is not None
        assert (first.document_name, first.answer) == ("a\N{REPLACEMENT CHARACTER}.pdf", "\0")
        assert [run.run_id async for run in stores[0].rows()] == [f"run-{n}" for n in range(7, -1, -1)]

        await stores[0].put(report("run-1", "2026-01-02"), b"2")
        await stores[1].put(report("run-1", "2025-12-31", Outcome.FAILED), None)
        newest = await stores[2].get("run-1")
        assert newest is not None
        assert (newest.answer, newest.outcome) == (2, Outcome.DONE)
        await stores[0].check()


def accounts(attempt: str, *prices: str | None, source: ReplySource = ReplySource.CALLED) -> StoreRequest:
    replies = [
        Spent(
            step="extract",
            model="openai:small",
            status=ReplyStatus.VALID,
            source=source,
            calls=1,
            usage=Usage(input_tokens=1_500_000_000, output_tokens=1),
            cost_usd=None if price is None else Decimal(price),
        )
        for price in prices
    ]
    day = f"2026-02-{int(attempt):02}"
    return report("paid", day).model_copy(update={"attempt": attempt, "spent": tuple(replies)})


async def test_its_accounts_are_those_of_sqlite(url: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stores = [await started(url)]
        stores += [ResultStore.open(url) for _ in range(5)]
        for store in stores:
            stack.push_async_callback(store.close)
        first, second = accounts("1", "0.1", None), accounts("2", "0.2", source=ReplySource.CACHED)

        # The report of the older run comes last and loses its row, and every one comes six times.
        await asyncio.gather(*(store.put(second, b"2") for store in stores))
        await asyncio.gather(*(store.put(first, b"1") for store in stores))

        kept = await stores[0].get("paid")
        assert kept is not None
        assert kept.answer == 2
        whole = {"calls": 3, "cached": 1, "input_tokens": 4_500_000_000, "output_tokens": 3, "unpriced": 1}
        assert await stores[0].costs(by="model") == [
            CostLine(name="openai:small", cost_usd=Decimal("0.3"), **whole),
        ]
        assert [line.name for line in await stores[1].costs(by="day")] == ["2026-02-02", "2026-02-01"]
        (later,) = await stores[1].costs(by="job", tenant="acme", since=date(2026, 2, 2), until=date(2026, 2, 2))
        assert (later.name, later.cost_usd) == ("invoice", Decimal("0.2"))


async def test_its_groups_and_details_are_those_of_sqlite(url: str) -> None:
    ledger = (LedgerEntry(name="chunk 1", state=PartState.MAPPED),)

    def group(first: int, outcome: Outcome) -> tuple[StoreGroupRequest, list[RunReport]]:
        runs = [report(f"row-{number}", outcome=outcome) for number in range(first, first + 5)]
        rows = [
            RowOutcome(row=first + place, run_id=run.result.run_id, name="a\0", uri="", outcome=outcome.value, run=run)
            for place, run in enumerate(runs)
        ]
        request = StoreGroupRequest(
            batch_id="b", tenant="acme", job="invoice", started_at="2026-01-01", rows=tuple(rows)
        )
        return request, [RunReport(run, b"1", ledger) for run in runs]

    async with contextlib.AsyncExitStack() as stack:
        stores = [await started(url), ResultStore.open(url)]
        for store in stores:
            stack.push_async_callback(store.close)
        # The same rows from several at once, in different orders.
        groups = [group(first, Outcome.DONE) for first in (1, 6, 3)]
        turned = [(request.model_copy(update={"rows": request.rows[::-1]}), runs[::-1]) for request, runs in groups]
        await asyncio.gather(*(store.put_group(*each) for store in stores for each in (*groups, *turned) * 5))
        await stores[0].put_group(*group(1, Outcome.PARKED))

        assert [(row.row, row.outcome) async for row in stores[1].batches.rows("b")] == [
            (number, "done") for number in range(1, 11)
        ]
        kept = await stores[0].get("row-7")
        assert kept is not None
        assert (kept.answer, kept.ledger) == (1, ledger)
        await stores[0].put(report("row-7", "2026-01-02"), b"2")
        newer = await stores[0].get("row-7")
        assert newer is not None
        assert (newer.answer, newer.ledger) == (2, ())
        [batch] = await stores[0].batches.newest(5)
        assert (batch.outcomes, batch.cost_usd, batch.unpriced) == ({"done": 10}, Decimal(0), 0)


async def test_it_counts_what_is_new_once(url: str) -> None:
    run = report("twice in a group")
    rows = tuple(
        RowOutcome(row=number, run_id="twice", name="", uri="", outcome=Outcome.DONE.value, run=run)
        for number in (1, 2)
    )
    group = StoreGroupRequest(batch_id="counted", tenant="acme", job="invoice", started_at="2026-01-01", rows=rows)
    async with contextlib.AsyncExitStack() as stack:
        stores = [await started(url), ResultStore.open(url)]
        for store in stores:
            stack.push_async_callback(store.close)
        with counted() as grown:
            await asyncio.gather(*(store.put_group(group, [RunReport(run, b"1")] * 2) for store in stores * 3))
    assert grown == {
        "engross_runs_total{job=invoice,outcome=done,tenant=acme}": 1,
        "engross_run_seconds_count{job=invoice}": 1,
        "engross_batch_rows_total{job=invoice,outcome=done,tenant=acme}": 2,
    }
