"""Every way a provider's reply can fail, over both wires: its declared name or status, and exactly one call."""

from dataclasses import dataclass
from typing import Any, Final

import pytest

from activities.checks.answer import check_answer
from activities.models.openai_wire import OpenAIProvider
from activities.models.providers import Provider
from engross.contracts import ReplyStatus
from engross.errors import EngrossError, ProviderError
from tests.activities.models.conftest import StandIn
from tests.activities.models.test_providers import Slip, call

DEEP: Final = '{"total":' * 10_000 + "1" + "}" * 10_000


@dataclass(frozen=True)
class End:
    """How a call ends: with an error of this name, or with a reply of this status.

    A reply without a status is an answer or, with `holds` False, one that the check of answers rejects.
    """

    error: str = ""
    retryable: bool = False
    maybe_billed: bool = False
    status: ReplyStatus | None = None
    holds: bool = False


OVERLOADED: Final = End("ProviderOverloaded", retryable=True)
LATE: Final = End("ProviderTimeout", retryable=True, maybe_billed=True)
BROKEN_OFF: Final = End("ProviderUnreachable", retryable=True, maybe_billed=True)
GARBLED: Final = End("ProviderGarbled", retryable=True, maybe_billed=True)
NO_MONEY: Final = End("QuotaExhausted")
REFUSED_KEY: Final = End("AuthenticationFailed")
SLOW_DOWN: Final = End("RateLimited", retryable=True)
TOO_LARGE: Final = End("ReplyTooLarge", maybe_billed=True)
TRUNCATED, REFUSED, FILTERED, EMPTY, INVALID = (
    End(status=status)
    for status in (
        ReplyStatus.TRUNCATED,
        ReplyStatus.REFUSED,
        ReplyStatus.FILTERED,
        ReplyStatus.EMPTY,
        ReplyStatus.INVALID,
    )
)
REJECTED: Final = End(holds=False)
ANSWER: Final = End(holds=True)

# What the stand-in does, and how the call ends on OpenAI's and on Anthropic's wire.
ROWS: Final[dict[str, tuple[dict[str, Any], End, End]]] = {
    "429": ({"kind": "rate_limit", "retry_after": "7"}, SLOW_DOWN, SLOW_DOWN),
    # Anthropic has no such code: its 429 is a 429.
    "429 out of quota": ({"kind": "quota"}, NO_MONEY, SLOW_DOWN),
    "500": ({"kind": "error", "status": 500}, OVERLOADED, OVERLOADED),
    "503 HTML": ({"kind": "error", "status": 503, "html": True}, OVERLOADED, OVERLOADED),
    "529": ({"kind": "error", "status": 529}, OVERLOADED, OVERLOADED),
    "time-out": ({"kind": "timeout", "seconds": 30}, LATE, LATE),
    "reset": ({"kind": "reset"}, BROKEN_OFF, BROKEN_OFF),
    "reset mid-body": ({"kind": "reset_body"}, BROKEN_OFF, BROKEN_OFF),
    "context too long": ({"kind": "context_too_long"}, End("ContextTooLong"), End("ContextTooLong")),
    "policy": ({"kind": "policy"}, End("ContentRefused"), End("ContentRefused")),
    "401": ({"kind": "auth", "status": 401}, REFUSED_KEY, REFUSED_KEY),
    "402": ({"kind": "auth", "status": 402}, NO_MONEY, NO_MONEY),
    "403": ({"kind": "auth", "status": 403}, REFUSED_KEY, REFUSED_KEY),
    "404": ({"kind": "error", "status": 404}, End("InvalidRequest"), End("InvalidRequest")),
    "truncated": ({"kind": "truncate"}, TRUNCATED, TRUNCATED),
    "window full": ({"kind": "window"}, TRUNCATED, TRUNCATED),
    # Broken arguments reach Anthropic's callers as {}: nothing that could be repaired.
    "bad JSON": ({"kind": "malformed"}, REJECTED, EMPTY),
    "bad schema": ({"kind": "invalid"}, REJECTED, REJECTED),
    "refusal": ({"kind": "refuse"}, REFUSED, REFUSED),
    "content filter": ({"kind": "filter"}, FILTERED, REFUSED),
    "prose": ({"kind": "malformed", "text": "The slip says 77-A."}, REJECTED, REJECTED),
    "200 text/plain": ({"kind": "not_json"}, GARBLED, GARBLED),
    "200 {}": ({"kind": "garbled"}, GARBLED, GARBLED),
    "200 HTML": ({"kind": "html"}, GARBLED, GARBLED),
    "empty": ({"kind": "empty"}, EMPTY, EMPTY),
    "two tool calls": ({"kind": "two_calls"}, INVALID, INVALID),
    "input={}": ({"kind": "empty_input"}, REJECTED, EMPTY),
    "headers never come": ({"kind": "slow_headers", "seconds": 30}, LATE, LATE),
    # The whole reply takes some eight seconds like this, and the provider has two.
    "a byte now and then": ({"kind": "drip", "seconds": 0.02}, LATE, LATE),
    "stalls while blanks go on": ({"kind": "stall", "seconds": 0.2}, LATE, LATE),
    "200 MB": ({"kind": "huge", "bytes": 200_000_000}, TOO_LARGE, TOO_LARGE),
    "gzip bomb": ({"kind": "gzip_bomb", "bytes": 40_000_000}, TOO_LARGE, TOO_LARGE),
    "NaN": ({"kind": "malformed", "text": '{"slip_number":"1","total":NaN}'}, REJECTED, REJECTED),
    "1e999": ({"kind": "malformed", "text": '{"slip_number":"1","total":1e999}'}, REJECTED, REJECTED),
    # Anthropic's SDK reads the input before anybody can see that a key came twice: the last one stands.
    "duplicate key": ({"kind": "malformed", "text": '{"slip_number":"1","total":1,"total":2}'}, REJECTED, ANSWER),
    # OpenAI's arguments are a string; Anthropic's are part of a body that the SDK can't read.
    "10,000 deep": ({"kind": "malformed", "text": DEEP}, REJECTED, GARBLED),
    "no usage": ({"kind": "usage"}, ANSWER, ANSWER),
    "another model": ({"kind": "model"}, ANSWER, ANSWER),
}


