"""Approvals and decisions: what is told, which refusal has which status, and what counts once."""

import asyncio
import json
import secrets
from collections.abc import Mapping
from typing import Any

import pytest

from activities.approvals.rows import ApprovalRow
from engross.contracts import Risk
from tests.starters.approvals_world import INVOICE
from tests.starters.console.api.world import NOTHING, V1, Answer, Api

UNKNOWN = "f" * 64


async def opened(api: Api, **more: Any) -> ApprovalRow:
    return await api.there(api.world.start(**more))


async def decide(
    api: Api, row: ApprovalRow, kind: str, by: str = "ann", *, headers: Mapping[str, str] = NOTHING, **more: Any
) -> Answer:
    if kind in ("approve", "reject", "feedback", "correct"):
        more = {"shown": row.state.shown} | more
    path = f"{V1}/approvals/{row.approval_id}/decisions"
    return await api.ask("POST", path, by, headers, json={"kind": kind, **more})


async def test_what_is_to_decide_is_told_and_decided_on(api: Api) -> None:
    row = await opened(api)
    told = (await api.ask("GET", f"{V1}/approvals/{row.approval_id}")).body
    assert told["answer"] == INVOICE
    assert told["verdict"] == "open"
    receipt = await decide(api, row, "approve", shown=told["shown"])
    assert receipt.status == 200
    assert (receipt.body["verdict"], receipt.body["by"], receipt.body["given"]) == ("approved", "ann", 1)
    after = (await api.ask("GET", f"{V1}/approvals/{row.approval_id}")).body
    assert (after["verdict"], after["decided_by"]) == ("approved", ["ann"])
    history = await api.there(api.world.audit.of(row.approval_id))
    approved = next(line for line in history if line.action == "approval.approved")
    assert (approved.actor, approved.source, approved.address, approved.is_signed) == ("ann", "api", "127.0.0.1", True)


async def test_refusals_have_their_names(api: Api) -> None:
    row = await opened(api, submitter="ben", risk=Risk.HIGH, can_ask_again=False)
    sure = await decide(api, row, "approve")
    assert (sure.body["given"], sure.body["needed"]) == (1, 2)
    wrong = INVOICE | {"amount": "much"}
    refused: dict[str, tuple[str, dict[str, Any], int, str]] = {
        "eve": ("approve", {}, 403, "NotAuthorised"),
        "vera": ("approve", {}, 403, "NotAuthorised"),
        "ben": ("approve", {}, 403, "SelfDecision"),
        "ann": ("approve", {}, 409, "DuplicateDecision"),
        "sue": ("approve", {"shown": UNKNOWN}, 409, "StaleDecision"),
    }
    for by, (kind, more, status, name) in refused.items():
        answer = await decide(api, row, kind, by, **more)
        assert (answer.status, answer.body["error"]) == (status, name), by
        assert answer.headers["Content-Type"] == "application/problem+json"
    others: tuple[tuple[str, dict[str, Any], int, str], ...] = (
        ("correct", {"value": wrong}, 422, "InvalidAnswer"),
        ("feedback", {"reason": "look again"}, 422, "NotAcceptable"),
        ("reject", {"reason": "  "}, 422, "NotAcceptable"),
        ("reject", {"reason": ""}, 422, "InvalidRequest"),
        ("delegate", {"to": "nobody"}, 422, "NotAcceptable"),
        ("extend", {"hours": 0}, 422, "InvalidRequest"),
        ("approve", {"note": "x"}, 422, "InvalidRequest"),
        ("perhaps", {}, 422, "InvalidRequest"),
    )
    for kind, told, status, name in others:
        answer = await decide(api, row, kind, "sue", **told)
        assert (answer.status, answer.body["error"]) == (status, name), kind
    assert (await decide(api, row, "reject", "sue", reason="no invoice")).body["verdict"] == "rejected"
    late = await decide(api, row, "approve", "olga")
    assert (late.status, late.body["error"]) == (409, "LateDecision")
    assert "rejected" in late.body["detail"]


async def test_each_kind_of_act_counts(api: Api) -> None:
    row = await opened(api)
    assert (await decide(api, row, "claim")).status == 200
    line = (await api.ask("GET", f"{V1}/approvals?search={row.approval_id}")).body["approvals"][0]
    assert line["claimed_by"] == "ann"
    assert (await decide(api, row, "release")).status == 200
    assert (await decide(api, row, "extend", "olga", hours=3)).status == 200
    assert (await decide(api, row, "delegate", to="ben")).status == 200
    assert (await decide(api, row, "approve", "sue")).status == 200  # everybody who may approve is asked still
    corrected = await opened(api)
    answer = await decide(api, corrected, "correct", value=INVOICE | {"amount": 120.0, "amount_untaxed": 101.0})
    assert (answer.status, answer.body["verdict"]) == (200, "corrected")
    again = await opened(api, can_ask_again=True)
    assert (await decide(api, again, "feedback", reason="the date is wrong")).body["verdict"] == "again"


