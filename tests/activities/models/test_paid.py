"""A request is paid for once: by this run, by its earlier attempts, by equal runs at the same time or before."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from activities.models.paid import Caller, Paid, PaidOnce
from activities.models.replies import RawReply
from engross.contracts import AskRequest, BlobRef, ModelRef, ReplySource, StepPlan, TextRef, Usage
from engross.errors import (
    AuthenticationFailed,
    BillingUnclear,
    CallInFlight,
    EngrossError,
    ProviderTimeout,
    ProviderUnreachable,
    RateLimited,
    ServiceUnavailable,
)
from tests.activities.fakes import MemoryCompletions


def reply(text: str = '{"total": 1}') -> RawReply:
    return RawReply(status=None, text=text, model="m", finish_reason="stop", usage=Usage(input_tokens=5))


def asked(*, tenant: str = "acme", cache: bool = True, **step: Any) -> AskRequest:
    prompt = BlobRef(tenant=tenant, sha256="p", size=1)
    plan: dict[str, Any] = {"name": "extract", "prompt_version": "p", "schema_version": "s", "max_output_tokens": 10}
    return AskRequest(
        job="receipt",
        step=StepPlan(prompt=prompt, route=(), **(plan | step)),
        model=ModelRef(provider="openai", model="m"),
        text=TextRef(tenant=tenant, sha256="t", size=1),
        cache=cache,
    )


@dataclass
class Provider:
    """Gives or raises `outcomes` in order; counts the calls."""

    outcomes: list[RawReply | EngrossError] = field(default_factory=lambda: [reply()])
    calls: int = 0

    async def __call__(self) -> RawReply:
        self.calls += 1
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, EngrossError):
            raise outcome
        return outcome


def caller(run: str = "run-1", attempt: int = 1) -> Caller:
    return Caller(run=run, holder=f"{run}/1", attempt=attempt)


def once(store: Any, seconds: float = 1.0) -> PaidOnce:
    return PaidOnce(store, seconds=seconds, lease_seconds=1, cache_seconds=60)


async def ask(store: Any, provider: Provider, request: AskRequest | None = None, who: Caller | None = None) -> Paid:
    return await once(store).reply(request or asked(), who or caller(), provider, lambda raw: raw.text != "bad")


async def test_the_first_asks_and_an_equal_run_is_served() -> None:
    store, provider = MemoryCompletions(), Provider()
    first = await ask(store, provider)
    second = await ask(store, provider, who=caller("run-2"))
    assert (first.source, second.source, provider.calls) == (ReplySource.CALLED, ReplySource.CACHED, 1)
    assert second.raw == first.raw


async def test_a_crash_after_the_reply_is_answered_from_the_store() -> None:
    store, provider = MemoryCompletions(), Provider()
    await ask(store, provider)
    again = await ask(store, provider, who=caller(attempt=2))
    assert (again.source, provider.calls) == (ReplySource.RECOVERED, 1)


@pytest.mark.parametrize(
    "other",
    [
        asked(tenant="other"),
        asked(max_output_tokens=20),
        asked(schema_version="s2"),
        asked(temperature=0.1),
        asked(cache=False),
    ],
    ids=["tenant", "limit", "schema", "temperature", "no-cache"],
)
async def test_what_is_not_equal_is_asked_anew(other: AskRequest) -> None:
    store, provider = MemoryCompletions(), Provider()
    await ask(store, provider)
    assert (await ask(store, provider, other, caller("run-2"))).source is ReplySource.CALLED
    assert provider.calls == 2


async def test_replies_that_are_no_answers_are_kept_for_their_own_run_only() -> None:
    store, provider = MemoryCompletions(), Provider([reply("bad"), reply("good")])
    assert (await ask(store, provider)).raw.text == "bad"
    assert (await ask(store, provider, who=caller(attempt=2))).source is ReplySource.RECOVERED
    assert (await ask(store, provider, who=caller("run-2"))).raw.text == "good"
    assert provider.calls == 2


async def test_equal_requests_at_once_make_one_call() -> None:
    store, provider, may_reply = MemoryCompletions(), Provider(), asyncio.Event()

    async def slow() -> RawReply:
        await may_reply.wait()
        return await provider()

    async def one(run: str) -> Paid:
        return await once(store, seconds=30).reply(asked(), caller(run), slow, lambda raw: True)

    tasks = [asyncio.create_task(one(f"run-{number}")) for number in range(20)]
    await asyncio.wait(tasks, timeout=0.05)
    may_reply.set()
    sources = [paid.source for paid in await asyncio.gather(*tasks)]
    assert (sources.count(ReplySource.CALLED), sources.count(ReplySource.CACHED), provider.calls) == (1, 19, 1)


async def test_an_equal_call_that_takes_too_long_is_left_to_a_retry() -> None:
    store = MemoryCompletions()
    provider = Provider([ProviderTimeout("lost")])
    with pytest.raises(ProviderTimeout):
        await ask(store, provider)
    with pytest.raises(CallInFlight):
        await once(store, seconds=0.02).reply(asked(), caller("run-2"), provider, lambda raw: True)
    assert CallInFlight.retryable


@pytest.mark.fault(22)
@pytest.mark.parametrize("error", [ProviderTimeout("lost"), ProviderUnreachable("broke", maybe_billed=True)])
async def test_a_call_lost_in_flight_is_sent_again_once_and_counted(error: EngrossError) -> None:
    store, provider = MemoryCompletions(), Provider([error])
    for attempt in (1, 2):
        with pytest.raises(type(error)) as caught:
            await ask(store, provider, who=caller(attempt=attempt))
        assert getattr(caught.value, "vanished", None) == attempt
    with pytest.raises(BillingUnclear) as unclear:
        await ask(store, provider, who=caller(attempt=3))
    assert (unclear.value.vanished, provider.calls) == (2, 2)


async def test_a_resent_call_says_that_it_may_have_been_billed_before() -> None:
    store, provider = MemoryCompletions(), Provider([ProviderTimeout("lost"), reply()])
    with pytest.raises(ProviderTimeout):
        await ask(store, provider)
    assert (await ask(store, provider, who=caller(attempt=2))).maybe_billed == 1


async def test_a_reply_found_after_a_crash_still_says_what_was_lost_before_it() -> None:
    store, provider = MemoryCompletions(), Provider([ProviderTimeout("lost"), reply()])
    with pytest.raises(ProviderTimeout):
        await ask(store, provider)
    await ask(store, provider, who=caller(attempt=2))  # and dies before it can tell
    found = await ask(store, provider, who=caller(attempt=3))
    assert (found.source, found.maybe_billed, provider.calls) == (ReplySource.RECOVERED, 1, 2)


@pytest.mark.parametrize(
    "error", [RateLimited("slow down"), AuthenticationFailed("key"), ProviderUnreachable("no connection")]
)
async def test_a_call_that_was_surely_not_billed_can_be_sent_as_often_as_it_is_retried(error: EngrossError) -> None:
    store, provider = MemoryCompletions(), Provider([error])
    for attempt in range(1, 6):
        with pytest.raises(type(error)):
            await ask(store, provider, who=caller(attempt=attempt))
    assert provider.calls == 5


async def test_a_paid_reply_is_told_even_when_it_cannot_be_kept() -> None:
    class Full(MemoryCompletions):
        async def finish(self, *arguments: Any, **more: Any) -> bool:
            raise ServiceUnavailable("Redis is full")

    assert (await ask(Full(), Provider())).raw == reply()


async def test_when_another_reply_came_first_that_one_stands_for_both() -> None:
    class LeaseLost(MemoryCompletions):
        async def finish(self, key: Any, token: str, reply: bytes, *, ttl_seconds: int) -> bool:
            if key.name in self.replies:
                return False
            return await super().finish(key, token, reply, ttl_seconds=ttl_seconds)

    store = LeaseLost()
    slow_started, may_reply = asyncio.Event(), asyncio.Event()

    async def slow() -> RawReply:
        slow_started.set()
        await may_reply.wait()
        return reply("late")

    late = asyncio.create_task(once(store).reply(asked(), caller(), slow, lambda raw: True))
    await slow_started.wait()
    store.intents.clear()  # its lease ran out
    first = await ask(store, Provider([reply("first")]), who=caller("run-2"))
    may_reply.set()
    assert (await late).raw == first.raw == reply("first")
