"""The completion store against a real Valkey: one call per request, whatever dies, freezes, forges or gives up."""

import asyncio
import base64
import json
import pickle
import random
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from activities.guards import completions
from activities.guards.completions import Busy, CompletionKey, Completions, Found, Granted, completion_key
from activities.guards.durability import check_durability
from engross.errors import ConfigurationError, InvalidRequest, ServiceUnavailable
from tests.activities.guards.conftest import Proxy
from tests.valkey import Valkey, make_client

SECRET = b"0123456789abcdef"
TTL = 3600
SEED = 20250806


def show(figures: str) -> None:
    """Figures with their N and seed, for those who run with `-s` or `-rP`."""
    print(figures)  # noqa: T201


def a_key(name: str = "request", tenant: str = "acme", job: str = "invoice") -> CompletionKey:
    return completion_key(tenant=tenant, job=job, parts=[name])


@pytest.fixture
def store(redis_client: redis.asyncio.Redis) -> Completions:
    return Completions(redis_client, secret=SECRET)


@pytest.fixture
async def connect(redis_client: redis.asyncio.Redis) -> AsyncIterator[Callable[..., Completions]]:
    """Further stores with clients of their own, closed at the end."""
    del redis_client  # only empties the server
    clients = []

    def build(url: str, *, connections: int = 20, seconds: float = 5.0, lease_seconds: float = 15.0) -> Completions:
        clients.append(make_client(url, connections=connections, seconds=seconds))
        return Completions(clients[-1], secret=SECRET, lease_seconds=lease_seconds)

    yield build
    for client in clients:
        await client.aclose()


async def granted(store: Completions, key: CompletionKey, holder: str = "run/1") -> Granted:
    answer = await store.begin(key, holder)
    assert isinstance(answer, Granted), answer
    return answer


async def paid(store: Completions, key: CompletionKey, reply: bytes = b"reply") -> None:
    grant = await granted(store, key)
    assert await store.finish(key, grant.token, reply, ttl_seconds=TTL)


async def granted_in_time(store: Completions, key: CompletionKey, holder: str) -> Granted:
    """Begins as a caller would: again whenever the other's lease should have ended."""
    while isinstance(answer := await store.begin(key, holder), Busy):  # noqa: ASYNC110 - the lease tells how long
        await asyncio.sleep(answer.seconds_left)
    assert isinstance(answer, Granted)
    return answer


# --- one call per request -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply", [b"{}", b"", bytes(range(256)), b"x" * 3_000_000], ids=["json", "empty", "any", "3MB"]
)
async def test_a_reply_is_found_after_it_was_paid(
    store: Completions, redis_client: redis.asyncio.Redis, reply: bytes
) -> None:
    grant = await granted(store, a_key())
    assert grant.resends == 0
    assert await store.finish(a_key(), grant.token, reply, ttl_seconds=TTL)
    assert await store.begin(a_key(), "run/2") == Found(reply)
    assert await store.begin(a_key(), "run/1") == Found(reply)
    assert TTL - 60 < await redis_client.ttl(a_key().name) <= TTL


async def test_fifty_at_once_make_one_call(store: Completions) -> None:
    answers = await asyncio.gather(*(store.begin(a_key(), f"run/{i}") for i in range(50)))
    assert sum(isinstance(answer, Granted) for answer in answers) == 1
    assert all(0 < answer.seconds_left <= 15 for answer in answers if isinstance(answer, Busy))


async def test_a_holder_that_begins_again_needs_no_lease_to_end(store: Completions) -> None:
    first = await granted(store, a_key())
    again = await granted(store, a_key())
    assert (again.resends, again.token != first.token) == (1, True)
    assert isinstance(await store.begin(a_key(), "run/2"), Busy)


