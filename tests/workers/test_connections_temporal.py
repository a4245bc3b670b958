"""Temporal behind TLS: by variables, by a profile, with a client's certificate, with a key, and with the wrong ones."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from engross.endpoints import resolve
from engross.errors import ConfigurationError, EngrossError, ServiceUnavailable
from engross.settings import load_settings
from starters.connection import connect
from tests.workers.tls import Authority, TlsProxy, tls_proxy
from workers.temporal_trouble import unreachable

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY: Final = "aceiost012"
# The Huffman code of HTTP/2 (RFC 7541, appendix B) for what "Bearer" and the key are made of.
_CODES: Final = {
    "0": "00000", "1": "00001", "2": "00010", "a": "00011", "c": "00100", "e": "00101", "i": "00110", "o": "00111",
    "s": "01000", "t": "01001", " ": "010100", "r": "101100", "B": "1011101",
}  # fmt: skip


def huffman(text: str) -> bytes:
    bits = "".join(_CODES[each] for each in text)
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(temporal_binary: str) -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=temporal_binary) as environment:
        yield environment


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest_asyncio.fixture(loop_scope="module", params=[True])
async def proxy(
    request: pytest.FixtureRequest, server: WorkflowEnvironment, authority: Authority
) -> AsyncIterator[TlsProxy]:
    """With `params` True, for clients with a certificate only."""
    target = server.client.service_client.config.target_host
    async with tls_proxy(target, authority, clients=request.param) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGROSS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENGROSS_REDIS_URL", "redis://127.0.0.1:1")


def set_variables(monkeypatch: pytest.MonkeyPatch, proxy: TlsProxy, **files: Path) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", proxy.address)
    for name, file in files.items():
        monkeypatch.setenv(f"TEMPORAL_TLS_{name.upper()}_PATH", str(file))


async def namespace() -> str:
    """The namespace that a command would work in, once the server has answered."""
    settings = load_settings()
    client = await connect(settings, resolve(settings))
    assert await client.service_client.check_health()
    return client.namespace


async def test_a_client_certificate_by_variables(
    proxy: TlsProxy, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = authority.sign("client", client=True)
    set_variables(monkeypatch, proxy, server_ca_cert=authority.certificate, client_cert=certificate, client_key=key)
    assert await namespace() == "default"


async def test_a_client_certificate_by_a_profile(
    proxy: TlsProxy, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate, key = authority.sign("client", client=True)
    profile = tmp_path / "temporal.toml"
    profile.write_text(
        f'[profile.production]\naddress = "{proxy.address}"\nnamespace = "default"\n[profile.production.tls]\n'
        f'server_ca_cert_path = "{authority.certificate}"\nclient_cert_path = "{certificate}"\n'
        f'client_key_path = "{key}"\n'
    )
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profile))
    monkeypatch.setenv("TEMPORAL_PROFILE", "production")
    assert await namespace() == "default"


@pytest.mark.parametrize("proxy", [False], indirect=True)
async def test_an_api_key_is_sent_and_only_by_tls(
    proxy: TlsProxy, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_API_KEY", KEY)
    set_variables(monkeypatch, proxy, server_ca_cert=authority.certificate)
    assert await namespace() == "default"
    said = f"Bearer {KEY}"
    assert huffman(said) in proxy.heard or said.encode() in proxy.heard
    assert b"other" not in proxy.heard


async def refused() -> EngrossError:
    """What is said of the error that the SDK raises."""
    with pytest.raises(EngrossError) as caught:
        await namespace()
    assert "\n" not in str(caught.value)
    if caught.value.__cause__ is None:
        return caught.value
    return unreachable(caught.value.__cause__, load_settings().temporal_address or "")


async def test_no_client_certificate_where_one_is_needed(
    proxy: TlsProxy, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, proxy, server_ca_cert=authority.certificate)
    assert "TEMPORAL_TLS_CLIENT_CERT_PATH" in str(await refused())


async def test_a_client_certificate_of_somebody_else(
    proxy: TlsProxy, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate, key = Authority(tmp_path, "other").sign("stranger", client=True)
    set_variables(monkeypatch, proxy, server_ca_cert=authority.certificate, client_cert=certificate, client_key=key)
    assert "TEMPORAL_TLS_CLIENT_CERT_PATH" in str(await refused())


@pytest.mark.parametrize("proxy", [False], indirect=True)
async def test_a_server_that_is_signed_by_nobody_we_know(
    proxy: TlsProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_variables(monkeypatch, proxy, server_ca_cert=Authority(tmp_path, "other").certificate)
    error = await refused()
    assert isinstance(error, ConfigurationError)
    assert "TEMPORAL_TLS_SERVER_CA_CERT_PATH" in str(error)


@pytest.mark.parametrize("proxy", [False], indirect=True)
async def test_a_server_with_another_name(
    proxy: TlsProxy, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, proxy, server_ca_cert=authority.certificate)
    monkeypatch.setenv("TEMPORAL_TLS_SERVER_NAME", "temporal.example.com")
    assert "TEMPORAL_TLS_SERVER_NAME" in str(await refused())


@pytest.mark.parametrize("proxy", [False], indirect=True)
async def test_no_tls_where_the_server_wants_it(proxy: TlsProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, proxy)
    assert "TEMPORAL_TLS" in str(await refused())


async def test_tls_where_the_server_has_none(server: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", server.client.service_client.config.target_host)
    monkeypatch.setenv("TEMPORAL_TLS", "true")
    assert "speaks no TLS" in str(await refused())


async def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    error = await refused()
    assert isinstance(error, ServiceUnavailable)
    assert "does not answer" in str(error)


async def test_a_file_that_is_missing(proxy: TlsProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_variables(monkeypatch, proxy, server_ca_cert=tmp_path / "missing.pem")
    error = await refused()
    assert isinstance(error, ConfigurationError)
    assert "missing.pem" in str(error)


@pytest.mark.parametrize(("text", "says"), [("[profile.other]\n", "'production' not found"), ("[profile.p", "TOML")])
async def test_a_profile_that_is_missing_or_damaged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, says: str
) -> None:
    profile = tmp_path / "temporal.toml"
    profile.write_text(text)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profile))
    monkeypatch.setenv("TEMPORAL_PROFILE", "production")
    error = await refused()
    assert isinstance(error, ConfigurationError)
    assert says in str(error)
