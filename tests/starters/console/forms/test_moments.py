from datetime import UTC, datetime, timedelta, timezone

import pytest

from starters.console.moments import ago, exact, iso, left, lower_first, urgency

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=47), "47 h ago"),
        (timedelta(hours=48), "2 d ago"),
        (timedelta(days=14), "18 Feb 2026"),
    ],
)
def test_how_long_ago(before: timedelta, text: str) -> None:
    assert ago(NOW - before, NOW) == text


@pytest.mark.parametrize(
    ("ahead", "text", "how"),
    [
        (timedelta(hours=50), "2 d left", "later"),
        (timedelta(hours=2, minutes=59), "2 h left", "soon"),
        (timedelta(seconds=30), "under a minute left", "soon"),
        (timedelta(seconds=-1), "under a minute overdue", "overdue"),
        (timedelta(hours=-3), "3 h overdue", "overdue"),
    ],
)
def test_time_left(ahead: timedelta, text: str, how: str) -> None:
    assert (left(NOW + ahead, NOW), urgency(NOW + ahead, NOW)) == (text, how)


def test_times_are_told_in_utc() -> None:
    at = datetime(2026, 3, 4, 1, 5, tzinfo=timezone(timedelta(hours=2)))
    assert (exact(at), iso(at)) == ("3 Mar 2026, 23:05 UTC", "2026-03-03T23:05:00Z")
    assert iso(datetime(2026, 3, 3, 23, 5)) == "2026-03-03T23:05:00Z"  # noqa: DTZ001 - a time without a zone is the point


def test_abbreviations_stay_within_a_sentence() -> None:
    assert [lower_first(text) for text in ("Line 1", "VAT number", "A line", "")] == [
        "line 1",
        "VAT number",
        "a line",
        "",
    ]
