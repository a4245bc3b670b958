"""Signing in at an OpenID Connect issuer."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from joserfc.jwk import RSAKey

from engross.errors import ConfigurationError
from engross.settings import Settings
from starters.console.identity import COOKIE
from starters.console.login_oidc import TICKET_COOKIE
from starters.console.oidc import Issuer
from tests.starters.console.issuer import CLIENT, SECRET, FakeIssuer, issuing
from tests.starters.console.served import Running, running
from tests.starters.console.visitor import Answer, Browser

Change = Callable[[dict[str, Any]], dict[str, Any]]


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with issuing() as fake:
        yield fake


@pytest_asyncio.fixture
async def console(issuer: FakeIssuer, tmp_path: Path, clean_environment: None) -> AsyncIterator[Running]:
    settings = {"oidc_issuer": issuer.address, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET}
    async with running(tmp_path, **settings) as served:
        yield served


async def come_back(issuer: FakeIssuer, browser: Browser, next_path: str = "/inbox") -> str:
    """Begins, and signs in at the issuer; the address that it sends the browser back to."""
    begun = await browser.send("GET", "/login/oidc", params={"next": next_path})
    assert begun.status == 303
    return issuer.authorise(begun.location)


async def sign_in(issuer: FakeIssuer, browser: Browser, next_path: str = "/inbox") -> Answer:
    return await browser.get(await come_back(issuer, browser, next_path), headers={"Sec-Fetch-Site": "cross-site"})


async def test_a_known_address_is_linked_once(issuer: FakeIssuer, console: Running) -> None:
    browser = await console.browser()
    assert "/login/oidc?next=%2Finbox" in (await browser.get("/login")).text
    answer = await sign_in(issuer, browser, "/of/one")
    assert (answer.status, answer.location) == (303, "/of/one")
    assert TICKET_COOKIE not in browser.cookies
    assert "ada" in (await browser.get("/inbox")).text
    # From now on it is the subject that counts, not the address.
    issuer.subject = {"sub": "s-1", "email": "bo@example.com", "email_verified": True}
    again = await console.browser()
    assert (await sign_in(issuer, again)).status == 303
    assert "ada" in (await again.get("/inbox")).text
    assert [action for action, _, _ in await console.audit()] == ["user.linked", "session.opened", "session.opened"]


@pytest.mark.parametrize(
    "subject",
    [
        {"sub": "s-2", "email": "eve@example.com", "email_verified": True},
        {"sub": "s-2", "email": "ada@example.com", "email_verified": False},
        {"sub": "s-2", "email": "ada@example.com", "email_verified": "true"},
        {"sub": "s-2", "email": "ada@example.com"},
        {"sub": "s-2", "email": ["ada@example.com"], "email_verified": True},
        {"sub": "s-2"},
        {"sub": "s-2", "email": "idle@example.com", "email_verified": True},
    ],
)
async def test_somebody_unknown_is_told_whom_to_ask(
    issuer: FakeIssuer, console: Running, subject: dict[str, Any]
) -> None:
    issuer.subject = subject
    browser = await console.browser()
    answer = await sign_in(issuer, browser)
    assert (answer.status, COOKIE in browser.cookies) == (401, False)
    assert "ask an operator" in answer.text
    assert await console.audit() == [("session.refused", "", "OpenID Connect")]


async def test_who_has_an_account_there_gets_no_second_one(issuer: FakeIssuer, console: Running) -> None:
    await console.services.access.link("ada", issuer.address, "another")
    assert (await sign_in(issuer, await console.browser())).status == 401


async def test_who_is_not_active_stays_out(issuer: FakeIssuer, console: Running) -> None:
    assert (await sign_in(issuer, await console.browser())).status == 303
    await console.services.access.set_active("ada", False)
    assert (await sign_in(issuer, await console.browser())).status == 401


WRONG: dict[str, Change] = {
    "nonce": lambda claims: claims | {"nonce": "another"},
    "no nonce": lambda claims: {name: value for name, value in claims.items() if name != "nonce"},
    "aud": lambda claims: claims | {"aud": "another client"},
    "no aud": lambda claims: {name: value for name, value in claims.items() if name != "aud"},
    "aud of several": lambda claims: claims | {"aud": [CLIENT, "another client"]},
    "azp": lambda claims: claims | {"aud": [CLIENT], "azp": "another client"},
    "iss": lambda claims: claims | {"iss": "https://evil.example"},
    "expired": lambda claims: claims | {"exp": int(time.time()) - 120},
    "no exp": lambda claims: {name: value for name, value in claims.items() if name != "exp"},
    "not yet": lambda claims: claims | {"nbf": int(time.time()) + 600},
    "of the future": lambda claims: claims | {"iat": int(time.time()) + 600},
    "no sub": lambda claims: {name: value for name, value in claims.items() if name != "sub"},
    "sub that is no text": lambda claims: claims | {"sub": 1},
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_token_that_does_not_hold_is_refused(issuer: FakeIssuer, console: Running, wrong: str) -> None:
    issuer.change = WRONG[wrong]
    await _refused(issuer, console)


@pytest.mark.parametrize(
    "sign",
    ["sign_not_at_all", "sign_with_another_key", "sign_with_the_public_key_as_a_secret", "nonsense", "two parts"],
)
async def test_a_signature_that_does_not_hold_is_refused(issuer: FakeIssuer, console: Running, sign: str) -> None:
    texts = {"nonsense": "a.b.c", "two parts": "a.b"}
    issuer.sign = (lambda claims: texts[sign]) if sign in texts else getattr(issuer, sign)
    await _refused(issuer, console)


async def _refused(issuer: FakeIssuer, console: Running) -> None:
    browser = await console.browser()
    answer = await sign_in(issuer, browser)
    assert (answer.status, COOKIE in browser.cookies) == (401, False)
    assert "does not hold" in answer.text
    assert await console.services.access.by_subject(issuer.address, "s-1") is None


async def test_an_audience_of_several_is_fine_when_it_was_made_for_us(issuer: FakeIssuer, console: Running) -> None:
    issuer.change = lambda claims: claims | {"aud": [CLIENT, "another client"], "azp": CLIENT}
    assert (await sign_in(issuer, await console.browser())).status == 303


async def test_a_way_back_works_once_and_in_one_browser(issuer: FakeIssuer, console: Running) -> None:
    browser, other = await console.browser(), await console.browser()
    address = await come_back(issuer, browser)
    ticket = browser.cookies[TICKET_COOKIE]
    # Somebody else's browser: without a ticket, with one of its own, with one that is not ours.
    assert (await other.get(address)).status == 401
    own = await come_back(issuer, other)
    assert (await other.get(address)).status == 401
    other.cookies[TICKET_COOKIE] = ticket[:-1] + ("0" if ticket[-1] != "0" else "1")
    assert (await other.get(address)).status == 401
    assert COOKIE not in other.cookies
    # The right one, and then the same again.
    assert (await browser.get(address)).status == 303
    browser.cookies = {TICKET_COOKIE: ticket}
    assert "begin again" in (await browser.get(address)).text
    assert COOKIE not in browser.cookies
    assert own != address


async def test_a_sign_in_that_takes_too_long_is_over(issuer: FakeIssuer, console: Running) -> None:
    browser = await console.browser()
    address = await come_back(issuer, browser)
    console.app.state.console.tickets._clock = lambda: time.time() + 601
    assert (await browser.get(address)).status == 401


async def test_what_the_issuer_refuses_is_told_in_our_words(issuer: FakeIssuer, console: Running) -> None:
    browser = await console.browser()
    state = (await come_back(issuer, browser)).split("state=")[1]
    answer = await browser.get(f"/login/oidc/callback?error=<b>no</b>&error_description=text&state={state}")
    assert answer.status == 401
    assert "cancelled or refused" in answer.text
    assert "<b>no" not in answer.text


async def test_another_issuers_answer_is_refused(issuer: FakeIssuer, console: Running) -> None:
    issuer.discovery = {"authorization_response_iss_parameter_supported": True}
    browser = await console.browser()
    address = await come_back(issuer, browser)
    assert (await browser.get(address)).status == 401
    address = await come_back(issuer, browser)
    assert (await browser.get(f"{address}&iss=https://evil.example")).status == 401
    address = await come_back(issuer, browser)
    assert (await browser.get(f"{address}&iss={issuer.address}")).status == 303


async def test_a_new_key_of_the_issuer_is_fetched(issuer: FakeIssuer, console: Running) -> None:
    assert (await sign_in(issuer, await console.browser())).status == 303
    issuer.key = RSAKey.generate_key(2048, {"kid": "two"})
    now = time.monotonic()
    console.app.state.console.issuer._clock = lambda: now + 31
    assert (await sign_in(issuer, await console.browser())).status == 303
    assert issuer.keys_read == 2
    # It is not asked for every key that somebody makes up.
    issuer.sign = issuer.sign_with_an_unknown_key
    for _ in range(3):
        assert (await sign_in(issuer, await console.browser())).status == 401
    assert issuer.keys_read == 2


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://example.com/token"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
async def test_an_issuer_that_is_another_is_not_used(
    issuer: FakeIssuer, console: Running, discovery: dict[str, Any]
) -> None:
    issuer.discovery = discovery
    browser = await console.browser()
    answer = await browser.get("/login/oidc")
    assert answer.status == 503
    # What is wrong, and where, is the operator's to know.
    assert "discovery document" not in answer.text
    assert "Something that is needed does not answer" in answer.text


async def test_no_other_site_starts_a_sign_in(console: Running) -> None:
    browser = await console.browser()
    answer = await browser.get("/login/oidc", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.location, browser.cookies) == ("/login", {})


async def test_without_an_issuer_there_is_no_such_way(tmp_path: Path, clean_environment: None) -> None:
    async with running(tmp_path) as console:
        browser = await console.browser()
        assert "/login/oidc" not in (await browser.get("/login")).text
        for path in ("/login/oidc", "/login/oidc/callback"):
            assert (await browser.get(path)).status == 404


@pytest.mark.usefixtures("clean_environment")
def test_an_issuer_needs_https() -> None:
    settings = Settings(_env_file=None, oidc_issuer="http://login.example.com", oidc_client_id="x")  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="ENGROSS_OIDC_ISSUER must begin with https"):
        Issuer(settings)
