"""Certificates of an authority of a test's own, and a proxy that takes TLS off, in front of any server of ours."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOST: Final = "127.0.0.1"
_DAY: Final = timedelta(days=1)
_BLOCK: Final = 65_536


class Authority:
    """Signs certificates, and leaves them with their keys in `folder`; `certificate` is its own, as a file."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        builder = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, None), critical=True)
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        signed = builder.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        self.certificate = folder / f"{name}.pem"
        self.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def sign(self, name: str, *, client: bool = False) -> tuple[Path, Path]:
        """The files of a certificate, for a server on this machine or for a client, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address(HOST))])
        builder = self._builder(_named(name), key).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        signed = builder.add_extension(names, critical=False).sign(self._key, hashes.SHA256())
        files = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        files[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        form = serialization.PrivateFormat.PKCS8
        files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
        files[1].chmod(0o600)
        return files

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - _DAY).not_valid_after(now + _DAY)


@dataclass
class TlsProxy:
    """`heard` is what clients have said, decrypted; `authority` signs the certificates of whoever may say it."""

    port: int
    heard: bytearray = field(default_factory=bytearray)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"


@asynccontextmanager
async def tls_proxy(
    target: str, authority: Authority, *, clients: bool = False, protocol: str = "h2"
) -> AsyncIterator[TlsProxy]:
    """TLS in front of the server at `target` (host:port); with `clients`, only for those with a certificate.

    `protocol` is what the server speaks, where clients ask for that while they connect.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.sign("server"))
    context.set_alpn_protocols([protocol])
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.certificate)
    host, _, port = target.rpartition(":")
    proxy = TlsProxy(0)

    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            # Python 3.11 complains of the tasks of a server that end cancelled; these do when the proxy ends.
            with suppress(asyncio.CancelledError):
                behind, to_server = await asyncio.open_connection(host, int(port))
                await asyncio.gather(_copy(reader, to_server, proxy.heard), _copy(behind, writer, None))
        finally:
            writer.close()
            serving.discard(task)

    server = await asyncio.start_server(serve, HOST, 0, ssl=context)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tuple(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray | None) -> None:
    try:
        with suppress(OSError, ssl.SSLError):  # one of the two has hung up
            while block := await reader.read(_BLOCK):
                if heard is not None:
                    heard += block
                writer.write(block)
                await writer.drain()
    finally:
        writer.close()


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
