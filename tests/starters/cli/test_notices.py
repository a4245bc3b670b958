"""`engross notices secret` gives receivers what they check signatures with, and not the installation's own secret."""

import os
import subprocess
import sys
from pathlib import Path

from activities.notices.webhook import webhook_secret

SECRET = "s" * 32


def test_the_receivers_secret_is_derived(tmp_path: Path) -> None:
    environment = {**os.environ, "ENGROSS_HOME": str(tmp_path), "ENGROSS_SECRET": SECRET}
    told = subprocess.run(
        [sys.executable, "-m", "starters.cli", "notices", "secret"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert told.stdout.strip() == webhook_secret(SECRET.encode())
    assert SECRET not in told.stdout
    assert told.stdout.startswith("whsec_")
