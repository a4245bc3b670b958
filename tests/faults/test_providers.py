"""What providers do wrong, end to end: each row ends as declared, with exactly the calls that the policy allows."""

import email.utils
import json
import os
import time
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.faults.conftest import WIRES, Faulty
from tests.faults.figures import Record, tell

pytestmark = pytest.mark.xdist_group("faults")

LONG: Final = os.environ.get("FAULTS") == "long"
MEGABYTE: Final = 1_000_000
DEEP: Final = '{"total":' * 10_000 + "1" + "}" * 10_000


End = tuple[str, str, int]  # outcome, error, and the calls that arrive


@dataclass(frozen=True)
class Case:
    """A fault that lasts, and the end it leads to; another one on Anthropic's wire where that differs."""

    rows: tuple[int, ...]
    fault: dict[str, Any]
    end: End
    on_anthropic: End | None = None


def always(kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "times": 50, **more}


def says(text: str) -> dict[str, Any]:
    return always("malformed", text=text)


def failed(error: str, calls: int) -> End:
    return "failed", error, calls


def person(error: str, calls: int) -> End:
    return "needs_approval", error, calls


# Truncated: once more with twice the room. Invalid: mended by code for nothing, then one re-ask. A call that vanished
# is sent once more. Everything else that says no, says it once.
INVALID: Final = person("InvalidAnswer", 2)
VANISHED: Final = failed("BillingUnclear", 2)
EMPTY: Final = failed("EmptyAnswer", 1)
CASES: Final = {
    "truncated": Case((25,), always("truncate"), failed("TruncatedAnswer", 2)),
    "too long": Case((), always("context_too_long"), failed("ContextTooLong", 1)),
    "refused": Case((26,), always("refuse"), person("RefusedAnswer", 1)),
    "filtered": Case((26,), always("filter"), person("FilteredAnswer", 1), person("RefusedAnswer", 1)),
    "policy": Case((26,), always("policy"), person("ContentRefused", 1)),
    # Broken arguments reach Anthropic's callers as {}.
    "bad JSON": Case((27,), says('{"total": '), INVALID, EMPTY),
    "bad schema": Case((27,), always("invalid"), INVALID),
    "NaN": Case((28,), says('{"total":NaN}'), INVALID),
    "1e999": Case((28,), says('{"total":1e999}'), INVALID),
    # There, too deep for the SDK: not its protocol.
    "10,000 deep": Case((28,), says(DEEP), INVALID, VANISHED),
    "absurd": Case((29,), always("invalid", arguments={"total": -5e12}), INVALID),
    "empty": Case((30,), always("empty"), EMPTY),
    "two tool calls": Case((30,), always("two_calls"), INVALID),
    "input={}": Case((30,), always("empty_input"), INVALID, EMPTY),
    "200 MB": Case((31,), always("huge", bytes=200 * MEGABYTE), failed("ReplyTooLarge", 1)),
    "gzip bomb": Case((31,), always("gzip_bomb", bytes=200 * MEGABYTE), failed("ReplyTooLarge", 1)),
    "200 HTML": Case((31,), always("html"), VANISHED),
    "headers never come": Case((23,), always("slow_headers", seconds=60), VANISHED),
    "a byte a second": Case((23,), always("drip", seconds=1), VANISHED),
    "stalls": Case((24,), always("stall", seconds=0.5), VANISHED),
    "reset in mid-body": Case((22,), always("reset_body"), VANISHED),
}


# The quick version: what the failure table of tests/activities/models says of replies is true of runs as well.
QUICK: Final = ("truncated", "filtered", "bad schema", "10,000 deep", "absurd", "two tool calls", "gzip bomb", "stalls")


def lasting() -> list[Any]:
    """Every case on both wires; in the quick version some, by turns on one of them."""
    chosen = [(name, wire) for name in CASES for wire in range(len(WIRES))]
    if not LONG:
        chosen = [(name, number % len(WIRES)) for number, name in enumerate(QUICK)]
    return [
        pytest.param(name, wire, marks=pytest.mark.fault(*CASES[name].rows), id=f"{name} {WIRES[wire]}")
        for name, wire in chosen
    ]


