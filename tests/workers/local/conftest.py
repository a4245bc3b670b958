"""Stacks in folders and on ports of their own."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from engross.settings import Settings, load_settings, variable
from tests.ports import free_ports
from workers.local import stack

MakeSettings = Callable[..., Settings]

PORT_SETTINGS = ("temporal_port", "ui_port", "redis_port", "standin_port", "health_port")
DEADLINE_SECONDS = 20.0


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether `condition` comes true before the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def is_gone(pid: int) -> bool:
    """Whether the process ended; one that nobody has collected yet counts."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill(pid: int) -> None:
    """`kill -9`, and wait for the end."""
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: is_gone(pid))


@pytest.fixture
def make_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MakeSettings]:
    """Settings from a clean environment plus what the test gives; whatever runs under them is stopped at the end."""
    made: list[Settings] = []

    def make(**env: str) -> Settings:
        for field in Settings.model_fields:
            monkeypatch.delenv(variable(field), raising=False)
        numbers = free_ports(len(PORT_SETTINGS))
        own = {variable(field): str(number) for field, number in zip(PORT_SETTINGS, numbers, strict=True)}
        own |= {"ENGROSS_HOME": str(tmp_path / "home"), "OPENAI_API_KEY": "provider-key"}
        for name, value in (own | env).items():
            monkeypatch.setenv(name, value)
        made.append(load_settings(env_file=None))
        return made[-1]

    yield make
    for settings in made:
        stack.down(settings)


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """Temporal and Valkey, and no stand-in because a key is set."""
    return make_settings()


@pytest.fixture
def only_valkey(make_settings: MakeSettings) -> Settings:
    """Temporal is somewhere else, so only Valkey starts: quick to stop."""
    return make_settings(TEMPORAL_ADDRESS="temporal.test:7233")


@pytest.fixture
def only_worker(make_settings: MakeSettings) -> Settings:
    """All services are somewhere else, so `up` starts at most the worker."""
    return make_settings(TEMPORAL_ADDRESS="temporal.test:7233", ENGROSS_REDIS_URL="redis://redis.test/0")
