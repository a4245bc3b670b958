"""Refuses settings that nobody reads: a misspelt name would otherwise count for nothing, in silence."""

import difflib
import os
from pathlib import Path

from dotenv import dotenv_values

from engross.errors import ConfigurationError


def refuse_unknown_names(known: set[str], prefix: str, env_file: Path | None) -> None:
    """Raises `ConfigurationError` for a name in the environment or `env_file` that has `prefix` and is not `known`."""
    names = set(os.environ)
    if env_file is not None and env_file.is_file():
        names |= set(dotenv_values(env_file))
    for name in sorted(names - known):
        if name.startswith(prefix):
            ours = [each.removeprefix(prefix) for each in known if each.startswith(prefix)]
            near = difflib.get_close_matches(name.removeprefix(prefix), ours, n=1, cutoff=0.6)
            hint = f"did you mean {prefix}{near[0]}?" if near else "see .env.example for the names there are"
            raise ConfigurationError(f"{name} is not a setting; {hint}")
