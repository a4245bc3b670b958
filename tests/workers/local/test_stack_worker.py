"""The worker in the stack, its death, its end; `wait` in the foreground."""

import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from engross.errors import ServiceUnavailable
from engross.settings import Settings
from tests.workers.local.conftest import eventually, is_gone, kill
from workers.local import services, stack, state

FAKE_WORKER = (sys.executable, str(Path(__file__).with_name("fake_server.py")))


@pytest.fixture(autouse=True)
def _fake_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "WORKER_COMMAND", FAKE_WORKER)


def in_background(action: Callable[[], object]) -> threading.Thread:
    """Run `action` once `wait` has taken the signals over."""

    def act() -> None:
        if eventually(lambda: signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, None)):
            action()

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_up_adds_the_worker_and_down_stops_it_first(only_valkey: Settings) -> None:
    stack.up(only_valkey, worker=False)
    status = stack.up(only_valkey, worker=True)
    assert status.started == ("worker",)
    worker = psutil.Process(status.running[-1].pid)
    (child,) = worker.children()
    environment = worker.environ()
    assert environment["OPENAI_API_KEY"] == "provider-key"
    assert environment["ENGROSS_HOME"] == str(only_valkey.home)
    said: list[str] = []

    stack.down(only_valkey, said.append)

    assert said == ["stopping worker", "stopping valkey"]
    assert (only_valkey.home / "logs" / "worker.log").read_text() == "drained\n"
    assert is_gone(child.pid)


def test_up_restarts_only_the_worker_that_died(only_valkey: Settings) -> None:
    first = {record.name: record for record in stack.up(only_valkey, worker=True).running}
    worker = psutil.Process(first["worker"].pid)
    (child,) = worker.children()
    kill(worker.pid)
    kill(child.pid)

    second = stack.up(only_valkey, worker=True)

    assert second.started == ("worker",)
    assert first["valkey"] in second.running
    assert first["worker"] not in second.running


def test_up_without_a_worker_forgets_the_one_that_died(only_valkey: Settings) -> None:
    worker = stack.up(only_valkey, worker=True).running[-1]
    (child,) = psutil.Process(worker.pid).children()
    kill(worker.pid)
    kill(child.pid)

    status = stack.up(only_valkey, worker=False)

    assert status.started == ()
    saved = state.load(only_valkey.home)
    assert saved is not None
    assert saved.processes == status.running
    assert [record.name for record in saved.processes] == ["valkey"]


def test_a_worker_that_ignores_sigterm_is_killed_with_its_children(
    only_worker: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "WORKER_COMMAND", (*FAKE_WORKER, "--stubborn"))
    monkeypatch.setattr(services, "AFTER_DRAIN_SECONDS", 0.1)
    only_worker = only_worker.model_copy(update={"drain_seconds": 0.1})
    (record,) = stack.up(only_worker, worker=True).running
    (child,) = psutil.Process(record.pid).children()

    assert stack.down(only_worker) == ("worker",)

    assert is_gone(record.pid)
    assert is_gone(child.pid)


def test_a_process_that_dies_at_once_gives_its_exit_code_and_last_words(
    only_worker: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "print('reading', flush=True); raise SystemExit('ENGROSS_MODEL names no model')"
    monkeypatch.setattr(services, "WORKER_COMMAND", (sys.executable, "-c", program))

    with pytest.raises(ServiceUnavailable) as caught:
        stack.up(only_worker, worker=True)

    message = str(caught.value)
    assert message.startswith("worker ended with exit code 1; ")
    assert message.endswith("worker.log says: reading | ENGROSS_MODEL names no model")
    assert stack.status(only_worker) is None


def test_a_process_that_never_gets_ready_is_named_and_stays_in_reach_of_down(
    only_worker: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import signal; print('thinking', flush=True); signal.pause()"
    monkeypatch.setattr(services, "WORKER_COMMAND", (sys.executable, "-c", program))
    slow = dataclasses.replace(services.worker(only_worker), ready_seconds=0.5)
    monkeypatch.setattr(services, "worker", lambda _: slow)

    with pytest.raises(ServiceUnavailable, match=r"^worker \(pid \d+\) did not get ready in 0.5 s; .*: thinking$"):
        stack.up(only_worker, worker=True)

    assert stack.down(only_worker) == ("worker",)


def test_a_program_that_is_not_there_is_named(only_worker: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "WORKER_COMMAND", ("/nowhere/engross-worker",))

    with pytest.raises(ServiceUnavailable, match="cannot start /nowhere/engross-worker: No such file"):
        stack.up(only_worker, worker=True)


def test_wait_says_which_process_died(only_worker: Settings) -> None:
    (record,) = stack.up(only_worker, worker=True).running
    (child,) = psutil.Process(record.pid).children()
    killer = in_background(lambda: os.kill(record.pid, signal.SIGKILL))

    with pytest.raises(ServiceUnavailable, match=r"^worker was killed by SIGKILL; .*worker\.log is empty$"):
        stack.wait(only_worker)

    killer.join()
    kill(child.pid)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_wait_ends_on_a_signal_and_leaves_the_stack(only_worker: Settings, number: signal.Signals) -> None:
    status = stack.up(only_worker, worker=True)
    sender = in_background(lambda: os.kill(os.getpid(), number))

    stack.wait(only_worker)

    sender.join()
    left = stack.status(only_worker)
    assert left is not None
    assert left.running == status.running


def test_wait_ends_quietly_when_another_command_takes_the_stack_down(
    only_valkey: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.up(only_valkey, worker=True)
    monkeypatch.setattr(stack, "_WATCH_SECONDS", 0.01)  # to look often while the other one stops one by one
    stopper = in_background(lambda: stack.down(only_valkey))

    stack.wait(only_valkey)

    stopper.join()
    assert stack.status(only_valkey) is None
