"""Passwords and failed sign-ins, on SQLite and PostgreSQL."""

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from activities.access import AccessStore
from activities.access.passwords import Passwords
from activities.access.tables import FAILURES, PEOPLE
from activities.access.throttle import wait_after
from activities.storage.database import Database
from engross.errors import InvalidRequest, NotSignedIn, TooManyRequests
from tests.activities.access.conftest import PASSWORD, Clock


async def stored(database: Database, name: str = "anna") -> Any:
    return (await database.fetch(select(PEOPLE).where(PEOPLE.c.name == name)))[0]["password"]


async def fail(store: AccessStore, name: str, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(NotSignedIn):
            await store.sign_in(name, "a wrong password")


async def wait(store: AccessStore, name: str, password: str = PASSWORD) -> float:
    """How long the next try has to wait, by the answer to it."""
    with pytest.raises(TooManyRequests) as error:
        await store.sign_in(name, password)
    assert str(math.ceil(error.value.seconds)) in str(error.value)
    return error.value.seconds


async def test_who_knows_the_password_signs_in(store: AccessStore, database: Database) -> None:
    anna = await store.add("anna", password=PASSWORD)
    assert await store.sign_in("Anna", PASSWORD) == anna
    hashed = await stored(database)
    assert (hashed.startswith("$argon2id$"), PASSWORD in hashed) == (True, False)
    for wrong in (PASSWORD.upper(), PASSWORD + " ", "", "x" * 100_000):
        with pytest.raises(NotSignedIn):
            await store.sign_in("anna", wrong)


def test_new_hashes_have_the_librarys_own_parameters(database: Database) -> None:
    assert AccessStore(database)._passwords._hasher.check_needs_rehash(PasswordHasher().hash("x")) is False


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("eleven char", "at least 12"),
        ("", "at least 12"),
        ("x" * 257, "at most 256"),
        ("Anna.Berger@Example", "must not be the name"),
        ("anna@example.com".upper(), "must not be the name"),
        ("1qaz2wsx3edc", "most common"),
        ("Christopher1", "most common"),
    ],
)
async def test_passwords_that_break_a_rule_are_refused(store: AccessStore, password: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as error:
        await store.add("anna.berger@example", email="anna@example.com", password=password)
    assert not password or password not in str(error.value)
    assert await store.is_empty()
    await store.add("anna.berger@example", email="anna@example.com")
    with pytest.raises(InvalidRequest, match=says):
        await store.set_password("anna.berger@example", password)


@pytest.mark.parametrize("password", ["a" * 12, "ü" * 256, "            ", "with \x00 and \udc80 in it"])
async def test_every_character_counts_and_none_is_asked_for(store: AccessStore, password: str) -> None:
    await store.add("anna", password=password)
    await store.sign_in("anna", password)
    await fail(store, "anna")


async def test_what_is_longer_than_any_password_is_not_cut_to_one(store: AccessStore) -> None:
    await store.add("anna", password="x" * 256)
    for more in (1, 2, 1000):
        with pytest.raises(NotSignedIn):
            await store.sign_in("anna", "x" * (256 + more))


async def test_nobody_signs_in_without_a_password_or_while_not_active(store: AccessStore) -> None:
    await store.add("anna")
    for guess in ("", PASSWORD):
        with pytest.raises(NotSignedIn):
            await store.sign_in("anna", guess)
    await store.set_password("anna", PASSWORD)
    await store.set_active("anna", False)
    with pytest.raises(NotSignedIn):
        await store.sign_in("anna", PASSWORD)
    await store.set_active("anna", True)
    await store.sign_in("anna", PASSWORD)


async def test_a_hash_with_old_parameters_is_made_anew_at_sign_in(
    store: AccessStore, database: Database, clock: Clock
) -> None:
    anna = await store.add("anna", password=PASSWORD)
    old = await stored(database)
    await store.sign_in("anna", PASSWORD)
    assert await stored(database) == old
    later = AccessStore(database, now=clock, hasher=PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    await fail(later, "anna")
    assert await stored(database) == old, "only who knows it can"
    assert await later.sign_in("anna", PASSWORD) == anna
    assert "m=16,t=2,p=1" in await stored(database)
    assert await later.sign_in("anna", PASSWORD) == anna


class Counting(PasswordHasher):
    """Remembers the parameters of every hash that it compares with."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.seen: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  argon2's name for it
        self.seen.append(str(hash).rsplit("$", 2)[0])
        return super().verify(hash, password)


async def test_names_that_nobody_has_take_the_same_work(store: AccessStore, database: Database, clock: Clock) -> None:
    hasher = Counting()
    counting = AccessStore(database, now=clock, hasher=hasher)
    await counting.add("anna", password=PASSWORD)
    await counting.add("bert")
    seen, said = [], set()
    for name in ("anna", "bert", "nobody", "no name at all\x00"):
        with pytest.raises(NotSignedIn) as error:
            await counting.sign_in(name, "a wrong password")
        said.add(str(error.value))
        seen.append(tuple(hasher.seen))
        hasher.seen.clear()
    assert len(seen[0]) == 1
    assert set(seen) == {seen[0]}
    assert len(said) == 1


async def test_without_a_hash_no_password_is_right(cheap: PasswordHasher) -> None:
    passwords = Passwords(cheap)
    for guess in ("", PASSWORD):
        assert not await passwords.is_right(guess, None)


async def test_a_flood_of_sign_ins_takes_the_memory_of_four(
    monkeypatch: pytest.MonkeyPatch, cheap: PasswordHasher
) -> None:
    passwords, hashed = Passwords(cheap), cheap.hash(PASSWORD)
    running = [0]

    async def slow(work: Callable[..., Any], *arguments: Any) -> Any:
        running.append(running[-1] + 1)
        for _ in range(20):  # all others get as far as they can
            await asyncio.sleep(0)
        running.append(running[-1] - 1)
        return work(*arguments)

    monkeypatch.setattr("activities.access.passwords.asyncio.to_thread", slow)
    assert all(await asyncio.gather(*(passwords.is_right(PASSWORD, hashed) for _ in range(12))))
    assert max(running) == 4


# --- failures in a row ------------------------------------------------------------------------------------------------


def test_waits_double_up_to_five_minutes() -> None:
    waits = [wait_after(failures).total_seconds() for failures in range(1, 16)]
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert wait_after(10**9) == timedelta(minutes=5)


@pytest.mark.parametrize("name", ["anna", "nobody", "no name at all\x00\udc80"])
async def test_after_five_failures_one_waits_longer_each_time_but_never_for_good(
    store: AccessStore, others: list[AccessStore], clock: Clock, name: str
) -> None:
    await store.add("anna", password=PASSWORD)
    await fail(store, name, 5)
    for expected in (1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300):
        # What comes too early counts for nothing; it is the same after a restart, and however the name is written.
        assert await wait(others[0], name.upper()) == expected
        clock.turn(seconds=expected / 4)
        assert await wait(store, name) == expected * 3 / 4
        clock.turn(seconds=expected * 3 / 4)
        await fail(store, name)
    clock.turn(minutes=5)
    if name == "anna":
        await store.sign_in("anna", PASSWORD)
        await fail(store, name, 5)
        assert await wait(store, name) == 1


async def test_who_signs_in_in_between_begins_anew(store: AccessStore) -> None:
    await store.add("anna", password=PASSWORD)
    for _ in range(4):
        await fail(store, "anna", 4)
        await store.sign_in("anna", PASSWORD)
    await fail(store, "anna", 4)
    await store.add("bert", password=PASSWORD)
    await store.sign_in("bert", PASSWORD)
    await fail(store, "anna")
    assert await wait(store, "anna") == 1, "another person's sign-in changes nothing"


async def test_a_new_password_ends_the_wait(store: AccessStore) -> None:
    await store.add("anna", password=PASSWORD)
    await fail(store, "anna", 5)
    await store.set_password("ANNA", "another long password")
    await store.sign_in("anna", "another long password")


async def test_many_guesses_at_once_are_no_more_than_one_by_one(others: list[AccessStore]) -> None:
    await others[0].add("anna", password=PASSWORD)
    guesses = [each.sign_in("anna", f"a wrong password {n}") for n, each in enumerate(others * 10)]
    ended = await asyncio.gather(*guesses, return_exceptions=True)
    kinds = [type(each) for each in ended]
    assert (kinds.count(NotSignedIn), kinds.count(TooManyRequests)) == (5, 35)


async def test_a_day_later_failures_are_forgotten(store: AccessStore, database: Database, clock: Clock) -> None:
    for name in ("anna", "bert", "carl"):
        await fail(store, name, 5)
    clock.turn(days=1, seconds=1)
    await fail(store, "anna", 5)
    rows = await database.fetch(select(FAILURES))
    assert [row["failures"] for row in rows] == [5], "what others typed is not kept for ever"
    assert "anna" not in str(rows)
