"""A small OpenID Connect issuer on a real socket, which does as tests tell it."""

import hashlib
import hmac
import json
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT, SECRET = "engross console", "its secret:/+"


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _segments(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))


class FakeIssuer:
    """`subject` signs in at once. `change` may alter what the token says, `sign` how it is signed."""

    def __init__(self) -> None:
        self.address = ""
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.subject: dict[str, Any] = {"sub": "s-1", "email": "ada@example.com", "email_verified": True}
        self.change: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        self.sign: Callable[[dict[str, Any]], str] = self.sign_well
        self.discovery: dict[str, Any] = {}
        self.keys_read = 0
        self._codes: dict[str, dict[str, str]] = {}

    def sign_well(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def sign_with_another_key(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, RSAKey.generate_key(2048, {"kid": "one"}))

    def sign_with_an_unknown_key(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": "unknown"}, claims, self.key)

    def sign_with_the_public_key_as_a_secret(self, claims: dict[str, Any]) -> str:
        said = _segments({"alg": "HS256", "kid": "one"}, claims)
        return f"{said}.{_base64(hmac.digest(self.key.as_pem(private=False), said.encode(), hashlib.sha256))}"

    def sign_not_at_all(self, claims: dict[str, Any]) -> str:
        return _segments({"alg": "none"}, claims) + "."

    def authorise(self, address: str) -> str:
        """What a browser does there: signs in, and is sent back to the address that this returns."""
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.address}/authorise"
        asked = {name: values[0] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = f"code {len(self._codes)}"
        self._codes[code] = asked
        return asked["redirect_uri"] + "?" + urlencode({"code": code, "state": asked["state"]})

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        scheme, _, login = request.headers.get("Authorization", "").partition(" ")
        assert scheme == "Basic"
        assert [unquote_plus(part) for part in b64decode(login).decode().split(":")] == [CLIENT, SECRET]
        assert form["grant_type"] == "authorization_code"
        asked = self._codes.pop(str(form["code"]), None)
        if asked is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        hashed = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        assert _base64(hashed) == asked["code_challenge"]
        assert form["redirect_uri"] == asked["redirect_uri"]
        now = int(time.time())
        claims = {"iss": self.address, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        return web.json_response({"id_token": self.sign(self.change(claims | self.subject)), "token_type": "Bearer"})

    async def discover(self, _request: web.Request) -> web.Response:
        addresses = {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorise",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
        }
        return web.json_response(addresses | self.discovery)

    async def keys(self, _request: web.Request) -> web.Response:
        self.keys_read += 1
        return web.json_response(KeySet([self.key]).as_dict(private=False))


@asynccontextmanager
async def issuing() -> AsyncIterator[FakeIssuer]:
    """One that serves."""
    issuer = FakeIssuer()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", issuer.discover)
    app.router.add_post("/token", issuer.token)
    app.router.add_get("/keys", issuer.keys)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        issuer.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield issuer
    finally:
        await runner.cleanup()
