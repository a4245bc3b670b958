import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from engross.errors import ConfigurationError
from starters.cli import guard


def test_our_own_folders_pass() -> None:
    guard.check_rooms()


def test_a_folder_found_elsewhere_is_named_with_its_owner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for room in guard.ROOMS:
        monkeypatch.delitem(sys.modules, room, raising=False)
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(metadata, "packages_distributions", lambda: {"workers": ["other-workers", "engross"]})

    with pytest.raises(ConfigurationError, match=r"'workers' is found in .*\(from the distribution other-workers\)"):
        guard.check_rooms()


def test_a_shadowed_folder_stops_the_command_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "__init__.py").touch()

    ended = subprocess.run(
        [sys.executable, "-m", "starters.cli", "jobs"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr.startswith("engross: these packages must lie in")
    assert "'jobs'" in ended.stderr
    assert ended.stderr.count("\n") == 1