@pytest.mark.fault(53)
async def test_a_dead_holder_gives_way_and_its_late_reply_is_fenced_off(
    connect: Callable[..., Completions], valkey: Valkey, store: Completions
) -> None:
    short = connect(valkey.url, lease_seconds=0.05)
    old = await granted(short, a_key())
    new = await granted_in_time(short, a_key(), "run/2")
    assert new.resends == 1
    assert not await short.renew(a_key(), old.token)
    assert await short.finish(a_key(), new.token, b"new", ttl_seconds=TTL)
    assert not await short.finish(a_key(), old.token, b"old", ttl_seconds=TTL)
    assert await store.begin(a_key(), "run/3") == Found(b"new")


async def test_a_late_reply_is_kept_while_there_is_no_other(
    connect: Callable[..., Completions], valkey: Valkey
) -> None:
    short = connect(valkey.url, lease_seconds=0.05)
    old = await granted(short, a_key())
    new = await granted_in_time(short, a_key(), "run/2")
    assert await short.finish(a_key(), old.token, b"old", ttl_seconds=TTL)
    assert not await short.renew(a_key(), new.token)
    assert not await short.finish(a_key(), new.token, b"new", ttl_seconds=TTL)
    assert await short.begin(a_key(), "run/2") == Found(b"old")


async def test_a_renewed_lease_lives_on(connect: Callable[..., Completions], valkey: Valkey) -> None:
    short, long = connect(valkey.url, lease_seconds=0.05), connect(valkey.url, lease_seconds=60)
    grant = await granted(short, a_key())
    assert await long.renew(a_key(), grant.token)
    answer = await short.begin(a_key(), "run/2")
    assert isinstance(answer, Busy)
    assert 50 < answer.seconds_left <= 60


async def test_an_abandoned_call_is_forgotten(store: Completions, redis_client: redis.asyncio.Redis) -> None:
    grant = await granted(store, a_key())
    await store.abandon(a_key(), grant.token)
    await store.abandon(a_key(), grant.token)
    assert not await redis_client.exists(a_key().name)
    assert (await granted(store, a_key(), "run/2")).resends == 0


async def test_abandoning_forgets_no_earlier_call_and_nobody_elses(store: Completions) -> None:
    vanished = await granted(store, a_key())
    second = await granted(store, a_key())
    await store.abandon(a_key(), vanished.token)
    assert isinstance(await store.begin(a_key(), "run/2"), Busy)
    await store.abandon(a_key(), second.token)
    assert (await granted(store, a_key(), "run/2")).resends == 1
    await paid(store, a_key("other"))
    await store.abandon(a_key("other"), second.token)
    assert isinstance(await store.begin(a_key("other"), "run/2"), Found)


# --- whose reply it is --------------------------------------------------------------------------------------------


@pytest.mark.fault(56)
async def test_tenants_and_jobs_never_share(store: Completions) -> None:
    await paid(store, a_key())
    assert isinstance(await store.begin(a_key(tenant="other"), "run/2"), Granted)
    assert isinstance(await store.begin(a_key(job="receipt"), "run/2"), Granted)


def test_keys_cannot_be_made_to_collide() -> None:
    assert completion_key(tenant="a", job="b", parts=["ab", "c"]) != completion_key(
        tenant="a", job="b", parts=["a", "bc"]
    )
    assert len(completion_key(tenant="a", job="b", parts=["\ud800", "\0"]).digest) == 64
    for tenant in ("acme:invoice", "*", "", "a/../b", "a\0"):
        with pytest.raises(InvalidRequest):
            completion_key(tenant=tenant, job="invoice", parts=[])


def without_mac(reply: bytes) -> bytes:
    body = base64.b64encode(reply).decode()
    return json.dumps({"state": "reply", "tenant": "acme", "token": "t", "reply": body, "mac": "0" * 64}).encode()


