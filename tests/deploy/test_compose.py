"""docker-compose.yml without an engine: the schema, and our own rules; test_compose_parts.py runs what it runs."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from engross.settings import Settings
from tests.deploy.manifests import DEPLOY, KEYS, QUEUES, ROOT, is_pinned, load, parses, queues_in, unknown

FILE: Final = ROOT / "docker-compose.yml"
EXAMPLE: Final = DEPLOY / "compose.env.example"
COMPOSE: Final = load(FILE)
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = {name: service for name, service in SERVICES.items() if "ENGROSS_IMAGE" in service["image"]}
WORKERS: Final = {name: service for name, service in OURS.items() if name.startswith("worker-")}
DRAIN: Final = Settings.model_fields["drain_seconds"].default
PASSWORD: Final = "abc123"

needs_compose = pytest.mark.skipif(
    shutil.which("docker-compose") is None, reason="docker-compose is missing: `apt-get install docker-compose`"
)


def filled_in(folder: Path) -> Path:
    """The example with something in the place of every value that is missing."""
    file = folder / "compose.env"
    file.write_text(re.sub(r"(?m)=$", f"={PASSWORD}", EXAMPLE.read_text(encoding="utf-8")), encoding="utf-8")
    return file


def config(*options: str) -> "subprocess.CompletedProcess[str]":
    command = ["docker-compose", *options, "--file", str(FILE), "--project-directory", str(ROOT), "config"]
    path = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=path)


@needs_compose
def test_compose_takes_it(tmp_path: Path) -> None:
    done = config("--env-file", str(filled_in(tmp_path)))
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == set(SERVICES)


@needs_compose
@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "VALKEY_PASSWORD", "ENGROSS_SECRET", "ENGROSS_MODEL"])
def test_nothing_starts_without_a_password_of_ones_own(name: str, tmp_path: Path) -> None:
    file = filled_in(tmp_path)
    file.write_text(re.sub(rf"(?m)^{name}=.*$", "", file.read_text(encoding="utf-8")), encoding="utf-8")
    done = config("--env-file", str(file))
    assert done.returncode == 1
    assert "set it in .env" in done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service.get("read_only") is True or service["x-writable"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["pids_limit"]
    assert service["logging"]["options"]["max-size"]
    assert "privileged" not in service
    assert service.get("user", "1") not in ("0", "root")
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert set(service["networks"]) <= set(COMPOSE["networks"])


@pytest.mark.parametrize("name", SERVICES)
def test_it_is_known_whether_a_service_works(name: str) -> None:
    service = SERVICES[name]
    check = service.get("healthcheck", {})
    if "x-no-health-check" in service:
        assert "test" not in check
    else:
        assert check["test"][0] in ("CMD", "CMD-SHELL")
        assert {"interval", "timeout", "retries"} <= set(check)


def test_what_must_be_healthy_first_can_be() -> None:
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            ends = "x-no-health-check" in SERVICES[needed]
            assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy")
            # A profile that is off would take what it needs along.
            assert "profiles" not in SERVICES[needed]


def test_images_are_pinned() -> None:
    others = {name: service["image"] for name, service in SERVICES.items() if name not in OURS}
    assert [image for image in others.values() if not is_pinned(image)] == []


def test_settings_and_commands_exist() -> None:
    for name, service in OURS.items():
        assert unknown(service.get("environment", {})) == set(), name
        if "entrypoint" not in service:
            assert parses(service["command"])
    assert unknown(OURS["console"]["environment"] | {"ENGROSS_NO_SUCH": ""}) == {"ENGROSS_NO_SUCH"}


def test_every_queue_has_its_service_and_only_that_one_has_the_key() -> None:
    served = [queue for service in WORKERS.values() for queue in queues_in(service["command"])]
    assert sorted(served) == sorted(QUEUES)
    for queue, key in KEYS.items():
        assert [name for name, service in SERVICES.items() if key in service.get("environment", {})] == [
            f"worker-{queue}"
        ]


def test_what_reads_documents_has_no_way_out() -> None:
    assert COMPOSE["networks"]["services"] == {"internal": True}
    assert SERVICES["worker-documents"]["networks"] == ["services"]
    assert SERVICES["worker-workflows"]["networks"] == ["services"]


def test_a_worker_gets_the_time_to_drain() -> None:
    for service in WORKERS.values():
        assert int(service["stop_grace_period"].removesuffix("s")) > DRAIN


def test_ports_are_those_of_the_settings() -> None:
    ports = {name: Settings.model_fields[name].default for name in ("health_port", "console_port", "codec_port")}
    for name, port in (("console", ports["console_port"]), ("codec-server", ports["codec_port"])):
        assert SERVICES[name]["ports"] == [f"127.0.0.1:{port}:{port}"]
        assert SERVICES[name]["healthcheck"]["test"][2] == str(port)
    assert all(worker["healthcheck"]["test"][2] == str(ports["health_port"]) for worker in WORKERS.values())


def test_the_example_names_what_is_read_and_nothing_else() -> None:
    text = FILE.read_text(encoding="utf-8")
    named = set(re.findall(r"(?m)^#?([A-Z_]+)=", EXAMPLE.read_text(encoding="utf-8")))
    assert {*re.findall(r"\$\{(\w+):\?", text)} <= named
    assert named - set(re.findall(r"\$\{(\w+)", text)) == {"COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME"}


def test_files_that_are_mounted_exist() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert [mount for mount in mounts if mount[0] == "." and not (ROOT / mount.split(":")[0]).exists()] == []
    volumes = {mount.split(":")[0] for mount in mounts if mount[0] != "."}
    assert volumes == set(COMPOSE["volumes"])


def test_prometheus_differs_in_how_it_finds_the_workers_only() -> None:
    ours, theirs = load(DEPLOY / "docker/prometheus.yml"), load(DEPLOY / "prometheus/prometheus.yml")
    [found] = ours["scrape_configs"][0].pop("dns_sd_configs")
    theirs["scrape_configs"][0].pop("file_sd_configs")
    assert ours == theirs
    assert set(found["names"]) == set(WORKERS)
    assert found["port"] == Settings.model_fields["health_port"].default


def test_temporal_is_set_up_as_in_the_embedded_stack() -> None:
    values = load(DEPLOY / "docker/temporal-dynamic.yml")
    code = (ROOT / "workers/local/services.py").read_text(encoding="utf-8")
    flags = dict(re.findall(r'"--dynamic-config-value", "([\w.]+)=(\w+)"', code))
    assert {name: str(value[0]["value"]).lower() for name, value in values.items()} == flags
