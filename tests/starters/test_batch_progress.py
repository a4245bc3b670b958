"""What is shown of a batch while it goes on."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from starters.batch_reports import BatchReport, BatchState
from starters.cli.batch_progress import line_of, live_progress


def report(**fields: Any) -> BatchReport:
    values = {"batch_id": "b", "job": "j", "tenant": "t", "state": BatchState.RUNNING, "total": 10_000, "seconds": 60.0}
    return BatchReport.model_validate({**values, "started_at": datetime(2026, 1, 1, tzinfo=UTC)} | fields)


def test_a_line_tells_all_there_is() -> None:
    full = report(
        done=1200, failed=3, partial=1, needs_approval=2, parked=4, duplicate=5, running=64,
        cost_usd=Decimal("1.5"), unpriced=7, per_minute=310.4, eta_seconds=3723.6,
    )  # fmt: skip
    assert line_of(full) == (
        "1,215 of 10,000: 1,200 done, 1 partial, 3 failed, 2 needs approval, 4 parked, 5 duplicate, 64 running;"
        " $1.500000 and 7 unknown; 310 a minute; 1:02:04 left"
    )


def test_an_end_has_no_time_left() -> None:
    ended = report(state=BatchState.CANCELLED, done=1, cancelled=2, eta_seconds=5.0)
    assert line_of(ended) == "3 of 10,000: 1 done, 0 failed, 2 cancelled; $0; cancelled"


def test_before_the_rows_are_counted_it_says_so() -> None:
    assert line_of(report(total=0)) == "the manifest is being read"


def test_without_a_terminal_a_line_comes_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with live_progress() as see:
        for done in range(100):
            see(report(done=done))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "0 of 10,000: 0 done, 0 failed, 0 running; $0\n")
