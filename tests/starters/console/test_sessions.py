"""Signing in and out, and how sessions end."""

from datetime import timedelta

import pytest

from starters.console.browsing import BACKGROUND
from starters.console.identity import COOKIE
from starters.console.login import FORM_COOKIE
from tests.starters.console.served import Running
from tests.starters.console.visitor import PASSWORD, Browser


async def test_a_person_signs_in_and_sees_what_is_theirs(console: Running) -> None:
    browser = await console.browser()
    answer = await browser.sign_in("bo", next_path="/of/one?page=2")
    assert (answer.status, answer.location) == (303, "/of/one?page=2")
    assert "bo" in (await browser.get("/inbox")).text
    assert (await browser.get("/of/one")).status == 200
    assert (await browser.get("/of/two")).status == 403


async def test_the_cookie_is_locked_to_this_host_and_kept_from_scripts(console: Running) -> None:
    browser = await console.browser()
    lines = (await browser.sign_in()).headers.getall("Set-Cookie")
    [line] = [each for each in lines if each.startswith(f"{COOKIE}=")]
    attributes = {part.strip().lower() for part in line.split(";")[1:]}
    assert attributes == {"secure", "httponly", "path=/", "samesite=strict"}


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("idle", PASSWORD)])
async def test_a_wrong_sign_in_tells_nothing_and_is_in_the_audit_log(
    console: Running, name: str, password: str
) -> None:
    browser = await console.browser()
    answer = await browser.sign_in(name, password)
    assert (answer.status, COOKIE in browser.cookies) == (401, False)
    assert "the name or the password is wrong" in answer.text
    known = "" if name == "nobody" else name
    assert await console.audit() == [("session.refused", known, "wrong name or password")]


async def test_what_is_typed_as_a_name_is_not_logged_and_comes_back_escaped(console: Running) -> None:
    browser = await console.browser()
    answer = await browser.sign_in("<script>alert(1)</script>", "wrong")
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text
    assert [subject for _, subject, _ in await console.audit()] == [""]


async def test_sign_ins_and_sign_outs_are_in_the_audit_log(console: Running, ada: Browser) -> None:
    await ada.post("/logout")
    actions = [("session.opened", "ada", "password"), ("session.closed", "ada", "")]
    assert await console.audit() == actions


async def test_failures_in_a_row_must_wait(console: Running) -> None:
    browser = await console.browser()
    statuses = [(await browser.sign_in("ada", "wrong")).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert int((await browser.sign_in()).headers["Retry-After"]) >= 1


async def test_a_session_is_new_at_every_sign_in(console: Running, ada: Browser) -> None:
    first, token = ada.cookies[COOKIE], ada.csrf
    planted = await console.browser()
    planted.cookies[COOKIE] = "planted-by-somebody-else"
    await planted.sign_in()
    assert planted.cookies[COOKIE] not in (first, "planted-by-somebody-else")

    # Signing in again in the same browser ends the session that it had.
    ada.csrf = ada.cookies[FORM_COOKIE] = "t" * 43
    answer = await ada.post("/login", {"name": "ada", "password": PASSWORD})
    assert answer.status == 303
    assert ada.cookies[COOKIE] != first
    ada.csrf = token
    ada.cookies[COOKIE] = first
    assert (await ada.get("/inbox")).location == "/login"


async def test_signing_out_ends_the_session_on_the_server(console: Running, ada: Browser) -> None:
    kept = ada.cookies[COOKIE]
    answer = await ada.post("/logout")
    assert (answer.status, answer.location, COOKIE in ada.cookies) == (303, "/login", False)
    ada.cookies[COOKIE] = kept
    assert (await ada.get("/inbox")).location == "/login"


async def test_a_session_ends_when_it_is_not_used(console: Running, ada: Browser) -> None:
    for _ in range(3):
        console.clock.pass_by(timedelta(minutes=29))
        assert (await ada.get("/inbox")).status == 200
    console.clock.pass_by(timedelta(minutes=31))
    assert (await ada.get("/inbox")).location == "/login"


async def test_a_page_that_asks_by_itself_keeps_no_session_alive(console: Running, ada: Browser) -> None:
    asked_by_itself = {BACKGROUND: "1"}
    for _ in range(2):
        console.clock.pass_by(timedelta(minutes=14))
        assert (await ada.get("/inbox", headers=asked_by_itself)).status == 200
    console.clock.pass_by(timedelta(minutes=3))
    assert (await ada.get("/inbox", headers=asked_by_itself)).location == "/login"
    assert (await ada.get("/inbox")).location == "/login"


async def test_a_session_ends_after_its_longest_time_though_it_is_used(console: Running, ada: Browser) -> None:
    for _ in range(47):
        console.clock.pass_by(timedelta(minutes=15))
        assert (await ada.get("/inbox")).status == 200
    console.clock.pass_by(timedelta(minutes=16))
    assert (await ada.get("/inbox")).location == "/login"


async def test_a_session_ends_with_a_new_password_and_with_the_right_to_sign_in(console: Running, ada: Browser) -> None:
    await console.services.access.set_password("ada", "another horse battery")
    assert (await ada.get("/inbox")).location == "/login"
    bo = await console.browser()
    await bo.sign_in("bo")
    await console.services.access.set_active("bo", False)
    assert (await bo.get("/inbox")).location == "/login"


async def test_rights_are_those_that_hold_now(console: Running, ada: Browser) -> None:
    assert (await ada.get("/of/two")).status == 200
    for role in (await console.services.access.person("ada")).roles["*"]:  # type: ignore[union-attr]  # she exists
        await console.services.access.revoke("ada", "*", role)
    assert (await ada.get("/of/two")).status == 403


@pytest.mark.parametrize(
    "path", ["/inbox", "/of/one", "/events", "/fails"], ids=["page", "of a tenant", "stream", "broken"]
)
async def test_without_a_session_there_is_only_the_sign_in_page(console: Running, path: str) -> None:
    browser = await console.browser()
    answer = await browser.get(path)
    assert answer.status == 303
    assert answer.location.startswith("/login")


async def test_the_sign_in_page_leads_back(console: Running) -> None:
    browser = await console.browser()
    assert (await browser.get("/of/one?x=1&y=2")).location == "/login?next=%2Fof%2Fone%3Fx%3D1%26y%3D2"
    here = {"HX-Request": "true", "HX-Current-URL": f"{console.address}/of/one?x=1"}
    answer = await browser.get("/inbox", headers=here)
    assert (answer.status, answer.headers["HX-Redirect"]) == (401, "/login?next=%2Fof%2Fone%3Fx%3D1")
    page = await browser.get("/login?next=%2Fof%2Fone")
    assert 'name="next" value="/of/one"' in page.text


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "inbox",
        "/" + "x" * 3000,
    ],
)
async def test_signing_in_leads_nowhere_else(console: Running, target: str) -> None:
    browser = await console.browser()
    answer = await browser.sign_in(next_path=target)
    assert (answer.status, answer.location) == (303, "/inbox")
    signed_in = await browser.send("GET", "/login", params={"next": target})
    assert (signed_in.status, signed_in.location) == (303, "/inbox")


async def test_a_link_on_another_site_finds_the_session(console: Running, ada: Browser) -> None:
    session = ada.cookies.pop(COOKIE)
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    page = await ada.get("/of/one?x=%22", headers=followed)
    assert page.status == 200
    assert 'content="0;url=/of/one?x=%22"' in page.text
    # The page asks for the same address, now from here, with the cookie that browsers kept back.
    ada.cookies[COOKIE] = session
    assert (await ada.get("/of/one?x=%22")).status == 200
