"""Collections over stores in memory: what is reached from roots stays, whatever the order of events."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engross.errors import ServiceUnavailable
from starters.retention.marking import Marks
from starters.retention.policy import Policy
from starters.retention.report import Amount, Report
from starters.retention.sweeping import Stores, collect
from tests.starters.retention.fakes import FakeBlobs, FakeRows
from tests.starters.retention.test_marking import told

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OLD, YOUNG = NOW - timedelta(days=30), NOW - timedelta(days=1)
POLICY = Policy(blobs_before=NOW - timedelta(days=7))


class FakeWorkflows:
    """Open workflows that name `roots`, and later, when they are asked a second time, `late` ones."""

    def __init__(self, roots: list[str] | None = None, late: Callable[[], list[str]] = list) -> None:
        self._roots = roots or []
        self._late = late

    async def mark(self, marks: Marks, _told: object, since: datetime | None = None) -> set[str]:
        marks.mark(map(bytes.fromhex, self._late() if since else self._roots))
        return set()

    async def mark_schedules(self, marks: Marks) -> None:
        """There are none."""


async def collected(
    blobs: FakeBlobs,
    workflows: FakeWorkflows | None = None,
    rows: FakeRows | None = None,
    *,
    policy: Policy = POLICY,
    dry: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Report:
    report, parts = Report(is_dry=dry), (workflows or FakeWorkflows(), rows or FakeRows(), blobs)
    stores: Any = Stores(*parts)  # type: ignore[arg-type]  # fakes
    await collect(stores, policy, report, check, told)
    return report


@given(data=st.data())
def test_never_a_reachable_blob_and_all_old_ones_that_are_not(data: st.DataObject) -> None:
    """Blobs name earlier ones at random; workflows and rows name some; ages and tenants are random too."""
    blobs = FakeBlobs()
    placed: list[tuple[str, str]] = []
    names: dict[tuple[str, str], set[str]] = {}
    for number in range(data.draw(st.integers(0, 25), label="blobs")):
        tenant = data.draw(st.sampled_from(["a", "b"]))
        named = data.draw(st.sets(st.sampled_from(placed), max_size=3)) if placed else set()
        content = f"{number}: {[sha256 for _, sha256 in sorted(named)]}".encode()
        place = tenant, blobs.put(tenant, content, data.draw(st.sampled_from([OLD, YOUNG])))
        names[place] = {sha256 for _, sha256 in named}
        placed.append(place)
    roots = data.draw(st.sets(st.sampled_from(placed))) if placed else set()
    by_rows = {sha256 for _, sha256 in roots if data.draw(st.booleans())}
    by_workflows = {sha256 for _, sha256 in roots} - by_rows

    reachable, left = set[str](), [*by_rows, *by_workflows]
    while left:
        sha256 = left.pop()
        if sha256 not in reachable:
            reachable.add(sha256)
            left += [name for place, of_it in names.items() if place[1] == sha256 for name in of_it]
    expected = {place for place, (_, modified) in blobs.stored.items() if place[1] in reachable or modified == YOUNG}
    rows = FakeRows([bytes.fromhex(sha256) for sha256 in by_rows])

    asyncio.run(collected(blobs, FakeWorkflows(list(by_workflows)), rows))

    assert set(blobs.stored) == expected


async def test_counts_by_tenant_and_a_dry_run_that_deletes_nothing() -> None:
    blobs = FakeBlobs()
    kept = blobs.put("acme", b"kept", OLD)
    blobs.put("acme", b"young one", YOUNG)
    blobs.put("acme", b"old", OLD)
    blobs.put("other", b"old too", OLD)
    before = dict(blobs.stored)

    dry = await collected(blobs, FakeWorkflows([kept]), dry=True)
    assert blobs.stored == before
    assert not dry.has_deleted
    wet = await collected(blobs, FakeWorkflows([kept]))

    assert dry.tenants == wet.tenants
    acme, other = wet.tenants
    assert (acme.kept, acme.young, acme.deleted) == (
        Amount(blobs=1, bytes=4),
        Amount(blobs=1, bytes=9),
        Amount(blobs=1, bytes=3),
    )
    assert (other.tenant, other.deleted) == ("other", Amount(blobs=1, bytes=7))
    assert wet.has_deleted
    assert len(blobs.stored) == 2


async def test_only_of_one_tenant() -> None:
    blobs = FakeBlobs()
    blobs.put("a", b"x", OLD)
    blobs.put("b", b"y", OLD)
    report = await collected(blobs, policy=Policy(blobs_before=POLICY.blobs_before, tenant="a"))
    assert [place[0] for place in blobs.stored] == ["b"]
    assert [each.tenant for each in report.tenants] == ["a"]


async def test_a_blob_that_is_put_again_meanwhile_stays() -> None:
    blobs = FakeBlobs()
    again = blobs.put("a", b"put again", OLD)
    blobs.put("a", b"gone", OLD)

    def put_again(_sha256: str) -> None:
        blobs.put("a", b"put again", NOW)

    blobs.before_delete = put_again
    report = await collected(blobs)
    assert [sha256 for _, sha256 in blobs.stored] == [again]
    assert (report.tenants[0].young.blobs, report.tenants[0].deleted.blobs) == (1, 1)


async def test_a_blob_that_comes_while_others_are_marked_stays_however_old_it_looks() -> None:
    blobs, late = FakeBlobs(), []

    def started() -> list[str]:
        late.append(blobs.put("a", b"came with a clock of its own", OLD))
        return []

    await collected(blobs, FakeWorkflows(late=started))
    assert [sha256 for _, sha256 in blobs.stored] == late


async def test_what_a_workflow_names_that_started_meanwhile_stays_with_all_that_it_names() -> None:
    blobs = FakeBlobs()
    part = blobs.put("a", b"part", OLD)
    listing = blobs.put("a", part.encode(), OLD)
    await collected(blobs, FakeWorkflows(late=lambda: [listing]))
    assert {sha256 for _, sha256 in blobs.stored} == {part, listing}


async def test_nothing_is_deleted_when_something_cannot_be_read() -> None:
    class Unreadable(FakeRows):
        async def mark(self, marks: object, told: object) -> None:
            raise ServiceUnavailable("the database does not answer")

    blobs, rows = FakeBlobs(), Unreadable()
    blobs.put("a", b"x", OLD)
    with pytest.raises(ServiceUnavailable):
        await collected(blobs, rows=rows)
    assert len(blobs.stored) == 1
    assert rows.deleted == 0


async def test_nothing_is_deleted_any_more_once_the_lock_is_lost() -> None:
    blobs, left = FakeBlobs(), [True, True]
    for number in range(100):
        blobs.put("a", f"{number}".encode(), OLD)

    def check() -> None:
        if not left:
            raise ServiceUnavailable("lost")
        left.pop()

    with pytest.raises(ServiceUnavailable, match="lost"):
        await collected(blobs, check=check)
    assert 0 < len(blobs.stored) < 100, "one round was deleted, and no more"
