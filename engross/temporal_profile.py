"""Temporal's own configuration: TEMPORAL_* variables, in the environment or `.env`, and profiles in TOML files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dotenv import dotenv_values

from engross.errors import ConfigurationError

_PREFIX: Final = "TEMPORAL_"
_FILE: Final = "TEMPORAL_CONFIG_FILE"
# A file in its standard place counts only when one of these asks for it: it may be there for another program.
_ASKED_FOR_BY: Final = ("TEMPORAL_PROFILE", _FILE)


def temporal_variables(env_file: Path | None) -> dict[str, str]:
    """The TEMPORAL_* variables that are set; those of the environment come before those of `env_file`."""
    written = dotenv_values(env_file) if env_file is not None and env_file.is_file() else {}
    both = {**written, **os.environ}
    return {name: value for name, value in both.items() if name.startswith(_PREFIX) and value}


def connect_config(variables: Mapping[str, str]) -> dict[str, Any]:
    """What `variables`, and the profile that they ask for, say of a server of yours, as `Client.connect` takes it.

    Raises `ConfigurationError` when the profile or a file that it names is missing or damaged.
    """
    from temporalio.envconfig import ClientConfig  # costs 0.2 s, and most commands don't connect

    file = variables.get(_FILE)
    if file and not Path(file).is_file():
        raise ConfigurationError(f"{_FILE} names {file}, which is no file")
    try:
        config = ClientConfig.load_client_connect_config(
            disable_file=not asks_for_profile(variables), override_env_vars=variables
        )
    except (RuntimeError, ValueError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigurationError(f"Temporal's configuration can't be used: {reason}; see docs/connections.md") from None
    return dict(config)


def asks_for_profile(variables: Mapping[str, str]) -> bool:
    """Whether a profile is to be read."""
    return any(variables.get(name) for name in _ASKED_FOR_BY)
