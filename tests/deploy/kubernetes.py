"""The Kubernetes manifests as kubectl puts them together."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from tests.deploy.manifests import DEPLOY

FOLDER: Final = DEPLOY / "kubernetes"
IMAGE: Final = "registry.example.com/engross:4F2c1ab.3"
QUEUE: Final = "engross.dev/queue"
BUILD: Final = "app.kubernetes.io/version"

Object = dict[str, Any]


def put_together(*command: str | Path) -> list[Object]:
    """The documents that a command prints."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


@cache
def dev() -> list[Object]:
    """The whole of a small cluster."""
    return put_together("kubectl", "kustomize", FOLDER / "overlays/dev")


@cache
def build(image: str = IMAGE) -> list[Object]:
    """The workers of one build."""
    return put_together(FOLDER / "release", image)


@cache
def production() -> list[Object]:
    """What there is once, and one build."""
    return put_together("kubectl", "kustomize", FOLDER / "overlays/production") + build()


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """The name of what makes it, and the pod's own template."""
    for found in objects:
        spec = found.get("spec", {})
        template = spec.get("jobTemplate", found).get("spec", {}).get("template")
        if template is not None:
            yield found["metadata"]["name"], template


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """Those of these kinds."""
    return [found for found in objects if found["kind"] in kinds]


def engross(template: Object) -> Object | None:
    """The container of a pod of ours."""
    [container] = template["spec"]["containers"]
    return container if container["name"] == "engross" else None
