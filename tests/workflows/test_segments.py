"""Documents of many chunks: child runs read them in parts, on the accounts, the budget and the fate of one run."""

from decimal import Decimal

import pytest
from temporalio.common import SearchAttributeKey
from temporalio.testing import WorkflowEnvironment

from engross.contracts import (
    AskRequest,
    Outcome,
    Reply,
    ReplyStatus,
)
from engross.names import OUTCOME_ATTRIBUTE
from tests.workflows.fakes import answered, reply
from tests.workflows.harness import failure, run
from tests.workflows.map_reductions import document, entries, failing, numbers, read, unless

pytestmark = pytest.mark.asyncio(loop_scope="module")
REFUSED, INVALID = ReplyStatus.REFUSED, ReplyStatus.INVALID
PARKED = SearchAttributeKey.for_keyword(OUTCOME_ATTRIBUTE)


async def test_three_segments_come_to_one_answer(environment: WorkflowEnvironment) -> None:
    fakes = document(130, at_once=8, fan_in=8)
    result = await run(environment.client, fakes, run_id="three", kind="map_reduce")
    assert result.outcome is Outcome.DONE
    assert result.answer is not None
    assert numbers(result.answer.sha256) == list(range(1, 131))
    calls = 130 + 2 * (8 + 1) + 1 + 1
    [stored] = fakes.stored
    assert (result.calls, sum(each.calls for each in stored.spent)) == (calls, calls)
    assert (result.cost_usd, sum(each.cost_usd or 0 for each in stored.spent)) == (Decimal(calls) / 1000,) * 2
    top = max(fakes.asked, key=lambda request: len(request.sources))
    assert top.sources == tuple(range(1, 131))
    assert [given.label for given in top.given] == ["chunks 1 to 64", "chunks 65 to 128", "chunks 129 to 130"]
    assert [part.sha256 for part in stored.ledger_parts] == [f"ledger from chunk {first}" for first in (1, 65, 129)]
    assert [entry.number for entry in entries(fakes)] == list(range(1, 131))
    assert {request.scope for request in fakes.asked if not request.given} == {stored.attempt}


async def test_missing_chunks_of_all_segments_are_told(environment: WorkflowEnvironment) -> None:
    special: dict[str, ReplyStatus | Exception] = {"chunk-3": REFUSED, "chunk-100": REFUSED}
    fakes = document(128, unless(special), partial=True)
    result = await run(environment.client, fakes, run_id="two-missing", kind="map_reduce")
    assert result.outcome is Outcome.PARTIAL
    assert result.missing == ("chunk 3, page 1: RefusedAnswer", "chunk 100, page 10: RefusedAnswer")
    assert result.answer is not None
    assert numbers(result.answer.sha256) == [number for number in range(1, 129) if number not in (3, 100)]
    strict = document(128, unless(special))
    result = await run(environment.client, strict, run_id="two-too-many", kind="map_reduce")
    assert (result.outcome, result.error and result.error.type) == (Outcome.NEEDS_APPROVAL, "IncompleteAnswer")
    assert (len(entries(strict)), read(strict, "reduce")) == (128, [])


async def test_a_segment_without_any_answer_leaves_the_others(environment: WorkflowEnvironment) -> None:
    fakes = document(66, unless({"chunk-65": REFUSED, "chunk-66": REFUSED}), partial=True)
    result = await run(environment.client, fakes, run_id="one-empty", kind="map_reduce")
    assert (result.outcome, len(result.missing)) == (Outcome.PARTIAL, 2)


async def test_repairs_in_segments_are_counted(environment: WorkflowEnvironment) -> None:
    def rule(request: AskRequest) -> Reply | Exception:
        is_first = request.text.sha256 == "chunk-70" and request.draft is None
        return reply(INVALID) if is_first else answered(request)

    fakes = document(70, rule)
    result = await run(environment.client, fakes, run_id="repairs", kind="map_reduce")
    assert (result.repairs, entries(fakes)[69].state.value) == (2, "repaired")


async def test_a_failing_segment_fails_the_run_by_name_with_all_accounts(environment: WorkflowEnvironment) -> None:
    """The first segment fails at its reduce; the second has ended, or is in the middle of its chunks."""

    def rule(request: AskRequest) -> Reply | Exception:
        is_first = request.given and numbers(request.given[0].answer.sha256)[0] == 1
        return failing("ProviderGarbled") if is_first else answered(request)

    fakes = document(128, rule, at_once=1, fan_in=64)
    error = await failure(environment.client, fakes, run_id="failing", kind="map_reduce")
    assert (error.type, error.message) == ("ProviderGarbled", "scripted")
    [stored] = fakes.stored
    assert (stored.result.outcome, stored.result.calls) == (Outcome.FAILED, 64)
    assert (len(stored.ledger_parts), len(entries(fakes))) == (1, 64)
