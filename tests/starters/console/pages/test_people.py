"""One's own account, and who may do what."""

import re

import pytest

from engross.errors import NotSignedIn
from engross.people import EVERY_TENANT, Role
from tests.starters.console.pages.office import Office

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def roles(office: Office, name: str, tenant: str) -> frozenset[Role]:
    person = await office.services.access.person(name)
    assert person is not None
    return person.roles.get(tenant, frozenset())


# --- keys and sessions ------------------------------------------------------------------------------------------


async def test_a_key_is_shown_once_works_and_is_revoked(office: Office) -> None:
    vera, access = await office.of("vera"), office.services.access
    page = (await vera.post("/account/keys", {"label": "<b>laptop", "days": "30"})).text
    [key] = re.findall(r"eg_[0-9a-f]{8}_[\w-]{43}", page)
    assert (await access.by_key(key)).name == "vera"
    assert "&lt;b&gt;laptop" in page
    assert key not in (await vera.get("/account")).text
    key_id = key.split("_")[1]
    assert (await (await office.of("sam")).post(f"/account/keys/{key_id}/revoke")).status == 400
    assert (await access.by_key(key)).name == "vera"
    assert (await vera.post(f"/account/keys/{key_id}/revoke")).location == "/account?said=revoked"
    with pytest.raises(NotSignedIn):
        await access.by_key(key)
    lines = [line for line in await office.audit(EVERY_TENANT) if line[3] == key_id]
    assert [line[:2] for line in lines] == [("vera", "user.key_made"), ("vera", "user.key_revoked")]


@pytest.mark.parametrize("form", [{"label": ""}, {"label": "x", "days": "0"}, {"label": "x", "days": "9" * 5000}])
async def test_a_key_that_can_not_be_made_is_none(office: Office, form: dict[str, str]) -> None:
    sam = await office.of("sam")
    assert (await sam.post("/account/keys", form)).status == 422
    assert await office.services.access.keys("sam") == []


async def test_signing_out_everywhere_ends_all_sessions(office: Office) -> None:
    here, there = await office.of("vera"), await office.of("vera")
    assert (await here.post("/account/sign-out-everywhere")).location == "/login"
    for browser in (here, there):
        assert (await browser.get("/account")).location.startswith("/login")


async def test_an_account_says_what_one_may_do(office: Office) -> None:
    page = (await (await office.of("olga")).get("/account")).text
    assert "Operator" in page
    assert "acme" in page
    assert 'href="/people"' in page
    assert 'href="/people"' not in (await (await office.of("vera")).get("/account")).text


# --- who may do what --------------------------------------------------------------------------------------------


async def test_only_operators_see_people_and_only_theirs(office: Office) -> None:
    assert (await (await office.of("vera")).get("/people")).status == 403
    page = (await (await office.of("olga")).get("/people")).text
    assert "vera" in page
    assert "eve" not in re.findall(r"<bdi>(\w+)</bdi>", page)
    assert {"eve", "nobody"} <= set(
        re.findall(r"<bdi>(\w+)</bdi>", (await (await office.of("ada")).get("/people")).text)
    )


async def test_what_somebody_holds_elsewhere_is_not_shown(office: Office) -> None:
    await office.services.access.join("vera", "secret-tenant", "secret-group")
    try:
        page = (await (await office.of("olga")).get("/people")).text
    finally:
        await office.services.access.leave("vera", "secret-tenant", "secret-group")
    assert "secret" not in page


async def test_an_operator_gives_and_takes_a_role(office: Office) -> None:
    olga = await office.of("olga")
    form = {"name": "Nobody", "tenant": "acme", "role": "approver"}
    assert (await olga.post("/people/grant", form)).location == "/people?said=changed"
    assert await roles(office, "nobody", "acme") == {Role.APPROVER}
    assert (await olga.post("/people/grant", form)).location == "/people?said=same"
    assert (await olga.post("/people/revoke", form)).location == "/people?said=changed"
    assert await roles(office, "nobody", "acme") == frozenset()
    lines = [line for line in await office.audit("acme") if line[2] == "nobody"]
    assert lines == [
        ("olga", "user.granted", "nobody", "approver"),
        ("olga", "user.revoked", "nobody", "approver"),
    ]


