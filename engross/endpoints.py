"""Where the services are: addresses of yours when set, else those of the embedded stack that runs in `home`."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from engross.errors import ConfigurationError, ServiceUnavailable
from engross.settings import Settings
from engross.temporal_profile import connect_config

STACK_FILE = "stack.json"


class Endpoints(BaseModel):
    """Addresses in force.

    `stand_in` is the address of the stand-in provider, without `/v1`; `local_model` the base URL of the local model.
    """

    model_config = ConfigDict(frozen=True)

    temporal: str
    web_ui: str | None = None
    redis: str
    stand_in: str | None = None
    local_model: str | None = None


def stack_file(home: Path) -> Path:
    """The file in which the running embedded stack says where it is: `{"endpoints": {...}, "processes": [...]}`."""
    return home / STACK_FILE


def resolve(settings: Settings) -> Endpoints:
    """The addresses in force; raises `ServiceUnavailable` with the fix when something needed does not run."""
    stack = running_stack(settings.home)
    temporal = settings.temporal_address or (stack and stack.temporal)
    redis = settings.redis_url or (stack and stack.redis)
    if not temporal:
        raise ServiceUnavailable("no Temporal server: run `engross up`, or set TEMPORAL_ADDRESS to a server of yours")
    if not redis:
        raise ServiceUnavailable("no Redis server: run `engross up`, or set ENGROSS_REDIS_URL to a server of yours")
    embedded_ui = stack.web_ui if stack and not settings.temporal_address else None
    return Endpoints(
        temporal=temporal,
        web_ui=embedded_ui,
        redis=redis,
        stand_in=stack.stand_in if stack else None,
        local_model=stack.local_model if stack else None,
    )


def running_stack(home: Path) -> Endpoints | None:
    """Where the embedded stack in `home` is, or None. Raises `ConfigurationError` when its file is damaged."""
    file = stack_file(home)
    try:
        return Endpoints.model_validate(json.loads(file.read_text(encoding="utf-8"))["endpoints"])
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError):
        raise ConfigurationError(
            f"{file} is damaged; delete it, end what still runs of the stack, and run `engross up`"
        ) from None


def temporal_options(settings: Settings, address: str) -> dict[str, Any]:
    """Arguments for `temporalio.client.Client.connect`.

    With a server of yours TEMPORAL_* variables and profiles give TLS and keys; the embedded one needs none. Raises
    `ConfigurationError`, see `engross.temporal_profile`.
    """
    options = connect_config(settings.temporal_variables) if settings.temporal_address else {}
    return options | {"target_host": address, "namespace": settings.temporal_namespace}