@pytest.mark.fault(55)
@pytest.mark.parametrize(
    "entry",
    [
        without_mac(b"forged"),
        pickle.dumps({"state": "reply", "reply": b"forged"}),
        b"",
        b"\xff\xfe\0",
        b"[" * 400,
        b"[" * 100_000,
        b'{"state": "reply"}',
        b'{"state":"intent","token":1,"holder":"","lease_until":0,"resends":0}',
        b'{"state":"intent","token":"","holder":"","lease_until":1e999,"resends":0}',
        b'{"state":"intent","token":"","holder":"","lease_until":0,"resends":NaN}',
        b'{"state":"reply","tenant":"acme","token":{},"reply":7,"mac":"\\ud800"}',
    ],
    ids=lambda entry: repr(entry[:30]),
)
async def test_what_others_wrote_is_not_served(
    store: Completions, redis_client: redis.asyncio.Redis, entry: bytes
) -> None:
    before = completions.REJECTED._value.get()
    await redis_client.set(a_key().name, entry)
    grant = await granted(store, a_key())
    assert (grant.resends, completions.REJECTED._value.get()) == (0, before + 1)
    await redis_client.set(a_key().name, entry)
    assert await store.finish(a_key(), grant.token, b"paid", ttl_seconds=TTL)
    assert await store.begin(a_key(), "run/2") == Found(b"paid")


@pytest.mark.fault(55)
async def test_entries_moved_tampered_with_or_of_another_type_are_not_served(
    store: Completions, redis_client: redis.asyncio.Redis
) -> None:
    await paid(store, a_key(), b"acme's")
    value = await redis_client.get(a_key().name)
    assert isinstance(value, bytes)
    for key in (a_key(tenant="other"), a_key("another request")):
        await redis_client.set(key.name, value)
        assert isinstance(await store.begin(key, "run/2"), Granted)
    await redis_client.set(a_key(tenant="other").name, value.replace(b"acme", b"other"))
    assert isinstance(await store.begin(a_key(tenant="other"), "run/2"), Granted)
    await redis_client.set(a_key().name, value.replace(b"YWN", b"YWM"))
    assert isinstance(await store.begin(a_key(), "run/2"), Granted)
    await redis_client.delete(a_key().name)
    await redis_client.hset(a_key().name, mapping={"state": "reply"})
    assert isinstance(await store.begin(a_key(), "run/2"), Granted)


async def test_another_installations_secret_opens_nothing(
    store: Completions, redis_client: redis.asyncio.Redis
) -> None:
    await paid(store, a_key())
    assert isinstance(await Completions(redis_client, secret=SECRET[::-1]).begin(a_key(), "run/2"), Granted)
    with pytest.raises(ConfigurationError):
        Completions(redis_client, secret=b"short")


# --- clearing -----------------------------------------------------------------------------------------------------


async def test_clear_takes_a_jobs_replies_and_leaves_calls_in_flight(store: Completions) -> None:
    for number in range(1200):
        await paid(store, a_key(str(number)))
    for tenant, job in (("other", "invoice"), ("acme", "receipt"), ("invoice", "receipt")):
        await paid(store, a_key(tenant=tenant, job=job))
    await granted(store, a_key("in flight"))
    assert await store.clear(job="invoice", tenant="acme") == 1200
    assert await store.clear(job="invoice") == 1
    assert isinstance(await store.begin(a_key("in flight"), "run/2"), Busy)
    assert isinstance(await store.begin(a_key("7"), "run/2"), Granted)
    for tenant in ("acme", "invoice"):
        assert isinstance(await store.begin(a_key(tenant=tenant, job="receipt"), "run/2"), Found)
    for job, tenant_name in (("*", "acme"), ("invoice", "*"), ("invoice", "")):
        with pytest.raises(InvalidRequest):
            await store.clear(job=job, tenant=tenant_name)


# --- a server that dies, freezes, or is full ------------------------------------------------------------------------


@pytest.mark.fault(50)
async def test_what_was_acknowledged_survives_a_kill(connect: Callable[..., Completions], valkey: Valkey) -> None:
    rounds, each = 3, 20
    for number in range(rounds):
        store = connect(valkey.url)
        keys = [a_key(f"{number}-{i}") for i in range(each)]
        grants = await asyncio.gather(*(granted(store, key) for key in keys))
        for key, grant in list(zip(keys, grants, strict=True))[::2]:
            assert await store.finish(key, grant.token, key.digest.encode(), ttl_seconds=TTL)
        valkey.kill()
        with pytest.raises(ServiceUnavailable, match=r"^[^\n]+$"):
            await store.begin(keys[0], "run/1")
        await asyncio.to_thread(valkey.start)
        store = connect(valkey.url)
        for key in keys[::2]:
            assert await store.begin(key, "run/2") == Found(key.digest.encode())
        for key in keys[1::2]:
            assert isinstance(await store.begin(key, "run/2"), Busy)
            assert (await granted(store, key)).resends == 1
    show(f"N={rounds * each} acknowledged, {rounds} kills: 0 lost")