@pytest.mark.parametrize(("name", "wire"), lasting())
def test_a_lasting_fault_has_its_declared_end(faulty: Faulty, record_property: Record, name: str, wire: int) -> None:
    case = CASES[name]
    report = faulty.run(WIRES[wire], case.fault)
    arrived = len(faulty.arrived())
    tell(record_property, 1, faulty.seed, f"{arrived} calls, {report['outcome']}")
    expected = case.on_anthropic if wire and case.on_anthropic else case.end
    assert (report["outcome"], report["error"]["type"], arrived) == expected, report
    assert report["answer"] is None


@pytest.mark.fault(16)
def test_an_answer_over_two_megabytes_is_paid_for_once(faulty: Faulty, record_property: Record) -> None:
    answer = {"total": 1.5, "note": "x" * 3 * 2**20}
    report = faulty.run("over_openai", {"kind": "invalid", "arguments": answer})
    tell(record_property, 1, faulty.seed, f"{len(faulty.arrived())} call")
    assert (report["outcome"], report["answer"]) == ("done", answer)
    assert len(faulty.arrived()) == 1


# --- waiting ----------------------------------------------------------------------------------------------------


@pytest.mark.fault(18)
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param({"retry_after_ms": "2500"}, 2.5, id="milliseconds"),
        pytest.param({"retry_after": "90" if LONG else "2"}, 90 if LONG else 2, id="seconds"),
    ],
)
def test_a_busy_provider_is_given_the_time_it_asks_for(
    faulty: Faulty, record_property: Record, header: dict[str, str], seconds: float
) -> None:
    report = faulty.run("over_anthropic", {"kind": "rate_limit", **header})
    first, second = faulty.arrived()
    waited = second["at"] - first["at"]
    tell(record_property, 1, faulty.seed, f"waited {waited:.1f} s of {seconds}")
    assert (report["outcome"], report["calls"]) == ("done", 1)
    assert waited >= seconds


@pytest.mark.fault(18)
def test_a_busy_provider_may_name_the_hour(faulty: Faulty, record_property: Record) -> None:
    moment = int(time.time()) + 6
    date = email.utils.formatdate(moment, usegmt=True)
    report = faulty.run("over_anthropic", {"kind": "rate_limit", "retry_after": date})
    late = faulty.arrived()[-1]["at"] - moment
    tell(record_property, 1, faulty.seed, f"came {late:.1f} s after the time told")
    assert (report["outcome"], report["calls"], len(faulty.arrived())) == ("done", 1, 2)
    assert late >= 0


@pytest.mark.fault(19)
@pytest.mark.parametrize("header", ["soon", "-5", "1e400", ""] if LONG else ["-5"])
def test_a_senseless_wait_is_a_short_one(faulty: Faulty, record_property: Record, header: str) -> None:
    report = faulty.run("over_openai", {"kind": "rate_limit", "retry_after": header})
    first, second = faulty.arrived()
    tell(record_property, 1, faulty.seed, f"waited {second['at'] - first['at']:.1f} s")
    assert report["outcome"] == "done"
    assert second["at"] - first["at"] < 30


# --- outages ----------------------------------------------------------------------------------------------------


@pytest.mark.fault(20)
@pytest.mark.parametrize("status", [500, 529] if LONG else [529])
def test_an_outage_is_outlasted(faulty: Faulty, record_property: Record, status: int) -> None:
    seconds = 300 if LONG else 5
    started = time.monotonic()
    report = faulty.run("over_openai", {"kind": "error", "status": status, "for_seconds": seconds})
    tell(record_property, 1, faulty.seed, f"outage {seconds} s, done after {time.monotonic() - started:.0f} s")
    assert (report["outcome"], report["calls"]) == ("done", 1)


