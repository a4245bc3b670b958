"""Data keys of tenants: made once, wrapped, rotated, destroyed, and forgotten in time."""

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest

from activities.encryption.keys import INSTALLATION, KeyState, TenantKeys
from engross.errors import ConfigurationError, InvalidRequest, KeyUnavailable, TenantErased
from engross.settings import Settings
from tests.activities.encryption.conftest import MASTERS, Clock, Opened


async def test_a_tenant_has_one_key_that_all_processes_share(opened: Opened) -> None:
    made = await opened().current("acme")

    assert made.id == "acme.1"
    assert len(made.secret) == 32
    assert await opened().current("acme") == made
    assert await opened().get("acme", 1) == made
    assert (await opened().current("other")).secret != made.secret
    assert (await opened().current(INSTALLATION)).secret != made.secret


async def test_processes_that_start_at_once_make_one_key(opened: Opened) -> None:
    processes = [opened() for _ in range(6)]

    found = await asyncio.gather(*(each.current("acme") for each in processes for _ in range(5)))

    assert len({key.secret for key in found}) == 1
    assert [row.number for row in await opened().listed()] == [1]


async def test_processes_that_rotate_at_once_agree(opened: Opened) -> None:
    first = await opened().current("acme")

    numbers = await asyncio.gather(*(opened().rotate("acme") for _ in range(6)))

    rows = await opened().listed()
    assert max(numbers) == len(rows)
    assert [row.state for row in rows] == [KeyState.RETIRED] * (len(rows) - 1) + [KeyState.ACTIVE]
    assert (await opened().current("acme")).number == max(numbers)
    assert await opened().get("acme", 1) == first


async def test_a_key_made_elsewhere_is_found_at_once_and_used_within_a_minute(opened: Opened, clock: Clock) -> None:
    here, there = opened(), opened()
    await here.current("acme")
    assert await there.rotate("acme") == 2

    assert (await here.current("acme")).number == 1
    assert (await here.get("acme", 2)).number == 2
    assert (await here.current("acme")).number == 2

    assert await there.rotate("acme") == 3
    clock.seconds += 59
    assert (await here.current("acme")).number == 2
    clock.seconds += 1
    assert (await here.current("acme")).number == 3


async def test_a_destroyed_key_is_forgotten_within_a_minute(opened: Opened, clock: Clock) -> None:
    here, there = opened(), opened()
    key = await here.current("acme")
    assert await there.destroy("acme") == 1
    with pytest.raises(TenantErased, match="acme"):
        await there.get("acme", 1)

    assert await here.get("acme", 1) == key
    clock.seconds += 60
    for ask in (here.current("acme"), here.get("acme", 1)):
        with pytest.raises(TenantErased, match="acme"):
            await ask


async def test_nothing_is_left_of_a_destroyed_key_but_its_row(opened: Opened) -> None:
    keys = opened()
    await keys.current("acme")
    await keys.rotate("acme")
    await keys.current("other")

    assert await keys.destroy("acme") == 2
    assert await keys.destroy("acme") == 0

    states = [(row.tenant, row.number, row.state) for row in await opened().listed()]
    gone = KeyState.DESTROYED
    assert states == [("acme", 1, gone), ("acme", 2, gone), ("other", 1, KeyState.ACTIVE)]
    with pytest.raises(TenantErased):
        await opened().rotate("acme")


async def test_a_tenant_without_keys_can_be_erased_and_its_name_is_refused_from_then_on(opened: Opened) -> None:
    assert await opened().destroy("acme") == 0

    with pytest.raises(TenantErased):
        await opened().current("acme")


async def test_a_key_made_in_the_moment_of_the_erasure_does_not_bring_the_tenant_back(opened: Opened) -> None:
    for round_ in range(5):
        tenant = f"acme-{round_}"
        await opened().current(tenant)
        await asyncio.gather(
            opened().destroy(tenant), opened().rotate(tenant), opened().current(tenant), return_exceptions=True
        )
        with pytest.raises(TenantErased):
            await opened().current(tenant)


