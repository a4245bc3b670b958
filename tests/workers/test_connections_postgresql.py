"""PostgreSQL by TLS: what of the address and of the standard variables counts."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from activities.storage import ResultStore
from activities.storage.database import Database
from engross.errors import ConfigurationError, EngrossError, ServiceUnavailable
from tests.postgresql import IS_INSTALLED, await_postgresql
from tests.workers.tls import HOST, Authority

pytestmark = pytest.mark.skipif(not IS_INSTALLED, reason="no PostgreSQL server is installed")

# PostgreSQL refuses to run as root.
USER = "nobody" if os.getuid() == 0 else None


@dataclass(frozen=True)
class Server:
    """One that takes TLS only, from those with a certificate of its authority's for the user `me`."""

    authority: Authority
    port: int

    def url(self, options: str = "", host: str = HOST) -> str:
        return f"postgresql+asyncpg://me@{host}:{self.port}/postgres{options}"


@pytest.fixture(scope="module")
def server(unused_tcp_port_factory: Callable[[], int]) -> Iterator[Server]:
    folder, port = Path(tempfile.mkdtemp(prefix="engross-tls-")), unused_tcp_port_factory()
    authority = Authority(folder)
    certificate, key = authority.sign("server")
    initdb = ["initdb", "--auth=trust", "--username=me", "--no-sync", "--encoding=UTF8", str(folder / "data")]
    try:
        folder.chmod(0o755)
        for file in (folder, certificate, key):
            if USER:
                shutil.chown(file, USER)
        subprocess.run(initdb, user=USER, cwd=folder, check=True, capture_output=True)
        (folder / "data" / "pg_hba.conf").write_text(f"hostssl all all {HOST}/32 cert\n")
        settings = {
            "ssl": "on",
            "ssl_cert_file": certificate,
            "ssl_key_file": key,
            "ssl_ca_file": authority.certificate,
        }
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = ["postgres", "-D", str(folder / "data"), "-h", HOST, "-p", str(port), "-k", str(folder), "-F", *given]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, user=USER, cwd=folder, stdout=log, stderr=log)
        try:
            await_postgresql(process, folder / "log")
            yield Server(authority, port)
        finally:
            process.terminate()
            process.wait(10)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def _files(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's own variables, as every program that speaks to it reads them."""
    certificate, key = server.authority.sign("me", client=True)
    monkeypatch.setenv("PGSSLROOTCERT", str(server.authority.certificate))
    monkeypatch.setenv("PGSSLCERT", str(certificate))
    monkeypatch.setenv("PGSSLKEY", str(key))


async def is_encrypted(url: str) -> bool:
    """Whether the connection is."""
    database = Database.open(url)
    try:
        async with database.reading() as connection:
            query = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            return bool((await connection.execute(query)).scalar_one())
    finally:
        await database.close()


@pytest.mark.usefixtures("_files")
@pytest.mark.parametrize("options", ["", "?ssl=require", "?ssl=verify-ca", "?ssl=verify-full"])
async def test_it_is_encrypted_and_known_by_a_certificate(server: Server, options: str) -> None:
    assert await is_encrypted(server.url(options))


@pytest.mark.usefixtures("_files")
async def test_the_whole_store_works_so(server: Server) -> None:
    assert await is_encrypted(server.url())
    store = ResultStore.open(server.url("?ssl=verify-full"))
    try:
        await store.check()
    finally:
        await store.close()


@pytest.mark.usefixtures("_files")
async def test_a_server_that_is_signed_by_nobody_we_know_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await is_encrypted(server.url())
    monkeypatch.setenv("PGSSLROOTCERT", str(Authority(tmp_path, "other").certificate))
    with pytest.raises(ServiceUnavailable, match="ENGROSS_RESULTS"):
        await is_encrypted(server.url("?ssl=verify-full"))


@pytest.mark.usefixtures("_files")
async def test_without_a_certificate_nobody_gets_in(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await is_encrypted(server.url())
    monkeypatch.delenv("PGSSLCERT")
    monkeypatch.delenv("PGSSLKEY")
    with pytest.raises(EngrossError):
        await is_encrypted(server.url("?ssl=require"))


@pytest.mark.usefixtures("_files")
async def test_a_server_that_takes_tls_only_refuses_others(server: Server) -> None:
    assert await is_encrypted(server.url())
    with pytest.raises(ServiceUnavailable, match="ENGROSS_RESULTS"):
        await is_encrypted(server.url("?ssl=disable"))


def test_the_parameter_of_another_library_is_named() -> None:
    with pytest.raises(ConfigurationError, match="write ssl= instead of sslmode="):
        Database.open("postgresql+asyncpg://engross@127.0.0.1/engross?sslmode=require")
