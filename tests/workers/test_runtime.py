"""The SDK's core: its logs come to us, and its metrics can be fetched."""

import asyncio
import logging
import re
import urllib.request
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from workers.runtime import build_runtime


@activity.defn
async def step() -> None: ...


@workflow.defn
class Nothing:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(step, start_to_close_timeout=timedelta(seconds=10))


@workflow.defn
class Fails:
    @workflow.run
    async def run(self) -> None:
        raise ValueError("Jane Doe")


def fetched(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as response:  # noqa: S310  # its address is our own
        page: bytes = response.read()
        return page.decode()


async def test_the_core_tells_metrics_and_logs(temporal_binary: str, caplog: pytest.LogCaptureFixture) -> None:
    runtime, address = build_runtime()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", address)
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=temporal_binary) as server:
        client = await Client.connect(server.client.service_client.config.target_host, runtime=runtime)
        runner = UnsandboxedWorkflowRunner()
        async with Worker(
            client, task_queue="q", workflows=[Nothing, Fails], activities=[step], workflow_runner=runner
        ):
            await client.execute_workflow(Nothing.run, id="good", task_queue="q")
            bad = await client.start_workflow(Fails.run, id="bad", task_queue="q")
            async with asyncio.timeout(30):
                while not any(record.name == "temporal" for record in caplog.records):  # noqa: ASYNC110  # its threads
                    await asyncio.sleep(0.02)
            await bad.terminate()
            page = await asyncio.to_thread(fetched, address)
    for name in (
        "temporal_workflow_completed_total{",
        "temporal_workflow_task_execution_latency_seconds_bucket{",
        "temporal_worker_task_slots_available{",
    ):
        assert name in page
    steps = [
        line for line in page.splitlines() if line.startswith("temporal_activity_execution_latency_seconds_bucket")
    ]
    assert any('le="600"' in line for line in steps), "a model call may take minutes"
    told = [record for record in caplog.records if record.name == "temporal"]
    assert all(record.levelno >= logging.WARNING and "Jane" not in record.getMessage() for record in told)
    assert "run_id" in getattr(told[0], "temporal_log").fields  # noqa: B009  # mypy knows no such attribute
