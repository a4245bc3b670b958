"""What operators see of a model call: metrics, each thing once, and one line of the log; never any text."""

import asyncio
import hashlib
import json
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from activities.checks.drafts import Draft
from engross.contracts import ReplySource, ReplyStatus
from engross.errors import (
    EngrossError,
    ProviderTimeout,
    RateLimited,
    ReplyTooLarge,
)
from tests.activities.models.askers import LARGE, MINI, PROMPT, Asker, raw
from tests.metrics import counted

RECEIPT = json.dumps({"company": "Corner Shop", "date": "2020-05-05", "address": None, "total": 9.5})
STEP = "job=receipt", "step=extract", "tenant=acme"
CANARY = "canary-7f3a"


def sample(name: str, *labels: str) -> str:
    return f"{name}{{{','.join(sorted(labels))}}}"


def of_call(name: str, *labels: str, model: str = MINI.model) -> str:
    return sample(name, *STEP, f"model={model}", "provider=openai", *labels)


def lines(logs: list[Any]) -> list[dict[str, Any]]:
    return [line for line in logs if line["event"] == "model call"]


async def test_a_reply_is_counted_with_all_that_was_paid_for() -> None:
    with counted() as grown:
        reply = await Asker([raw(RECEIPT)]).ask()
    assert reply.cost_usd is not None
    assert grown == {
        of_call("engross_model_calls_total", "status=valid"): 1,
        of_call("engross_model_tokens_total", "kind=input"): 600,
        of_call("engross_model_tokens_total", "kind=cached"): 400,
        of_call("engross_model_tokens_total", "kind=output"): 7,
        of_call("engross_model_cost_usd_total"): pytest.approx(float(reply.cost_usd)),
        sample(
            "engross_model_seconds_count", "job=receipt", "step=extract", "provider=openai", f"model={MINI.model}"
        ): 1,
    }


async def test_one_line_of_the_log_tells_a_reply() -> None:
    with capture_logs() as logs:
        reply = await Asker([raw(RECEIPT)]).ask()
    [line] = lines(logs)
    assert line.pop("latency_ms") == reply.latency_ms
    assert line == {
        "event": "model call",
        "log_level": "info",
        "provider": "openai",
        "model": "gpt-4.1-mini-2025-04-14",
        "job": "receipt",
        "step": "extract",
        "tenant": "acme",
        "status": "valid",
        "finish_reason": "stop",
        "input_tokens": 1000,
        "cached_tokens": 400,
        "output_tokens": 7,
        "cost_usd": str(reply.cost_usd),
        "source": "called",
        "maybe_billed": 0,
        "prompt_version": "p1",
        "prompt_hash": hashlib.sha256(PROMPT.encode()).hexdigest(),
    }


async def test_an_unknown_price_is_counted_and_not_as_nothing() -> None:
    with counted() as grown:
        await Asker([raw(RECEIPT, usage=None)]).ask()
    assert grown[sample("engross_model_unpriced_calls_total", "provider=openai", f"model={MINI.model}")] == 1
    assert of_call("engross_model_cost_usd_total") not in grown


async def test_a_reply_that_needed_no_call_is_no_call() -> None:
    asker = Asker([raw(RECEIPT)])
    await asker.ask()
    with counted() as grown:
        reply = await asker.ask(run="run-2")
    assert reply.source is ReplySource.CACHED
    assert grown == {sample("engross_completions_served_total", *STEP, "source=cached"): 1}


async def test_a_recovered_reply_is_counted_by_who_tells_it_without_a_time_of_its_own() -> None:
    asker = Asker([raw(RECEIPT)])
    await asker.ask()
    with counted() as grown:
        reply = await asker.ask()
    assert reply.source is ReplySource.RECOVERED
    assert grown[sample("engross_completions_served_total", *STEP, "source=recovered")] == 1
    assert grown[of_call("engross_model_calls_total", "status=valid")] == 1
    assert not [name for name in grown if "seconds" in name]


# --- errors -------------------------------------------------------------------------------------------------------