async def test_after_a_new_master_key_all_data_keys_can_be_wrapped_by_it(opened: Opened) -> None:
    before = await opened().current("acme")
    await opened().current("gone")
    await opened().destroy("gone")
    both = {"k2": os.urandom(32), **MASTERS}
    assert await opened(both).current("acme") == before
    new = await opened(both).current("new")
    assert {row.tenant: row.master_id for row in await opened().listed()} == {"acme": "k1", "gone": "k1", "new": "k2"}

    assert await opened(both).rewrap() == 1
    assert await opened(both).rewrap() == 0

    alone = opened({"k2": both["k2"]})
    assert [await alone.current("acme"), await alone.current("new")] == [before, new]
    with pytest.raises(TenantErased):
        await alone.current("gone")


async def test_a_missing_master_key_is_named_and_nothing_is_rewrapped(opened: Opened) -> None:
    await opened().current("acme")
    await opened({"k2": os.urandom(32)}).current("other")

    with pytest.raises(KeyUnavailable, match=r"acme\.1.*k1.*ENGROSS_ENCRYPTION_KEYS"):
        await opened({"k2": os.urandom(32)}).current("acme")
    with pytest.raises(KeyUnavailable):
        await opened({"k3": os.urandom(32), **MASTERS}).rewrap()
    assert {row.master_id for row in await opened().listed()} == {"k1", "k2"}


async def test_another_key_under_the_same_id_is_told_apart(opened: Opened) -> None:
    await opened().current("acme")

    with pytest.raises(KeyUnavailable, match="not the one that wraps"):
        await opened({"k1": os.urandom(32)}).current("acme")


async def test_a_data_key_that_was_moved_to_another_tenant_opens_nothing(tmp_path: Path, keys: TenantKeys) -> None:
    await keys.current("acme")
    await keys.current("other")
    with sqlite3.connect(tmp_path / "keys.db") as database:
        database.execute("update tenant_keys set wrapped = (select wrapped from tenant_keys where tenant = 'acme')")
    database.close()

    other = TenantKeys(MASTERS, f"sqlite+aiosqlite:///{tmp_path / 'keys.db'}")
    assert (await other.current("acme")).number == 1
    with pytest.raises(KeyUnavailable):
        await other.current("other")


async def test_a_number_that_was_never_given_is_refused(keys: TenantKeys) -> None:
    await keys.current("acme")

    with pytest.raises(KeyUnavailable, match=r"acme\.7"):
        await keys.get("acme", 7)
    with pytest.raises(KeyUnavailable, match="nobody"):
        await keys.get("nobody", 1)
    assert [row.tenant for row in await keys.listed()] == ["acme"]


@pytest.mark.parametrize("tenant", ["", "ACME", "a/b", "_other"])
async def test_only_names_have_keys(keys: TenantKeys, tenant: str) -> None:
    for ask in (keys.current(tenant), keys.get(tenant, 1), keys.rotate(tenant), keys.destroy(tenant)):
        with pytest.raises(InvalidRequest):
            await ask


async def test_the_key_of_the_installation_cannot_be_destroyed(keys: TenantKeys) -> None:
    with pytest.raises(InvalidRequest):
        await keys.destroy(INSTALLATION)


async def test_who_is_cancelled_leaves_the_others_their_answer(keys: TenantKeys) -> None:
    first, second = asyncio.create_task(keys.current("acme")), asyncio.create_task(keys.current("acme"))
    await asyncio.sleep(0)
    first.cancel()

    assert (await second).id == "acme.1"
    assert first.cancelled()


def test_keys_serve_one_event_loop_after_the_other(keys: TenantKeys) -> None:
    assert asyncio.run(keys.current("acme")) == asyncio.run(keys.get("acme", 1))
    assert asyncio.run(keys.rotate("acme")) == 2
    assert asyncio.run(keys.current("acme")).number == 2


def test_without_the_setting_there_are_no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ENGROSS_ENCRYPTION_KEYS", raising=False)
    settings = Settings(_env_file=None, home=tmp_path)  # type: ignore[call-arg]  # pydantic-settings' own keyword
    assert TenantKeys.of(settings) is None


async def test_no_key_is_shown_by_accident(keys: TenantKeys) -> None:
    key = await keys.current("acme")
    assert "secret" not in repr(key)
    assert all("wrapped" not in repr(row) and row.wrapped is None for row in await keys.listed())


async def test_an_address_that_is_none_names_the_setting() -> None:
    with pytest.raises(ConfigurationError, match="ENGROSS_RESULTS"):
        await TenantKeys(MASTERS, "nowhere").current("acme")
