"""Ports for servers that tests start: free, and of no use to anybody else meanwhile."""

import os
import random
import socket
from typing import Final

# Below the range from which systems take the ports of outgoing connections, of which tests make thousands: between
# choosing a port there and listening on it somebody else may have it.
_FIRST: Final = 12_000
_EACH_WORKER: Final = 2_000


def free_ports(count: int) -> list[int]:
    """So many different ports that nobody listens on; pytest's worker processes choose from ranges of their own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST + worker % 8 * _EACH_WORKER
    found: list[int] = []
    for port in random.sample(range(first, first + _EACH_WORKER), _EACH_WORKER):
        if len(found) == count:
            break
        if _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
