#!/usr/bin/env python3
"""As `kubectl` for the rollout script: keeps Deployments in $FAKE_CLUSTER/state.json, and writes down what it is asked.

The state: {"deployments": {name: build}, "applies": {name: build}, "codes": {"engross builds drained old": 1},
"keda": bool}. `apply` adds what `applies` says; `exec` ends with what `codes` has for its command, or 0.
"""

import json
import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Exit code of one call."""
    folder = Path(os.environ["FAKE_CLUSTER"])
    with (folder / "calls").open("a") as file:
        file.write(" ".join(arguments) + "\n")
    file_of_state = folder / "state.json"
    state = json.loads(file_of_state.read_text())
    if arguments[0] == "kustomize":
        sys.stdout.write(Path(arguments[1], "kustomization.yaml").read_text())
        return 0
    assert arguments[:2] == ["--namespace", "engross"], arguments
    code = answer(folder, state, arguments[2:])
    file_of_state.write_text(json.dumps(state))
    return code


def answer(folder: Path, state: dict[str, dict[str, str]], arguments: list[str]) -> int:
    """What the cluster does and prints."""
    verb = arguments[0]
    build = "".join(arguments).partition("app.kubernetes.io/version=")[2].partition("--")[0]
    if verb == "apply":
        (folder / "applied").write_text(sys.stdin.read())
        state["deployments"].update(state["applies"])
    elif verb == "get" and arguments[-1].startswith("jsonpath"):
        sys.stdout.write("".join(f"{each}\n" for each in state["deployments"].values()))
    elif verb == "get":
        names = [name for name, each in state["deployments"].items() if each == build]
        sys.stdout.write("".join(f"deployment.apps/{name}\n" for name in names))
    elif verb == "api-resources":
        sys.stdout.write("scaledobjects.keda.sh\n" if state["keda"] else "")
    elif verb == "exec":
        command = " ".join(arguments[arguments.index("--") + 1 :])
        return next((int(code) for start, code in state["codes"].items() if command.startswith(start)), 0)
    elif verb == "delete":
        state["deployments"] = {name: each for name, each in state["deployments"].items() if each != build}
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
