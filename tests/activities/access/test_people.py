"""People, roles and groups, on SQLite and PostgreSQL."""

import asyncio
from typing import cast

import pytest
from sqlalchemy import insert

from activities.access import AccessStore
from activities.access.tables import ROLES
from activities.storage.database import Database
from engross.errors import InvalidRequest
from engross.people import EVERY_TENANT, Person, Role

ISSUER = "https://login.example"


async def test_somebody_is_added_without_rights_and_found_in_any_case(store: AccessStore) -> None:
    assert await store.is_empty()
    added = await store.add("Anna.B@Example", email="anna@example.com")
    assert added == Person("anna.b@example", "anna@example.com")
    assert await store.person("ANNA.b@example") == added
    assert not await store.is_empty()
    assert await store.person("nobody") is None


@pytest.mark.parametrize(
    ("name", "email", "says"),
    [
        ("", "", "no name of a user"),
        ("a b", "", "no name of a user"),
        ("-a", "", "no name of a user"),
        ("a\x00b", "", "no name of a user"),
        ("\udc80", "", "no name of a user"),
        ("x" * 128, "", "no name of a user"),
        ("approvers", "", "meaning of its own"),
        ("Engross", "", "meaning of its own"),
        ("anna", "anna", "no e-mail address"),
        ("anna", "a@b\nBcc: c@d", "no e-mail address"),
        ("anna", "a b@c", "no e-mail address"),
        ("anna", f"{'x' * 250}@example", "no e-mail address"),
    ],
)
async def test_what_is_no_name_or_address_is_refused(store: AccessStore, name: str, email: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as error:
        await store.add(name, email=email)
    assert len(str(error.value).splitlines()) == 1
    assert await store.is_empty()
    assert await store.person(name) is None


async def test_a_name_is_given_once_to_one_person_or_group(store: AccessStore) -> None:
    await store.add("anna")
    with pytest.raises(InvalidRequest, match="taken"):
        await store.add("ANNA", email="other@example.com")
    with pytest.raises(InvalidRequest, match="a person is called 'anna'"):
        await store.join("anna", "acme", "anna")
    await store.join("anna", "acme", "board")
    with pytest.raises(InvalidRequest, match="a group is called 'board'"):
        await store.add("board")
    assert await store.people() == [Person("anna", groups={"acme": frozenset({"board"})})]


async def test_many_who_add_one_name_at_once_add_one_person(others: list[AccessStore]) -> None:
    await asyncio.gather(*(each.start() for each in others))
    tries = [each.add("anna", email=f"{n}@example.com") for n, each in enumerate(others * 3)]
    ended = await asyncio.gather(*tries, return_exceptions=True)
    added = [each for each in ended if isinstance(each, Person)]
    assert (len(added), [type(each) for each in ended if each not in added]) == (1, [InvalidRequest] * 11)
    assert await others[0].people() == added


async def test_the_first_person_has_every_role_everywhere_and_is_the_only_first(store: AccessStore) -> None:
    first = await store.add_first("root")
    assert first.roles == {EVERY_TENANT: frozenset(Role)}
    with pytest.raises(InvalidRequest, match="exists already"):
        await store.add_first("second")
    assert await store.people() == [first]


async def test_roles_and_groups_are_given_and_taken_by_tenant(store: AccessStore) -> None:
    await store.add("anna")
    assert await store.grant("Anna", "acme", Role.APPROVER)
    assert not await store.grant("anna", "acme", Role.APPROVER)
    assert await store.grant("anna", "*", Role.VIEWER)
    assert await store.join("Anna", "acme", "board")
    assert not await store.join("anna", "acme", "board")
    assert await store.person("anna") == Person(
        "anna",
        roles={"acme": frozenset({Role.APPROVER}), "*": frozenset({Role.VIEWER})},
        groups={"acme": frozenset({"board"})},
    )
    assert not await store.revoke("anna", "other", Role.APPROVER)
    assert not await store.leave("anna", "*", "board")
    assert await store.revoke("Anna", "acme", Role.APPROVER)
    assert await store.leave("Anna", "acme", "board")
    assert await store.person("anna") == Person("anna", roles={"*": frozenset({Role.VIEWER})})


@pytest.mark.parametrize("tenant", ["", "**", "A", "a/b", "a\x00"])
async def test_what_is_no_tenant_is_refused(store: AccessStore, tenant: str) -> None:
    await store.add("anna")
    for change in (store.grant, store.revoke):
        with pytest.raises(InvalidRequest, match="no name of a tenant"):
            await change("anna", tenant, Role.VIEWER)
    for move in (store.join, store.leave):
        with pytest.raises(InvalidRequest, match="no name of a tenant"):
            await move("anna", tenant, "board")
    with pytest.raises(InvalidRequest, match="no name of a tenant"):
        await store.people(tenant)
    with pytest.raises(InvalidRequest, match="no name of a tenant"):
        await store.addresses(tenant, ("approvers",))


@pytest.mark.parametrize("group", ["", "*", "approvers", "Board", "a\x00"])
async def test_what_is_no_group_is_refused(store: AccessStore, group: str) -> None:
    await store.add("anna")
    for move in (store.join, store.leave):
        with pytest.raises(InvalidRequest):
            await move("anna", "acme", group)
    assert await store.person("anna") == Person("anna")


async def test_what_is_no_role_is_refused(store: AccessStore) -> None:
    await store.add("anna")
    for change in (store.grant, store.revoke):
        with pytest.raises(InvalidRequest, match="viewer, submitter, approver, senior, operator"):
            await change("anna", "acme", cast("Role", "owner"))


@pytest.mark.parametrize("name", ["bert", "a\x00", ""])
async def test_nothing_is_done_to_people_who_do_not_exist(store: AccessStore, name: str) -> None:
    for doing in (
        store.grant(name, "acme", Role.VIEWER),
        store.revoke(name, "acme", Role.VIEWER),
        store.join(name, "acme", "board"),
        store.leave(name, "acme", "board"),
        store.set_active(name, False),
        store.set_email(name, "a@b"),
        store.set_password(name, "a long enough one"),
        store.link(name, ISSUER, "1"),
        store.make_key(name, "ci"),
        store.keys(name),
        store.revoke_key(name, "00000000"),
    ):
        with pytest.raises(InvalidRequest, match="nobody is called"):
            await doing
    await store.close_sessions(name)


async def test_a_role_of_a_later_version_gives_no_right(store: AccessStore, database: Database) -> None:
    await store.add("anna")
    async with database.writing() as connection:
        await connection.execute(insert(ROLES).values(name="anna", tenant="acme", role="emperor"))
    assert await store.person("anna") == Person("anna")


async def test_people_of_a_tenant_are_those_with_a_role_or_group_there_or_everywhere(store: AccessStore) -> None:
    for name in ("zoe", "anna", "bert", "carl", "dora"):
        await store.add(name)
    await store.grant("zoe", "acme", Role.VIEWER)
    await store.grant("anna", "*", Role.VIEWER)
    await store.grant("bert", "other", Role.VIEWER)
    await store.join("carl", "acme", "board")
    await store.set_active("zoe", False)
    assert [person.name for person in await store.people("acme")] == ["anna", "carl", "zoe"]
    assert [person.name for person in await store.people("other")] == ["anna", "bert"]
    assert [person.name for person in await store.people()] == ["anna", "bert", "carl", "dora", "zoe"]


async def test_notices_go_to_active_approvers_who_are_asked(store: AccessStore) -> None:
    for name in ("anna", "bert", "carl", "dora", "eve", "fred"):
        await store.add(name, email="" if name == "fred" else f"{name}@example.com")
        await store.grant(name, "acme", Role.VIEWER if name == "carl" else Role.APPROVER)
        await store.join(name, "acme", "board")
    await store.grant("dora", "other", Role.SENIOR)
    await store.set_active("eve", False)
    await store.leave("bert", "acme", "board")

    async def names(tenant: str, *asked: str) -> list[str]:
        return [address.removesuffix("@example.com") for address in await store.addresses(tenant, asked)]

    assert await names("acme", "approvers") == ["anna", "bert", "dora"]
    assert await names("acme", "board") == ["anna", "dora"]
    assert await names("acme", "bert", "board") == ["anna", "bert", "dora"]
    assert await names("acme", "carl") == [], "may not approve"
    assert await names("other", "approvers") == ["dora"]
    assert await names("other", "board") == []


async def test_an_address_can_be_changed(store: AccessStore) -> None:
    await store.add("anna")
    assert await store.set_email("ANNA", "a@example.com")
    assert not await store.set_email("anna", "a@example.com")
    with pytest.raises(InvalidRequest):
        await store.set_email("anna", "a b")
    assert await store.person("anna") == Person("anna", "a@example.com")


# --- OpenID Connect ---------------------------------------------------------------------------------------------------


async def test_somebody_is_known_by_the_subject_that_they_were_linked_to(store: AccessStore) -> None:
    anna = await store.add("anna", email="Anna@Example.com")
    assert await store.by_subject(ISSUER, "1") is None
    assert not await store.is_linked("anna", ISSUER)
    assert await store.by_email("anna@example.COM") == anna
    assert await store.link("Anna", ISSUER, "1")
    assert not await store.link("anna", ISSUER, "1"), "it changes nothing"
    assert await store.by_subject(ISSUER, "1") == anna
    assert await store.by_subject(ISSUER, "2") is None
    assert await store.by_subject("https://other.example", "1") is None
    assert (await store.is_linked("ANNA", ISSUER), await store.is_linked("anna", "https://other.example")) == (
        True,
        False,
    )


async def test_one_subject_is_one_person_and_one_person_one_subject(store: AccessStore) -> None:
    for name in ("anna", "bert"):
        await store.add(name)
    await store.link("anna", ISSUER, "1")
    for name, subject in (("bert", "1"), ("anna", "2")):
        with pytest.raises(InvalidRequest, match="linked"):
            await store.link(name, ISSUER, subject)
    assert await store.by_subject(ISSUER, "2") is None
    assert await store.link("anna", "https://other.example", "2")


async def test_who_is_not_active_is_known_to_no_issuer(store: AccessStore) -> None:
    await store.add("anna", email="a@example.com")
    await store.link("anna", ISSUER, "1")
    await store.set_active("anna", False)
    assert await store.by_subject(ISSUER, "1") is None
    assert await store.by_email("a@example.com") is None


async def test_an_address_that_several_have_names_nobody(store: AccessStore) -> None:
    for name in ("anna", "bert"):
        await store.add(name, email="team@example.com")
    await store.add("carl")
    for email in ("team@example.com", "", "x\x00@y"):
        assert await store.by_email(email) is None


@pytest.mark.parametrize("subject", ["", "a\x00", "a\nb", "x" * 256])
async def test_subjects_that_no_database_takes_are_refused(store: AccessStore, subject: str) -> None:
    await store.add("anna")
    with pytest.raises(InvalidRequest, match="subject"):
        await store.link("anna", ISSUER, subject)
    assert await store.by_subject(ISSUER, subject) is None
