"""The rung that costs nothing: repaired out of process, mended, and checked again like any answer."""

import json
from decimal import Decimal

import pytest

from activities.checks.drafts import SEVERAL_ANSWERS, Draft
from activities.checks.repair import Repairs
from engross.catalog import load_catalog
from engross.contracts import ModelRef, Problem, RepairRequest, Reply, ReplyStatus, StepPlan, Usage
from tests.activities.fakes import MemoryBlobs, PlainParsers
from tests.metrics import counted

RECEIPT = {"company": "Corner Shop", "date": "2020-05-05", "address": None, "total": 9.5}


async def repair(
    text: str, repaired: str | None = None, code: str = "not_json"
) -> tuple[Reply, MemoryBlobs, PlainParsers]:
    """What becomes of `text`, an invalid answer of the job `receipt`."""
    blobs, parsers = MemoryBlobs(), PlainParsers(repaired=repaired)
    step = StepPlan(
        name="extract",
        prompt=await blobs.put("acme", b"prompt"),
        prompt_version="p",
        schema_version="s",
        route=(ModelRef(provider="openai", model="m"),),
        max_output_tokens=10,
    )
    reply = Reply(
        status=ReplyStatus.INVALID,
        step="extract",
        model="m",
        prompt_version="p",
        draft=await blobs.put("acme", Draft(text=text).to_bytes()),
        problems=(Problem(field="", code=code),),
        usage=Usage(input_tokens=100),
        cost_usd=Decimal("0.5"),
    )
    repairs = Repairs(catalog=load_catalog(), blobs=blobs, parsers=parsers)
    return await repairs.repair_answer(RepairRequest(job="receipt", step=step, reply=reply)), blobs, parsers


@pytest.mark.parametrize(
    ("text", "repaired"),
    [
        (json.dumps({**RECEIPT, "date": "5 May 2020", "total": "RM 9.50"}), None),
        ("{'company'...", json.dumps(RECEIPT)),
    ],
)
async def test_a_mended_answer_is_valid_and_free(text: str, repaired: str | None) -> None:
    with counted() as grown:
        reply, blobs, _ = await repair(text, repaired)
    assert grown == {"engross_repairs_total{job=receipt,rung=fixed,step=extract,tenant=acme}": 1}
    assert (reply.status, reply.draft, reply.problems) == (ReplyStatus.VALID, None, ())
    assert (reply.calls, reply.usage, reply.cost_usd) == (0, Usage(), Decimal(0))
    assert reply.answer is not None
    assert json.loads(await blobs.get(reply.answer)) == RECEIPT


async def test_readable_json_needs_no_repair() -> None:
    _, _, parsers = await repair(json.dumps({**RECEIPT, "total": "RM 9.50"}), repaired="{}")
    assert parsers.asked == [json.dumps({**RECEIPT, "total": "RM 9.50"})]


async def test_what_code_cannot_mend_stays_invalid_with_the_problems_left() -> None:
    reply, blobs, _ = await repair(json.dumps({"company": "Corner Shop", "total": "RM 9.50"}))
    assert (reply.status, [str(p) for p in reply.problems]) == (ReplyStatus.INVALID, ["date (missing)"])
    assert reply.draft is not None
    assert "date" in Draft.model_validate_json(await blobs.get(reply.draft)).messages[0]


async def test_code_does_not_choose_between_two_answers() -> None:
    reply, blobs, parsers = await repair(json.dumps(RECEIPT), code=SEVERAL_ANSWERS)
    assert (reply.status, [problem.code for problem in reply.problems]) == (ReplyStatus.INVALID, [SEVERAL_ANSWERS])
    assert reply.draft is not None
    assert json.loads(Draft.model_validate_json(await blobs.get(reply.draft)).text) == RECEIPT
    assert parsers.asked == []


async def test_prose_stays_as_it_was() -> None:
    reply, _, _ = await repair("I am sorry", repaired=None)
    assert (reply.status, reply.calls) == (ReplyStatus.INVALID, 0)


async def test_a_repair_that_is_no_strict_json_is_not_believed() -> None:
    reply, _, _ = await repair("{", repaired='{"total": NaN}')
    assert reply.status is ReplyStatus.INVALID
