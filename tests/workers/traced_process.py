"""Runs one document with scripted activities, in the sandbox as tests do, traced; prints the names of its spans."""

import asyncio
import sys
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from engross.names import SEARCH_ATTRIBUTES
from engross.settings import load_settings
from tests.workflows.fakes import ScriptedActivities
from tests.workflows.harness import run
from workers.search_attributes import add_search_attributes
from workers.tracing import client_plugins, close_tracing


async def main(binary: str) -> None:
    plugins = client_plugins(load_settings(env_file=None))
    provider: Any = trace.get_tracer_provider()
    kept = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    async with await WorkflowEnvironment.start_time_skipping(test_server_existing_path=binary) as server:
        await add_search_attributes(server.client, SEARCH_ATTRIBUTES)
        address = server.client.service_client.config.target_host
        client = await Client.connect(address, data_converter=pydantic_data_converter, plugins=plugins)
        result = await run(client, ScriptedActivities())
    print(result.outcome.value, *(span.name for span in kept.get_finished_spans()))  # noqa: T201  # the test reads it
    close_tracing(0.1)


asyncio.run(main(sys.argv[1]))
