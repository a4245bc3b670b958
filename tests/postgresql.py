"""A PostgreSQL server of a test's own, where one is installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IS_INSTALLED = bool(shutil.which("initdb") and shutil.which("postgres"))

# PostgreSQL refuses to run as root.
_USER = "nobody" if os.getuid() == 0 else None


@contextmanager
def running_postgresql(port: int) -> Iterator[str]:
    """Its address; it may take a moment before it answers."""
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
            yield f"postgresql+asyncpg://me@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(10)
    finally:
        shutil.rmtree(folder)
