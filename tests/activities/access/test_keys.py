"""API keys, on SQLite and PostgreSQL."""

import re
import secrets
from collections.abc import Callable

import pytest
from sqlalchemy import event, select

from activities.access import AccessStore, KeyInfo
from activities.access.tables import KEYS
from activities.storage.database import Database
from engross.errors import InvalidRequest, NotSignedIn
from engross.people import Person, Role
from tests.activities.access.conftest import Clock


async def only(store: AccessStore) -> KeyInfo:
    [key] = await store.keys("anna")
    return key


async def test_a_key_is_its_person_with_the_rights_of_now(store: AccessStore, database: Database, clock: Clock) -> None:
    await store.add("anna")
    key = await store.make_key("Anna", "ci")
    parts = re.fullmatch(r"eg_([0-9a-f]{8})_([A-Za-z0-9_-]{43})", key)
    assert parts
    assert await store.by_key(key) == Person("anna")
    await store.grant("anna", "acme", Role.VIEWER)
    assert (await store.by_key(key)).may_see("acme")
    assert await only(store) == KeyInfo(parts[1], "anna", "ci", created_at=clock.time, used_at=clock.time)
    assert parts[2] not in str(await database.fetch(select(KEYS)))


async def test_what_is_no_key_is_nobodys(store: AccessStore) -> None:
    await store.add("anna")
    key, other = await store.make_key("anna", "a"), await store.make_key("anna", "b")
    crossed = key[:12] + other[12:]
    for wrong in (
        "",
        "eg_",
        key[:-1],
        key + "A",
        f"{key}\n",
        key.upper(),
        crossed,
        f"eg_00000000_{'A' * 43}",
        "\udc80",
    ):
        with pytest.raises(NotSignedIn) as error:
            await store.by_key(wrong)
        assert not wrong or wrong not in str(error.value)
    assert [each.used_at for each in await store.keys("anna")] == [None, None]


async def test_a_key_ends_when_it_is_revoked(store: AccessStore, clock: Clock) -> None:
    await store.add("anna")
    await store.add("bert")
    key, kept = await store.make_key("anna", "a"), await store.make_key("anna", "b")
    with pytest.raises(InvalidRequest, match="no key of that id"):
        await store.revoke_key("bert", key[3:11])
    assert await store.revoke_key("Anna", key[3:11])
    clock.turn(days=1)
    assert not await store.revoke_key("anna", key[3:11])
    with pytest.raises(NotSignedIn):
        await store.by_key(key)
    await store.by_key(kept)
    revoked = {each.label: each.revoked_at for each in await store.keys("anna")}
    assert revoked["b"] is None
    assert revoked["a"] is not None
    assert revoked["a"] < clock.time, "the first time counts"


async def test_a_key_expires(store: AccessStore, clock: Clock) -> None:
    await store.add("anna")
    key = await store.make_key("anna", "ci", days=2)
    clock.turn(days=2, microseconds=-1)
    await store.by_key(key)
    assert (await only(store)).works_at(clock.time)
    clock.turn(microseconds=1)
    with pytest.raises(NotSignedIn):
        await store.by_key(key)
    assert not (await only(store)).works_at(clock.time)


async def test_keys_rest_while_somebody_is_not_active(store: AccessStore) -> None:
    await store.add("anna")
    key = await store.make_key("anna", "ci")
    await store.set_active("anna", False)
    with pytest.raises(NotSignedIn):
        await store.by_key(key)
    with pytest.raises(InvalidRequest, match="nobody who is active"):
        await store.make_key("anna", "another")
    await store.set_active("anna", True)
    await store.by_key(key)
    assert [each.label for each in await store.keys("anna")] == ["ci"]


async def test_the_last_use_is_noted_once_a_minute(store: AccessStore, clock: Clock, database: Database) -> None:
    await store.add("anna")
    key = await store.make_key("anna", "ci")
    assert (await only(store)).used_at is None
    first = clock.time
    await store.by_key(key)
    clock.turn(seconds=59)
    with_writes = count_writes(database)
    await store.by_key(key)
    assert ((await only(store)).used_at, with_writes()) == (first, 0)
    clock.turn(seconds=1)
    await store.by_key(key)
    assert (await only(store)).used_at == clock.time
    assert with_writes() == 1


def count_writes(database: Database) -> Callable[[], int]:
    """How many updates have been sent since."""
    seen: list[str] = []

    @event.listens_for(database._engine.sync_engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        seen.append(statement)

    return lambda: sum(statement.startswith("UPDATE") for statement in seen)


async def test_keys_are_listed_newest_first(store: AccessStore, clock: Clock) -> None:
    await store.add("anna")
    for label in ("a", "b", "c"):
        await store.make_key("anna", label)
        clock.turn(seconds=1)
    assert [key.label for key in await store.keys("anna")] == ["c", "b", "a"]


@pytest.mark.parametrize("label", ["", "a\nb", "\x1b[31m", "x" * 256, "a\x00"])
async def test_labels_are_short_and_printable(store: AccessStore, label: str) -> None:
    await store.add("anna")
    with pytest.raises(InvalidRequest, match="label"):
        await store.make_key("anna", label)


@pytest.mark.parametrize("days", [0, -1, 3651, 10**9])
async def test_days_have_bounds(store: AccessStore, days: int) -> None:
    await store.add("anna")
    with pytest.raises(InvalidRequest, match="days"):
        await store.make_key("anna", "ci", days)


async def test_an_id_that_is_taken_is_not_given_again(store: AccessStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.add("anna")
    ids = iter(["0000000a", "0000000a", "0000000b"])
    monkeypatch.setattr(secrets, "token_hex", lambda _bytes: next(ids))
    keys = [await store.make_key("anna", "ci") for _ in range(2)]
    assert [key[3:11] for key in keys] == ["0000000a", "0000000b"]
    for key in keys:
        await store.by_key(key)