@pytest.mark.fault(52)
async def test_a_freeze_applies_nothing_twice(connect: Callable[..., Completions], valkey: Valkey) -> None:
    """Callers give up while the server is frozen; what they sent may be applied when it wakes, and is then repeated."""
    impatient, count = connect(valkey.url, seconds=1.0), 20
    keys = [a_key(str(i)) for i in range(count)]
    grants = await asyncio.gather(*(granted(impatient, key) for key in keys))
    pairs = list(zip(keys, grants, strict=True))
    valkey.freeze()
    finishing = [impatient.finish(key, grant.token, b"once", ttl_seconds=TTL) for key, grant in pairs]
    beginning = [impatient.begin(a_key(f"new {i}"), "run/1") for i in range(count)]
    results = await asyncio.gather(*finishing, *beginning, return_exceptions=True)
    assert {type(result) for result in results} == {ServiceUnavailable}
    await asyncio.to_thread(valkey.start)
    patient = connect(valkey.url)
    for key, grant in pairs:
        assert await patient.finish(key, grant.token, b"once", ttl_seconds=TTL)
        assert await patient.begin(key, "run/2") == Found(b"once")
    for i in range(count):
        assert (await granted(patient, a_key(f"new {i}"))).resends <= 1


async def test_a_command_that_the_library_repeats_has_one_effect(
    valkey: Valkey, redis_client: redis.asyncio.Redis
) -> None:
    """With retries on, against advice: what was sent before a freeze and what was sent after it both run."""
    pool = redis.asyncio.ConnectionPool.from_url(valkey.url, socket_timeout=0.2, retry=Retry(NoBackoff(), 20))
    client = redis.asyncio.Redis.from_pool(pool)
    store = Completions(client, secret=SECRET)
    await paid(store, a_key("loads the scripts"))

    async def frozen() -> int:
        runs = int((await redis_client.info("commandstats"))["cmdstat_evalsha"]["calls"])
        valkey.freeze()
        asyncio.get_running_loop().call_later(1.0, valkey.thaw)
        return runs

    before = await frozen()
    grant = await granted(store, a_key())
    between = await frozen()
    assert await store.finish(a_key(), grant.token, b"reply", ttl_seconds=TTL)
    after = await frozen()
    assert await store.begin(a_key(), "run/2") == Found(b"reply")
    await client.aclose()
    show(f"runs of begin: {between - before}, of finish: {after - between}")
    assert min(between - before, after - between) > 1
    assert grant.resends == 0


@pytest.mark.fault(51)
async def test_a_full_server_is_a_passing_trouble(store: Completions, redis_client: redis.asyncio.Redis) -> None:
    grant = await granted(store, a_key())
    await redis_client.config_set("maxmemory", "1")
    try:
        with pytest.raises(ServiceUnavailable, match=r"OOM|OutOfMemory"):
            await store.finish(a_key(), grant.token, b"paid", ttl_seconds=TTL)
    finally:
        await redis_client.config_set("maxmemory", "0")
    assert await store.finish(a_key(), grant.token, b"paid", ttl_seconds=TTL)


async def test_no_server_is_named_in_one_line(connect: Callable[..., Completions]) -> None:
    nowhere = connect("redis://127.0.0.1:1")
    for call in (nowhere.begin(a_key(), "run/1"), nowhere.clear(job="invoice"), nowhere.renew(a_key(), "token")):
        with pytest.raises(ServiceUnavailable, match=r"^Redis does not answer \(\w+\)[^\n]*$"):
            await call


# --- callers that give up -------------------------------------------------------------------------------------------


