"""A stack of the benchmark's own: servers and one worker, in a temporary folder, on free ports, with the stand-in."""

import json
import os
import random
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.raw import JOBS
from engross.settings import PREFIX, Settings, load_settings, variable
from workers.local import stack
from workers.local.ports import HOST, is_free
from workers.local.stack import StackStatus
from workers.local.state import Report

_PORT_SETTINGS: Final = ("temporal_port", "ui_port", "redis_port", "standin_port", "health_port")
# Below those from which systems take the ports of outgoing connections.
_PORTS: Final = range(28_000, 32_000)
_OF_OTHERS: Final = (PREFIX, "TEMPORAL_", "OPENAI_", "ANTHROPIC_")
_CONTROL_SECONDS: Final = 10.0


@contextmanager
def own_stack(report: Report) -> Iterator[tuple[Settings, StackStatus]]:
    """A stack that runs, and is stopped at the end.

    This process's environment and folder change for good: no key, no server and no `.env` of somebody's is used.
    """
    with tempfile.TemporaryDirectory(prefix="engross-bench-") as folder:
        before = Path.cwd()
        os.chdir(folder)
        _isolate(Path(folder))
        settings = load_settings(env_file=None)
        try:
            yield settings, stack.up(settings, worker=True, report=report)
        finally:
            stack.down(settings, report)
            os.chdir(before)  # a folder that one is in can't be removed everywhere


def _isolate(folder: Path) -> None:
    settings = {variable(field) for field in Settings.model_fields}
    for name in [name for name in os.environ if name.startswith(_OF_OTHERS) or name in settings]:
        del os.environ[name]
    candidates = random.sample(_PORTS, len(_PORTS))  # others may look for ports in the same order
    free = (port for port in candidates if is_free(port))
    os.environ |= {variable(name): str(next(free)) for name in _PORT_SETTINGS}
    os.environ |= {variable("home"): str(folder / "home"), variable("jobs_path"): str(JOBS)}


class StandIn:
    """The stand-in provider's controls."""

    def __init__(self, port: int) -> None:
        self._address = f"http://{HOST}:{port}"

    @property
    def url(self) -> str:
        """The base URL for an OpenAI client."""
        return f"{self._address}/v1"

    def prepare(self, latency_seconds: float) -> None:
        """From now on every call takes that long at least, and none has been seen."""
        self._control("reset", {})
        self._control("latency", {"seconds": latency_seconds})

    def calls(self) -> list[dict[str, Any]]:
        """The calls since then."""
        calls: list[dict[str, Any]] = self._control("calls")["calls"]
        return calls

    def _control(self, what: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._address}/control/{what}", data=data)  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=_CONTROL_SECONDS) as response:  # noqa: S310 - ours
            answer: dict[str, Any] = json.load(response)
            return answer
