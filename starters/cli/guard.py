"""Refuses to run when one of our folders is shadowed: their names are plain, another distribution can own one."""

import importlib.util
from importlib import metadata
from pathlib import Path
from typing import Final

import engross
from engross.errors import ConfigurationError

ROOMS: Final = ("activities", "jobs", "starters", "workers", "workflows")


def check_rooms() -> None:
    """Raises `ConfigurationError` naming each folder that Python finds elsewhere than next to ours, and its owner."""
    home = _folder("engross")
    wrong = [f"{room!r} {_whereabouts(room)}" for room in ROOMS if _folder(room) != home]
    if wrong:
        raise ConfigurationError(
            f"these packages must lie in {home}, but {'; '.join(wrong)}: use an environment of Engross's own,"
            " or start it from its folder"
        )


def _folder(package: str) -> Path | None:
    """The folder that holds `package`; None when there is no such package."""
    if package == "engross":
        return Path(engross.__file__).resolve().parent.parent
    spec = importlib.util.find_spec(package)
    if spec is None:
        return None
    place = spec.origin or next(iter(spec.submodule_search_locations or ()), None)
    if place is None:
        return None
    path = Path(place).resolve()
    # `<folder>/<package>/__init__.py`, or `<folder>/<package>` when it is a package without one.
    return path.parent.parent if path.name == "__init__.py" else path.parent


def _whereabouts(package: str) -> str:
    folder = _folder(package)
    if folder is None:
        return "is not installed"
    owners = [name for name in metadata.packages_distributions().get(package, []) if name != "engross"]
    return f"is found in {folder}" + (f" (from the distribution {', '.join(owners)})" if owners else "")
