"""Parts of the console by themselves: addresses, limits, tickets."""

import asyncio

import pytest
from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import Message

from engross.errors import ConfigurationError, NotSignedIn
from engross.settings import Settings
from starters.console.addresses import local_path, site_of
from starters.console.limits import Buckets, limited, network
from starters.console.tickets import Tickets

pytestmark = pytest.mark.usefixtures("clean_environment")


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg, arg-type]  # pydantic-settings' own keyword


@pytest.mark.parametrize(
    ("values", "origin"),
    [
        ({}, "http://127.0.0.1:6394"),
        ({"console_host": "localhost", "console_port": 80}, "http://localhost"),
        ({"console_host": "::1"}, "http://[::1]:6394"),
        ({"console_url": "https://Approvals.example.com"}, "https://approvals.example.com"),
        ({"console_url": "https://a.example.com:443/"}, "https://a.example.com"),
        ({"console_url": "https://a.example.com:8443", "console_host": "0.0.0.0"}, "https://a.example.com:8443"),  # noqa: S104 - behind a proxy
        ({"console_url": "http://localhost:80"}, "http://localhost"),
    ],
)
def test_where_the_console_is(values: dict[str, object], origin: str) -> None:
    assert site_of(settings(**values)).origin == origin


@pytest.mark.parametrize(
    "values",
    [
        {"console_host": "0.0.0.0"},  # noqa: S104 - is refused
        {"console_host": "192.168.1.4"},
        {"console_host": "::"},
        {"console_url": "http://approvals.example.com"},
        {"console_url": "http://127.0.0.1.example.com"},
    ],
)
def test_without_encryption_it_is_not_served_to_others(values: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="put TLS in front of it"):
        site_of(settings(**values))


@pytest.mark.parametrize("rest", ["/console", "?x=1", "#x", ":port", ":99999"])
def test_an_address_has_no_path(rest: str) -> None:
    with pytest.raises(ConfigurationError, match="without a path"):
        site_of(settings(console_url=f"https://a.example.com{rest}"))
    with pytest.raises(ConfigurationError, match="without a path"):
        site_of(settings(console_url="https://user@a.example.com"))


def test_a_proxy_with_tls_on_this_machine() -> None:
    site = site_of(settings(console_url="https://localhost:8443"))
    assert site.is_from_here(Headers({"host": "localhost:8443", "origin": "https://localhost:8443"}))
    assert not site.is_from_here(Headers({"host": "localhost:8443", "origin": "https://localhost:9443"}))
    assert not site.is_from_here(Headers({"host": "", "origin": "http://"}))


@pytest.mark.parametrize("target", ["/inbox", "/of/one?x=1&y=%2F", "/été"])
def test_paths_of_ours_are_kept(target: str) -> None:
    assert local_path(target, "/") == target


def test_a_bucket_refills() -> None:
    clock = Clock()
    buckets = Buckets(60, clock=clock)
    assert [buckets.wait("a") for _ in range(60)] == [0.0] * 60
    assert buckets.wait("a") == pytest.approx(1.0)
    assert buckets.wait("b") == 0
    clock.seconds += 0.75
    assert buckets.wait("a") == pytest.approx(0.25)
    clock.seconds += 0.25
    assert buckets.wait("a") == 0
    clock.seconds += 3600
    assert [buckets.wait("a") > 0 for _ in range(61)] == [False] * 60 + [True]


def test_buckets_forget_who_was_not_seen_for_longest() -> None:
    buckets = Buckets(1, most=3, clock=Clock())
    for key in ("a", "b", "c", "a", "d"):
        buckets.wait(key)
    assert [buckets.wait(key) > 0 for key in ("a", "c", "d")] == [True, True, True]
    assert buckets.wait("b") == 0


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_one_customer_is_one_client(address: str, counted: str) -> None:
    assert network(address) == counted


class Line:
    """A connection on which `messages` come, and then nothing for ever."""

    def __init__(self, *messages: Message) -> None:
        self._messages = list(messages)

    async def receive(self) -> Message:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)


async def test_a_body_that_does_not_arrive_is_given_up() -> None:
    line = Line({"type": "http.request", "body": b"a", "more_body": True})
    receive = limited(line.receive, Headers(), 10, seconds=0.05)
    assert (await receive())["body"] == b"a"
    with pytest.raises(HTTPException) as refused:
        await receive()
    assert refused.value.status_code == 408


async def test_who_has_sent_all_may_stay_as_long_as_they_like() -> None:
    line = Line({"type": "http.request", "body": b"", "more_body": False})
    receive = limited(line.receive, Headers(), 10, seconds=0.05)
    await receive()
    staying = asyncio.ensure_future(receive())
    done, _ = await asyncio.wait([staying], timeout=0.3)  # six times the limit
    assert not done
    staying.cancel()


def test_a_ticket_is_good_for_one_use_and_ten_minutes() -> None:
    clock = Clock()
    tickets = Tickets(b"secret", clock=clock)
    ticket, late = tickets.make({"state": "é"}), tickets.make({"state": "b"})
    assert tickets.take(ticket) == {"state": "é"}
    with pytest.raises(NotSignedIn, match="is over"):
        tickets.take(ticket)
    clock.seconds += 600
    with pytest.raises(NotSignedIn, match="took too long"):
        tickets.take(late)
    with pytest.raises(NotSignedIn, match="took too long"):
        tickets.take(ticket)


@pytest.mark.parametrize("edit", ["", ".", "x.y", "é.é", "e30=", None])
def test_a_ticket_of_somebody_elses_making_is_none(edit: str | None) -> None:
    other = Tickets(b"another secret").make({"state": "a"}) if edit is None else edit
    with pytest.raises(NotSignedIn, match="not begun in this browser"):
        Tickets(b"secret").take(other)
