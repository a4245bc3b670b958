"""What time it is, as a parameter: tests turn the clock themselves."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def time_of(text: str | None) -> datetime | None:
    """The time that a row has, or has not."""
    return datetime.fromisoformat(text) if text else None