@pytest.mark.fault(54)
async def test_a_cancelled_read_gives_nobody_anothers_reply(
    connect: Callable[..., Completions], proxy: Proxy, store: Completions
) -> None:
    acme, other = a_key(), a_key(tenant="other")
    await paid(store, acme, b"acme's")
    await paid(store, other, b"other's")
    behind = connect(proxy.url, connections=1)
    assert await behind.begin(acme, "run/1") == Found(b"acme's")
    proxy.hold()
    reading = asyncio.create_task(behind.begin(acme, "run/1"))
    await proxy.holding.wait()  # acme's reply is on its way
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading
    proxy.release()
    assert await behind.begin(other, "run/1") == Found(b"other's")
    assert proxy.connections == 2  # the one with a reply under way was dropped


async def test_callers_that_give_up_anywhere_leave_the_store_usable(
    connect: Callable[..., Completions], proxy: Proxy, store: Completions
) -> None:
    rng, count, tenants = random.Random(SEED), 600, [f"tenant-{i}" for i in range(8)]  # noqa: S311
    for tenant in tenants:
        await paid(store, a_key(tenant=tenant), tenant.encode())
    behind = connect(proxy.url, connections=3)
    given_up = 0

    async def call(tenant: str, patience: float) -> None:
        nonlocal given_up
        try:
            async with asyncio.timeout(patience):
                assert await behind.begin(a_key(tenant=tenant), "run/1") == Found(tenant.encode())
        except TimeoutError:
            given_up += 1

    for _ in range(count // 12):
        await asyncio.gather(*(call(rng.choice(tenants), rng.uniform(0, 0.01)) for _ in range(12)))
    show(f"N={count} seed={SEED}: {given_up} gave up, none got another's reply")
    assert 0 < given_up < count
    await asyncio.gather(*(call(tenant, 5) for tenant in tenants))  # no connection was lost to the pool


# --- what it costs ----------------------------------------------------------------------------------------------------


async def test_the_store_adds_little_to_a_call(store: Completions) -> None:
    reply, took = b"x" * 4000, []
    for number in range(500):
        key = a_key(str(number))
        started = time.perf_counter()
        grant = await granted(store, key)
        await store.finish(key, grant.token, reply, ttl_seconds=TTL)
        took.append((time.perf_counter() - started) * 1000)
    p50, p95 = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    show(f"begin + finish, N={len(took)}, 4 KB: p50 {p50:.2f} ms, p95 {p95:.2f} ms")
    assert p50 < 20


# --- whether a server may keep replies ------------------------------------------------------------------------------


async def test_a_durable_server_passes(redis_client: redis.asyncio.Redis) -> None:
    await check_durability(redis_client)


@pytest.mark.fault(50, 51)
@pytest.mark.parametrize(
    ("setting", "bad", "good"), [("appendonly", "no", "yes"), ("maxmemory-policy", "allkeys-lru", "noeviction")]
)
async def test_a_forgetful_server_is_refused_with_the_fix(
    redis_client: redis.asyncio.Redis, setting: str, bad: str, good: str
) -> None:
    await redis_client.config_set(setting, bad)
    try:
        with pytest.raises(ConfigurationError, match=f"set `{setting} {good}` in"):
            await check_durability(redis_client)
    finally:
        await redis_client.config_set(setting, good)


async def test_a_server_that_is_not_to_be_asked_names_the_override(
    redis_client: redis.asyncio.Redis, valkey: Valkey
) -> None:
    await redis_client.acl_setuser(
        "managed", enabled=True, passwords=["+secret"], categories=["+@all"], commands=["-config"], keys=["*"]
    )
    client = make_client(valkey.url.replace("//", "//managed:secret@"))
    with pytest.raises(ConfigurationError, match="ENGROSS_REDIS_UNCHECKED=1"):
        await check_durability(client)
    await client.aclose()
    await redis_client.acl_deluser("managed")


async def test_a_server_that_does_not_answer_is_not_misjudged() -> None:
    client = make_client("redis://127.0.0.1:1")
    with pytest.raises(ServiceUnavailable):
        await check_durability(client)
    await client.aclose()
