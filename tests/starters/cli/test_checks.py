"""What `engross doctor` says of keys."""

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from activities.encryption.keys import TenantKeys
from engross.settings import Settings
from starters.cli.checks import stores

ONE, TWO = (f"k{number}:{base64.b64encode(bytes([number]) * 32).decode()}" for number in (1, 2))


def settings(folder: Path, keys: str | None) -> Settings:
    secret = None if keys is None else SecretStr(keys)
    return Settings.model_construct(home=folder, blobs=None, results=None, encryption_keys=secret)


@pytest.mark.parametrize(
    ("keys", "is_good", "detail"),
    [
        (None, True, "off"),
        (ONE, True, "on, with master key k1"),
        (f"{TWO},{ONE}", True, "on, with master key k2"),
        (TWO, False, "master keys are missing: k1"),
    ],
)
async def test_a_master_key_that_a_tenant_needs_is_missed(
    tmp_path: Path, keys: str | None, is_good: bool, detail: str
) -> None:
    used = TenantKeys.of(settings(tmp_path, ONE))
    assert used is not None
    await used.current("acme")
    await used.destroy("globex")
    [_, _, found] = await stores(settings(tmp_path, keys))
    assert (found.name, found.ok, found.detail) == ("encryption", is_good, detail)
