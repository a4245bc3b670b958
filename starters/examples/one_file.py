"""Reads one file and prints its answer: python -m starters.examples.one_file invoice invoice.pdf"""

import json
import sys
from pathlib import Path

from engross import EngrossError
from starters.client import Client
from starters.running import run


async def main(job: str, path: Path) -> None:
    async with await Client.connect() as client:
        started = await client.submit(job, path)
        report = await client.wait(started.run_id)
    if report.error:
        sys.exit(f"{report.error.type}: {report.error.message}")
    sys.stdout.write(json.dumps(report.answer, indent=2) + "\n")


if __name__ == "__main__":
    try:
        run(main(sys.argv[1], Path(sys.argv[2])))
    except EngrossError as error:
        sys.exit(f"{error.type}: {error}")
