"""OpenID Connect: the code flow with PKCE, state and nonce, and the checks of what an issuer says.

Follows OpenID Connect Core 1.0 and RFC 9700. The issuer's addresses and keys come from its discovery document, over
https unless it is on this machine. Only signatures with public keys count.
"""

import asyncio
import hashlib
import secrets
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import structlog
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from engross.errors import ConfigurationError, NotSignedIn
from engross.settings import Settings
from starters.console.oidc_wire import Provider, ask, check_issuer, discover, unusable

# No "none", and none with a shared secret: an issuer's public key must not be taken for one.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
_KEPT_SECONDS: Final = 3600.0
_KEYS_AGAIN_SECONDS: Final = 30.0
_LEEWAY_SECONDS: Final = 60

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Subject:
    """Who the issuer says that somebody is. `email` is empty unless the issuer has verified it."""

    issuer: str
    subject: str
    email: str


@dataclass(frozen=True)
class Begun:
    """A sign-in that has begun: where to send the browser, and what has to be remembered until it is back."""

    address: str
    state: str
    nonce: str
    verifier: str


class Issuer:
    """The issuer of `settings`. Every method raises `ServiceUnavailable` when it does not answer, or not as one.

    Raises `ConfigurationError` when it has no https address.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        if settings.oidc_issuer is None or settings.oidc_client_id is None:
            raise ConfigurationError("set ENGROSS_OIDC_ISSUER and ENGROSS_OIDC_CLIENT_ID")
        check_issuer(settings.oidc_issuer)
        self._issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._secret = settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else ""
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: tuple[Provider, float] | None = None
        self._keys: tuple[KeySet, float] | None = None
        self.name = urlsplit(self._issuer).hostname or self._issuer

    async def begin(self, redirect_uri: str) -> Begun:
        """A new sign-in, which comes back to `redirect_uri`."""
        provider = await self._provider()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid email",
            "state": state,
            "nonce": nonce,
            "code_challenge": urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        separator = "&" if urlsplit(provider.authorization).query else "?"
        return Begun(f"{provider.authorization}{separator}{urlencode(asked)}", state, nonce, verifier)

    async def finish(self, answer: Mapping[str, str], *, verifier: str, nonce: str, redirect_uri: str) -> Subject:
        """Who has signed in, by the query that the browser came back with; its `state` has been checked.

        Raises `NotSignedIn` when the issuer refused, or what it says does not hold.
        """
        provider = await self._provider()
        if "error" in answer:
            raise NotSignedIn("the sign-in was cancelled or refused there; try again")
        named = answer.get("iss")
        if named != provider.issuer and (named is not None or provider.names_itself):
            raise _wrong("another issuer's answer")
        token = await self._id_token(provider, answer.get("code", ""), verifier, redirect_uri)
        claims = await self._claims(provider, token, nonce)
        email = claims.get("email") if claims.get("email_verified") is True else None
        return Subject(provider.issuer, claims["sub"], email if isinstance(email, str) else "")

    async def subject_of(self, token: str) -> Subject:
        """Who an id token is of that another program got at the issuer, with this console's client id.

        Raises `NotSignedIn` when it does not hold.
        """
        provider = await self._provider()
        claims = await self._claims(provider, token, None)
        return Subject(provider.issuer, claims["sub"], "")

    # --- what the issuer says ---------------------------------------------------------------------------------------

    async def _id_token(self, provider: Provider, code: str, verifier: str, redirect_uri: str) -> str:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        form |= {"code_verifier": verifier}
        headers = {}
        if self._secret and provider.takes_basic:
            login = f"{quote_plus(self._client_id)}:{quote_plus(self._secret)}"  # as RFC 6749, 2.3.1, asks
            headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        else:
            form |= {"client_id": self._client_id} | ({"client_secret": self._secret} if self._secret else {})
        status, said = await ask("POST", provider.token, data=form, headers=headers)
        token = said.get("id_token")
        if status != 200 or not isinstance(token, str):
            raise _wrong(f"no token (status {status})")
        return token

    async def _claims(self, provider: Provider, token: str, nonce: str | None) -> dict[str, Any]:
        try:
            claims = (await self._decoded(provider, token)).claims
            jwt.JWTClaimsRegistry(
                leeway=_LEEWAY_SECONDS,
                iss={"essential": True, "value": provider.issuer},
                aud={"essential": True, "value": self._client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={} if nonce is None else {"essential": True, "value": nonce},
            ).validate(claims)
        except (JoseError, ValueError) as error:
            raise _wrong(f"{type(error).__name__} of the id token") from None
        has_others = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (has_others or "azp" in claims) and claims.get("azp") != self._client_id:
            raise _wrong("the id token is another client's")
        return claims

    async def _decoded(self, provider: Provider, token: str) -> jwt.Token:
        try:
            return jwt.decode(token, await self._key_set(provider, _KEPT_SECONDS), algorithms=ALGORITHMS)
        except InvalidKeyIdError:
            # Issuers change their keys, and sign with a new one at once.
            return jwt.decode(token, await self._key_set(provider, _KEYS_AGAIN_SECONDS), algorithms=ALGORITHMS)

    async def _provider(self) -> Provider:
        async with self._lock:
            if self._known is None or self._clock() - self._known[1] > _KEPT_SECONDS:
                self._known = (await discover(self._issuer), self._clock())
            return self._known[0]

    async def _key_set(self, provider: Provider, kept_seconds: float) -> KeySet:
        async with self._lock:
            if self._keys is None or self._clock() - self._keys[1] > kept_seconds:
                self._keys = (await _read_keys(provider), self._clock())
            return self._keys[0]


async def _read_keys(provider: Provider) -> KeySet:
    status, said = await ask("GET", provider.keys)
    try:
        return KeySet.import_key_set({"keys": said["keys"]})
    except (JoseError, LookupError, TypeError, ValueError):
        raise unusable(f"its keys can't be read (status {status})") from None


def _wrong(reason: str) -> NotSignedIn:
    # The reason helps the operator, and nobody else.
    _log.warning("sign-in refused", reason=reason)
    return NotSignedIn("what the issuer says of you does not hold; try again, or ask an operator")
