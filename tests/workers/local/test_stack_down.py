"""`down`: it stops what `up` started, all of it, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
import redis

from engross.endpoints import Endpoints, stack_file
from engross.errors import ConfigurationError
from engross.settings import Settings
from tests.ports import free_ports
from tests.workers.local.conftest import eventually, is_gone
from workers.local import ports, processes, services, stack, state
from workers.local.state import ProcessRecord, StackState

SLEEPER = (sys.executable, "-c", "import signal; signal.pause()")


def answers(port: int) -> bool:
    with redis.Redis(port=port) as store:
        try:
            return bool(store.ping())
        except redis.ConnectionError:
            return False


def test_an_unrelated_valkey_lives_on(settings: Settings, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    binary = services.valkey(settings).command[0]
    unrelated = subprocess.Popen([binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)])
    try:
        assert eventually(lambda: answers(port))
        running = stack.up(settings, worker=False).running
        said: list[str] = []

        assert stack.down(settings, said.append) == ("temporal", "valkey")

        assert said == ["stopping valkey", "stopping temporal"]
        assert all(is_gone(record.pid) for record in running)
        assert all(map(ports.is_free, (settings.temporal_port, settings.ui_port, settings.redis_port)))
        assert not stack_file(settings.home).exists()
        assert answers(port)
    finally:
        unrelated.kill()
        unrelated.wait()


def test_nothing_runs(settings: Settings) -> None:
    assert stack.down(settings) == ()
    assert not settings.home.exists()
    assert stack.status(settings) is None


def test_a_pid_that_went_to_another_process_is_left_alone(only_valkey: Settings) -> None:
    stranger = subprocess.Popen(SLEEPER)
    try:
        born = processes.birth(stranger.pid) - 100
        stale = ProcessRecord(name="valkey", pid=stranger.pid, create_time=born, port=only_valkey.redis_port)
        only_valkey.home.mkdir()
        state.save(only_valkey.home, StackState(endpoints=Endpoints(temporal="t", redis="r"), processes=(stale,)))

        assert stack.status(only_valkey) is None
        status = stack.up(only_valkey, worker=False)
        assert status.started == ("valkey",)
        assert stack.down(only_valkey) == ("valkey",)
        assert stranger.poll() is None

        state.save(only_valkey.home, StackState(endpoints=status.endpoints, processes=(stale,)))
        assert stack.down(only_valkey) == ()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_damaged_state_file_is_named(only_valkey: Settings) -> None:
    only_valkey.home.mkdir()
    path = stack_file(only_valkey.home)
    path.write_text('{"endpoints": {')

    with pytest.raises(ConfigurationError, match=r"stack\.json is damaged"):
        stack.down(only_valkey)
    path.unlink()
