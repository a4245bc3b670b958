"""Redis behind TLS, for a user who may do no more than what Engross needs."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest
import redis.asyncio as redis
from redis.exceptions import NoPermissionError

from activities.guards.breaker import Breaker, Permit
from activities.guards.budgets import Budget, Budgets, Reserved
from activities.guards.completions import CompletionKey, Completions, Found, Granted
from activities.guards.limits import Limit, Limits
from engross.errors import ConfigurationError, ServiceUnavailable
from engross.settings import Settings, load_settings
from starters.retention.lock import exclusive
from tests.valkey import Valkey
from tests.workers.tls import Authority, TlsProxy, tls_proxy
from workers.log_level import end_level, put_level, wished
from workers.redis_access import open_redis

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs" / "connections.md"
PASSWORD: Final = "made-up-for-tests"


def rights() -> list[str]:
    """The user's rules as the documentation gives them."""
    [line] = re.findall(r"^ACL SETUSER engross (.+)$", DOCS.read_text(), re.MULTILINE)
    return str(line).replace("PASSWORD", PASSWORD).split()


async def told(client: redis.Redis, *command: str) -> None:
    """Sends a command as it is."""
    await client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py gives it no types


@dataclass(frozen=True)
class Server:
    """A server with that user, behind a proxy that wants a client's certificate."""

    proxy: TlsProxy
    authority: Authority

    def url(self, *, user: str = "engross", **given: str) -> str:
        certificate, key = self.authority.sign("client", client=True)
        files = {"ssl_ca_certs": self.authority.certificate, "ssl_certfile": certificate, "ssl_keyfile": key}
        return f"rediss://{user}:{PASSWORD}@{self.proxy.address}/0?{urlencode({**files, **given})}"


@pytest.fixture
async def server(valkey: Valkey, tmp_path: Path) -> AsyncIterator[Server]:
    valkey.start()
    authority = Authority(tmp_path)
    async with redis.Redis.from_url(valkey.url) as admin:
        await admin.flushall()
        await told(admin, "ACL", "SETUSER", "engross", "reset", *rights())
        async with tls_proxy(f"127.0.0.1:{valkey.port}", authority, clients=True) as proxy:
            yield Server(proxy, authority)
        await told(admin, "ACL", "DELUSER", "engross")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGROSS_HOME", str(tmp_path / "home"))
    return load_settings()


@pytest.fixture
async def client(server: Server, settings: Settings) -> AsyncIterator[redis.Redis]:
    """As workers open it, with the check of how durable the server is."""
    async with open_redis(settings, server.url()) as client:
        yield client


async def test_kept_replies(client: redis.Redis) -> None:
    completions = Completions(client, secret=b"0123456789abcdef")
    key = CompletionKey("acme", "invoice", "ab")
    granted = await completions.begin(key, "one")
    assert isinstance(granted, Granted)
    assert await completions.renew(key, granted.token)
    assert await completions.finish(key, granted.token, b"reply", ttl_seconds=60)
    assert await completions.begin(key, "two") == Found(b"reply")
    other = CompletionKey("acme", "invoice", "cd")
    granted = await completions.begin(other, "one")
    assert isinstance(granted, Granted)
    await completions.abandon(other, granted.token)
    assert await completions.clear(job="invoice") == 1


async def test_budgets(client: redis.Redis) -> None:
    budgets = Budgets(client, held_seconds=60)
    accounts = [Budget("tenant", "acme", Decimal(1)), Budget("day", "", Decimal(5))]
    reserved = await budgets.reserve(accounts, holder="a", attempt="1", amount_usd=Decimal("0.5"))
    assert reserved == Reserved()
    await budgets.settle(accounts, holder="a", cost_usd=Decimal("0.4"))
    await budgets.reserve(accounts, holder="b", attempt="1", amount_usd=Decimal("0.1"))
    await budgets.release(accounts, holder="b", maybe_billed=True)
    await budgets.raise_limit(accounts[0], by_usd=Decimal(1), request="r")
    assert (await budgets.balance(accounts[0])).spent_usd == Decimal("0.4")
    assert await budgets.tenants() == ("acme",)


