"""Traces, as a collector gets them from the real processes: one for each run, and no text in any."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.e2e.conftest import Engross, running, until
from tests.workers.otlp import Collector, Span, collecting, tree
from workers.span_cleaning import Cleaned

pytestmark = [pytest.mark.xdist_group("tracing"), pytest.mark.timeout(240)]

CANARY = "BLUE HERON STATIONERS"
RECEIPT = f"{CANARY}\nNO 5 JALAN DEDAP 13\n81100 JOHOR BAHRU\nDATE: 25/12/2018\nPENCIL 12.50\nTOTAL: 12.50\n"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def engross(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Engross]:
    folder = tmp_path_factory.mktemp("traced")
    with running(folder, ENGROSS_OTLP_ENDPOINT=collector.address, OTEL_BSP_SCHEDULE_DELAY="200") as engross:
        yield engross


def trace_of(collector: Collector, run_id: str, last: str) -> list[Span]:
    """The trace of a run, once the span called `last` has arrived, which is that of its workflow."""

    def found() -> list[Span]:
        for spans in collector.traces().values():
            if any(span.attributes.get("temporalWorkflowID") == run_id for span in spans):
                return spans if any(span.name == last for span in spans) else []
        return []

    until(found)
    return found()


def test_a_run_is_one_trace_from_submit_to_store(engross: Engross, collector: Collector) -> None:
    document = engross.folder / "receipt.txt"
    document.write_text(RECEIPT)
    engross.script()
    [report] = engross.submit("receipt", str(document))
    assert report["outcome"] == "done", report
    spans = trace_of(collector, report["run_id"], "RunWorkflow:chain")
    assert tree(spans) == [
        "StartWorkflow:chain",
        "  RunWorkflow:chain",
        "    StartActivity:prepare_plain",
        "      RunActivity:prepare_plain",
        "    StartActivity:ask_model",
        "      RunActivity:ask_model",
        "        chat stand-in",
        "    StartActivity:store_answer",
        "      RunActivity:store_answer",
    ], "\n".join(tree(spans))
    assert {span.service for span in spans} == {"engross"}
    [call] = [span for span in spans if span.name == "chat stand-in"]
    assert call.attributes["gen_ai.request.model"] == "stand-in"
    assert call.attributes["gen_ai.usage.input_tokens"] > 0
    lines = [json.loads(line) for line in engross.log().splitlines() if '"trace_id"' in line]
    assert {line["trace_id"] for line in lines if line["run_id"] == report["run_id"]} == {spans[0].trace}


def test_no_span_holds_text_also_when_things_go_wrong(engross: Engross, collector: Collector) -> None:
    document = engross.folder / "other.txt"
    document.write_text(RECEIPT + "THANK YOU\n")
    engross.script({"kind": "malformed", "text": f'{{"company": "{CANARY}"'})
    [report] = engross.submit("receipt", str(document))
    [bad] = engross.submit("receipt", str(_broken(engross.folder)))
    assert bad["outcome"] == "failed"
    trace_of(collector, report["run_id"], "RunWorkflow:chain")
    failed = trace_of(collector, bad["run_id"], "RunWorkflow:chain")
    errors = [span for span in failed if "STATUS_CODE_ERROR" in span.raw]
    assert errors, "a run that fails shows where"
    assert all("exception.message" not in span.raw and "stacktrace" not in span.raw for span in collector.spans)
    assert not [span.raw for span in collector.spans if CANARY in span.raw or "JALAN" in span.raw]


def _broken(folder: Path) -> Path:
    """What is no PDF but says so."""
    file = folder / "broken.pdf"
    file.write_bytes(b"%PDF-1.7\n" + CANARY.encode() * 10)
    return file


def test_exceptions_leave_as_their_types_and_text_as_its_length() -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(Cleaned(kept)))
    tracer = provider.get_tracer("test")
    with suppress(ValueError), tracer.start_as_current_span("outer") as outer:
        outer.set_attributes({"gen_ai.input.messages": CANARY, "long": CANARY * 30, "engross.job": "invoice"})
        with tracer.start_as_current_span("inner", kind=SpanKind.CLIENT) as inner:
            inner.add_event("read", {"line": CANARY})
            raise ValueError(CANARY)
    inner_span, outer_span = kept.get_finished_spans()
    assert CANARY not in inner_span.to_json() + outer_span.to_json()
    assert [(event.name, dict(event.attributes or {})) for event in inner_span.events] == [
        ("read", {}),
        ("exception", {"exception.type": "ValueError"}),
    ]
    assert (inner_span.status.status_code, inner_span.status.description) == (StatusCode.ERROR, "ValueError")
    assert (inner_span.name, inner_span.kind) == ("inner", SpanKind.CLIENT)
    assert inner_span.parent is not None
    context = outer_span.get_span_context()
    assert context is not None
    assert inner_span.parent.span_id == context.span_id
    assert dict(outer_span.attributes or {}) == {
        "gen_ai.input.messages": "[21 characters]",
        "long": "[630 characters]",
        "engross.job": "invoice",
    }


UNTRACED = """
import sys
from engross.settings import load_settings
from workers.tracing import client_plugins, close_tracing, trace_id
assert client_plugins(load_settings(env_file=None)) == []
assert trace_id() is None
close_tracing()
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


def test_without_an_endpoint_nothing_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", UNTRACED], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


LEFT = """
import sys, time
from engross.settings import load_settings
from workers.tracing import client_plugins, close_tracing
[plugin] = client_plugins(load_settings(env_file=None))
from opentelemetry import trace
with trace.get_tracer("test").start_as_current_span("waits"):
    pass
started = time.monotonic()
close_tracing(1)
print(time.monotonic() - started)
"""


def test_a_collector_that_is_gone_holds_no_process_up(collector: Collector) -> None:
    variables = {"ENGROSS_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", LEFT], env=variables, capture_output=True, text=True, check=True, timeout=60
    )
    assert float(done.stdout) < 10
    assert time.monotonic() - started < 60


def test_what_waits_is_sent_at_the_end(collector: Collector) -> None:
    variables = {"ENGROSS_OTLP_ENDPOINT": collector.address, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    subprocess.run([sys.executable, "-c", LEFT], env=variables, capture_output=True, text=True, check=True, timeout=60)
    assert any(span.name == "waits" for span in collector.spans)


@pytest.mark.parametrize("sampler", ["always_on", "always_off"])
def test_workflows_are_traced_in_the_sandbox_as_well_and_as_often_as_is_wished(
    sampler: str, time_skipping_binary: str
) -> None:
    script = Path(__file__).with_name("traced_process.py")
    done = subprocess.run(
        [sys.executable, str(script), time_skipping_binary],
        env={"ENGROSS_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_SAMPLER": sampler, "PYTHONPATH": "."},
        cwd=script.parent.parent.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    outcome, *names = done.stdout.splitlines()[-1].split()  # what is logged comes before
    assert outcome == "done"
    steps = [f"{kind}Activity:{name}" for name in ("prepare", "ask_model", "store_answer") for kind in ("Start", "Run")]
    assert names == (["StartWorkflow:chain", *steps, "RunWorkflow:chain"] if sampler == "always_on" else [])
