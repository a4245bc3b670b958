import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest

from activities.storage import CostLine, ResultStore
from engross.contracts import RunResult, Spent, StoreRequest, Usage
from engross.errors import InvalidRequest, ServiceUnavailable

TINY = "0.0000000000000000000000000000000000000001"


@contextlib.asynccontextmanager
async def opened(file: Path) -> AsyncIterator[ResultStore]:
    store = ResultStore.open(f"sqlite+aiosqlite:///{file}")
    try:
        await store.start()
        yield store
    finally:
        await store.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "results.db"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[ResultStore]:
    async with opened(file) as store:
        yield store


def spent(cost_usd: str | None, model: str = "openai:small", **fields: Any) -> Spent:
    usage = Usage(input_tokens=100, output_tokens=10, cached_tokens=1)
    known = {"step": "extract", "model": model, "status": "valid", "source": "called", "calls": 1, "usage": usage}
    return Spent.model_validate(known | {"cost_usd": cost_usd} | fields)


def report(
    attempt: str, *replies: Spent, run_id: str = "run-1", started_at: str = "2026-01-01T10:00:00Z", **fields: Any
) -> StoreRequest:
    result = RunResult.model_validate(
        {"run_id": run_id, "job": "invoice", "tenant": "acme", "outcome": "done"} | fields
    )
    return StoreRequest(result=result, started_at=started_at, attempt=attempt, spent=replies)


def rows(file: Path) -> list[dict[str, Any]]:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM spent ORDER BY attempt, place")]


async def total(store: ResultStore, **wanted: Any) -> CostLine:
    return sum(await store.costs(by="tenant", **wanted), CostLine(name="total"))


async def names(store: ResultStore, **wanted: Any) -> list[str]:
    return [line.name for line in await store.costs(**wanted)]


async def test_every_reply_has_a_row_with_all_of_it(store: ResultStore, file: Path) -> None:
    invalid = spent("0.0000001230", status="invalid", source="recovered", maybe_billed=2)
    await store.put(report("a", invalid, spent(None), started_at="2026-01-02T00:30:00+01:00"), None)

    shared: dict[str, Any] = {
        "attempt": "a",
        "run_id": "run-1",
        "tenant": "acme",
        "job": "invoice",
        "day": "2026-01-01",
    }
    shared |= {"step": "extract", "model": "openai:small", "calls": 1}
    shared |= {"input_tokens": 100, "output_tokens": 10, "cached_tokens": 1}
    first = {"place": 0, "status": "invalid", "source": "recovered", "cost_usd": "0.0000001230", "maybe_billed": 2}
    second = {"place": 1, "status": "valid", "source": "called", "cost_usd": None, "maybe_billed": 0}
    assert rows(file) == [shared | first, shared | second]


async def test_a_repeated_report_is_counted_once(store: ResultStore) -> None:
    for _ in range(3):
        await store.put(report("a", spent("0.1"), spent("0.1")), None)

    assert (await total(store)).cost_usd == Decimal("0.2")
    assert (await total(store)).calls == 2


async def test_a_corrected_report_adds_only_what_is_new(store: ResultStore) -> None:
    await store.put(report("a", spent("0.1"), outcome="needs_approval"), None)
    await store.put(report("a", spent("0.1"), spent("0.3")), None)

    assert (await total(store)).cost_usd == Decimal("0.4")


async def test_reports_that_race_are_counted_once(file: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(opened(file)) for _ in range(6)]
        await asyncio.gather(
            *(store.put(report(f"a{n}", spent("0.1"), spent("0.2")), None) for n in range(10) for store in stores)
        )

        assert (await total(stores[0])).cost_usd == Decimal(3)


@pytest.mark.parametrize("order", [("old", "new"), ("new", "old")])
async def test_two_runs_of_one_id_both_count_though_only_one_row_stays(
    store: ResultStore, order: tuple[str, str]
) -> None:
    reports = {
        "old": report("old", spent("0.1"), started_at="2026-01-01", model="older"),
        "new": report("new", spent("0.2"), started_at="2026-01-02", model="newer"),
    }
    for name in order:
        await store.put(reports[name], None)

    assert [run.model async for run in store.rows()] == ["newer"]
    assert await total(store) == CostLine(
        name="total", calls=2, input_tokens=200, output_tokens=20, cost_usd=Decimal("0.3")
    )


