"""Paid once: no call is made whose reply is there already, and a reply that was paid for is kept before it is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from activities.guards.completions import Busy, CompletionKey, Found, Granted, completion_key
from activities.metrics import COMPLETIONS_UNSTORED
from activities.models.replies import RawReply
from engross.contracts import AskRequest, Contract, ReplySource
from engross.errors import BillingUnclear, CallInFlight, EngrossError, ProviderError, ServiceUnavailable

# Run-scoped replies outlive the longest run; shared ones live as long as the cache's setting says.
_RUN_SECONDS: Final = 8 * 24 * 3600
_RESENDS: Final = 1
_LOOK_EVERY_SECONDS: Final = 0.5
_RENEWALS_A_LEASE: Final = 3

_log = structlog.get_logger(__name__)


class Completions(Protocol):
    """The part of the completion store that calls need; see `activities.guards.completions`."""

    async def begin(self, key: CompletionKey, holder: str) -> Found | Granted | Busy: ...

    async def renew(self, key: CompletionKey, token: str) -> bool: ...

    async def finish(self, key: CompletionKey, token: str, reply: bytes, *, ttl_seconds: int) -> bool: ...

    async def abandon(self, key: CompletionKey, token: str) -> None: ...


@dataclass(frozen=True)
class Caller:
    """Who asks: `run` is one execution, `holder` one step of it through all its attempts.

    `attempt` counts from 1, those of earlier steps that asked the same included.
    """

    run: str
    holder: str
    attempt: int


class Kept(Contract):
    """What the store holds: the reply, the run that paid for it, and whether it is an answer that others may use.

    `holder` is the step of that run which has it in its accounts; empty in entries of an earlier version.
    """

    raw: RawReply
    run: str
    is_answer: bool
    maybe_billed: int = 0
    holder: str = ""


@dataclass(frozen=True)
class Paid:
    """A reply and where it came from. `maybe_billed`: earlier attempts that vanished in flight."""

    raw: RawReply
    source: ReplySource
    maybe_billed: int = 0


class PaidOnce:
    """Stands between a step and a provider. `seconds` bounds a call, `lease_seconds` the silence of who makes it."""

    def __init__(self, completions: Completions, *, seconds: float, lease_seconds: float, cache_seconds: int) -> None:
        self._completions = completions
        self._seconds = seconds
        self._lease_seconds = lease_seconds
        self._cache_seconds = cache_seconds

    async def reply(
        self,
        request: AskRequest,
        caller: Caller,
        call: Callable[[], Awaitable[RawReply]],
        is_answer: Callable[[RawReply], bool],
    ) -> Paid:
        """The kept reply to an equal request, or that of `call`.

        Equal requests of several runs share a reply when the temperature is 0 and it is an answer; a run always finds
        its own. Raises what `call` raises, `CallInFlight` when somebody else's equal call takes too long, and
        `BillingUnclear` when a call vanished in flight twice.
        """
        scopes = ["", caller.run] if request.cache and request.step.temperature == 0 else [caller.run]
        for scope in scopes:
            key = completion_key(tenant=request.text.tenant, job=request.job, parts=[*_parts(request), scope])
            found = await self._granted_or_found(key, caller)
            if isinstance(found, Granted):
                return await self._call(key, found, caller, call, is_answer)
            if found.run == caller.run and found.holder in ("", caller.holder):
                return Paid(found.raw, ReplySource.RECOVERED, found.maybe_billed)
            if found.run == caller.run or found.is_answer:
                return Paid(found.raw, ReplySource.CACHED)
        raise CallInFlight("another run's reply to this request is no answer; asking again")

    async def _granted_or_found(self, key: CompletionKey, caller: Caller) -> Granted | Kept:
        """Waits while somebody else's equal call is in flight."""
        waited = 0.0
        while waited <= self._seconds:
            begun = await self._completions.begin(key, caller.holder)
            if isinstance(begun, Found):
                return Kept.model_validate_json(begun.reply)
            if isinstance(begun, Granted):
                return begun
            pause = min(_LOOK_EVERY_SECONDS, begun.seconds_left + 0.01)
            await asyncio.sleep(pause)
            waited += pause
        raise CallInFlight("an equal call of another run takes too long")

    async def _call(
        self,
        key: CompletionKey,
        granted: Granted,
        caller: Caller,
        call: Callable[[], Awaitable[RawReply]],
        is_answer: Callable[[RawReply], bool],
    ) -> Paid:
        # Vanished calls of earlier runs are on the same record: of this run there are at most attempt - 1.
        maybe_billed = min(granted.resends, caller.attempt - 1)
        if maybe_billed > _RESENDS:
            await self._completions.abandon(key, granted.token)
            unclear = BillingUnclear(
                "this call vanished in flight twice and may have been billed twice; not sent again"
            )
            unclear.vanished = maybe_billed
            raise unclear
        try:
            async with self._renewed(key, granted.token):
                raw = await call()
        except EngrossError as error:
            if isinstance(error, ProviderError):
                error.vanished = maybe_billed + error.maybe_billed
            if not (isinstance(error, ProviderError) and error.maybe_billed):
                await self._completions.abandon(key, granted.token)
            raise
        kept = Kept(raw=raw, run=caller.run, is_answer=is_answer(raw), maybe_billed=maybe_billed, holder=caller.holder)
        standing = await self._keep(key, granted.token, caller, kept)
        return Paid(standing.raw, ReplySource.CALLED, maybe_billed)

    async def _keep(self, key: CompletionKey, token: str, caller: Caller, kept: Kept) -> Kept:
        """The reply that stands: this one, or one that came first while this caller's lease had gone to another."""
        ttl = self._cache_seconds if kept.is_answer else _RUN_SECONDS
        try:
            if await self._completions.finish(key, token, kept.model_dump_json().encode(), ttl_seconds=ttl):
                return kept
            first = await self._completions.begin(key, caller.holder)
        except ServiceUnavailable as error:
            # The reply was paid for: telling Temporal is what is left to save it.
            COMPLETIONS_UNSTORED.inc()
            _log.warning("reply could not be kept", error=str(error))
            return kept
        return Kept.model_validate_json(first.reply) if isinstance(first, Found) else kept

    @asynccontextmanager
    async def _renewed(self, key: CompletionKey, token: str) -> AsyncIterator[None]:
        async def renew() -> None:
            while True:
                await asyncio.sleep(self._lease_seconds / _RENEWALS_A_LEASE)
                try:
                    await self._completions.renew(key, token)
                except ServiceUnavailable as error:
                    _log.warning("lease could not be renewed", error=str(error))

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()


def _parts(request: AskRequest) -> list[str]:
    """All that makes two requests the same; the fence that differs in every prompt is not of it."""
    step = request.step
    blobs = (step.prompt, request.text if request.reads_text else None, request.previous, request.draft)
    given = [part for each in request.given for part in (each.label, each.answer.sha256)]
    sources = [str(number) for number in request.sources] if request.draft else []
    return [
        str(request.model),
        step.name,
        step.schema_version,
        str(step.max_output_tokens),
        str(step.temperature),
        *(blob.sha256 if blob else "" for blob in blobs),
        *given,
        *sources,
    ]
