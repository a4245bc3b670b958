"""`up`: what starts, what is found, what an interruption leaves."""

import asyncio
import json
import signal
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest
import redis
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from engross import endpoints
from engross.endpoints import stack_file
from engross.names import JOB_ATTRIBUTE, SEARCH_ATTRIBUTES
from engross.settings import Settings
from tests.workers.local.conftest import MakeSettings, is_gone, kill
from workers.local import services, stack

FAKE_SERVER = (sys.executable, str(Path(__file__).with_name("fake_server.py")))

UP = """
import json, os, signal, sys
from engross.settings import load_settings
from workers.local import stack

def report(line):
    if line.startswith(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

print(stack.up(load_settings(None), worker=False, report=report).model_dump_json())
"""


def up_in_another_process(dies_at: str = "never") -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", UP, dies_at], stdout=subprocess.PIPE)


async def start_run(address: str, attribute: str) -> str | None:
    """Start a run with a search attribute; gives the value that the server has stored."""
    client = await Client.connect(address)
    pair = SearchAttributePair(SearchAttributeKey.for_keyword(attribute), "invoice")
    run = await client.start_workflow(
        "chain", id="one", task_queue="q", search_attributes=TypedSearchAttributes([pair])
    )
    return (await run.describe()).typed_search_attributes.get(pair.key)


def page_status(address: str) -> int:
    with urllib.request.urlopen(address, timeout=5) as page:  # noqa: S310  # our own address
        return int(page.status)


async def test_both_servers_answer_and_are_set_up(settings: Settings) -> None:
    status = await asyncio.to_thread(stack.up, settings, worker=False)

    assert status.started == ("temporal", "valkey")
    assert endpoints.resolve(settings) == status.endpoints
    assert status.endpoints.web_ui is not None
    assert await asyncio.to_thread(page_status, status.endpoints.web_ui) == 200
    assert await start_run(status.endpoints.temporal, JOB_ATTRIBUTE) == "invoice"
    with redis.Redis.from_url(status.endpoints.redis) as store:
        wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""}
        assert {name: store.config_get(name)[name] for name in wanted} == wanted


def test_only_this_machine_and_user_can_reach_it(settings: Settings) -> None:
    status = stack.up(settings, worker=False)

    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700
    for record in status.running:
        listening = [c.laddr.ip for c in psutil.Process(record.pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert set(listening) == {"127.0.0.1"}


def test_servers_are_not_given_keys(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "STAND_IN_COMMAND", FAKE_SERVER)
    settings = make_settings(OPENAI_API_KEY="")
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "not-for-servers")

    status = stack.up(settings, worker=False)

    assert status.started == ("temporal", "valkey", "stand-in")
    assert status.endpoints.stand_in == f"http://127.0.0.1:{settings.standin_port}"
    environments = [psutil.Process(record.pid).environ() for record in status.running]
    assert not any("not-for-servers" in environment.values() for environment in environments)
    assert sum("PATH" in environment for environment in environments) >= 2  # Valkey writes its title over its own


def test_second_up_finds_the_first(settings: Settings) -> None:
    first = stack.up(settings, worker=False)

    second = stack.up(settings, worker=False)

    assert second.started == ()
    assert (second.endpoints, second.running) == (first.endpoints, first.running)
    assert stack.status(settings) == second


def test_a_running_server_stays_where_it_is_when_its_port_setting_changes(
    only_valkey: Settings, make_settings: MakeSettings
) -> None:
    first = stack.up(only_valkey, worker=False)

    second = stack.up(make_settings(TEMPORAL_ADDRESS="temporal.test:7233"), worker=False)

    assert second.started == ()
    assert second.endpoints.redis == first.endpoints.redis


def test_nothing_starts_for_services_that_are_elsewhere(only_worker: Settings) -> None:
    status = stack.up(only_worker, worker=False)

    assert (status.started, status.running) == ((), ())
    assert status.endpoints.temporal == "temporal.test:7233"
    assert status.endpoints.redis == "redis://redis.test/0"
    assert status.endpoints.web_ui is None
    assert stack.status(only_worker) is None


def test_ups_at_once_give_one_stack(settings: Settings) -> None:
    ups = [up_in_another_process() for _ in range(3)]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in ups]

    assert sorted(name for answer in answers for name in answer["started"]) == ["temporal", "valkey"]
    assert {json.dumps(answer["running"]) for answer in answers} == {json.dumps(answers[0]["running"])}
    assert stack.down(settings) == ("temporal", "valkey")


def test_a_crash_between_two_starts_leaves_nothing_that_down_misses(settings: Settings) -> None:
    crashed = up_in_another_process(dies_at="starting valkey")
    crashed.communicate(timeout=60)
    assert crashed.returncode == -signal.SIGKILL
    left = stack.status(settings)
    assert left is not None
    (temporal,) = left.running

    assert stack.down(settings) == ("temporal",)

    assert is_gone(temporal.pid)
    assert not stack_file(settings.home).exists()


def test_up_replaces_a_killed_valkey_and_acknowledged_writes_are_there(settings: Settings) -> None:
    before = {record.name: record for record in stack.up(settings, worker=False).running}
    with redis.Redis(port=settings.redis_port) as store:
        acknowledged = [store.incr("paid") for _ in range(500)]
    kill(before["valkey"].pid)

    after = stack.up(settings, worker=False)

    assert after.started == ("valkey",)
    assert before["temporal"] in after.running
    with redis.Redis(port=settings.redis_port) as store:
        assert store.incr("paid") == len(acknowledged) + 1


async def test_a_database_from_before_an_attribute_gets_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    await asyncio.to_thread(stack.up, settings, worker=False)
    await asyncio.to_thread(stack.down, settings)
    monkeypatch.setattr(services, "SEARCH_ATTRIBUTES", (*SEARCH_ATTRIBUTES, "EngrossLater"))

    status = await asyncio.to_thread(stack.up, settings, worker=False)

    assert await start_run(status.endpoints.temporal, "EngrossLater") == "invoice"
