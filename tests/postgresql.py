"""A PostgreSQL server of a test's own, where one is installed."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IS_INSTALLED = bool(shutil.which("initdb") and shutil.which("postgres"))

_START_SECONDS = 60
# PostgreSQL refuses to run as root.
_USER = "nobody" if os.getuid() == 0 else None


def await_postgresql(server: subprocess.Popen[bytes], log: Path) -> None:
    """Returns when it takes connections. Before it has started up it refuses them, by more than one error."""
    until = time.monotonic() + _START_SECONDS
    while b"ready to accept connections" not in log.read_bytes():
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.02)


@contextmanager
def running_postgresql(port: int) -> Iterator[str]:
    """Its address, once it answers."""
    folder = Path(tempfile.mkdtemp(prefix="engross-postgresql-"))
    if _USER:
        shutil.chown(folder, _USER)
    try:
        initdb = ["initdb", "--auth=trust", "--username=me", "--no-sync", "--encoding=UTF8", str(folder / "data")]
        subprocess.run(initdb, user=_USER, cwd=folder, check=True, capture_output=True)
        # Only a socket of its own, and the one port.
        command = ["postgres", "-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, user=_USER, cwd=folder, stdout=log, stderr=log)
        try:
            await_postgresql(server, folder / "log")
            yield f"postgresql+asyncpg://me@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(10)
    finally:
        shutil.rmtree(folder)
