"""People decide while workers die: every decision once, by those who may, and everybody is told the truth.

FAULTS=long: a hundred people and a hundred approvals.
"""

import random
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from engross.contracts import Verdict
from engross.endpoints import resolve
from starters.running import run
from tests.e2e.conftest import Engross
from tests.e2e.in_process import settings_of
from tests.faults.clicking import APPROVED, TENANT, Click, Office, untruths
from tests.faults.figures import Record, tell
from tests.faults.fleet import LONG, WORKFLOWS_AND_DOCUMENTS, Fleet

pytestmark = [pytest.mark.xdist_group("approvals"), pytest.mark.timeout(1800 if LONG else 400)]

PEOPLE, APPROVALS = (100, 100) if LONG else (20, 12)


@pytest.fixture
def seed() -> int:
    return random.randrange(10**6)  # noqa: S311 - who clicks on what


async def work(engross: Engross, seed: int, done: threading.Event) -> tuple[list[Click], int, list[str], Counter[str]]:
    numbers = random.Random(seed)  # noqa: S311 - who clicks on what
    settings = settings_of(engross)
    office = await Office.opened(settings, resolve(settings))
    try:
        await office.hire(PEOPLE, numbers)
        ids = await office.open_approvals(APPROVALS, numbers)
        forged = await office.forge(ids[: max(5, APPROVALS // 10)], numbers)
        clicks = await office.click_all(ids, numbers)
        done.set()
        clicks += await office.finish(ids)
        rows = [await office.row(approval_id) for approval_id in ids]
        wrong = untruths(office, clicks, rows, await office.lines())
        wrong += [str(finding) for finding in await office.audit.verify(TENANT)]
        wrong += official_copies(engross, [(row.approval_id, row.state.verdict) for row in rows])
        return clicks, forged, wrong, Counter(row.state.verdict.value for row in rows)
    finally:
        done.set()
        await office.database.close()


def official_copies(engross: Engross, verdicts: list[tuple[str, Verdict]]) -> list[str]:
    """What is stored must be what was decided. Read past our own code; the last of it may take a moment."""
    expected = {approval_id: "done" if verdict in APPROVED else "rejected" for approval_id, verdict in verdicts}
    file = Path(engross.environment["ENGROSS_HOME"]) / "results.db"
    deadline = time.monotonic() + 60
    while True:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            stored = dict(database.execute("SELECT run_id, outcome FROM runs WHERE tenant = ?", (TENANT,)).fetchall())
        wrong = [
            f"{name} is stored as {stored.get(name)}"
            for name, outcome in expected.items()
            if stored.get(name) != outcome
        ]
        if not wrong or time.monotonic() > deadline:
            return wrong
        time.sleep(0.2)


@pytest.mark.fault(57, 58, 59, 61)
def test_every_decision_counts_once_by_those_who_may(engross: Engross, record_property: Record, seed: int) -> None:
    print(f"seed {seed}")  # noqa: T201 - to be seen when it fails or hangs
    done = threading.Event()
    begun = time.monotonic()
    with Fleet(engross) as fleet:
        crew = fleet.ready(*[WORKFLOWS_AND_DOCUMENTS] * 2)
        kills: list[int] = []
        killer = threading.Thread(
            target=lambda: kills.append(
                fleet.kill_by_turns(WORKFLOWS_AND_DOCUMENTS, crew, every=2, most=1000 if LONG else 3, done=done.is_set)
            )
        )
        killer.start()
        clicks, forged, wrong, verdicts = run(work(engross, seed, done))
        killer.join()
    told = Counter(click.told for click in clicks)
    seconds = time.monotonic() - begun
    figures = f"{len(clicks)} clicks, {dict(told)}, {dict(verdicts)}, {forged} forged refused, {kills[0]} kills"
    figures = f"{figures}, {seconds:.0f} s"
    figures = tell(record_property, PEOPLE * APPROVALS, seed, figures)
    assert wrong == [], f"{figures}: {wrong[:10]}"
    assert told["counted"] >= APPROVALS, figures
    assert forged >= 5, figures
    assert kills[0] >= 1, figures
