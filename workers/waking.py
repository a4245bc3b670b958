"""Runs that wait for somebody to act: how they are found, why they wait, and how they are woken."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from datetime import timedelta
from typing import Any, Final, Protocol

import redis.asyncio as redis
import structlog
from pydantic import ValidationError
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from activities.guards.breaker import Breaker, State
from engross.contracts import ErrorInfo, Outcome
from engross.errors import AuthenticationFailed, EngrossError, InvalidRequest, QuotaExhausted
from engross.names import (
    OUTCOME_ATTRIBUTE,
    PARKED_MEMO,
    PROVIDERS,
    RESUME_SIGNAL,
    TENANT_ATTRIBUTE,
    is_name,
    models_queue,
)

# What a worker that is started anew may have put right.
ACCESS_TROUBLE: Final = frozenset({AuthenticationFailed.__name__, QuotaExhausted.__name__})

# What a run shows while it waits.
WAITING: Final = (Outcome.PARKED, Outcome.NEEDS_APPROVAL)

_OUTCOME: Final = SearchAttributeKey.for_keyword(OUTCOME_ATTRIBUTE)
_UNTOLD: Final = ErrorInfo(type="Unexpected", message="it does not say what it waits for; see the Web UI")
_RPC_TIMEOUT: Final = timedelta(seconds=10)
# Between two signals: thousands of runs that wake must not be what overloads the server.
_PACE_SECONDS: Final = 0.01
# How long others wait for the first call to a provider that was given up: most answer within that.
_PROBE_SECONDS: Final = 10.0
_LOOK_EVERY_SECONDS: Final = 0.2

_log = structlog.get_logger(__name__)


class Circuits(Protocol):
    """The part of the circuit breaker that waking needs; see `activities.guards.breaker`."""

    async def state(self, provider: str) -> State: ...

    async def probe_now(self, provider: str) -> bool: ...


# --- parked runs ------------------------------------------------------------------------------------------------


def parked_query(tenant: str | None = None) -> str:
    """Temporal's list filter for parked runs, of one tenant or of all. Raises `InvalidRequest` for what is no name.

    Lists are a moment late: a run that they name may have gone on.
    """
    query = waiting_query((Outcome.PARKED,))
    if tenant is None:
        return query
    if not is_name(tenant):
        raise InvalidRequest(f"{tenant!r} is no name of a tenant")
    return f"{query} AND {TENANT_ATTRIBUTE} = '{tenant}'"


def waiting_query(outcomes: Iterable[Outcome] = WAITING) -> str:
    """Temporal's list filter for runs that wait for somebody: parked ones, or those that need a decision."""
    names = ", ".join(f"'{outcome.value}'" for outcome in outcomes)
    return f"{OUTCOME_ATTRIBUTE} IN ({names}) AND ExecutionStatus = 'Running'"


async def waits_for(run: WorkflowExecution) -> tuple[Outcome, ErrorInfo] | None:
    """As what the run waits for somebody, and why; None when it does not."""
    reason = await parked_reason(run)
    return (Outcome(run.typed_search_attributes[_OUTCOME]), reason) if reason else None


async def parked_reason(run: WorkflowExecution) -> ErrorInfo | None:
    """Why the run waits for somebody; None when it does not."""
    waits = run.typed_search_attributes.get(_OUTCOME) in [outcome.value for outcome in WAITING]
    if not waits or run.status is not WorkflowExecutionStatus.RUNNING:
        return None
    told: Any = await run.memo_value(PARKED_MEMO, None)
    try:
        return ErrorInfo.model_validate(told)
    except ValidationError:  # a run by hand can carry any memo
        return _UNTOLD


# --- waking -----------------------------------------------------------------------------------------------------


async def wake_parked(
    client: Client,
    *,
    tenant: str | None = None,
    kinds: Collection[str] | None = None,
    after_first: Callable[[], Awaitable[object]] | None = None,
) -> int:
    """Tells the parked runs to try again now, and how many heard it: those of `tenant`, those that wait for an error
    of one of these `kinds`, or all. `after_first` is awaited once, when one of them has been told.

    Raises `InvalidRequest` for what is no tenant's name, and Temporal's `RPCError`.
    """
    woken = 0
    async for run_id in _parked(client, tenant, kinds):
        if not await wake(client, run_id):
            continue
        woken += 1
        if woken == 1 and after_first is not None:
            await after_first()
        await asyncio.sleep(_PACE_SECONDS)
    return woken


async def wake(client: Client, run_id: str) -> bool:
    """Tells one run to try again now; False when there is none that runs. Raises Temporal's `RPCError`."""
    try:
        await client.get_workflow_handle(run_id).signal(RESUME_SIGNAL, rpc_timeout=_RPC_TIMEOUT)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def _parked(client: Client, tenant: str | None, kinds: Collection[str] | None) -> AsyncIterator[str]:
    async for run in client.list_workflows(parked_query(tenant), rpc_timeout=_RPC_TIMEOUT):
        reason = await parked_reason(run)
        if reason and (kinds is None or reason.type in kinds):
            yield run.id


# --- circuits ---------------------------------------------------------------------------------------------------


async def probe_now(
    circuits: Circuits, providers: Iterable[str], causes: Collection[str] | None = None
) -> tuple[str, ...]:
    """Lets a call through to those of `providers` whose circuits are open, and tells which: because of one of these
    `causes`, or for whatever reason. Raises `ServiceUnavailable` when Redis does not answer."""
    probed = []
    for provider in providers:
        opened_by = (await circuits.state(provider)).opened_by
        wanted = opened_by is not None and (causes is None or opened_by in causes)
        if wanted and await circuits.probe_now(provider):
            probed.append(provider)
    return tuple(probed)


async def first_probe(circuits: Circuits, providers: Collection[str]) -> bool:
    """Waits until a probe to one of `providers` has told how it went, and whether it did in time.

    Whoever asks before that is sent away for some seconds.
    """
    if not providers:
        return True
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            while all([(await circuits.state(each)).name == "half_open" for each in providers]):  # noqa: ASYNC110  # no event comes from Redis
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
    except TimeoutError:
        return False
    return True


async def wake_after_start(client: Client, store: redis.Redis, queues: Collection[str]) -> None:
    """A worker with keys has started: what was given up because of a key or an empty account is tried at once.

    Needs the worker to poll. Trouble is logged: the runs go on by themselves as well, if later.
    """
    circuits = Breaker(store)
    try:
        served = [provider for provider in PROVIDERS if models_queue(provider) in queues]
        probed = await probe_now(circuits, served, ACCESS_TROUBLE)
        if not probed:
            return
        woken = await wake_parked(client, kinds=ACCESS_TROUBLE, after_first=lambda: first_probe(circuits, probed))
    except (EngrossError, RPCError) as error:
        _log.warning("parked runs could not be woken", error=type(error).__name__, message=str(error))
    else:
        _log.info("providers are tried again", providers=list(probed), woken=woken)