async def test_an_operator_changes_groups(office: Office) -> None:
    olga, form = await office.of("olga"), {"name": "sam", "tenant": "acme", "group": "clerks"}
    assert (await olga.post("/people/join", form)).status == 303
    sam = await office.services.access.person("sam")
    assert sam is not None
    assert sam.groups == {"acme": {"clerks"}}
    assert (await olga.post("/people/leave", form)).status == 303
    assert ("olga", "user.joined", "sam", "clerks") in await office.audit("acme")
    assert ("olga", "user.left", "sam", "clerks") in await office.audit("acme")


@pytest.mark.parametrize("tenant", ["other", EVERY_TENANT, "", "ACME", "acme "])
@pytest.mark.parametrize("action", ["grant", "revoke", "join", "leave"])
async def test_an_operator_of_one_tenant_changes_no_other(office: Office, action: str, tenant: str) -> None:
    form = {"name": "eve", "tenant": tenant, "role": "viewer", "group": "clerks"}
    answer = await (await office.of("olga")).post(f"/people/{action}", form)
    if tenant.strip() == "acme":  # spaces around it say nothing
        assert answer.status == 303
        return
    assert answer.status == 403
    assert Role.VIEWER in await roles(office, "eve", "other")
    assert not await roles(office, "eve", EVERY_TENANT)


@pytest.mark.parametrize("name", ["vera", "sam", "nobody"])
async def test_others_change_nothing(office: Office, name: str) -> None:
    browser = await office.of(name)
    form = {"name": "nobody", "tenant": "acme", "role": "viewer", "group": "clerks"}
    for action in ("grant", "revoke", "join", "leave", "deactivate", "activate"):
        assert (await browser.post(f"/people/{action}", form)).status == 403, action


@pytest.mark.parametrize("name", ["ada", "ADA"])
async def test_nobody_changes_their_own_rights(office: Office, name: str) -> None:
    ada = await office.of("ada")
    for action in ("grant", "revoke", "join", "leave", "deactivate", "activate"):
        form = {"name": name, "tenant": "acme", "role": "senior", "group": "clerks"}
        assert (await ada.post(f"/people/{action}", form)).status == 403, action
    assert not await roles(office, "ada", "acme")
    assert set(await roles(office, "ada", EVERY_TENANT)) == set(Role)


@pytest.mark.parametrize("form", [{"name": "nosuch"}, {"role": "king"}, {"role": ""}])
async def test_what_can_not_be_is_told(office: Office, form: dict[str, str]) -> None:
    given = {"name": "sam", "tenant": "acme", "role": "viewer"} | form
    answer = await (await office.of("olga")).post("/people/grant", given)
    assert answer.status == 422
    assert 'role="alert"' in answer.text


async def test_who_is_deactivated_is_out_at_once(office: Office) -> None:
    olga, sam = await office.of("olga"), await office.of("sam")
    assert (await olga.post("/people/deactivate", {"name": "sam"})).status == 303
    assert (await sam.get("/account")).location.startswith("/login")
    assert (await olga.post("/people/activate", {"name": "sam"})).status == 303
    assert (await (await office.of("sam")).get("/account")).status == 200
    lines = [line for line in await office.audit(EVERY_TENANT) if line[0] == "olga" and "activated" in line[1]]
    assert [line[1] for line in lines] == ["user.deactivated", "user.activated"]


@pytest.mark.parametrize("name", ["eve", "ada", "nosuch", ""])
async def test_who_has_rights_elsewhere_is_not_deactivated_from_here(office: Office, name: str) -> None:
    assert (await (await office.of("olga")).post("/people/deactivate", {"name": name})).status == 403
    for known in ("eve", "ada"):
        person = await office.services.access.person(known)
        assert person is not None
        assert person.is_active


async def test_one_tenant_of_two_is_not_enough_to_deactivate(office: Office) -> None:
    access = office.services.access
    for tenant in ("acme", "other"):
        await access.grant("nobody", tenant, Role.VIEWER)
    try:
        assert (await (await office.of("olga")).post("/people/deactivate", {"name": "nobody"})).status == 403
    finally:
        for tenant in ("acme", "other"):
            await access.revoke("nobody", tenant, Role.VIEWER)
