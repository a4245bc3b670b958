"""What holds for every request and every answer: headers, hosts, errors, the log."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs
from yarl import URL

from engross import errors
from engross.errors import EngrossError
from starters.console.headers import POLICY
from starters.console.problems import status_of
from tests.starters.console.served import HealthyTemporal, Running, running
from tests.starters.console.visitor import Browser

ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.mark.parametrize(
    ("path", "status", "headers"),
    [
        ("/inbox", 200, {}),
        ("/login", 303, {}),
        ("/nothing", 404, {}),
        ("/api/nothing", 404, {}),
        ("/static/nothing", 404, {}),
        ("/of/one", 421, {"Host": "evil.example"}),
        ("/fails", 500, {}),
        ("/live", 200, {}),
        ("/ready", 200, {}),
    ],
)
async def test_every_answer_is_locked_down(
    console: Running, ada: Browser, path: str, status: int, headers: dict[str, str]
) -> None:
    answer = await ada.get(path, headers=headers)
    assert answer.status == status
    assert {name: answer.headers[name] for name in ALWAYS} == ALWAYS
    assert answer.headers["Cache-Control"] == "no-store"
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert "Server" not in answer.headers
    assert "Strict-Transport-Security" not in answer.headers


def test_the_policy_lets_nothing_of_others_in() -> None:
    assert "'unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'; ")
    for directive in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "script-src 'self'"):
        assert directive in POLICY


async def test_static_files_are_kept_under_the_address_of_their_content(console: Running) -> None:
    browser = await console.browser()
    address = console.app.state.console.pages.files.address("icon.svg")
    kept = await browser.get(address)
    assert (kept.status, kept.headers["Content-Type"]) == (200, "image/svg+xml")
    assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert kept.headers["X-Content-Type-Options"] == "nosniff"
    other = await browser.get("/static/icon.svg?v=other")
    assert (other.status, other.headers["Cache-Control"]) == (200, "no-cache")


@pytest.mark.parametrize("path", ["/static/../rendering.py", "/static/%2e%2e/rendering.py", "/static//etc/passwd"])
async def test_static_addresses_name_no_other_files(console: Running, path: str) -> None:
    browser = await console.browser()
    async with browser.http.get(URL(console.address + path, encoded=True)) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "10.0.0.1", "a/b"]
)
async def test_another_name_for_this_server_is_refused(console: Running, ada: Browser, host: str) -> None:
    for path in ("/inbox", "/login", "/", "/api/v1/me", "/static/icon.svg"):
        assert (await ada.get(path, headers={"Host": host})).status == 421
    assert (await ada.get("/live", headers={"Host": host})).status == 200


async def test_names_of_this_machine_are_fine(console: Running, ada: Browser) -> None:
    port = console.address.rsplit(":")[-1]
    for host in (f"localhost:{port}", f"[::1]:{port}", "LOCALHOST"):
        assert (await ada.get("/inbox", headers={"Host": host})).status == 200


@pytest.fixture
async def public(tmp_path: Path, clean_environment: None) -> AsyncIterator[Running]:
    async with running(tmp_path, console_url="https://approvals.example.com") as served:
        yield served


async def test_behind_tls_only_its_own_pages_count(public: Running) -> None:
    browser = await public.browser()
    host = {"Host": "approvals.example.com"}
    page = await browser.get("/login", headers=host)
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    browser.csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
    form = {"name": "ada", "password": "correct horse battery"}
    for origin, status in (
        ("http://approvals.example.com", 403),
        ("https://approvals.example.com:8443", 403),
        ("https://example.com", 403),
        ("https://approvals.example.com", 303),
    ):
        answer = await browser.post("/login", form, headers=host | {"Origin": origin, "Sec-Fetch-Site": ""})
        assert answer.status == status, origin


async def test_trouble_of_ours_tells_nobody_anything(console: Running, ada: Browser) -> None:
    with capture_logs() as logs:
        page = await ada.get("/fails")
    assert page.status == 500
    assert "secret of the code" not in page.text
    assert "Traceback" not in page.text
    assert "KeyError" not in page.text
    [failed] = [line for line in logs if line["event"] == "failed"]
    assert failed["error"] == "KeyError"
    assert "secret" not in json.dumps(failed)


async def test_programs_get_problems_and_people_pages(console: Running, ada: Browser) -> None:
    missing = await ada.get("/api/nothing")
    assert missing.headers["Content-Type"] == "application/problem+json"
    assert json.loads(missing.text) == {"type": "about:blank", "title": "Not Found", "status": 404}
    stranger = await (await console.browser()).get("/api/v1/me")
    assert stranger.status == 401
    assert json.loads(stranger.text)["error"] == "NotSignedIn"
    page = await ada.get("/of/two/three")
    assert (page.status, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "Not Found" in page.text
    wrong = await ada.send("POST", "/inbox", headers={"Origin": console.address})
    assert wrong.status == 405


async def test_somebody_elses_tenant_is_refused(console: Running) -> None:
    bo = await console.browser()
    await bo.sign_in("bo")
    page = await bo.get("/of/two")
    assert page.status == 403
    assert "You have no role for the tenant" in page.text


def _error(kind: type[EngrossError]) -> EngrossError:
    return kind("x", 1.0) if kind is errors.TooManyRequests else kind("x")


@pytest.mark.parametrize(
    ("names", "status"),
    [
        ("NotAuthorised SelfDecision UnsignedDecision", 403),
        ("RunNotFound UnknownJob", 404),
        ("StaleDecision LateDecision DuplicateDecision", 409),
        ("NotAcceptable InvalidAnswer EncryptedDocument", 422),
        ("InvalidRequest BadManifest", 400),
        ("NotSignedIn", 401),
        ("TooManyRequests", 429),
        ("ServiceUnavailable", 503),
        ("ConfigurationError AuditBroken", 500),
    ],
)
def test_each_error_has_its_status(names: str, status: int) -> None:
    kinds: list[Any] = [getattr(errors, name) for name in names.split()]
    assert [status_of(_error(kind)) for kind in kinds] == [status] * len(kinds)


async def test_a_line_of_the_log_has_no_query_and_no_secret(console: Running, ada: Browser) -> None:
    with capture_logs() as logs:
        await ada.get("/inbox?search=somebodys-name")
        await ada.post("/act", {"field": "typed"})
    told = json.dumps(logs)
    assert [line["path"] for line in logs if line["event"] == "request"] == ["/inbox", "/act"]
    assert {line["person"] for line in logs} == {"ada"}
    for secret in ("somebodys-name", "typed", ada.csrf, *ada.cookies.values()):
        assert secret not in told


async def test_ready_says_what_does_not_answer_and_no_more(console: Running) -> None:
    browser = await console.browser()
    assert json.loads((await browser.get("/ready")).text) == {
        "ready": True,
        "checks": {"temporal": "ok", "database": "ok"},
    }

    async def broken() -> int:
        raise errors.ServiceUnavailable("postgresql://secret@host does not work")

    console.rows.changes = broken  # type: ignore[method-assign]  # the database goes away
    answer = await browser.get("/ready")
    assert answer.status == 503
    assert json.loads(answer.text)["checks"] == {"temporal": "ok", "database": "does not answer"}
    cast("HealthyTemporal", console.services.temporal).is_healthy = False
    answer = await browser.get("/ready")
    assert json.loads(answer.text)["checks"] == {"temporal": "does not answer", "database": "does not answer"}


async def test_a_get_changes_nothing(console: Running, ada: Browser) -> None:
    """Apart from signing in by OpenID Connect, whose protocol has it so."""

    async def stored() -> str:
        access = console.services.access
        people = [(person, await access.keys(person.name)) for person in await access.people()]
        return repr((people, await console.audit(), console.done))

    before = await stored()
    for path in (
        "/",
        "/inbox",
        "/login",
        "/logout",
        "/act",
        "/login/oidc",
        "/api/v1/act",
        "/api/openapi.json",
        "/ready",
    ):
        for method in ("GET", "HEAD"):
            await ada.send(method, path, headers={"Origin": console.address})
    assert await stored() == before
    assert (await ada.get("/inbox")).status == 200
