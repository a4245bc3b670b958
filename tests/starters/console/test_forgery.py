"""Requests that another site, or another session, makes a browser send."""

import pytest
from fastapi.routing import iter_route_contexts

from starters.console.app import create_app
from starters.console.identity import COOKIE, caller, signed_in
from starters.console.login import FORM_COOKIE
from tests.starters.console.served import Running
from tests.starters.console.visitor import PASSWORD, Browser

ELSEWHERE = [
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "null", "Sec-Fetch-Site": "same-site"},
    {"Origin": "null", "Sec-Fetch-Site": ""},
    {"Origin": "", "Sec-Fetch-Site": ""},
    {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": ""},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
]


async def test_a_form_of_ours_counts(console: Running, ada: Browser) -> None:
    assert (await ada.post("/act", {"field": "x"})).text == '{"field":"x"}'
    own = {"Origin": console.address, "Sec-Fetch-Site": ""}
    assert (await ada.post("/act", headers=own)).status == 200
    header = {"X-CSRF-Token": ada.csrf}
    assert (await ada.post("/api/v1/act")).status == 403
    assert (await ada.post("/api/v1/act", headers=header)).status == 200
    assert (await ada.post("/act", {"csrf": ""}, headers=header)).status == 200
    assert console.done == ["act", "act", "api", "act"]


@pytest.mark.parametrize("path", ["/act", "/api/v1/act", "/logout"])
@pytest.mark.parametrize("token", ["", "wrong", "é", "theirs", "none"])
async def test_without_the_token_of_this_session_nothing_happens(
    console: Running, ada: Browser, path: str, token: str
) -> None:
    other = await console.browser()
    await other.sign_in("bo")
    given = other.csrf if token == "theirs" else token
    answers = [await ada.post(path, {"csrf": given}), await ada.post(path, {}, headers={"X-CSRF-Token": given or "-"})]
    if token == "none":
        own = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
        answers = [await ada.send("POST", path, data={"field": "x"}, headers=own)]
    assert [answer.status for answer in answers] == [403] * len(answers)
    assert console.done == []
    assert (await ada.get("/inbox")).status == 200


@pytest.mark.parametrize("headers", ELSEWHERE)
@pytest.mark.parametrize("path", ["/act", "/api/v1/act", "/logout", "/login"])
async def test_from_elsewhere_nothing_happens_even_with_the_token(
    console: Running, ada: Browser, headers: dict[str, str], path: str
) -> None:
    form: dict[str, str] = {}
    if path == "/login":
        ada.cookies[FORM_COOKIE] = "token"
        form = {"csrf": "token", "name": "bo", "password": PASSWORD}
    before = ada.cookies[COOKIE]
    assert (await ada.post(path, form, headers=headers)).status == 403
    assert console.done == []
    assert ada.cookies[COOKIE] == before
    assert "ada" in (await ada.get("/inbox")).text


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_nobody_signs_somebody_else_in(console: Running, token: str) -> None:
    browser = await console.browser()
    await browser.get("/login")
    form = {"csrf": token, "name": "ada", "password": PASSWORD}
    assert (await browser.post("/login", form)).status == 403
    browser.cookies[FORM_COOKIE] = ""
    assert (await browser.post("/login", form)).status == 403
    assert COOKIE not in browser.cookies


async def test_a_key_needs_no_token_and_is_not_made_good_by_a_session(console: Running, ada: Browser) -> None:
    key = await console.services.access.make_key("bo", "test")
    program = await console.browser()
    bearer = {"Authorization": f"Bearer {key}"}
    answer = await program.send("POST", "/api/v1/act", data=b"12", headers=bearer)
    assert (answer.status, answer.text) == (200, '{"bytes":2}')
    assert (await program.send("GET", "/api/v1/me", headers=bearer)).text == '{"name":"bo","source":"api"}'
    assert (await ada.send("GET", "/api/v1/me", headers=bearer)).text == '{"name":"bo","source":"api"}'
    for wrong in (f"Bearer {key}x", f"Basic {key}", "Bearer", "Bearer \xff"):
        answer = await ada.send("GET", "/api/v1/me", headers={"Authorization": wrong})
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert answer.headers["Content-Type"] == "application/problem+json"
    # A key is for programs: it opens no page.
    assert (await program.send("GET", "/inbox", headers=bearer)).status == 303


async def test_every_route_that_changes_something_is_guarded(console: Running) -> None:
    """And what needs no session is a GET, or signing in: here, and in the console as it ships."""
    unguarded, getting = set(), set()
    for context in iter_route_contexts([*console.app.routes, *create_app(console.services).routes]):
        methods = set(context.methods or ()) - {"HEAD"}
        calls = {each.call for each in context.dependant.dependencies} if hasattr(context, "dependant") else set()
        if methods != {"GET"} and not calls & {signed_in, caller}:
            unguarded.add((context.path, *sorted(methods)))
        if methods == {"GET"} and not calls & {signed_in, caller}:
            getting.add(context.path)
    assert unguarded == {("/login", "POST")}
    public = {"/", "/live", "/ready", "/login", "/login/oidc", "/login/oidc/callback", "/static/{name:path}"}
    assert getting == public | {"/api/openapi.json"}
