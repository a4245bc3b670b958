"""Hundreds of clicks at once on one decision, over HTTP: one effect, and every one of them is told the truth.

FAULTS=long: five hundred.
"""

import asyncio
from collections import Counter

import pytest

from engross.contracts import Risk, Verdict
from tests.faults.fleet import LONG
from tests.starters.console.api.test_approvals import decide, opened
from tests.starters.console.api.world import Api

CLICKS = 500 if LONG else 100

pytestmark = [pytest.mark.fault(57), pytest.mark.timeout(300)]


async def test_the_same_click_again_and_again_is_one_decision(api: Api) -> None:
    row = await opened(api, risk=Risk.HIGH)
    answers = await asyncio.gather(
        *(decide(api, row, "approve", "ann", headers={"Idempotency-Key": "one-click"}) for _ in range(CLICKS))
    )
    assert Counter(answer.status for answer in answers) == {200: CLICKS}
    assert {(answer.body["given"], answer.body["needed"]) for answer in answers} == {(1, 2)}
    state = (await api.there(api.world.row(row.approval_id))).state
    assert [consent.by for consent in state.given] == ["ann"]


async def test_approve_against_reject_has_one_winner(api: Api) -> None:
    row = await opened(api)
    kinds = ["approve", "reject"] * (CLICKS // 2)
    people = ["ann", "ben", "sue"]
    answers = await asyncio.gather(
        *(
            decide(api, row, kind, people[number % 3], headers={"Idempotency-Key": f"click-{number}"}, reason="no")
            if kind == "reject"
            else decide(api, row, kind, people[number % 3], headers={"Idempotency-Key": f"click-{number}"})
            for number, kind in enumerate(kinds)
        )
    )
    told = Counter("counted" if answer.status == 200 else answer.body["error"] for answer in answers)
    assert told == {"counted": 1, "LateDecision": CLICKS - 1}
    [winner] = [answer.body for answer in answers if answer.status == 200]
    state = (await api.there(api.world.row(row.approval_id))).state
    assert state.decided_by == (winner["by"],)
    assert state.verdict is (Verdict.APPROVED if winner["kind"] == "approve" else Verdict.REJECTED)
    names = {answer.body["detail"] for answer in answers if answer.status != 200}
    assert all(winner["by"] in detail for detail in names)