async def test_the_row_and_the_accounts_are_stored_together_or_not_at_all(store: ResultStore, file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE spent")

    with pytest.raises(ServiceUnavailable):
        await store.put(report("a", spent("0.1")), None)
    with pytest.raises(ServiceUnavailable):
        await store.costs(by="day")
    assert await store.get("run-1") is None

    await store.start()
    with pytest.raises(InvalidRequest):
        await store.put(report("a", spent("0.1")), b"no json")
    assert rows(file) == []


async def test_a_database_of_before_gets_the_table_and_keeps_its_rows(file: Path) -> None:
    async with opened(file) as store:
        await store.put(report(""), b"1")
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE spent")

    async with opened(file) as store:
        await store.put(report("b", spent("0.1"), run_id="run-2"), None)
        assert (await total(store)).cost_usd == Decimal("0.1")
        assert [run.run_id async for run in store.rows()] == ["run-2", "run-1"]


async def test_reports_without_accounts_write_none(store: ResultStore) -> None:
    await store.put(report("", spent("0.1")), None)
    await store.put(report("a"), None)

    assert await store.costs(by="tenant") == []
    assert await store.get("run-1") is not None


@pytest.mark.parametrize(
    ("prices", "text"),
    [
        (["0.1", "0.2"], "0.3"),
        (["0.1"] * 10, "1.0"),
        (["1E-7", "0.00000002"], "0.00000012"),
        ([TINY] * 3, TINY[:-1] + "3"),
        (["123456789012345678901234567890", TINY], "123456789012345678901234567890" + TINY[1:]),
        (["0", "0"], "0"),
    ],
)
async def test_money_is_added_exactly(store: ResultStore, prices: list[str], text: str) -> None:
    await store.put(report("a", *map(spent, prices)), None)
    await store.put(report("b", spent("0"), tenant="other"), None)

    with localcontext(prec=3):
        whole = await total(store)
    assert format(whole.cost_usd, "f") == text


async def test_unknown_prices_are_counted_and_never_zero(store: ResultStore) -> None:
    await store.put(report("a", spent("0.5"), spent(None), spent(None, calls=2), spent("0")), None)
    await store.put(report("b", spent(None), tenant="other"), None)

    acme, other = await store.costs(by="tenant")
    assert (acme.cost_usd, acme.calls, acme.unpriced) == (Decimal("0.5"), 5, 3)
    assert (other.name, other.calls, other.unpriced) == ("other", 1, 1)


async def test_replies_without_a_call_are_counted_apart(store: ResultStore) -> None:
    cached = spent("0", source="cached", calls=0, usage=Usage())
    recovered = spent("0.2", source="recovered", maybe_billed=1)
    await store.put(report("a", cached, cached, recovered), None)

    (line,) = await store.costs(by="job")
    assert line == CostLine(
        name="invoice",
        calls=1,
        cached=2,
        input_tokens=100,
        output_tokens=10,
        cost_usd=Decimal("0.2"),
        maybe_billed=1,
    )


@pytest.fixture
async def full(store: ResultStore) -> ResultStore:
    cheap, dear = spent("0.2"), spent("0.9", "anthropic:large")
    await store.put(report("a", cheap, dear, started_at="2026-01-01"), None)
    await store.put(report("b", cheap, job="receipt", started_at="2026-01-02"), None)
    await store.put(report("c", dear, dear, tenant="other", started_at="2026-01-03T23:59:59Z"), None)
    return store


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("tenant", [("other", "1.8"), ("acme", "1.3")]),
        ("job", [("invoice", "2.9"), ("receipt", "0.2")]),
        ("model", [("anthropic:large", "2.7"), ("openai:small", "0.4")]),
        ("day", [("2026-01-03", "1.8"), ("2026-01-02", "0.2"), ("2026-01-01", "1.1")]),
    ],
)
async def test_costs_by_each_dimension(full: ResultStore, by: Any, expected: list[tuple[str, str]]) -> None:
    assert [(line.name, str(line.cost_usd)) for line in await full.costs(by=by)] == expected


async def test_equal_costs_are_in_the_order_of_their_names(store: ResultStore) -> None:
    for tenant in ("b", "c", "a"):
        await store.put(report(tenant, spent("0.1"), tenant=tenant), None)

    assert await names(store, by="tenant") == ["a", "b", "c"]


async def test_costs_are_filtered(full: ResultStore) -> None:
    assert (await total(full, job="invoice")).cost_usd == Decimal("2.9")
    assert (await total(full, tenant="acme")).cost_usd == Decimal("1.3")
    assert (await total(full, tenant="acme", job="receipt")).cost_usd == Decimal("0.2")
    assert await full.costs(by="job", tenant="nobody") == []


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        (2, None, ["2026-01-03", "2026-01-02"]),
        (None, 2, ["2026-01-02", "2026-01-01"]),
        (2, 2, ["2026-01-02"]),
        (3, 3, ["2026-01-03"]),
        (4, None, []),
    ],
)
async def test_both_ends_of_a_span_belong_to_it(
    full: ResultStore, since: int | None, until: int | None, days: list[str]
) -> None:
    first, last = (day and date(2026, 1, day) for day in (since, until))
    assert await names(full, by="day", since=first, until=last) == days
