"""Times as people say them, for templates. Scripts of the page keep them up to date by the same rules."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_SOON_SECONDS: Final = 4 * _HOUR
_WEEKS_SECONDS: Final = 14 * _DAY


def ago(at: datetime, now: datetime | None = None) -> str:
    """How long ago it was, such as `5 min ago`; the date when that is more than two weeks."""
    seconds = (_now(now) - _utc(at)).total_seconds()
    if seconds < _MINUTE:
        return "just now"
    if seconds >= _WEEKS_SECONDS:
        return f"{_utc(at).day} {_utc(at):%b %Y}"
    return f"{_span(seconds)} ago"


def left(due: datetime, now: datetime | None = None) -> str:
    """How much time there is until `due`, such as `2 h left`, or `3 d overdue`."""
    seconds = (_utc(due) - _now(now)).total_seconds()
    if seconds < 0:
        return f"{_span(-seconds)} overdue"
    return f"{_span(seconds)} left"


def urgency(due: datetime, now: datetime | None = None) -> str:
    """`overdue`, `soon` or `later`."""
    seconds = (_utc(due) - _now(now)).total_seconds()
    return "overdue" if seconds < 0 else "soon" if seconds < _SOON_SECONDS else "later"


def exact(at: datetime) -> str:
    """Date and time in UTC, to the minute."""
    return f"{_utc(at).day} {_utc(at):%b %Y, %H:%M} UTC"


def iso(at: datetime) -> str:
    """For machines: RFC 3339, in UTC."""
    return _utc(at).isoformat(timespec="seconds").replace("+00:00", "Z")


def lower_first(text: str) -> str:
    """`text` for the middle of a sentence; abbreviations stay as they are."""
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "ago": ago,
    "left": left,
    "urgency": urgency,
    "exact": exact,
    "iso": iso,
    "lower_first": lower_first,
}
"""What the templates of this folder need, for `Environment.filters`."""


def _now(now: datetime | None) -> datetime:
    return now or datetime.now(UTC)


def _utc(at: datetime) -> datetime:
    """Times without a zone are UTC here."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _span(seconds: float) -> str:
    """In the unit in which it is at least one, rounded down: `less than a minute` is the smallest."""
    if seconds < _MINUTE:
        return "under a minute"
    for unit, name, most in ((_MINUTE, "min", _HOUR), (_HOUR, "h", 2 * _DAY)):
        if seconds < most:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds // _DAY)} d"
