"""How long a provider asks to wait: read in every form, limited to an hour, and counted when it is odd."""

import email.utils
import time
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from activities.models.openai_wire import OpenAIProvider
from activities.models.providers import Provider
from activities.models.translate import retry_after
from engross.errors import RateLimited
from tests.activities.models.conftest import StandIn
from tests.activities.models.test_providers import call

LATE: Final = "Wed, 21 Oct 2037 07:28:00 GMT"
PAST: Final = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.fault(19)
@pytest.mark.parametrize(
    ("seconds", "milliseconds", "expected", "odd"),
    [
        (None, None, None, 0),
        ("7", None, 7.0, 0),
        ("0", None, 0.0, 0),
        ("0.5", None, 0.5, 0),
        ("90", "1500", 1.5, 0),
        (None, "250", 0.25, 0),
        ("3600", None, 3600.0, 0),
        ("soon", None, None, 1),
        ("", None, None, 1),
        ("-3", None, None, 1),
        ("nan", None, None, 1),
        ("inf", None, None, 1),
        ("86400", None, 3600.0, 1),
        ("9" * 400, None, None, 1),
        (None, "86400000", 3600.0, 1),
        ("5", "soon", 5.0, 1),
        ("soon", "-1", None, 1),
        (LATE, None, 3600.0, 1),
        (PAST, None, None, 1),
        ("Wed, 21 Oct 20376 07:28:00 GMT", None, None, 1),
        ("Wed, 99 Foo 2037 99:99:99 GMT", None, None, 1),
    ],
)
def test_it_is_read_limited_and_counted(
    seconds: str | None, milliseconds: str | None, expected: float | None, odd: int
) -> None:
    given = {"retry-after": seconds, "retry-after-ms": milliseconds}
    before = counted("openai")
    assert retry_after({name: text for name, text in given.items() if text is not None}, "openai") == expected
    assert counted("openai") - before == odd


@pytest.mark.parametrize(
    ("headers", "expected", "odd"),
    [
        ({"retry_after": "90"}, 90.0, 0),
        ({"retry_after": "90", "retry_after_ms": "1500"}, 1.5, 0),
        ({"retry_after": "soon"}, None, 1),
        ({"retry_after": "-3"}, None, 1),
        ({"retry_after": "86400"}, 3600.0, 1),
        ({"retry_after": LATE}, 3600.0, 1),
    ],
)
async def test_it_comes_with_the_error(
    provider: Provider, stand_in: StandIn, headers: dict[str, str], expected: float | None, odd: int
) -> None:
    before = counted(name_of(provider))
    assert await told(provider, stand_in, **headers) == expected
    assert counted(name_of(provider)) - before == odd


async def test_a_date_is_the_time_until_then(provider: Provider, stand_in: StandIn) -> None:
    before = counted(name_of(provider))
    seconds = await told(provider, stand_in, retry_after=email.utils.formatdate(time.time() + 300, usegmt=True))
    assert seconds is not None
    assert 0 < seconds <= 300
    assert counted(name_of(provider)) == before


async def told(provider: Provider, stand_in: StandIn, **headers: str) -> float | None:
    await stand_in.script({"kind": "rate_limit", **headers})
    with pytest.raises(RateLimited) as caught:
        await provider.call(call())
    return caught.value.retry_after


def name_of(provider: Provider) -> str:
    return "openai" if isinstance(provider, OpenAIProvider) else "anthropic"


def counted(provider: str) -> float:
    return REGISTRY.get_sample_value("engross_retry_after_odd_total", {"provider": provider}) or 0.0


DATES: Final = st.lists(st.sampled_from([*LATE.split(), *"0123456789+-:,", "99999", "+9999", " "]), max_size=12)


@given(st.one_of(st.text(max_size=60), DATES.map(" ".join), st.floats().map(str), st.integers().map(str)))
def test_whatever_is_sent_is_a_time_or_nothing(text: str) -> None:
    for header in ("retry-after", "retry-after-ms"):
        seconds = retry_after({header: text}, "openai")
        assert seconds is None or 0 <= seconds <= 3600
