"""What all tests share: the real servers, or their binaries, found beside the interpreter."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.valkey import Valkey

BIN = Path(sys.executable).parent


@pytest.fixture(scope="session")
def temporal_binary() -> str:
    return str(BIN / "temporal")


@pytest.fixture(scope="session")
def time_skipping_binary() -> str:
    return str(BIN / "temporal-test-server")


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """`url`, `freeze()`, `thaw()`, `kill()` and `start()`; shared by all tests of a process."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()