async def test_a_key_counts_once_and_for_one_thing(api: Api) -> None:
    row, key = await opened(api, risk=Risk.HIGH), {"Idempotency-Key": secrets.token_hex(8)}
    answers = await asyncio.gather(*(decide(api, row, "approve", headers=key) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert {answer.body["given"] for answer in answers} == {1}
    assert {answer.body["key"] for answer in answers} == set(key.values())
    other = await decide(api, row, "reject", headers=key, reason="no")
    assert (other.status, other.body["error"]) == (422, "NotAcceptable")
    # The same text of somebody else is another key.
    theirs = await decide(api, row, "approve", "ben", headers=key)
    assert (theirs.status, theirs.body["verdict"], theirs.body["is_repeat"]) == (200, "approved", False)
    repeat = await decide(api, row, "approve", headers=key)
    assert (repeat.status, repeat.body["is_repeat"], repeat.body["given"]) == (200, True, 1)


async def test_lists_have_pages_filters_and_no_foreign_rows(api: Api) -> None:
    mark = secrets.token_hex(6)
    rows = [await opened(api, document_name=f"{mark} {number}") for number in range(5)]
    theirs = await opened(api, document_name=mark, tenant="other")
    seen, after = [], ""
    while True:
        page = (await api.ask("GET", f"{V1}/approvals?search={mark}&limit=2{after}")).body
        assert page["total"] == 5
        seen += [line["approval_id"] for line in page["approvals"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert sorted(seen) == sorted(row.approval_id for row in rows)
    mine = (await api.ask("GET", f"{V1}/approvals?search={mark}", "eve")).body["approvals"]
    assert [line["approval_id"] for line in mine] == [theirs.approval_id]
    for query, status in (
        ("tenant=other", 403),
        ("after=nonsense", 400),
        ("limit=0", 422),
        ("limit=201", 422),
        ("verdict=perhaps", 422),
        ("older_than_hours=nan", 422),
        ("search=" + "s" * 201, 422),
        ("unknown=1", 422),
    ):
        assert (await api.ask("GET", f"{V1}/approvals?{query}")).status == status, query
    await decide(api, rows[0], "approve")
    told = {
        verdict: (await api.ask("GET", f"{V1}/approvals?search={mark}&verdict={verdict}")).body["total"]
        for verdict in ("open", "approved", "any")
    }
    assert told == {"open": 4, "approved": 1, "any": 5}
    foreign = await api.ask("GET", f"{V1}/approvals/{theirs.approval_id}")
    assert (foreign.status, foreign.body["error"]) == (403, "NotAuthorised")
    unknown = await api.ask("GET", f"{V1}/approvals/none")
    assert (unknown.status, unknown.body["error"]) == (404, "RunNotFound")


HOSTILE = (
    b'{"amount": NaN, "issuer": "\\ud800 half", "deep": ' + b"[" * 400 + b"]" * 400 + b', "big": 1' + b"0" * 400 + b"}"
)


async def test_whatever_a_model_wrote_can_be_told(api: Api) -> None:
    draft = await api.there(api.world.blobs.put("acme", HOSTILE, "application/json"))
    row = await opened(api, answer=None, draft=draft, error={"type": "InvalidAnswer", "message": "no"})
    told = await api.ask("GET", f"{V1}/approvals/{row.approval_id}")
    assert told.status == 200
    assert told.body["draft"]["amount"] == "nan"
    assert told.body["draft"]["issuer"] == "? half"


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind": "correct", "shown": "%s", "value": NaN}',
        b'{"kind": "correct", "shown": "%s", "value": {"a": 1e999}}',
        b'{"kind": "correct", "shown": "%s", "value": "\\ud800"}',
        b'{"kind": "correct", "shown": "%s", "value": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"kind": "correct", "shown": "%s", "value": ' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"kind": "correct", "shown": "%s", "value": 1' + b"0" * 5000 + b"}",
        b'{"kind": "extend", "hours": NaN}',
        b'{"kind": "extend", "hours": 1e999}',
        b'{"kind": "extend", "hours": "5"}',
        b'{"kind": "claim", "\\ud800": 1}',
        b'{"kind": "\\ud800"}',
        b'{"kind": "reject", "shown": "%s", "reason": "\\ud800"}',
        b'{"kind": "claim", "kind": ["claim"]}',
        b'{"kind": "claim"',
        b"\xff\xfe",
        b"[]",
        b"null",
        b"",
    ],
)
async def test_nonsense_is_refused_and_breaks_nothing(api: Api, body: bytes) -> None:
    row = await opened(api)
    sent = body.replace(b"%s", row.state.shown.encode())
    path = f"{V1}/approvals/{row.approval_id}/decisions"
    answer = await api.ask("POST", path, data=sent, headers={"Content-Type": "application/json"})
    assert answer.status in (400, 422)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (await api.ask("GET", f"{V1}/approvals/{row.approval_id}")).body["verdict"] == "open"


async def test_many_problems_make_a_short_answer(api: Api) -> None:
    body = {"kind": "claim"} | {f"x{number}" * 20: 1 for number in range(5000)}
    answer = await api.ask("POST", f"{V1}/approvals/none/decisions", json=body)
    assert answer.status == 422
    assert len(json.dumps(answer.body)) < 30_000
    assert (await api.ask("POST", f"{V1}/approvals/none/decisions", data=b"x" * 1_000_001)).status == 413


async def test_an_approval_is_no_run_and_can_not_be_stopped_as_one(api: Api) -> None:
    row = await opened(api)
    for method, end in (("GET", ""), ("GET", "/result"), ("POST", "/cancel")):
        answer = await api.ask(method, f"{V1}/runs/{row.approval_id}{end}", "root")
        assert (answer.status, answer.body["error"]) == (404, "RunNotFound")
    assert (await api.ask("GET", f"{V1}/approvals/{row.approval_id}")).body["verdict"] == "open"
