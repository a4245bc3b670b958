"""The Kubernetes manifests: schemas, and what we promise of every container; test_kubernetes_builds.py the builds."""

import re
import shutil
from typing import Any, Final

import kubernetes_validate  # type: ignore[import-untyped]  # it comes without types
import pytest
import yaml

from engross.settings import Settings
from tests.deploy.kubernetes import IMAGE, QUEUE, Object, build, dev, engross, of_kind, pods, production
from tests.deploy.manifests import KEYS, QUEUES, is_pinned, parses, queues_in, unknown

VERSION: Final = "1.37"
# No schema of these can be had from a package registry as a file: their fields are compared by hand.
CUSTOM: Final = {"ScaledObject", "PodMonitor"}

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is missing, which has kustomize in it")

BOTH = pytest.mark.parametrize("objects", [dev, production], ids=["dev", "production"])


@BOTH
def test_schemas_take_them(objects: Any) -> None:
    for found in objects():
        if found["kind"] not in CUSTOM:
            kubernetes_validate.validate(found, VERSION, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**dev()[0], "sepc": {}}, VERSION, strict=True)


@BOTH
def test_a_pod_has_no_rights(objects: Any) -> None:
    for name, template in pods(objects()):
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        [container] = spec["containers"]
        rights = container["securityContext"]
        assert rights["allowPrivilegeEscalation"] is False, name
        assert rights["readOnlyRootFilesystem"] is True, name
        assert rights["capabilities"] == {"drop": ["ALL"]}, name
        for of in ("requests", "limits"):
            assert set(container["resources"][of]) >= {"cpu", "memory"}, name
        assert is_pinned(container["image"]) or container["image"] in (IMAGE, "engross:dev"), name
    [namespace] = of_kind(objects(), "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@BOTH
def test_whoever_serves_is_probed_on_a_port_of_its_own(objects: Any) -> None:
    for found in of_kind(objects(), "Deployment"):
        [container] = found["spec"]["template"]["spec"]["containers"]
        ports = {port["name"] for port in container["ports"]}
        for probe in ("readinessProbe", "livenessProbe"):
            how = container[probe]
            asked = (how.get("httpGet") or how.get("tcpSocket") or {"port": None})["port"]
            assert asked in ports or "exec" in how, found["metadata"]["name"]
        if engross(found["spec"]["template"]):
            assert "startupProbe" in container


def test_ports_are_those_of_the_settings() -> None:
    ports = {
        found["metadata"]["name"]: container_of(found)["ports"][0] for found in of_kind(production(), "Deployment")
    }
    defaults = {name: Settings.model_fields[name].default for name in ("health_port", "console_port", "codec_port")}
    assert ports.pop("engross-console")["containerPort"] == defaults["console_port"]
    assert ports.pop("engross-codec-server")["containerPort"] == defaults["codec_port"]
    assert {port["containerPort"] for port in ports.values()} == {defaults["health_port"]}


def container_of(found: Object) -> Object:
    container: Object = found["spec"]["template"]["spec"]["containers"][0]
    return container


@BOTH
def test_settings_and_commands_exist(objects: Any) -> None:
    [config] = of_kind(objects(), "ConfigMap")
    assert unknown(config["data"]) == set()
    assert config["data"]["ENGROSS_MODEL"]
    for name, template in pods(objects()):
        if container := engross(template):
            assert unknown({item["name"]: 0 for item in container["env"]}) == set(), name
            assert container["envFrom"] == [{"configMapRef": {"name": config["metadata"]["name"]}}]
            assert parses(container["args"]), name


@BOTH
def test_secrets_are_references_and_a_providers_key_has_one_holder(objects: Any) -> None:
    for name, template in pods(objects()):
        for item in template["spec"]["containers"][0].get("env", []):
            if re.search(r"SECRET|KEY|PASSWORD|RESULTS|REDIS_URL", item["name"]):
                assert set(item["valueFrom"]) == {"secretKeyRef"}, (name, item["name"])
    for queue, key in KEYS.items():
        holders = [template for _, template in pods(objects()) if key in names_of_env(template)]
        assert [template["metadata"]["labels"][QUEUE] for template in holders] == [queue]
    assert not of_kind(production(), "Secret")


def names_of_env(template: Object) -> set[str]:
    return {item["name"] for item in template["spec"]["containers"][0].get("env", [])}


@BOTH
def test_every_queue_has_its_workers(objects: Any) -> None:
    served = {}
    for name, template in pods(objects()):
        container = engross(template)
        if container and "worker" in container["args"]:
            [queue] = queues_in(container["args"])
            assert template["metadata"]["labels"][QUEUE] == queue, name
            served[queue] = template["spec"]["terminationGracePeriodSeconds"]
    assert set(served) == QUEUES
    assert all(seconds > Settings.model_fields["drain_seconds"].default for seconds in served.values())


@BOTH
def test_selectors_find_what_they_are_for(objects: Any) -> None:
    labels = [template["metadata"]["labels"] for _, template in pods(objects())]
    ports = [template["spec"]["containers"][0].get("ports", []) for _, template in pods(objects())]
    for found in of_kind(objects(), "Service", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor"):
        spec = found["spec"]
        selector = spec.get("podSelector", spec.get("selector"))
        wanted = selector if found["kind"] == "Service" else selector.get("matchLabels", {})
        matching = [number for number, of_pod in enumerate(labels) if wanted.items() <= of_pod.items()]
        assert matching, (found["kind"], found["metadata"]["name"])
        for port in spec.get("ports", []):
            assert all(port["targetPort"] in {item["name"] for item in ports[number]} for number in matching)
    for found in of_kind(objects(), "Deployment"):
        wanted = found["spec"]["selector"]["matchLabels"]
        assert [of_pod for of_pod in labels if wanted.items() <= of_pod.items()] == [
            found["spec"]["template"]["metadata"]["labels"]
        ]


def test_ingress_leads_to_services_by_tls() -> None:
    services = {found["metadata"]["name"] for found in of_kind(production(), "Service")}
    config = of_kind(production(), "ConfigMap")[0]["data"]
    hosts = set()
    for found in of_kind(production(), "Ingress"):
        [rule] = found["spec"]["rules"]
        assert rule["host"] in found["spec"]["tls"][0]["hosts"]
        assert {path["backend"]["service"]["name"] for path in rule["http"]["paths"]} <= services
        hosts.add(f"https://{rule['host']}")
    assert config["ENGROSS_CONSOLE_URL"] in hosts


def test_who_may_talk_to_whom() -> None:
    policies = {found["metadata"]["name"]: found["spec"] for found in of_kind(production(), "NetworkPolicy")}
    assert policies["engross-default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    public = {
        name.removesuffix("-4f2c1ab-3").removeprefix("engross-")
        for name, template in pods(production())
        if policies["engross-public"]["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    }
    assert public == {*KEYS, "console", "codec-server"}
    for spec in policies.values():
        for rule in spec.get("egress", []):
            assert rule["to"]
            assert rule["ports"]
    everywhere = [name for name, spec in policies.items() if "0.0.0.0/0" in yaml.safe_dump(spec)]
    assert everywhere == ["engross-public"]
    for name, port in (("engross-console", 6394), ("engross-codec-server", 6395), ("engross-metrics", 6392)):
        [rule] = policies[name]["ingress"]
        assert (bool(rule["from"]), rule["ports"]) == (True, [{"port": port}])


def test_metrics_are_read_as_the_alerts_expect() -> None:
    [monitor] = of_kind(production(), "PodMonitor")
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint == {"port": "health", "path": "/metrics", "interval": "15s", "honorLabels": True}
    label = monitor["spec"]["jobLabel"]
    assert {found["metadata"]["labels"][label] for found in of_kind(build(), "Deployment")} == {"engross"}