async def test_an_error_is_counted_and_told_in_the_same_line_of_the_log() -> None:
    asker = Asker([RateLimited("slow down")])
    with counted() as grown, capture_logs() as logs, pytest.raises(RateLimited):
        await asker.ask()
    assert grown == {of_call("engross_model_errors_total", "error=RateLimited"): 1}
    [line] = lines(logs)
    assert (line["status"], line["error"], line["model"], line["tenant"]) == (
        "error",
        "RateLimited",
        MINI.model,
        "acme",
    )


async def test_a_cancelled_call_is_no_error_of_the_provider() -> None:
    with counted() as grown, pytest.raises(asyncio.CancelledError):
        await Asker([asyncio.CancelledError()]).ask()
    assert grown == {}


LOST = ProviderTimeout("lost")


@pytest.mark.parametrize(
    ("outcomes", "most", "attempts", "calls"),
    [
        pytest.param([LOST, raw(RECEIPT)], 10, 2, 1, id="told with the reply that came in the end"),
        pytest.param([LOST, LOST], 10, 3, 2, id="told when it is not sent again"),
        pytest.param([LOST, RateLimited("slow down")], 2, 2, 1, id="told by the last attempt"),
        pytest.param([RateLimited("slow down"), LOST], 2, 2, 1, id="the last attempt"),
        pytest.param([LOST, LOST], 2, 2, 2, id="all attempts"),
        pytest.param([ReplyTooLarge("too large")], 10, 1, 1, id="never tried again"),
        pytest.param([LOST], 10, 1, 0, id="not told yet"),
        pytest.param([RateLimited("slow down"), raw(RECEIPT)], 10, 2, 0, id="surely not billed"),
    ],
)
async def test_each_call_that_vanished_is_counted_once(
    outcomes: list[Any], most: int, attempts: int, calls: int
) -> None:
    asker = Asker(outcomes, most=most)
    with counted() as grown:
        for _ in range(attempts):
            with suppress(EngrossError):
                await asker.ask()
    assert grown.get(of_call("engross_maybe_billed_total"), 0) == calls


# --- repairs ------------------------------------------------------------------------------------------------------

DRAFT = Draft(text="{}", messages=("total: is missing",))


@pytest.mark.parametrize(
    ("about", "rung"),
    [
        ({}, None),
        ({"draft": DRAFT}, "asked_again"),
        ({"model": LARGE}, "stronger_model"),
        ({"model": LARGE, "draft": DRAFT}, "asked_again"),
    ],
)
async def test_an_answer_that_was_saved_counts_for_its_rung(about: dict[str, Any], rung: str | None) -> None:
    with counted() as grown:
        await Asker([raw(RECEIPT)]).ask(**about)
    repairs = {name: count for name, count in grown.items() if name.startswith("engross_repairs")}
    assert repairs == ({sample("engross_repairs_total", *STEP, f"rung={rung}"): 1} if rung else {})


async def test_a_rung_that_saved_nothing_does_not_count() -> None:
    with counted() as grown:
        reply = await Asker([raw("{}")]).ask(draft=DRAFT)
    assert reply.status is ReplyStatus.INVALID
    assert not [name for name in grown if name.startswith("engross_repairs")]


# --- text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [f'{{"company": "{CANARY}"}}', f"no JSON: {CANARY}"])
async def test_no_text_is_in_labels_or_the_log(reply: str) -> None:
    draft = Draft(text=CANARY, messages=(f"total: {CANARY}",))
    asker = Asker([raw(reply), ProviderTimeout("lost")], document=f"{CANARY} Ltd")
    with capture_logs() as logs:
        await asker.ask(draft=draft)
        with pytest.raises(ProviderTimeout):
            await asker.ask(model=LARGE)
    assert CANARY in asker.provider.asked[0].prompt.user
    assert len(lines(logs)) == 2
    assert CANARY not in repr(logs)
    labels = [value for metric in REGISTRY.collect() for each in metric.samples for value in each.labels.values()]
    assert not [value for value in labels if CANARY in value]
