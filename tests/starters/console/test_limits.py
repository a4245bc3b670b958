"""How much may be sent, and how often somebody may ask."""

import io
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from starters.console.forms import MOST_PAIRS
from starters.console.limits import FORM_BYTES
from tests.starters.console.served import UPLOAD_BYTES, Running, running
from tests.starters.console.visitor import Browser


async def test_forms_may_be_so_large_and_no_larger(console: Running, ada: Browser) -> None:
    assert (await ada.post("/act", {"field": "x" * 900_000})).status == 200
    assert (await ada.post("/act", {"field": "x" * FORM_BYTES})).status == 413

    async def pieces() -> AsyncIterator[bytes]:  # without Content-Length
        yield f"csrf={ada.csrf}&field=".encode()
        for _ in range(11):
            yield b"x" * (FORM_BYTES // 10)

    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": console.address}
    assert (await ada.send("POST", "/act", data=pieces(), headers=form)).status == 413
    many = "&".join(["csrf=" + ada.csrf, *["a=1"] * (MOST_PAIRS + 300)])
    assert (await ada.send("POST", "/act", data=many, headers=form)).status == 400
    assert console.done == ["act"]


async def test_what_the_api_takes_has_its_own_limit(console: Running, ada: Browser) -> None:
    header = {"X-CSRF-Token": ada.csrf, "Origin": console.address}

    async def size(path: str, count: int) -> tuple[int, str]:
        answer = await ada.send("POST", path, data=io.BytesIO(b"x" * count), headers=header)
        return answer.status, answer.headers["Content-Type"].split(";")[0]

    assert await size("/api/v1/act", FORM_BYTES) == (200, "application/json")
    assert await size("/api/v1/act", FORM_BYTES + 1) == (413, "application/problem+json")
    assert await size("/api/v1/upload", UPLOAD_BYTES) == (200, "application/json")
    assert await size("/api/v1/upload", UPLOAD_BYTES + 1) == (413, "application/problem+json")


async def test_a_person_may_ask_so_often(tmp_path: Path, clean_environment: None) -> None:
    async with running(tmp_path, user_requests_per_minute=10) as console:
        ada, bo = await console.browser(), await console.browser()
        await ada.sign_in()
        key = await console.services.access.make_key("ada", "test")
        bearer = {"Authorization": f"Bearer {key}"}
        statuses = [(await ada.get("/inbox")).status for _ in range(10)]
        assert statuses == [200] * 9 + [429]
        assert (await ada.get("/inbox")).headers["Retry-After"] == "6"
        # It is the person who is counted, not the way they come; somebody else is not stopped.
        assert (await ada.send("GET", "/api/v1/me", headers=bearer)).status == 429
        assert (await bo.sign_in("bo")).status == 303
        assert (await bo.get("/inbox")).status == 200
        console.clock.pass_by(timedelta(seconds=6))
        assert [(await ada.get("/inbox")).status for _ in range(2)] == [200, 429]


async def test_an_address_may_ask_so_often(tmp_path: Path, clean_environment: None) -> None:
    async with running(tmp_path, user_requests_per_minute=10) as console:
        browser = await console.browser()
        assert [(await browser.get("/nothing")).status for _ in range(101)] == [404] * 100 + [429]
        refused = await browser.get("/login")
        assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
        assert (await browser.get("/live")).status == 200


async def test_an_address_may_sign_in_so_often(console: Running) -> None:
    browser = await console.browser()
    statuses = [(await browser.sign_in(f"name{number}", "wrong")).status for number in range(31)]
    assert statuses == [401] * 30 + [429]
    assert (await browser.sign_in()).status == 429
    console.clock.pass_by(timedelta(seconds=2))
    assert (await browser.sign_in()).status == 303
