"""The embedded stack: `up` starts what is missing, `down` stops what `up` started, `wait` watches it.

State is in `settings.home`: `stack.json` (which processes, where), `logs/<name>.log`, `temporal.db`, `valkey/`.
"""

import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Final

import psutil
from pydantic import BaseModel, ConfigDict

from engross.endpoints import Endpoints
from engross.errors import ConfigurationError, ServiceUnavailable
from engross.settings import Settings
from workers.local import ports, processes, services, state
from workers.local.services import Service
from workers.local.state import ProcessRecord, Report, StackState

_POLL_SECONDS: Final = 0.03
_WATCH_SECONDS: Final = 0.5


class StackStatus(BaseModel):
    """Where the services are, what runs here, and the names of the processes that this very call started."""

    model_config = ConfigDict(frozen=True)

    endpoints: Endpoints
    started: tuple[str, ...] = ()
    running: tuple[ProcessRecord, ...] = ()


def _silent(line: str) -> None:
    """Report nothing."""


def up(settings: Settings, *, worker: bool, local_model: bool = False, report: Report = _silent) -> StackStatus:
    """Start what is missing and return when all of it is ready; `report` gets progress, a line at a time.

    A stack that was started with `local_model` keeps it until `down`.
    Raises `PortTaken` and `ConfigurationError` before anything starts, and `ServiceUnavailable` when a process dies or
    is not ready in time. What did start then keeps running: another `up` goes on from there, `down` stops it.
    """
    _make_folders(settings.home)
    with state.locked(settings.home, report):
        running = _running(settings.home)
        settings = _with_local_model(settings, running, asked=local_model)
        wanted = services.servers(settings)
        crew = (services.worker(settings),) if worker else ()
        missing = [service for service in (*wanted, *crew) if service.name not in running]
        ports.require_free(port for service in missing for port in service.ports)
        endpoints = _endpoints(settings, running, missing)
        _save(settings.home, endpoints, running)
        for group in (wanted, crew):  # the servers side by side, then the worker, which needs them
            for service in group:
                if service in missing:
                    report(f"starting {service.name} on port {service.port}")
                    _start(service, settings.home, endpoints, running)
            _wait_until_ready(group, running, settings.home, report)
    return StackStatus(
        endpoints=endpoints, started=tuple(service.name for service in missing), running=tuple(running.values())
    )


def down(settings: Settings, report: Report = _silent) -> tuple[str, ...]:
    """Stop the processes that `up` recorded, the worker first; gives the names of those that ran.

    A worker gets ENGROSS_DRAIN_SECONDS, and a little more, to finish what it has begun. Raises `ServiceUnavailable`
    when a process cannot be ended.
    """
    if not settings.home.is_dir():
        return ()
    with state.locked(settings.home, report):
        running = _running(settings.home)
        for name in sorted(running, key=services.START_ORDER.index, reverse=True):
            report(f"stopping {name}")
            _stop(running[name], services.stop_seconds(name, settings))
        state.forget(settings.home)
    return tuple(running)


def status(settings: Settings) -> StackStatus | None:
    """What runs in `settings.home`; None when nothing does."""
    saved = state.load(settings.home)
    running = _running(settings.home)
    if saved is None or not running:
        return None
    return StackStatus(endpoints=saved.endpoints, running=tuple(running.values()))


def wait(settings: Settings, report: Report = _silent) -> None:
    """Block until SIGINT, SIGTERM or another command's `down`; call it from the main thread.

    Raises `ServiceUnavailable` with the end of its log when a process of the stack dies.
    """
    asked = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        asked.set()

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not asked.wait(_WATCH_SECONDS):
            saved = state.load(settings.home)
            if saved is None:
                return
            if any(processes.find(record.pid, record.create_time) is None for record in saved.processes):
                _raise_if_dead(settings.home, report)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _raise_if_dead(home: Path, report: Report) -> None:
    # Under the lock: a `down` or `up` that is at work ends or replaces processes on purpose.
    with state.locked(home, report):
        saved = state.load(home)
        for record in saved.processes if saved else ():
            if processes.find(record.pid, record.create_time) is None:
                raise ServiceUnavailable(f"{record.name} {processes.how_it_ended(record.pid, _log(home, record.name))}")


