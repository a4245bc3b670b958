"""What store, limits, circuit and budgets together add to one call, against a Valkey that syncs every write to disk."""

import os
import statistics
import time
from decimal import Decimal
from typing import Final

import redis.asyncio

from activities.guards.breaker import Breaker
from activities.guards.budgets import Budget, Budgets
from activities.guards.completions import Completions
from activities.guards.limits import Limit, Limits
from activities.models.guarded import Guarded, Terms
from activities.models.paid import Caller, PaidOnce
from activities.models.replies import RawReply
from engross.contracts import AskRequest, BlobRef, ModelRef, ReplySource, StepPlan, TextRef, Usage

CALLS: Final = 300
MODEL: Final = ModelRef(provider="openai", model="m")
REPLY: Final = RawReply(
    status=None, text="x" * 2_000, model="m", finish_reason="stop", usage=Usage(input_tokens=900, output_tokens=50)
)


def request() -> AskRequest:
    blob = BlobRef(tenant="acme", sha256="0" * 64, size=1)
    step = StepPlan(
        name="extract",
        prompt=blob,
        prompt_version="p",
        schema_version="s",
        route=(MODEL,),
        max_output_tokens=100,
        temperature=0.5,  # so that every run asks for itself
    )
    return AskRequest(job="invoice", step=step, model=MODEL, text=TextRef(tenant="acme", sha256="0" * 64, size=1))


async def test_the_guards_cost_little(redis_client: redis.asyncio.Redis) -> None:
    guarded = Guarded(
        Limits(redis_client, {"openai": Limit(10**6, 10**9)}, tenant_tokens_per_minute=10**9),
        Breaker(redis_client),
        Budgets(redis_client, held_seconds=60),
    )
    completions = Completions(redis_client, secret=os.urandom(16))
    paid = PaidOnce(completions, seconds=60, lease_seconds=15, cache_seconds=60)

    async def provider() -> RawReply:
        return REPLY

    async def one(number: int) -> None:
        caller = Caller(run=f"run-{number}", holder=f"run-{number}/1", attempt=1)
        terms = Terms(
            model=MODEL,
            tenant="acme",
            run_id=caller.run,
            holder=caller.holder,
            attempt=1,
            tokens=1_000,
            most_usd=Decimal("0.001"),
            budgets=(
                Budget("run", caller.run, Decimal(1)),
                Budget("tenant", "acme", Decimal(100)),
                Budget("day", "", Decimal(1000)),
            ),
        )

        telling = []

        async def call() -> RawReply:
            raw, told = await guarded.call(terms, provider, lambda _: Decimal("0.0005"))
            telling.append(told)
            return raw

        reply = await paid.reply(request(), caller, call, lambda _: True)
        await telling[0]
        assert reply.source is ReplySource.CALLED

    took, writes = [], []
    for number in range(CALLS):
        started = time.perf_counter()
        await one(number)
        took.append((time.perf_counter() - started) * 1000)
        started = time.perf_counter()
        await redis_client.set("one-write", number)
        writes.append((time.perf_counter() - started) * 1000)
    p50, write = statistics.median(took), statistics.median(writes)
    figures = f"p50 {p50:.2f} ms a call, one write alone {write:.2f} ms"
    print(f"store + limits + circuit + budgets: {figures}, N {CALLS}")  # noqa: T201 - the figure
    assert p50 < 20 * write  # 6 trips, none of them dear; by ratio, as machines differ and are shared
