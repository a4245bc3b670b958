"""Whether a port is free, and, when it is not, who has it and which setting moves ours."""

import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import psutil

from engross.errors import PortTaken
from engross.settings import variable

HOST: Final = "127.0.0.1"
_CONNECT_SECONDS: Final = 1.0
_CLOSING_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 0.02
_LAST_PORT: Final = 65535


@dataclass(frozen=True)
class Port:
    """A port that a service listens on. `setting` is the field of `Settings` that chose it."""

    number: int
    service: str
    setting: str


def require_free(ports: Iterable[Port]) -> None:
    """Raise `PortTaken` for the first port that something listens on, or that two of `ports` share."""
    wanted: dict[int, Port] = {}
    for port in ports:
        if (other := wanted.get(port.number)) is not None:
            raise PortTaken(f"{_the(port)} is also the port of {other.service}: {_advice(port)}")
        if not _becomes_free(port.number):
            raise PortTaken(f"{_the(port)} is taken by {_owner(port.number)}: stop it, or {_advice(port)}")
        wanted[port.number] = port


def is_free(number: int) -> bool:
    """Whether a server can listen on `number` of 127.0.0.1."""
    # Asked both ways: macOS lets one bind 127.0.0.1 beside a server on 0.0.0.0, and a full server refuses connections.
    with socket.socket() as client:
        client.settimeout(_CONNECT_SECONDS)
        if client.connect_ex((HOST, number)) == 0:
            return False
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            server.bind((HOST, number))
        except OSError:
            return False
    return True


def _becomes_free(number: int) -> bool:
    # The kernel closes the port of a killed process a moment after the process itself is seen to be gone.
    deadline = time.monotonic() + _CLOSING_SECONDS
    while not is_free(number):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _the(port: Port) -> str:
    return f"port {port.number} of {port.service}"


def _advice(port: Port) -> str:
    free = next((number for number in range(port.number + 1, _LAST_PORT + 1) if is_free(number)), None)
    return f"set {variable(port.setting)}={free or 'another port'}"


def _owner(number: int) -> str:
    try:
        pids = [c.pid for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == number and c.pid]
        process = psutil.Process(pids[0])
        return f"{process.name()} (pid {process.pid}, running in {process.cwd()})"
    except (IndexError, psutil.Error):  # another user's, or a system that keeps it to itself
        return "another process"