@pytest.mark.fault(20)
def test_a_route_switches_in_an_outage_and_back_after_it(faulty: Faulty, record_property: Record) -> None:
    def answered_by() -> str:
        report = faulty.run("with_fallback", closed=False)
        assert report["outcome"] == "done", report
        return str(faulty.arrived()[-1]["wire"])

    faulty.close_circuits()
    assert answered_by() == "openai"
    outage = {"kind": "error", "status": 503, "path": "openai", "for_seconds": 3600}
    during = faulty.run("with_fallback", outage)
    tried = [call["wire"] for call in faulty.arrived()]
    assert (during["outcome"], tried) == ("done", ["openai", "openai", "anthropic"])
    while faulty.engross.circuit("openai") != "open":
        faulty.submit("with_fallback", faulty.document())
    faulty.engross.script(outage)
    faulty.submit("with_fallback", faulty.document())
    assert [call["wire"] for call in faulty.arrived()] == ["anthropic"]  # nobody asks an open circuit
    faulty.engross.script()
    faulty.engross("resume", "--all")  # rather than half a minute later by itself
    tell(record_property, 1, faulty.seed, "openai -> anthropic -> openai")
    assert answered_by() == "openai"
    assert faulty.engross.circuit("openai") == "closed"


@pytest.mark.fault(21)
def test_nothing_multiplies_the_attempts(faulty: Faulty, record_property: Record) -> None:
    report = faulty.run("with_fallback", always("error", path="openai"))
    calls = [call["wire"] for call in faulty.arrived()]
    tell(record_property, 1, faulty.seed, f"{calls.count('openai')} calls, then the next model")
    assert (report["outcome"], calls) == ("done", ["openai", "openai", "anthropic"])


@pytest.mark.fault(32)
@pytest.mark.skipif(not LONG, reason="tests/e2e/test_parked.py does it with three")
@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_key_parks_everybody_and_all_go_on_by_themselves(
    faulty: Faulty, record_property: Record, status: int
) -> None:
    n = 30
    faulty.close_circuits()
    alarms = faulty.engross.log().count("circuit opened")
    faulty.engross.script(always("auth", status=status, times=10_000))
    reports = faulty.submit("over_anthropic", *(faulty.document() for _ in range(n)))
    refused = len(faulty.arrived())
    assert {report["outcome"] for report in reports} == {"parked"}
    assert {report["error"]["type"] for report in reports} <= {"AuthenticationFailed", "QuotaExhausted"}
    assert faulty.engross.log().count("circuit opened") == alarms + 1
    assert refused <= n  # at most those that were in flight before the first one was back
    faulty.engross.script()
    faulty.engross("resume", "--all")
    ids = [report["run_id"] for report in reports]
    deadline = time.monotonic() + 90
    while not all(ended(faulty, run_id) for run_id in ids):
        assert time.monotonic() < deadline, "parked runs did not go on"
        time.sleep(0.5)
    tell(record_property, n, faulty.seed, f"{refused} refused calls, one alarm, {len(faulty.arrived())} calls after it")
    assert len(faulty.arrived()) == n


def ended(faulty: Faulty, run_id: str) -> bool:
    return '"outcome": "done"' in faulty.engross("result", run_id, "--json").stdout


# --- what replies say -------------------------------------------------------------------------------------------


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "usage"},
        {"kind": "usage", "usage": {"input_tokens": -5, "output_tokens": 3}},
        {"kind": "usage", "usage": {"input_tokens": 10**15, "output_tokens": 3}},
        {"kind": "model", "text": "a-model-without-price"},
    ],
    ids=["missing", "negative", "absurd", "another model"],
)
def test_a_price_that_cannot_be_known_is_unknown_and_never_zero(
    faulty: Faulty, record_property: Record, fault: dict[str, Any]
) -> None:
    before = spent(faulty)
    report = faulty.run("over_openai", fault)
    charged = spent(faulty) - before
    tell(record_property, 1, faulty.seed, f"price unknown, budget charged ${charged:.6f}")
    assert (report["outcome"], report["cost_usd"]) == ("done", None)
    assert charged > 0  # the whole reservation


def spent(faulty: Faulty) -> float:
    [account] = [json.loads(line) for line in faulty.engross("budget", "show", "--day", "--json").stdout.splitlines()]
    return float(account["spent_usd"])


@pytest.mark.fault(34)
def test_templates_in_documents_are_text(faulty: Faulty, record_property: Record) -> None:
    templates = "{{ 7 * 7 }} {% for x in y %} {{ cycler.__init__.__globals__ }} {% x {{"
    report = faulty.run("over_openai", text=templates)
    tell(record_property, 1, faulty.seed, f"{len(faulty.arrived())} call")
    assert report["outcome"] == "done", report
    assert len(faulty.arrived()) == 1
