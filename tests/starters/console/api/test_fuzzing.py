"""schemathesis against the running API: whatever is sent, it answers as its description says.

Ids and hashes are those of what is there half of the time, else nothing behind them would be reached. FAULTS=long sends
far more. The seed is printed; ENGROSS_SEED repeats one.
"""

import os
import random
import secrets
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from engross.contracts import Outcome, Risk, RunResult, StoreRequest
from starters.batch_items import BatchItem
from tests.starters.approvals_world import INVOICE
from tests.starters.conftest import FAILING, HANGING, HANGING_GROUP
from tests.starters.console.api.world import V1, Api

LONG: Final = os.environ.get("FAULTS") == "long"
CASES: Final = 100 if LONG else 10
SEED: Final = int(os.environ.get("ENGROSS_SEED", "20261121"))
OPERATIONS: Final = (
    "submitDocument",
    "listRuns",
    "getRun",
    "getResult",
    "cancelRun",
    "listApprovals",
    "getApproval",
    "decide",
    "listBatches",
    "getBatch",
    "listJobs",
    "getMe",
)
WHO: Final = ("root", "ann", "vera", "eve", "") if LONG else ("root", "")


class There:
    """What is there to be asked for. Approvals are opened anew when they are used up."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.runs = [self._submitted(name) for name in (FAILING, HANGING, "works")] + [self._stored()]
        self.batches = [self._batch(100), self._batch(HANGING_GROUP)]
        self.approvals: list[tuple[str, str]] = []
        self._used = 0

    def approval(self, chance: random.Random) -> tuple[str, str]:
        """The id of an approval, and what it shows."""
        if self._used >= 4 * len(self.approvals):
            risk, can_ask_again = chance.choice(list(Risk)), chance.random() < 0.5
            row = self._api.run(self._api.world.start(risk=risk, can_ask_again=can_ask_again))
            self.approvals.append((row.approval_id, row.state.shown))
        self._used += 1
        return chance.choice(self.approvals)

    def _submitted(self, name: str) -> str:
        document = secrets.token_bytes(8)
        return self._api.run(self._api.client.submit("invoice", document, tenant="acme", name=name)).run_id

    def _stored(self) -> str:
        result = RunResult(run_id=f"run-{secrets.token_hex(8)}", job="invoice", tenant="acme", outcome=Outcome.DONE)
        request = StoreRequest(result=result, started_at="2026-01-01T00:00:00Z")
        self._api.run(self._api.client._results.put(request, b'{"amount": 1}'))
        return result.run_id

    def _batch(self, group: int) -> str:
        items = [BatchItem("a", secrets.token_bytes(8))]
        return self._api.run(self._api.client.submit_batch("invoice", items, tenant="acme", group=group)).batch_id


@pytest.fixture(scope="module")
def there(api: Api) -> There:
    return There(api)


@pytest.fixture(scope="module")
def schema(api: Api) -> BaseSchema:
    found: BaseSchema = schemathesis.openapi.from_url(f"{api.address}/api/openapi.json")
    return found


@pytest.fixture(scope="module")
def sent() -> Iterator[Counter[tuple[str, int]]]:
    counted: Counter[tuple[str, int]] = Counter()
    yield counted
    by_status = Counter[int]()
    for (_, status), number in counted.items():
        by_status[status] += number
    told = dict(sorted(by_status.items()))
    print(f"\nschemathesis: seed {SEED}, {sum(by_status.values())} cases, by status {told}")  # noqa: T201 - the figures


def test_every_operation_is_fuzzed(schema: BaseSchema) -> None:
    assert sorted(_operations(schema)) == sorted(OPERATIONS)


@pytest.mark.timeout(3600 if LONG else 300)
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_are_as_described(
    api: Api, there: There, schema: BaseSchema, sent: Counter[tuple[str, int]], name: str, who: str
) -> None:
    operation = _operations(schema)[name]
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        headers = {"Authorization": f"Bearer {api.keys[who]}"} if who else {}

        @seed(SEED)
        @settings(
            max_examples=CASES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), number=st.integers(0, 2**32))
        def ask(case: Case[Any], number: int) -> None:
            chance = random.Random(number)  # noqa: S311 - a test that can be repeated
            is_changed = _completed(case, name, there, chance, mode)  # noqa: B023 - used in this turn
            skipped: list[CheckFunction] = []
            if is_changed:
                # What is wrong with it may be gone; and what is there can refuse what is well-formed.
                skipped = [negative_data_rejection, positive_data_acceptance]
            response = case.call_and_validate(headers=headers, excluded_checks=skipped)  # noqa: B023
            sent[name, response.status_code] += 1
            assert who or response.status_code in (400, 401, 413, 422)

        print(f"{name} as {who or 'nobody'}, {mode.value}: seed {SEED}")  # noqa: T201 - what a failure is repeated with
        ask()


def _operations(schema: BaseSchema) -> dict[str, APIOperation[Any, Any, Any, Any]]:
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    return {operation.definition.raw["operationId"]: operation for operation in found}


def _completed(case: Case[Any], name: str, there: There, chance: random.Random, mode: GenerationMode) -> bool:
    """Puts what is there into the case; whether the case may be good, or bad, for another reason now."""
    if mode is GenerationMode.POSITIVE:
        case.query.pop("after", None)  # no description can say which texts are cursors
        if "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = secrets.token_hex(8)
    if chance.random() < 0.5:
        return False
    if name in ("getRun", "getResult", "cancelRun"):
        case.path_parameters["run_id"] = chance.choice(there.runs)
    elif name == "getBatch":
        case.path_parameters["batch_id"] = chance.choice(there.batches)
    elif name in ("getApproval", "decide"):
        _complete_decision(case, there, chance)
    elif name == "submitDocument":
        case.query |= {"tenant": "acme", "job": "invoice"}
    elif "tenant" in case.query:
        case.query["tenant"] = "acme"
    return True


def _complete_decision(case: Case[Any], there: There, chance: random.Random) -> None:
    approval_id, shown = there.approval(chance)
    case.path_parameters["approval_id"] = approval_id
    if isinstance(case.body, dict) and "shown" in case.body:
        case.body["shown"] = shown
        if "value" in case.body and chance.random() < 0.5:
            case.body["value"] = {**INVOICE, "invoice_number": secrets.token_hex(4)}


def test_sessions_are_described_too(api: Api, schema: BaseSchema) -> None:
    schemes: dict[str, Any] = schema.raw_schema["components"]["securitySchemes"]
    assert {scheme["type"] for scheme in schemes.values()} == {"http", "apiKey"}
    for path, operations in schema.raw_schema["paths"].items():
        assert path.startswith(V1)
        for operation in operations.values():
            assert len(operation["security"]) == len(schemes)
            assert operation["tags"]
            assert operation["description"]