# The rows of the fault table that they are part of.
FAULTS: Final = {
    **dict.fromkeys(("429",), 18),
    **dict.fromkeys(("500", "503 HTML", "529"), 20),
    **dict.fromkeys(("reset", "reset mid-body"), 22),
    **dict.fromkeys(("time-out", "headers never come", "a byte now and then"), 23),
    "stalls while blanks go on": 24,
    **dict.fromkeys(("truncated", "window full"), 25),
    **dict.fromkeys(("refusal", "content filter", "policy"), 26),
    **dict.fromkeys(("bad JSON", "bad schema", "prose"), 27),
    **dict.fromkeys(("NaN", "1e999", "duplicate key", "10,000 deep"), 28),
    **dict.fromkeys(("empty", "two tool calls", "input={}"), 30),
    **dict.fromkeys(("200 MB", "gzip bomb", "200 HTML", "200 {}", "200 text/plain"), 31),
    **dict.fromkeys(("401", "402", "403", "429 out of quota"), 32),
    **dict.fromkeys(("no usage", "another model"), 33),
}


@pytest.mark.parametrize(
    "row", [pytest.param(row, marks=pytest.mark.fault(FAULTS[row])) if row in FAULTS else row for row in ROWS]
)
async def test_each_failure_has_its_declared_end_and_takes_one_call(
    provider: Provider, stand_in: StandIn, row: str
) -> None:
    fault, on_openai, on_anthropic = ROWS[row]
    await stand_in.script(fault)
    expected = on_openai if isinstance(provider, OpenAIProvider) else on_anthropic
    assert await end_of(provider) == expected
    assert [seen["fault"] for seen in await stand_in.calls()] == [fault["kind"]]


async def end_of(provider: Provider) -> End:
    try:
        reply = await provider.call(call())
    except EngrossError as error:
        return named(error)
    assert reply.finish_reason
    return End(status=reply.status, holds=not reply.status and check_answer(Slip, reply.text).value is not None)


def named(error: EngrossError) -> End:
    """The error as the table has it; neither it nor what it came from says anything of the document."""
    assert "JANE" not in str(error)
    assert "\n" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    return End(error.type, error.retryable, isinstance(error, ProviderError) and error.maybe_billed)
