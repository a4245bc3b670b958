"""What the tests of image, Compose and Kubernetes share: settings, commands and queues as the code has them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import typer
import yaml

from engross.names import DOCUMENTS_QUEUE, LOCAL, PROVIDERS, WORKFLOWS_QUEUE, models_queue
from engross.settings import Settings, variable
from starters.cli.app import app

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"

SETTINGS: Final = frozenset(variable(field) for field in Settings.model_fields)
# What the libraries read that we use; Temporal's are those of its profiles.
OTHERS: Final = frozenset({"FORWARDED_ALLOW_IPS", "TEMPORAL_API_KEY"})
# A small local model is for laptops.
KEYS: Final = {models_queue(name): f"{name.upper()}_API_KEY" for name in PROVIDERS if name != LOCAL}
QUEUES: Final = frozenset({WORKFLOWS_QUEUE, DOCUMENTS_QUEUE, *KEYS})

_PINNED: Final = re.compile(r"[a-z0-9./-]+:v?\d+(\.\d+)+[a-z0-9.-]*(@sha256:[0-9a-f]{64})?")


def parses(arguments: Sequence[str]) -> bool:
    """Whether `engross` takes this command line. Nothing runs; a command that doesn't exist raises as on a terminal."""
    group: Any = typer.main.get_command(app)
    with group.make_context("engross", list(arguments)) as context:
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        with command.make_context(name, rest, parent=context):
            return True


def queues_in(arguments: Sequence[str]) -> list[str]:
    """The queues that a worker's command line names."""
    return arguments[arguments.index("--queues") + 1].split(",") if "--queues" in arguments else []


def is_pinned(image: str) -> bool:
    """Whether an image's tag has at least two numbers, so that it is no moving one."""
    return _PINNED.fullmatch(image) is not None


def unknown(names: Mapping[str, object]) -> set[str]:
    """Those of our variables among `names` that no setting has."""
    return {name for name in names if name not in SETTINGS | OTHERS}


def load(path: Path) -> Any:
    """The one document of a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))
