"""Reads a folder, eight files at a time, into CSV: python -m starters.examples.folder_to_csv receipt folder"""

import asyncio
import csv
import sys
from pathlib import Path

from starters.client import Client
from starters.running import run


async def main(job: str, paths: list[Path]) -> None:
    rows, slots = csv.writer(sys.stdout), asyncio.Semaphore(8)
    async with await Client.connect() as client:

        async def read(path: Path) -> None:
            async with slots:
                report = await client.wait((await client.submit(job, path)).run_id)
            rows.writerow([path.name, report.outcome.value, *(report.answer or {}).values()])

        await asyncio.gather(*map(read, paths))


if __name__ == "__main__":
    run(main(sys.argv[1], sorted(Path(sys.argv[2]).glob("*.*"))))