async def test_limits(client: redis.Redis) -> None:
    limits = Limits(client, {"openai": Limit(1, 100)}, tenant_tokens_per_minute=1000)
    about = {"provider": "openai", "model": "m", "tenant": "acme"}
    assert await limits.reserve(**about, tokens=50, reservation="a") == 0
    assert await limits.reserve(**about, tokens=50, reservation="b") > 0
    await limits.settle(**about, reservation="a", tokens=10)
    await limits.pause(provider="openai", model="m", seconds=5)
    assert await limits.reserve(**about, tokens=1, reservation="c") > 0


async def test_circuits(client: redis.Redis) -> None:
    breaker = Breaker(client)
    permit = await breaker.allow("openai")
    assert isinstance(permit, Permit)
    await breaker.success("openai", permit)
    permit = await breaker.allow("openai")
    assert isinstance(permit, Permit)
    assert await breaker.failure("openai", permit, at_once=True, cause="AuthenticationFailed")
    assert (await breaker.state("openai")).name == "open"
    assert await breaker.probe_now("openai")
    assert isinstance(await breaker.allow("openai"), Permit)


async def test_failures_are_counted(client: redis.Redis) -> None:
    breaker = Breaker(client)
    for _ in range(50):
        permit = await breaker.allow("openai")
        if not isinstance(permit, Permit):
            return
        await breaker.failure("openai", permit)
    raise AssertionError("it never opened")


async def test_the_log_level_and_the_lock_of_gc(client: redis.Redis) -> None:
    await put_level(client, "debug", "", timedelta(minutes=1))
    wish = await wished(client)
    assert wish is not None
    await end_level(client)
    async with exclusive(client, seconds=5) as lease:
        lease.check()


async def test_every_command_of_our_scripts_is_granted() -> None:
    granted = {right[1:] for right in rights() if right.startswith("+")}
    called = set()
    for folder in ("activities", "workers", "starters"):
        for file in (ROOT / folder).rglob("*.py"):
            called |= {name.lower() for name in re.findall(r"redis\.p?call\('([A-Z]+)'", file.read_text())}
    assert called
    assert called <= granted


@pytest.mark.parametrize(
    "command",
    [("GET", "somebody-elses"), ("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "SET", "appendonly", "no"), ("ACL", "LIST")],
)
async def test_nothing_else_is_granted(client: redis.Redis, command: tuple[str, ...]) -> None:
    with pytest.raises(NoPermissionError):
        await told(client, *command)


async def test_the_wrong_authority_certificate_and_password_are_refused(
    server: Server, settings: Settings, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    certificate, key = other.sign("stranger", client=True)
    for url in (
        server.url(ssl_ca_certs=str(other.certificate)),
        server.url(ssl_certfile=str(certificate), ssl_keyfile=str(key)),
        server.url(user="nobody"),
        server.url(ssl_ca_certs=str(tmp_path / "missing.pem")),
        f"redis://{server.proxy.address}/0",
    ):
        with pytest.raises(ServiceUnavailable, match="ENGROSS_REDIS_URL"):
            async with open_redis(settings, url):
                pass


async def test_a_name_that_is_not_in_the_certificate_is_refused(server: Server, settings: Settings) -> None:
    async with open_redis(settings, server.url().replace("127.0.0.1", "localhost")):
        pass
    with pytest.raises(ServiceUnavailable, match="ENGROSS_REDIS_URL"):
        async with open_redis(settings, server.url().replace("127.0.0.1", "127.0.0.2")):
            pass


async def test_tls_options_without_tls_are_named(tmp_path: Path) -> None:
    settings = Settings.model_construct(home=tmp_path, redis_unchecked=True)
    with pytest.raises(ConfigurationError, match="begins with rediss://"):
        async with open_redis(settings, "redis://127.0.0.1:1/0?ssl_ca_certs=/etc/engross/ca.pem"):
            pass
