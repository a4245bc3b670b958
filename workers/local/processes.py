"""Detached processes: start one, recognise it later, stop it with its children."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from engross.errors import ServiceUnavailable

_POLL_SECONDS: Final = 0.05
_KILL_SECONDS: Final = 5.0
_SAME_BIRTH_SECONDS: Final = 0.01
_LOG_LINES: Final = 3
_LOG_BYTES: Final = 4096

# Held for their exit codes, and because a Popen that is collected before its process ends complains.
_started: dict[int, subprocess.Popen[bytes]] = {}


def spawn(command: Sequence[str], *, log: Path, cwd: Path | None, env: Mapping[str, str]) -> int:
    """Start `command` in a session of its own, so that it outlives this process and its terminal; gives the pid.

    Output goes to `log`; what an earlier process left there is kept beside it as `<log>.1`.
    """
    with suppress(FileNotFoundError):
        log.replace(log.with_name(f"{log.name}.1"))
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(  # noqa: S603  # our own commands, without a shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=env,
                start_new_session=True,
            )
        except OSError as error:
            raise ServiceUnavailable(f"cannot start {command[0]}: {error.strerror}") from error
    _started[process.pid] = process
    return process.pid


def birth(pid: int) -> float:
    """When the process began, in seconds: since boot on Linux, since the epoch elsewhere. Raises `psutil.Error`.

    On Linux psutil adds the boot time, which moves when the clock is set (a laptop that slept, a resumed VM); without
    it the value stays the same for as long as the process lives.
    """
    began = psutil.Process(pid).create_time()
    return began - psutil.boot_time() if psutil.LINUX else began


def find(pid: int, born: float) -> psutil.Process | None:
    """The live process with this pid and `birth`; None when it ended, also when the pid has gone to another one."""
    exit_code(pid)  # collects it if it was ours and ended: a zombie would keep the pid
    try:
        process = psutil.Process(pid)
        same = abs(birth(pid) - born) < _SAME_BIRTH_SECONDS
    except psutil.Error:
        return None
    return process if same and _is_alive(process) else None


def exit_code(pid: int) -> int | None:
    """How a process ended that this very process started, negative for a signal; None when alive or unknown."""
    process = _started.get(pid)
    return process.poll() if process else None


def stop(process: psutil.Process, grace_seconds: float) -> bool:
    """SIGTERM, then SIGKILL for it and its descendants once the grace is over. Whether all of them ended."""
    family = {process, *_descendants(process)}
    with suppress(psutil.NoSuchProcess):
        process.terminate()
    deadline = time.monotonic() + grace_seconds
    while _is_alive(process) and time.monotonic() < deadline:
        family.update(_descendants(process))  # asked while it lives: afterwards they are nobody's children
        time.sleep(_POLL_SECONDS)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    deadline = time.monotonic() + _KILL_SECONDS
    while (left := any(map(_is_alive, family))) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    exit_code(process.pid)
    return not left


def how_it_ended(pid: int, log: Path) -> str:
    """Exit code, when known, and the last lines of the log, as one line for an error message."""
    code = exit_code(pid)
    if code is None:
        ending = "ended"
    elif code < 0:
        ending = f"was killed by {signal.Signals(-code).name}"
    else:
        ending = f"ended with exit code {code}"
    return f"{ending}; {last_lines(log)}"


def last_lines(log: Path) -> str:
    """The last lines of `log` that say something, joined into one, and where to read the rest."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()][-_LOG_LINES:]
    return f"{log} says: {' | '.join(lines)}" if lines else f"{log} is empty"


def without_secrets(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`env` without provider keys, other credentials and our own settings: for servers that need none of them."""
    words = ("KEY", "SECRET", "TOKEN", "PASSWORD", "CREDENTIAL")
    prefixes = ("ENGROSS_", "OPENAI_", "ANTHROPIC_")  # addresses can hold a password
    return {
        name: value
        for name, value in env.items()
        if not name.startswith(prefixes) and not any(word in name.upper() for word in words)
    }


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
