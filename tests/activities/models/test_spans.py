"""The span around a call: the conventions' names, no text, nothing when tracing is off."""

import json
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel

from activities.models import spans
from activities.models.anthropic_wire import AnthropicProvider
from activities.models.prompts import Prompt
from activities.models.providers import ModelCall
from engross.contracts import ReplySource
from engross.errors import ProviderTimeout
from tests.activities.models.askers import MINI, Asker, raw
from tests.activities.models.conftest import StandIn

CANARY = "canary-7f3a"
RECEIPT = json.dumps({"company": CANARY, "date": "2020-05-05", "address": None, "total": 9.5})


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Spans that ended, of whoever asks OpenTelemetry for a tracer."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(spans, "_tracer", provider.get_tracer("engross"))
    yield exporter
    provider.shutdown()


async def test_a_call_is_a_span(exported: InMemorySpanExporter) -> None:
    reply = await Asker([raw(RECEIPT)]).ask()
    [span] = exported.get_finished_spans()
    assert (span.name, span.kind, span.status.status_code) == (
        "chat gpt-4.1-mini",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert reply.cost_usd is not None
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MINI.model,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.max_tokens": 10,
        "gen_ai.response.model": "gpt-4.1-mini-2025-04-14",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.cache_read.input_tokens": 400,
        "gen_ai.usage.output_tokens": 7,
        "engross.job": "receipt",
        "engross.step": "extract",
        "engross.tenant": "acme",
        "engross.source": "called",
        "engross.cost_usd": float(reply.cost_usd),
    }


async def test_what_is_not_known_is_not_told(exported: InMemorySpanExporter) -> None:
    await Asker([raw(RECEIPT, usage=None)]).ask()
    [span] = exported.get_finished_spans()
    assert not [name for name in span.attributes or {} if name.startswith("gen_ai.usage") or "cost" in name]


async def test_a_kept_reply_is_no_call(exported: InMemorySpanExporter) -> None:
    asker = Asker([raw(RECEIPT)])
    await asker.ask()
    assert (await asker.ask()).source is ReplySource.RECOVERED
    assert len(exported.get_finished_spans()) == 1


@pytest.mark.parametrize("error", [ProviderTimeout(CANARY), KeyError(CANARY)])
async def test_a_failure_is_marked_with_its_name_only(exported: InMemorySpanExporter, error: Exception) -> None:
    with pytest.raises(type(error)):
        await Asker([error]).ask()
    [span] = exported.get_finished_spans()
    assert (span.attributes or {})["error.type"] == type(error).__name__
    assert (span.status.status_code, span.status.description, span.events) == (StatusCode.ERROR, None, ())


async def test_no_text_is_in_a_span(exported: InMemorySpanExporter) -> None:
    await Asker([raw(RECEIPT)], document=CANARY).ask()
    assert CANARY not in "".join(span.to_json() for span in exported.get_finished_spans())


async def test_without_tracing_nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "_of_request", None)
    monkeypatch.setattr(spans, "_of_reply", None)
    assert (await Asker([raw(RECEIPT)]).ask()).calls == 1


class Answer(BaseModel):
    text: str


async def test_the_sdk_of_anthropic_adds_no_span_whatever_its_variables_say(
    exported: InMemorySpanExporter, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_OPEN_TELEMETRY", "true")
    monkeypatch.setenv("ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE", "content")
    provider = AnthropicProvider(api_key="k", base_url=stand_in.address, seconds=5)
    try:
        await provider.call(ModelCall("m", Prompt("system", CANARY), Answer, max_output_tokens=9, temperature=0))
    finally:
        await provider.close()
    assert exported.get_finished_spans() == ()
