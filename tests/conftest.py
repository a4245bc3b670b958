"""What all tests share: the real servers' binaries, found beside the interpreter."""

import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


@pytest.fixture(scope="session")
def temporal_binary() -> str:
    return str(BIN / "temporal")


@pytest.fixture(scope="session")
def time_skipping_binary() -> str:
    return str(BIN / "temporal-test-server")
