"""The router workflow: where labels lead, what the routed run inherits, and how its end becomes the router's."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.common import Priority
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment

from engross.contracts import (
    AskRequest,
    LedgerEntry,
    Outcome,
    PartState,
    Plan,
    Reply,
    ReplySource,
    ReplyStatus,
    Route,
    RouterOptions,
    StoreRequest,
)
from engross.names import WORKFLOWS_QUEUE
from tests.workflows.fakes import Rule, ScriptedActivities, answered, blob, reply, step
from tests.workflows.harness import REQUEST, failure, must_wait, run, start, until, workers
from tests.workflows.map_reductions import failing

pytestmark = pytest.mark.asyncio(loop_scope="module")
LETTER, OTHER = Route(label="letter", job="letter", pattern="chain"), Route(label="", job="other", pattern="chain")


def chain(job: str, budget_usd: Decimal | None = None) -> Plan:
    return ScriptedActivities(budget_usd=budget_usd, stores_here=True).plan(job)


def post(
    label: str = "letter",
    confidence: float | str = 0.9,
    rule: Rule = answered,
    fallback: Route | None = None,
    routes: tuple[Route, ...] = (LETTER,),
    **more: Any,
) -> ScriptedActivities:
    """A classifier that says `label`, and jobs whose calls are answered by `rule`."""

    def classify(request: AskRequest) -> Reply | Exception:
        if request.step.name != "classify":
            return rule(request)
        return answered(request, told={"label": label, "confidence": confidence})

    return ScriptedActivities(
        rule=classify,
        steps=[step("classify")],
        pattern="router",
        options=RouterOptions(routes=routes, fallback=fallback, bar=0.7),
        plans={"letter": chain("letter"), "other": chain("other", Decimal(9))},
        **more,
    )


def of(fakes: ScriptedActivities, job: str) -> StoreRequest:
    [stored] = [each for each in fakes.stored if each.result.job == job]
    return stored


def routed(fakes: ScriptedActivities) -> list[str]:
    return [request.job for request in fakes.requests if request.job != "invoice"]


@pytest.mark.parametrize(
    ("label", "confidence", "fallback", "job"),
    [
        pytest.param("letter", 0.7, None, "letter", id="at the bar"),
        pytest.param("letter", 0.95, OTHER, "letter", id="above it"),
        pytest.param("letter", "0.95", OTHER, "letter", id="a number in a string"),
        pytest.param("letter", 0.69, OTHER, "other", id="below it"),
        pytest.param("letter", "high", OTHER, "other", id="no number"),
        pytest.param("nonsense", 0.1, OTHER, "other", id="unknown and below it"),
    ],
)
async def test_the_label_leads_to_a_job(
    environment: WorkflowEnvironment, label: str, confidence: float | str, fallback: Route | None, job: str
) -> None:
    fakes = post(label, confidence, fallback=fallback)
    run_id = f"leads-{label}-{confidence}-{job}"
    result = await run(environment.client, fakes, run_id=run_id, kind="router")
    assert (result.outcome, result.answer and result.answer.sha256) == (Outcome.DONE, "extract(text)")
    assert routed(fakes) == [job]
    classified, went = of(fakes, "invoice").ledger
    assert (classified.name, classified.label, classified.state) == ("classify", label, PartState.ANSWERED)
    assert went == LedgerEntry(name=job, state=PartState.ROUTED, run_id=f"{run_id}-{job}", answer=blob("extract(text)"))


@pytest.mark.parametrize(
    ("label", "confidence", "fallback", "kind"),
    [("letter", 0.5, None, "UnsureLabel"), ("nonsense", 0.9, OTHER, "UnknownLabel"), ("", 0.9, None, "UnknownLabel")],
)
async def test_a_document_that_leads_nowhere_goes_to_a_person(
    environment: WorkflowEnvironment, label: str, confidence: float, fallback: Route | None, kind: str
) -> None:
    fakes = post(label, confidence, fallback=fallback)
    result = await run(environment.client, fakes, run_id=f"nowhere-{label}-{kind}", kind="router")
    assert (result.outcome, result.error and result.error.type) == (Outcome.NEEDS_APPROVAL, kind)
    assert (result.answer and result.answer.sha256, routed(fakes)) == ("classify(text)", [])


# --- what a routed run has from the router ----------------------------------------------------------------------------


async def test_a_routed_run_inherits(server: WorkflowEnvironment) -> None:
    fakes = post(budget_usd=Decimal(2))
    request = {**REQUEST, "cache": False}
    async with workers(server.client, fakes):
        await server.client.execute_workflow(
            "router",
            request,
            id="heir",
            task_queue=WORKFLOWS_QUEUE,
            priority=Priority(priority_key=2, fairness_key="acme", fairness_weight=3.0),
        )
    child = fakes.requests[1]
    assert (child.tenant, child.cache, child.document.uri, child.document.name) == (
        *("acme", False),
        *("blob:document", "a.pdf"),
    )
    assert child.inherited is not None
    assert child.inherited.parent == "heir"
    first, second = fakes.asked
    assert first.budget == second.budget
    assert (first.budget and first.budget.limit_usd, second.cache) == (Decimal(2), False)
    assert [(each.priority_key, each.fairness_key, each.fairness_weight) for each in fakes.priorities] == [
        (2, "acme", 3.0)
    ] * 2


async def test_a_routed_run_is_cancelled_with_the_router(server: WorkflowEnvironment) -> None:
    fakes = post(rule=lambda request: must_wait("LimitReached", 86_400))
    async with workers(server.client, fakes):
        handle = await start(server.client, "both", "router")
        await until(lambda: len(fakes.asked) == 2)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert {each.result.job: each.result.outcome for each in fakes.stored} == dict.fromkeys(
        ("letter", "invoice"), Outcome.CANCELLED
    )
    assert [entry.error for entry in of(fakes, "invoice").ledger] == ["", "Cancelled"]


# --- how it ends ------------------------------------------------------------------------------------------------------


def twice_and_cached(request: AskRequest) -> Reply:
    """Invalid, then right; the second time from the cache."""
    if request.draft is None:
        return reply(ReplyStatus.INVALID)
    return answered(request).model_copy(update={"source": ReplySource.CACHED, "calls": 0, "cost_usd": Decimal(0)})


async def test_what_the_routed_run_cost_counts_once(environment: WorkflowEnvironment) -> None:
    fakes = post(rule=twice_and_cached)
    result = await run(environment.client, fakes, run_id="counted", kind="router")
    assert (result.calls, result.cost_usd, result.repairs, result.cached) == (2, Decimal("0.002"), 2, 1)
    assert [(each.step, each.calls) for each in of(fakes, "invoice").spent] == [("classify", 1)]
    assert sum(each.calls for each in of(fakes, "letter").spent) == 1
    assert "store_answer" in fakes.here


async def test_what_a_person_must_settle_below_is_for_a_person_above(environment: WorkflowEnvironment) -> None:
    fakes = post(rule=lambda request: reply(ReplyStatus.REFUSED))
    result = await run(environment.client, fakes, run_id="below", kind="router")
    assert (result.outcome, result.error and result.error.type) == (Outcome.NEEDS_APPROVAL, "RefusedAnswer")
    assert result.calls == 2


FAILURES: Mapping[str, list[Reply | Exception]] = {
    "ProviderGarbled": [reply(ReplyStatus.INVALID), failing("ProviderGarbled")],
    "EncryptedDocument": [],
}


@pytest.mark.parametrize("kind", FAILURES)
async def test_a_routed_run_that_fails_fails_the_router_by_name(environment: WorkflowEnvironment, kind: str) -> None:
    replies = list(FAILURES[kind])

    def rule(request: AskRequest) -> Reply | Exception:
        return replies.pop(0) if replies else failing(kind)

    fakes = post(rule=rule)
    error = await failure(environment.client, fakes, run_id=f"fails-{kind}", kind="router")
    assert (error.type, error.message) == (kind, "scripted")
    router, child = of(fakes, "invoice"), of(fakes, "letter")
    assert (router.result.outcome, child.result.outcome) == (Outcome.FAILED, Outcome.FAILED)
    assert router.result.calls == 1 + child.result.calls
    assert [(entry.name, entry.error) for entry in router.ledger] == [("classify", ""), ("letter", kind)]


async def test_a_run_of_that_id_which_goes_on_is_told(server: WorkflowEnvironment) -> None:
    fakes = post(rule=lambda request: must_wait("LimitReached", 86_400))
    async with workers(server.client, fakes):
        earlier = await start(server.client, "again-letter", job="letter")
        await until(lambda: len(fakes.asked) == 1)  # and that one waits for a day
        router = await start(server.client, "again", "router")
        with pytest.raises(WorkflowFailureError) as caught:
            await router.result()
        await earlier.terminate()
    assert isinstance(caught.value.cause, ApplicationError)
    assert "goes on; submit again when it has ended" in caught.value.cause.message
    assert [each.result.outcome for each in fakes.stored] == [Outcome.FAILED]


@pytest.mark.parametrize("options", [None, RouterOptions(routes=(LETTER.model_copy(update={"pattern": ""}),))])
async def test_bad_options_are_named(environment: WorkflowEnvironment, options: RouterOptions | None) -> None:
    fakes = post()
    fakes.options = options
    error = await failure(environment.client, fakes, run_id=f"bad-{options is None}", kind="router")
    assert (error.type, routed(fakes)) == ("InvalidRequest", [])
    assert [each.result.outcome for each in fakes.stored] == [Outcome.FAILED]
