"""The Web UI passes on who has signed in there: only an id token of our issuer, for our client, counts."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.starters.codec.conftest import Served, serving
from tests.starters.console.issuer import CLIENT, FakeIssuer, issuing

Change = Callable[[dict[str, Any]], dict[str, Any]]


async def asked(served: Served, token: str) -> int:
    """The status of what the Web UI asks in the name of who has that id token."""
    sealed = await served.sealed("acme", "one")
    headers = {"Authorization": "Bearer an-access-token", "Authorization_Extras": token}
    return (await served.ask("/decode", [sealed], **headers)).status


def claims_of(issuer: FakeIssuer) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": issuer.address, "aud": CLIENT, "iat": now, "exp": now + 300, "sub": "s-1"}


async def test_who_is_linked_by_the_console_is_known_by_their_id_token(tmp_path: Path, clean_environment: None) -> None:
    async with issuing() as issuer, serving(tmp_path, oidc_issuer=issuer.address, oidc_client_id=CLIENT) as served:
        token = issuer.sign_well(claims_of(issuer))
        assert await asked(served, token) == 401  # not known here yet
        await served.access.link("bo", issuer.address, "s-1")
        assert await asked(served, token) == 200
        await served.access.set_active("bo", False)
        assert await asked(served, token) == 401


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "another program"},
        {"iss": "https://evil.example.com"},
        {"exp": 1},
        {"aud": [CLIENT, "another program"]},
        {"azp": "another program"},
    ],
    ids=["audience", "issuer", "expired", "two audiences", "party"],
)
async def test_a_token_that_is_not_for_us_counts_for_nothing(
    tmp_path: Path, clean_environment: None, change: dict[str, Any]
) -> None:
    async with issuing() as issuer, serving(tmp_path, oidc_issuer=issuer.address, oidc_client_id=CLIENT) as served:
        await served.access.link("bo", issuer.address, "s-1")
        assert await asked(served, issuer.sign_well(claims_of(issuer) | change)) == 401


async def test_only_the_issuers_signature_counts(tmp_path: Path, clean_environment: None) -> None:
    async with issuing() as issuer, serving(tmp_path, oidc_issuer=issuer.address, oidc_client_id=CLIENT) as served:
        await served.access.link("bo", issuer.address, "s-1")
        for sign in (
            issuer.sign_with_another_key,
            issuer.sign_with_an_unknown_key,
            issuer.sign_with_the_public_key_as_a_secret,
            issuer.sign_not_at_all,
        ):
            assert await asked(served, sign(claims_of(issuer))) == 401
        assert await asked(served, issuer.sign_well(claims_of(issuer))) == 200
