"""What every answer says to browsers: load nothing but our own, frame nothing, keep nothing."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_UNUSED: Final = (
    "camera",
    "display-capture",
    "geolocation",
    "microphone",
    "payment",
    "publickey-credentials-get",
    "usb",
)
_ALWAYS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _UNUSED),
}
_YEAR_SECONDS: Final = 365 * 24 * 3600
STATIC: Final = "/static/"


class SafeHeaders:
    """ASGI middleware that adds them to every answer. `is_https` adds HSTS."""

    def __init__(self, app: ASGIApp, is_https: bool) -> None:
        self._app = app
        hsts = {"Strict-Transport-Security": f"max-age={_YEAR_SECONDS}; includeSubDomains"}
        self._always = _ALWAYS | (hsts if is_https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._always)
                # Only what is found may be kept: static files, and what its route says the same browser may ask again.
                is_private = headers.get("Cache-Control", "").startswith("private")
                if message["status"] != 200 or not (is_private or scope["path"].startswith(STATIC)):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