def _make_folders(home: Path) -> None:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)  # documents and answers: nobody else's business
    for name in (state.LOG_FOLDER, services.VALKEY):
        (home / name).mkdir(exist_ok=True)


def _with_local_model(settings: Settings, running: dict[str, ProcessRecord], *, asked: bool) -> Settings:
    """The settings with the local model of this stack, or without one, whatever an older stack had."""
    saved = state.load(settings.home)
    before = saved.endpoints.local_model if saved and running else None
    if asked and settings.local_base_url:
        raise ConfigurationError("ENGROSS_LOCAL_BASE_URL names a server of yours: unset it, or omit --local-model")
    if asked and before is None and services.WORKER in running:
        raise ConfigurationError("a worker runs that was started without the local model: run `engross down` first")
    return settings.with_local_model(before or (services.local_model_url(settings) if asked else None))


def _running(home: Path) -> dict[str, ProcessRecord]:
    """Live processes of the stack by name; records of dead ones are left out."""
    saved = state.load(home)
    records = saved.processes if saved else ()
    return {record.name: record for record in records if processes.find(record.pid, record.create_time)}


def _endpoints(settings: Settings, running: dict[str, ProcessRecord], missing: Iterable[Service]) -> Endpoints:
    # A process that runs already stays where it is, whatever port the settings name by now.
    here: dict[str, str] = {}
    for record in running.values():
        here |= record.addresses
    for service in missing:
        here |= service.addresses
    if settings.temporal_address:
        here |= {"temporal": settings.temporal_address}
        here.pop("web_ui", None)
    if settings.redis_url:
        here |= {"redis": settings.redis_url}
    return Endpoints.model_validate(here)


def _save(home: Path, endpoints: Endpoints, running: dict[str, ProcessRecord]) -> None:
    if running:
        state.save(home, StackState(endpoints=endpoints, processes=tuple(running.values())))
    else:
        state.forget(home)


def _start(service: Service, home: Path, endpoints: Endpoints, running: dict[str, ProcessRecord]) -> None:
    """Start `service` and put it into `running` and the state file, or leave no process behind."""
    log = _log(home, service.name)
    pid = processes.spawn(service.command, log=log, cwd=service.cwd, env=service.env)
    try:
        running[service.name] = ProcessRecord(
            name=service.name,
            pid=pid,
            create_time=processes.birth(pid),
            port=service.port,
            addresses=service.addresses,
        )
        _save(home, endpoints, running)
    except psutil.NoSuchProcess:
        raise ServiceUnavailable(f"{service.name} {processes.how_it_ended(pid, log)}") from None
    except BaseException:  # Ctrl-C too: without its record `down` would not find it
        os.kill(pid, signal.SIGKILL)
        raise


def _wait_until_ready(group: Iterable[Service], running: dict[str, ProcessRecord], home: Path, report: Report) -> None:
    began = time.monotonic()
    pending = list(group)
    while pending:
        for service in tuple(pending):
            record = running[service.name]
            log = _log(home, service.name)
            if processes.find(record.pid, record.create_time) is None:
                raise ServiceUnavailable(f"{service.name} {processes.how_it_ended(record.pid, log)}")
            if service.is_ready(record.port):
                pending.remove(service)
                report(f"{service.name} is ready")
            elif time.monotonic() - began > service.ready_seconds:
                late = f"did not get ready in {service.ready_seconds:g} s"
                raise ServiceUnavailable(f"{service.name} (pid {record.pid}) {late}; {processes.last_lines(log)}")
        time.sleep(_POLL_SECONDS if pending else 0)


def _stop(record: ProcessRecord, seconds: float) -> None:
    process = processes.find(record.pid, record.create_time)
    if process is not None and not processes.stop(process, seconds):
        raise ServiceUnavailable(f"{record.name} (pid {record.pid}) does not end, not even when killed")


def _log(home: Path, name: str) -> Path:
    return home / state.LOG_FOLDER / f"{name}.log"
