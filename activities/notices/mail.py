"""E-mail: one message for each recipient, over a mail server that the operator names."""

import asyncio
import hashlib
import hmac
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as LINES
from email.utils import getaddresses
from functools import partial
from typing import Final
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTP, SMTPException, SMTPRecipientsRefused, SMTPResponseException

from activities.notices.channel import Addresses, Record
from activities.notices.fields import Answers, fields_of
from activities.notices.posting import SECONDS
from activities.notices.told import Told, one_line
from activities.notices.words import Letter, letter
from engross.errors import ConfigurationError, NoticeFailed, NoticeRefused

_PURPOSE: Final = b"engross notice by mail 1"
_ALL_SECONDS: Final = 50.0  # a server that is slow but not silent ends here, and the rest goes by the next attempt
# Common addresses, in ASCII: no quoted names, no address literals, no list of two.
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PORTS: Final = {"smtps": 465, "smtp with a user": 587, "smtp": 25}


@dataclass(frozen=True)
class Server:
    """A mail server. With a user its connection is encrypted in any case, else where the server offers it."""

    host: str
    port: int
    is_tls: bool
    user: str
    password: str


def server_of(url: str) -> Server:
    """What `smtp://user:password@host:port` or `smtps://...` says. Raises `ConfigurationError`, without the address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or port == 0:
        raise ConfigurationError("ENGROSS_SMTP_URL is not an address such as smtp://user:password@mail.example.com:587")
    user = unquote(parts.username or "")
    usual = _PORTS["smtp with a user" if parts.scheme == "smtp" and user else parts.scheme]
    return Server(parts.hostname, port or usual, parts.scheme == "smtps", user, unquote(parts.password or ""))


class Mail:
    """Writes to the people whom a notice means.

    `sender` is an address, with a name if you like. `secret` is the installation's; message ids come from it.
    `tls` says whom to trust, by default the machine's authorities. `seconds` is how long each answer may take.
    """

    name: Final = "mail"

    def __init__(
        self,
        url: str,
        *,
        sender: str,
        secret: bytes,
        addresses: Addresses,
        answers: Answers,
        tls: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._server = server_of(url)
        self._sender = _sender(sender)
        self._key = hmac.digest(secret, _PURPOSE, hashlib.sha256)
        self._addresses = addresses
        self._answers = answers
        self._tls = tls or ssl.create_default_context()
        self._seconds = seconds

    async def send(self, told: Told, record: Record) -> None:
        """See `Channel.send`."""
        people = await self._addresses.addresses(told.tenant, told.to)
        missing = {self._number(told, to): to for to in people if not record.has(_name(self._number(told, to)))}
        if not missing:
            return
        words = letter(told, await fields_of(self._answers, told.answer))
        failures = []
        async with self._connected() as server:
            for number, to in missing.items():
                try:
                    await record.once(_name(number), partial(self._deliver, server, told, words, to))
                except NoticeFailed as failure:  # for this recipient only: a broken connection ends the loop
                    failures.append(failure)
        if failures:
            raise NoticeFailed(f"the mail server put off {len(failures)} of {len(missing)} messages")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[SMTP]:
        """A connection that may send. Raises `NoticeFailed` when it breaks, `NoticeRefused` when it is no use."""
        server = SMTP(
            hostname=self._server.host,
            port=self._server.port,
            use_tls=self._server.is_tls,
            tls_context=self._tls,
            timeout=self._seconds,
            local_hostname=socket.gethostname(),  # the default asks the name service, which can take long
        )
        try:
            async with asyncio.timeout(_ALL_SECONDS), server:
                await self._log_in(server)
                yield server
        except SMTPResponseException as error:
            raise _answered(error.code) from None
        except (SMTPException, OSError, TimeoutError) as error:
            raise NoticeFailed(
                f"the mail server cannot be reached, or its certificate is not trusted ({type(error).__name__})"
            ) from None

    async def _log_in(self, server: SMTP) -> None:
        if not self._server.user:
            return
        if server.get_transport_info("sslcontext") is None:
            raise NoticeRefused("the mail server offers no STARTTLS, so the password was not sent; use smtps://")
        await server.login(self._server.user, self._server.password)

    async def _deliver(self, server: SMTP, told: Told, words: Letter, to: str) -> None:
        try:
            message = self._message(told, words, to)
            await server.send_message(message, sender=self._sender.addr_spec, recipients=[to])
        except (ValueError, MessageError):  # before anything is sent
            raise NoticeRefused(
                "an address of a recipient is not an e-mail address; see `engross users list`"
            ) from None
        except SMTPRecipientsRefused as refused:
            raise _answered(refused.recipients[0].code) from None
        except SMTPResponseException as error:
            raise _answered(error.code) from None

    def _message(self, told: Told, words: Letter, to: str) -> EmailMessage:
        """Raises ValueError or `MessageError` for an address that is none; nothing can add a header."""
        message = EmailMessage(policy=LINES)
        message["From"] = self._sender
        message["To"] = _address(to)
        message["Subject"] = words.subject
        message["Date"] = datetime.now(UTC)
        message["Message-ID"] = f"<{self._number(told, to)}@{self._sender.domain}>"
        message["Engross-Notice-Id"] = told.id
        message["Auto-Submitted"] = "auto-generated"  # no out-of-office replies (RFC 3834)
        message.set_content(words.plain)
        message.add_alternative(words.html, subtype="html")
        return message

    def _number(self, told: Told, to: str) -> str:
        """The same for the same notice and recipient; it does not give the address away."""
        return hmac.new(self._key, f"{told.id}\0{to}".encode(errors="replace"), hashlib.sha256).hexdigest()[:32]


def _name(number: str) -> str:
    return f"{Mail.name}:{number}"


def _sender(text: str) -> Address:
    try:
        ((name, address),) = getaddresses([text])  # ValueError unless there is one
        return _address(address, one_line(name))
    except (ValueError, MessageError):
        raise ConfigurationError("ENGROSS_MAIL_FROM is not an address such as engross@example.com") from None


def _address(text: str, name: str = "") -> Address:
    """Raises ValueError or `MessageError`. The standard library alone also raises IndexError and AttributeError."""
    if not _ADDRESS.fullmatch(text):
        raise ValueError("not an e-mail address")
    return Address(display_name=name, addr_spec=text)


def _answered(code: int) -> NoticeFailed | NoticeRefused:
    """What an SMTP reply code means: 4xx may pass, 5xx will not (RFC 5321, 4.2.1)."""
    if code >= 500:
        return NoticeRefused(f"the mail server answered {code}; check ENGROSS_SMTP_URL and the people's addresses")
    return NoticeFailed(f"the mail server answered {code}")
