"""`python deploy/grafana/make` writes the dashboards; with `--check` it only says whether they are as written here."""

import json
import sys
from pathlib import Path
from typing import Final

from approvals import APPROVALS
from batches import BATCHES
from cost import COST
from models import MODELS
from overview import OVERVIEW
from panels import Dashboard, as_json

_FOLDER: Final = Path(__file__).parents[1] / "dashboards"
_ALL: Final = (OVERVIEW, COST, MODELS, APPROVALS, BATCHES)


def _text(dashboard: Dashboard) -> str:
    return json.dumps(as_json(dashboard), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """The exit code: 1 when a file differs from what is written here, or when one is there that nothing makes."""
    files = {_FOLDER / f"{dashboard.name}.json": _text(dashboard) for dashboard in _ALL}
    if "--check" in sys.argv:
        return int({path: path.read_text() for path in _FOLDER.iterdir()} != files)
    _FOLDER.mkdir(exist_ok=True)
    for path, text in files.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
