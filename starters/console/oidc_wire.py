"""What an OpenID Connect issuer publishes of itself, and questions to it over HTTP."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from engross.errors import ConfigurationError, ServiceUnavailable
from starters.console.addresses import is_loopback

_SECONDS: Final = 10.0
_MOST_BYTES: Final = 1_000_000
_WELL_KNOWN: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True)
class Provider:
    """The discovery document, as far as it is used.

    `takes_basic`: the client's secret goes into a header, else into the form. `names_itself`: it names the issuer when
    it sends the browser back (RFC 9207).
    """

    issuer: str
    authorization: str
    token: str
    keys: str
    takes_basic: bool
    names_itself: bool


async def discover(issuer: str) -> Provider:
    """Reads what `issuer` publishes. Raises `ServiceUnavailable`, also when that is of another issuer."""
    status, said = await ask("GET", issuer + _WELL_KNOWN)
    # OpenID Connect Discovery 1.0, 4.3: who answers must say that it is who was asked.
    if status != 200 or str(said.get("issuer", "")).rstrip("/") != issuer:
        raise unusable(f"its discovery document is missing or of another issuer (status {status})")
    try:
        provider = Provider(
            issuer=said["issuer"],
            authorization=said["authorization_endpoint"],
            token=said["token_endpoint"],
            keys=said["jwks_uri"],
            # The default where nothing is said.
            takes_basic="client_secret_basic"
            in said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"]),
            names_itself=said.get("authorization_response_iss_parameter_supported") is True,
        )
    except (LookupError, TypeError):
        raise unusable("its discovery document lacks an address") from None
    for address in (provider.authorization, provider.token, provider.keys):
        if not is_safe(address):
            raise unusable("its discovery document names an address without https")
    return provider


async def ask(
    method: str, address: str, *, data: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """The status and the JSON object of an answer. Follows no redirection; raises `ServiceUnavailable`."""
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(method, address, data=data, headers=headers, allow_redirects=False) as response,
        ):
            body = await response.content.read(_MOST_BYTES)
            while len(body) <= _MOST_BYTES and (more := await response.content.read(_MOST_BYTES)):
                body += more
            said = json.loads(body) if len(body) <= _MOST_BYTES else None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise unusable(f"it does not answer ({type(error).__name__})") from None
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise unusable(f"it answers with no JSON object (status {response.status})")
    return response.status, said


def is_safe(address: object) -> bool:
    """Whether nobody on the way can read or change what goes there."""
    if not isinstance(address, str):
        return False
    try:
        parts = urlsplit(address)
        return parts.scheme == "https" or (parts.scheme == "http" and is_loopback((parts.hostname or "").lower()))
    except ValueError:
        return False


def check_issuer(address: str) -> None:
    """Raises `ConfigurationError` for an issuer that is not asked over https."""
    if not is_safe(address):
        raise ConfigurationError("ENGROSS_OIDC_ISSUER must begin with https://")


def unusable(problem: str) -> ServiceUnavailable:
    """What to raise when the issuer can't be used now."""
    return ServiceUnavailable(f"OpenID Connect: the issuer can't be used: {problem}; check ENGROSS_OIDC_ISSUER")
