"""Sessions, on SQLite and PostgreSQL."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from activities.access import AccessStore, Session
from activities.access.tables import SESSIONS
from activities.storage.database import Database
from engross.errors import NotSignedIn
from engross.people import Role
from tests.activities.access.conftest import PASSWORD, Clock
from tests.activities.access.test_keys import count_writes

IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)


async def opened(store: AccessStore, name: str = "anna") -> Session:
    return await store.open_session(name, idle=IDLE, longest=LONGEST)


async def lasts(store: AccessStore, *sessions: Session) -> list[bool]:
    return [await store.session(session.token) is not None for session in sessions]


async def rows(database: Database) -> int:
    found: int = (await database.fetch(select(func.count().label("n")).select_from(SESSIONS)))[0]["n"]
    return found


async def test_a_session_is_found_by_its_token_alone(store: AccessStore, database: Database, clock: Clock) -> None:
    anna = await store.add("anna")
    session = await opened(store, "Anna")
    assert (session.person, session.opened_at, session.ends_at) == (anna, clock.time, clock.time + LONGEST)
    assert await store.session(session.token) == session
    for wrong in ("", session.csrf, session.token[:-1], f"{session.token} ", "\udc80\x00"):
        assert await store.session(wrong) is None
    assert len(session.token) == len(session.csrf) == 43
    assert session.token not in str(await database.fetch(select(SESSIONS)))
    assert session.token not in repr(session)
    assert session.csrf not in repr(session)


async def test_every_sign_in_has_tokens_of_its_own(store: AccessStore) -> None:
    await store.add("anna")
    sessions = [await opened(store) for _ in range(3)]
    assert len({each.token for each in sessions} | {each.csrf for each in sessions}) == 6
    assert await lasts(store, *sessions) == [True] * 3


async def test_it_ends_when_it_is_not_used(store: AccessStore, database: Database, clock: Clock) -> None:
    await store.add("anna")
    session = await opened(store)
    for _ in range(3):
        clock.turn(minutes=29, seconds=59)
        assert await store.session(session.token) == session
    clock.turn(minutes=30)
    assert await store.session(session.token) is None
    assert await rows(database) == 0


async def test_what_a_page_asks_by_itself_is_no_use(store: AccessStore, clock: Clock) -> None:
    await store.add("anna")
    session = await opened(store)
    for _ in range(2):
        clock.turn(minutes=10)
        assert await store.session(session.token, is_used=False) == session
    clock.turn(minutes=10)
    assert await store.session(session.token, is_used=False) is None


async def test_it_ends_at_last_however_much_it_is_used(store: AccessStore, clock: Clock) -> None:
    await store.add("anna")
    session = await opened(store)
    while clock.time + timedelta(minutes=20) < session.ends_at:
        clock.turn(minutes=20)
        assert await store.session(session.token) == session
    clock.time = session.ends_at - timedelta(microseconds=1)
    assert await lasts(store, session) == [True]
    clock.turn(microseconds=1)
    assert await lasts(store, session) == [False]


async def test_use_is_noted_once_a_minute(store: AccessStore, database: Database, clock: Clock) -> None:
    await store.add("anna")
    session = await opened(store)
    writes = count_writes(database)
    for _ in range(12):
        clock.turn(seconds=10)
        assert await store.session(session.token) == session
    assert writes() == 2


async def test_a_short_idle_time_is_counted_from_the_last_use(store: AccessStore, clock: Clock) -> None:
    await store.add("anna")
    session = await store.open_session("anna", idle=timedelta(seconds=20), longest=LONGEST)
    for _ in range(5):
        clock.turn(seconds=15)
        assert await store.session(session.token) == session


async def test_signing_out_ends_one_session_or_all_of_somebody(store: AccessStore) -> None:
    await store.add("anna")
    await store.add("bert")
    one, two, three, other = [await opened(store, name) for name in ("anna", "anna", "anna", "bert")]
    await store.close_session(one.token)
    await store.close_session(one.token)
    assert await lasts(store, one, two, three, other) == [False, True, True, True]
    await store.close_sessions("ANNA")
    assert await lasts(store, two, three, other) == [False, False, True]


async def test_a_new_password_ends_all_sessions_of_its_person(store: AccessStore) -> None:
    await store.add("anna", password=PASSWORD)
    await store.add("bert")
    one, two, other = [await opened(store, name) for name in ("anna", "anna", "bert")]
    await store.set_password("Anna", "another long password")
    assert await lasts(store, one, two, other) == [False, False, True]


async def test_who_is_deactivated_has_no_session_now_nor_after(store: AccessStore) -> None:
    await store.add("anna")
    await store.add("bert")
    mine, other = await opened(store), await opened(store, "bert")
    await store.set_active("Anna", False)
    assert await lasts(store, mine, other) == [False, True]
    for name in ("anna", "nobody", "a\x00"):
        with pytest.raises(NotSignedIn):
            await opened(store, name)
    await store.set_active("anna", True)
    assert await lasts(store, mine) == [False]


async def test_rights_in_a_session_are_those_of_now(store: AccessStore) -> None:
    await store.add("anna")
    session = await opened(store)
    await store.grant("anna", "acme", Role.SENIOR)
    now = await store.session(session.token)
    assert now is not None
    assert now.person.is_senior("acme")
    await store.revoke("anna", "acme", Role.SENIOR)
    now = await store.session(session.token)
    assert now is not None
    assert not now.person.may_see("acme")


async def test_what_has_ended_is_cleared_away(store: AccessStore, database: Database, clock: Clock) -> None:
    await store.add("anna")
    for _ in range(3):
        await opened(store)
    clock.turn(hours=12)
    await opened(store)
    assert await rows(database) == 1


async def test_a_sign_in_at_the_moment_of_a_deactivation_leaves_no_session(others: list[AccessStore]) -> None:
    first, *rest = others
    await first.add("anna")
    for _ in range(10):
        await asyncio.gather(*(opened(each) for each in rest), first.set_active("anna", False), return_exceptions=True)
        await first.set_active("anna", True)
        assert await first._database.fetch(select(SESSIONS)) == []
