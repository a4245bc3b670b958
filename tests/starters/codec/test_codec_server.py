"""The codec server: who gets what decoded, from where, and how often."""

import base64
import json
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from temporalio.api.common.v1 import Payload

from activities.encryption.keys import INSTALLATION
from starters.codec.gate import BODY_BYTES
from starters.console.identity import COOKIE
from tests.starters.codec.conftest import ORIGIN, Served, serving

CLEAR = Payload(metadata={"encoding": b"json/plain"}, data=b'"clear"')


async def test_people_read_the_tenants_that_they_may_see(served: Served) -> None:
    sent = [await served.sealed("acme", "one"), CLEAR, await served.sealed("globex", "two")]
    by_bo = await served.ask("/decode", sent, by="bo")
    assert by_bo.status == 200
    assert json.loads(by_bo.texts[0])["text"] == "one"
    assert by_bo.texts[1:] == ['"clear"', '"[encrypted: you may not read tenant globex]"']
    by_ada = await served.ask("/default/decode?preserveStorageRefs=true", sent, by="ada")
    assert [json.loads(text) for text in by_ada.texts][2]["text"] == "two"
    by_nil = await served.ask("/decode", sent, by="nil")
    assert by_nil.texts[0] == '"[encrypted: you may not read tenant acme]"'


async def test_what_is_of_no_tenant_is_for_who_operates_them_all(served: Served) -> None:
    [sealed] = await served.codec.encode([CLEAR])
    assert sealed.metadata["engross-key"].decode().startswith(INSTALLATION)
    assert (await served.ask("/decode", [sealed], by="ada")).texts == ['"clear"']
    [told] = (await served.ask("/decode", [sealed], by="bo")).texts
    assert told == '"[encrypted: only who operates every tenant may read it]"'


async def test_an_erased_tenant_is_shown_as_destroyed_and_nothing_is_sealed_for_it(served: Served) -> None:
    sealed = await served.sealed("acme", "gone")
    await served.tenants.destroy("acme")
    assert (await served.ask("/decode", [sealed], by="bo")).texts == ['"[destroyed with tenant acme\'s key]"']
    clear = Payload(metadata={"encoding": b"json/plain"}, data=b'{"tenant":"acme"}')
    refused = await served.ask("/encode", [clear], by="bo")
    assert (refused.status, refused.body["error"]) == (410, "TenantErased")


async def test_what_is_damaged_moved_or_made_up_is_told_and_stops_nothing_else(served: Served) -> None:
    whole = await served.sealed("acme", "whole")
    changed, moved, nobodys = (Payload.FromString(whole.SerializeToString()) for _ in range(3))
    changed.data = whole.data[:-1] + bytes([whole.data[-1] ^ 1])
    moved.metadata["engross-key"] = b"globex.1"
    nobodys.metadata["engross-key"] = b"../x.1"
    await served.sealed("globex", "so that there is a key")
    texts = (await served.ask("/decode", [changed, moved, nobodys, whole], by="ada")).texts
    assert texts[:3] == ['"[damaged: it can\'t be opened]"'] * 3
    assert json.loads(texts[3])["text"] == "whole"


async def test_what_is_encoded_decodes_and_only_for_tenants_that_one_sees(served: Served) -> None:
    clear = Payload(metadata={"encoding": b"json/plain"}, data=b'{"tenant":"acme","job":"invoice"}')
    sealed = await served.ask("/encode", [clear], by="bo")
    assert b"invoice" not in base64.b64decode(sealed.body["payloads"][0]["data"])
    decoded = await served.send(
        "POST", "/decode", json=sealed.body, headers={"Authorization": f"Bearer {served.keys['bo']}"}
    )
    assert decoded.texts == [clear.data.decode()]
    refused = await served.ask("/encode", [clear], by="nil")
    assert (refused.status, refused.body["error"]) == (403, "NotAuthorised")
    assert [row.tenant for row in await served.tenants.listed()] == ["acme"]


# --- who asks -----------------------------------------------------------------------------------------------------


async def test_nobody_is_told_anything_without_a_key_or_session(served: Served) -> None:
    sealed = await served.sealed("acme", "secret")
    for headers in ({}, {"Authorization": "Bearer eg_0_x"}, {"Authorization": "Bearer e30.e30."}, {"Cookie": "a=b"}):
        for path in ("/decode", "/encode"):
            answer = await served.ask(path, [sealed], **headers)
            assert (answer.status, answer.body["error"]) == (401, "NotSignedIn"), headers
            assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_the_consoles_session_counts_from_the_web_ui_alone(served: Served) -> None:
    hour = timedelta(hours=1)
    session = await served.access.open_session("bo", idle=hour, longest=hour)
    sealed, cookie = await served.sealed("acme", "one"), f"{COOKIE}={session.token}"
    answer = await served.ask("/decode", [sealed], Cookie=cookie, Origin=ORIGIN)
    assert json.loads(answer.texts[0])["text"] == "one"
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    for other in ({}, {"Origin": "https://evil.example.com"}, {"Origin": "null"}):
        refused = await served.ask("/decode", [sealed], Cookie=cookie, **other)
        assert refused.status == 403, other
        assert "Access-Control-Allow-Origin" not in refused.headers
    await served.access.close_session(session.token)
    assert (await served.ask("/decode", [sealed], Cookie=cookie, Origin=ORIGIN)).status == 401


@pytest.mark.parametrize(("origin", "status"), [(ORIGIN, 200), ("https://evil.example.com", 400)])
async def test_browsers_ask_first_and_only_the_web_ui_is_let_through(served: Served, origin: str, status: int) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,authorization-extras,content-type,x-namespace",
    }
    answer = await served.send("OPTIONS", "/decode", headers=asked)
    assert answer.status == status
    assert (answer.headers.get("Access-Control-Allow-Origin") == origin) == (origin == ORIGIN)


# --- bounds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b'{"payloads": 5}', 400), (b"[" * 100_000, 400), (b"\xff", 400), (b"x" * (BODY_BYTES + 1), 413)],
    ids=["cut", "no list", "deep", "no text", "large"],
)
async def test_bodies_that_are_none_are_refused(served: Served, body: bytes, status: int) -> None:
    headers = {"Authorization": f"Bearer {served.keys['bo']}"}
    answer = await served.send("POST", "/decode", data=BytesIO(body), headers=headers)
    assert answer.status == status


async def test_who_asks_too_often_waits(tmp_path: Path, clean_environment: None) -> None:
    async with serving(tmp_path, per_minute=2) as served:
        answers = [await served.ask("/decode", [CLEAR], by="bo") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["Retry-After"]) >= 1


async def test_every_decode_is_logged_without_content(served: Served) -> None:
    sent = [await served.sealed("acme", "canaryword"), await served.sealed("globex", "canaryword")]
    with capture_logs() as logs:
        await served.ask("/decode", sent, by="bo", X_Namespace="default")
    [line] = [line for line in logs if line["event"] == "decoded"]
    told = {name: line[name] for name in ("person", "how", "namespace", "opened", "withheld")}
    expected = {"person": "bo", "how": "key", "namespace": "default", "opened": {"acme": 1}, "withheld": {"globex": 1}}
    assert told == expected
    assert "canaryword" not in json.dumps(logs, default=str)


async def test_health_needs_nobody(served: Served) -> None:
    assert (await served.send("GET", "/health")).body == {"ready": True}
