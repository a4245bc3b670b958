"""deploy/kubernetes/release: the workers of one build beside those of another, each grown with its own backlog."""

import shutil
import subprocess

import pytest

from tests.deploy.kubernetes import BUILD, FOLDER, QUEUE, build, of_kind, pods, production
from tests.deploy.manifests import QUEUES

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is missing, which has kustomize in it")


def test_workers_grow_with_the_backlog_of_their_own_queue_and_build() -> None:
    deployments = {found["metadata"]["name"]: found for found in of_kind(build(), "Deployment")}
    scaled = of_kind(build(), "ScaledObject")
    assert len(scaled) == len(deployments) == len(QUEUES)
    name = of_kind(production(), "ConfigMap")[0]["data"]["ENGROSS_DEPLOYMENT"]
    for found in scaled:
        target = deployments[found["spec"]["scaleTargetRef"]["name"]]
        assert "replicas" not in target["spec"]
        [trigger] = found["spec"]["triggers"]
        assert set(trigger) == {"type", "metadata"}
        assert all(isinstance(value, str) for value in trigger["metadata"].values())
        queue = target["metadata"]["labels"][QUEUE]
        assert trigger["metadata"] | {"targetQueueSize": ""} == {
            "endpointFromEnv": "TEMPORAL_ADDRESS",
            "namespace": "default",
            "taskQueue": queue,
            "queueTypes": "workflow" if queue == "workflows" else "activity",
            "targetQueueSize": "",
            "activationTargetQueueSize": "0",
            "workerDeploymentName": name,
            "workerDeploymentBuildId": "4F2c1ab.3",
        }
        assert 0 < found["spec"]["minReplicaCount"] <= found["spec"]["maxReplicaCount"]


def test_a_build_is_named_by_its_tag_and_stands_beside_another() -> None:
    other = build("registry.example.com:5000/engross:0d9e3f7")
    names = [{(found["kind"], found["metadata"]["name"]) for found in of} for of in (build(), other)]
    assert not names[0] & names[1]
    for _, template in pods(other):
        assert template["metadata"]["labels"][BUILD] == "0d9e3f7"
        assert template["spec"]["containers"][0]["image"] == "registry.example.com:5000/engross:0d9e3f7"
        [where] = [item for item in template["spec"]["containers"][0]["env"] if item["name"] == "ENGROSS_BUILD_ID"]
        assert where["valueFrom"]["fieldRef"]["fieldPath"] == f"metadata.labels['{BUILD}']"
    assert not list(FOLDER.glob(".release.*"))


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("engross",),
        ("registry.example.com:5000/engross",),
        ("engross:" + "a" * 41,),
        ("engross:-a",),
        ("a:b", ".", "c"),
    ],
)
def test_what_names_no_build_is_refused(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([str(FOLDER / "release"), *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
