"""Real receivers of notices on this machine: an HTTP server and a mail server, both of which can misbehave."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Posted:
    """A request as it came."""

    headers: dict[str, str]
    body: bytes


@dataclass
class Hook:
    """Answers POSTs with `status`; "hang" never answers, "endless" answers 200 with a body that never ends."""

    status: int = 200
    behaviour: str = ""
    posts: list[Posted] = field(default_factory=list)
    visits: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.visits.append(request.path)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.posts.append(Posted(headers, await request.read()))
        if self.behaviour == "hang":
            await asyncio.Event().wait()
        if self.behaviour == "endless":
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"x")
            await asyncio.Event().wait()
        return web.Response(status=self.status, headers={"Location": "/elsewhere", "Set-Cookie": "a=b"})


@asynccontextmanager
async def hook(status: int = 200, behaviour: str = "") -> AsyncIterator[Hook]:
    """A receiver of webhooks on a free port."""
    receiver = Hook(status, behaviour)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@dataclass
class MailBox:
    """A mail server's handler. `codes`: what each recipient is answered instead of 250."""

    codes: dict[str, int] = field(default_factory=dict)
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    logins: list[tuple[str, str, bool]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        code = self.codes.get(address, 250)
        if code == 250:
            envelope.rcpt_tos.append(address)
        return f"{code} said the server"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - likewise
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.mails.append((list(envelope.rcpt_tos), message))
        self.encrypted.append(_is_encrypted(server))
        return "250 OK"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        login, password = data.login.decode(), data.password.decode()
        self.logins.append((login, password, _is_encrypted(server)))
        return AuthResult(success=password == "right", handled=False)


def _is_encrypted(server: SMTP) -> bool:
    return server.transport is not None and server.transport.get_extra_info("sslcontext") is not None


@asynccontextmanager
async def mail_server(
    box: MailBox, *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, has_users: bool = False
) -> AsyncIterator[MailBox]:
    """Serves `box` on a free port; `starttls` offers an upgrade, `tls` is encrypted from the first byte."""

    def serve() -> SMTP:
        return SMTP(
            box,
            hostname="localhost",
            tls_context=starttls,
            authenticator=box.authenticate if has_users else None,
            auth_require_tls=starttls is not None,
        )

    server = await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0, ssl=tls)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A self-signed certificate for 127.0.0.1: the server's context, and that of a client who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=path)
