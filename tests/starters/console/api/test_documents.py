"""Documents in: who may, how large, and what happens when a request is sent again."""

import asyncio
import contextlib
import io
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from activities.storage.database import Database
from starters.client import Client
from starters.console.api.once import KEPT, Requests
from starters.console.api.uploads import most_bytes
from tests.starters.conftest import FAILING, HANGING
from tests.starters.console.api.world import MOST_MEGABYTES, V1, Answer, Api

MEGABYTE = 1_000_000
DOCUMENTS = f"{V1}/documents?job=invoice&tenant=acme"


def fresh() -> bytes:
    return secrets.token_bytes(16)


async def submit(api: Api, data: Any, more: str = "", by: str = "vera", **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.ask("POST", DOCUMENTS + more, by, headers=sent, data=data)


async def test_bytes_become_a_run_in_the_name_of_who_sent_them(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    submitters = []
    plain = Client.submit

    async def watched(self: Client, *args: Any, **more: Any) -> Any:
        submitters.append(more["submitter"])
        return await plain(self, *args, **more)

    monkeypatch.setattr(Client, "submit", watched)
    answer = await submit(api, fresh(), "&name=a.txt")
    assert answer.status == 202
    assert answer.body["tenant"] == "acme"
    assert answer.body["document"] == "a.txt"
    assert answer.headers["Location"] == f"{V1}/runs/{answer.body['run_id']}"
    assert submitters == ["vera"]
    assert (await api.ask("GET", answer.headers["Location"])).body["run_id"] == answer.body["run_id"]


async def test_a_form_has_one_file(api: Api) -> None:
    data = fresh()
    form = aiohttp.FormData()
    form.add_field("document", data, filename="b.pdf")
    sent = await submit(api, form)
    assert (sent.status, sent.body["document"]) == (202, "b.pdf")
    assert (await submit(api, data)).body == {**sent.body, "document": "document", "joined": True}

    other = aiohttp.FormData()
    other.add_field("file", data, filename="b.pdf")
    assert (await submit(api, other)).status == 422
    more = aiohttp.FormData()
    more.add_field("document", data, filename="b.pdf")
    more.add_field("tenant", "other")
    assert (await submit(api, more)).status == 400
    assert (await submit(api, b"no form", Content_Type="multipart/form-data; boundary=x")).status in (400, 422)


@pytest.mark.parametrize("is_form", [False, True])
@pytest.mark.parametrize("is_declared", [False, True])
async def test_what_is_too_large_is_refused_declared_or_not(api: Api, is_form: bool, is_declared: bool) -> None:
    most = MOST_MEGABYTES * MEGABYTE
    for size, status in ((most, 202), (most + 1, 413), (most + 100_000, 413)):
        body = fresh() + b"x" * (size - 16)
        headers = {}
        if is_form:
            headers["Content_Type"] = "multipart/form-data; boundary=xyz"
            head = b'--xyz\r\nContent-Disposition: form-data; name="document"; filename="a"\r\n\r\n'
            body = head + body + b"\r\n--xyz--\r\n"
        answer = await submit(api, io.BytesIO(body) if is_declared else in_parts(body), **headers)
        assert answer.status == status
        if status == 413:
            assert answer.body["error"] == "DocumentTooLarge"


async def in_parts(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]


async def test_no_more_is_taken_than_is_allowed(api: Api) -> None:
    """A body without an end, and without a length, is cut off."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += MEGABYTE
            yield b"x" * MEGABYTE

    async with asyncio.timeout(60):
        # The server may be done with it before the client is.
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            assert (await submit(api, endless())).status == 413
    assert sent < 100 * most_bytes(api.world.settings)


async def test_who_may_submit_and_what_for(api: Api) -> None:
    assert (await submit(api, fresh(), by="ann")).body["error"] == "NotAuthorised"
    assert (await submit(api, fresh(), by="eve")).status == 403
    assert (await submit(api, fresh(), by="")).status == 401
    assert (await submit(api, b"")).body["error"] == "EmptyDocument"
    unknown = await api.ask("POST", f"{V1}/documents?job=nothing&tenant=acme", "vera", data=b"x")
    assert (unknown.status, unknown.body["error"]) == (404, "UnknownJob")
    assert (await submit(api, fresh(), "&name=" + "n" * 201)).status == 422
    assert (await submit(api, fresh(), "&reveiw=true")).status == 422


async def test_a_key_stands_for_one_request(api: Api) -> None:
    data, key = fresh(), secrets.token_hex(8)
    first = await submit(api, data, f"&name={FAILING}", Idempotency_Key=key)
    run_id = first.body["run_id"]
    # A run that failed is run anew when it is submitted again; not when the same request is sent again.
    await api.there(api.client.wait(run_id))
    began = (await api.ask("GET", f"{V1}/runs/{run_id}")).body["started_at"]
    again = await submit(api, data, f"&name={FAILING}", Idempotency_Key=key)
    assert (again.status, again.body) == (202, first.body)
    assert (await api.ask("GET", f"{V1}/runs/{run_id}")).body["started_at"] == began

    for other in (
        await submit(api, fresh(), f"&name={FAILING}", Idempotency_Key=key),
        await submit(api, data, f"&name={FAILING}&review=true", Idempotency_Key=key),
    ):
        assert (other.status, other.body["error"]) == (422, "NotAcceptable")
    assert (await submit(api, data, f"&name={FAILING}", Idempotency_Key="a key")).status == 422
    assert (await submit(api, fresh(), by="root", Idempotency_Key=key)).status == 202  # somebody else's


async def test_the_same_request_many_times_at_once_is_one_run(api: Api) -> None:
    data, key = fresh(), secrets.token_hex(8)
    answers = await asyncio.gather(*(submit(api, data, Idempotency_Key=key) for _ in range(20)))
    assert {answer.status for answer in answers} == {202}
    assert len({answer.body["run_id"] for answer in answers}) == 1


async def test_a_session_needs_its_token(api: Api) -> None:
    session = await api.session_of("vera")
    assert (await api.ask("POST", DOCUMENTS, "", session, data=fresh())).status == 202
    for name, value in (("X-CSRF-Token", "wrong"), ("X-CSRF-Token", ""), ("Sec-Fetch-Site", "cross-site")):
        refused = await api.ask("POST", DOCUMENTS, "", {**session, name: value}, data=fresh())
        assert refused.status == 403


async def test_a_run_is_stopped_by_who_may(api: Api) -> None:
    path = (await submit(api, fresh(), f"&name={HANGING}")).headers["Location"]
    for name, status in (("eve", 403), ("ann", 403), ("", 401)):
        assert (await api.ask("POST", f"{path}/cancel", name)).status == status
    assert (await api.ask("GET", f"{path}/result")).body["error"] == "StillRunning"
    other = (await submit(api, fresh(), f"&name={HANGING}", by="root")).headers["Location"]
    assert (await api.ask("POST", f"{other}/cancel", "vera")).status == 403
    assert (await api.ask("POST", f"{other}/cancel", "root")).body["is_asked"] is True
    stopped = await api.ask("POST", f"{path}/cancel", "olga")
    assert (stopped.status, stopped.body["is_asked"]) == (202, True)
    await api.there(api.client.wait(stopped.body["run_id"]))
    assert (await api.ask("POST", f"{path}/cancel", "olga")).body["is_asked"] is False
    assert (await api.ask("GET", f"{path}/result")).body["outcome"] == "cancelled"
    lines = [line async for line in api.world.audit.export("acme") if line.subject == stopped.body["run_id"]]
    assert [(line.actor, line.action, line.source) for line in lines] == [("olga", "run.cancelled", "api")]
    mine = (await submit(api, fresh(), f"&name={HANGING}")).headers["Location"]
    assert (await api.ask("POST", f"{mine}/cancel", "vera")).body["is_asked"] is True


async def test_keys_are_forgotten_after_a_day(api: Api) -> None:
    database, now = Database.open(api.world.settings.results_url), [datetime.now(UTC)]
    try:
        requests = Requests(database, now=lambda: now[0])
        assert await requests.begin("zed", "k", "one") is None
        await requests.end("zed", "k", "answer")
        await requests.end("zed", "k", "a later one")
        now[0] += KEPT
        assert await requests.begin("zed", "k", "one") == "answer"
        now[0] += timedelta(seconds=1)
        assert await requests.begin("zed", "k", "two") is None
    finally:
        await database.close()
