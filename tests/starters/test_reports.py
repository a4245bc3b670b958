import json
from decimal import Decimal

from engross.contracts import ApprovalMark, Outcome, Risk, RunResult, Verdict
from engross.errors import DocumentNotFound
from starters.reports import RunReport, json_line, of_result, refusal

FIELDS = [
    "run_id", "job", "tenant", "document", "outcome", "answer", "error",
    "usage", "cost_usd", "model", "prompt_version", "calls", "repairs", "missing", "flags", "ledger", "approval",
]  # fmt: skip


def report(cost: str | None = None, **fields: object) -> RunReport:
    values = {"run_id": "r", "job": "j", "tenant": "t", "document": "d", "outcome": "done", "cost_usd": cost}
    return RunReport.model_validate(values | fields)


def test_a_report_has_exactly_the_agreed_fields() -> None:
    assert list(json.loads(json_line(report()))) == FIELDS


def test_money_keeps_its_exact_digits_as_a_json_number() -> None:
    line = json_line(report("0.10000000000000000012"))
    assert '"cost_usd": 0.10000000000000000012' in line
    assert json.loads(line, parse_float=Decimal)["cost_usd"] == Decimal("0.10000000000000000012")


def test_small_money_is_not_in_exponent_form() -> None:
    assert '"cost_usd": 0.00000012' in json_line(report("1.2E-7"))


def test_an_unknown_price_is_null_and_never_zero() -> None:
    assert json.loads(json_line(report(None)))["cost_usd"] is None


def test_json_is_one_ascii_line_whatever_is_in_it() -> None:
    line = json_line(report(answer={"x": "a\n\x1b[31mü\u202e\ud800"}, document="\r\n.pdf"))
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["answer"] == {"x": "a\n\x1b[31mü\u202e\ud800"}


def test_a_refusal_names_the_error_and_costs_nothing() -> None:
    refused = refusal(DocumentNotFound("no file at x"), job="j", tenant="t", document="x")
    assert (refused.run_id, refused.outcome, refused.cost_usd) == (None, Outcome.FAILED, Decimal(0))
    assert json.loads(json_line(refused))["error"] == {"type": "DocumentNotFound", "message": "no file at x"}


def test_a_result_whose_row_is_lost_still_says_who_decided() -> None:
    mark = ApprovalMark(approval_id="r-approval", shown="0" * 64, risk=Risk.HIGH, by=("ann", "bob"), is_corrected=True)
    result = RunResult(run_id="r", job="j", tenant="t", outcome=Outcome.DONE, approval=mark)
    told = of_result(result, answer={"total": 1}).approval
    assert told is not None
    assert (told.verdict, told.by, told.risk) == (Verdict.CORRECTED, ("ann", "bob"), Risk.HIGH)
    assert of_result(result.model_copy(update={"approval": None}), answer=None).approval is None
