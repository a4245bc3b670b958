"""Kept replies under the keys of their tenants, beside clear ones from before."""

import os
from pathlib import Path

import pytest
import redis.asyncio

from activities.encryption.keys import TenantKeys
from activities.encryption.sealing import Sealer, sealed_by
from activities.guards.completions import Completions, Found, Granted, completion_key
from engross.errors import CorruptDocument, KeyUnavailable, TenantErased

SECRET = b"0123456789abcdef"
REPLY = b"the reply canary"
KEY = completion_key(tenant="acme", job="invoice", parts=["request"])


@pytest.fixture
def keys(tmp_path: Path) -> TenantKeys:
    return TenantKeys({"k1": os.urandom(32)}, f"sqlite+aiosqlite:///{tmp_path / 'keys.db'}")


@pytest.fixture
def sealed(redis_client: redis.asyncio.Redis, keys: TenantKeys) -> Completions:
    return Completions(redis_client, secret=SECRET, sealer=Sealer(keys))


@pytest.fixture
def clear(redis_client: redis.asyncio.Redis) -> Completions:
    return Completions(redis_client, secret=SECRET)


async def kept(store: Completions, reply: bytes = REPLY) -> str:
    """Makes the call, and gives the token that it was granted with."""
    grant = await store.begin(KEY, "run/1")
    assert isinstance(grant, Granted)
    assert await store.finish(KEY, grant.token, reply, ttl_seconds=60)
    return grant.token


async def test_replies_come_back_and_are_not_in_redis(sealed: Completions, redis_client: redis.asyncio.Redis) -> None:
    await kept(sealed)

    assert await sealed.begin(KEY, "run/2") == Found(REPLY)
    stored = await redis_client.get(KEY.name)
    assert stored is not None
    assert b"dGhlIHJlcGx5IGNhbmFyeQ" not in stored  # the reply in base64


async def test_clear_replies_from_before_are_served(sealed: Completions, clear: Completions) -> None:
    await kept(clear)

    assert await sealed.begin(KEY, "run/2") == Found(REPLY)


async def test_finishing_again_is_as_good_as_once_and_another_reply_is_fenced_off(sealed: Completions) -> None:
    token = await kept(sealed)

    assert await sealed.finish(KEY, token, REPLY, ttl_seconds=60)
    assert not await sealed.finish(KEY, token, b"another", ttl_seconds=60)
    assert not await sealed.finish(KEY, "another", REPLY, ttl_seconds=60)
    assert await sealed.begin(KEY, "run/2") == Found(REPLY)


async def test_old_keys_still_read(sealed: Completions, keys: TenantKeys) -> None:
    await kept(sealed)
    await keys.rotate("acme")

    assert await sealed.begin(KEY, "run/2") == Found(REPLY)


async def test_without_keys_nothing_is_paid_again(sealed: Completions, clear: Completions) -> None:
    await kept(sealed)

    with pytest.raises(KeyUnavailable, match="ENGROSS_ENCRYPTION_KEYS"):
        await clear.begin(KEY, "run/2")
    assert await sealed.begin(KEY, "run/2") == Found(REPLY)


async def test_nothing_of_an_erased_tenant_is_read_or_written(sealed: Completions, keys: TenantKeys) -> None:
    token = await kept(sealed)
    await keys.destroy("acme")

    with pytest.raises(TenantErased):
        await sealed.begin(KEY, "run/2")
    with pytest.raises(TenantErased):
        await sealed.finish(KEY, token, REPLY, ttl_seconds=60)


async def test_a_seal_that_is_not_of_this_entry_counts_as_none(
    sealed: Completions, clear: Completions, keys: TenantKeys
) -> None:
    """Even when it is signed: the signature and the seal are of different keys."""
    moved = sealed_by(await keys.current("acme"), REPLY, "another entry")
    with pytest.raises(CorruptDocument):
        await Sealer(keys).unseal("acme", moved, KEY.name)
    await kept(clear, moved)

    again = await sealed.begin(KEY, "run/2")
    assert isinstance(again, Granted)
    assert await sealed.finish(KEY, again.token, REPLY, ttl_seconds=60)
    assert await sealed.begin(KEY, "run/3") == Found(REPLY)
