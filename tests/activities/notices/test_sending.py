"""The activity: every channel is tried, and what is done is not done again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.notices.channel import Channel, Record
from activities.notices.channels import channels_of
from activities.notices.sending import Notices
from activities.notices.told import TOLD, Told
from engross.contracts import EventKind, Noted, Notice, Verdict
from engross.errors import NoticeFailed, NoticeRefused, ServiceUnavailable
from tests.activities.notices.makers import CONSOLE, SECRET, Answers, People, notice
from tests.metrics import counted


@dataclass
class Teller:
    """Sends once under `name`; raises the errors in turn, the last of them again and again, None: it arrives."""

    name: str
    errors: list[Exception | None] = field(default_factory=lambda: [None])
    told: list[Told] = field(default_factory=list)

    async def send(self, told: Told, record: Record) -> None:
        async def arrive() -> None:
            await asyncio.sleep(0)
            error = self.errors.pop(0) if len(self.errors) > 1 else self.errors[0]
            if error is not None:
                raise error
            self.told.append(told)

        await record.once(self.name, arrive)


@dataclass
class Temporal:
    """Attempts of one activity, with heartbeat details handed on as the server does."""

    details: Sequence[Any] = ()

    async def attempt(self, notice: Notice, *channels: Channel) -> Noted:
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, heartbeat_details=self.details)
        environment.on_heartbeat = self._beat
        noted: Noted = await environment.run(Notices(channels=channels, console_address=CONSOLE).send_notice, notice)
        return noted

    def _beat(self, *details: Any) -> None:
        self.details = details


@pytest.mark.parametrize("kind", list(EventKind))
async def test_what_concerns_people_is_told(kind: EventKind) -> None:
    teller = Teller("a")
    assert await Temporal().attempt(notice(kind), teller) == Noted()
    assert [told.kind for told in teller.told] == ([kind] if kind in TOLD else [])


async def test_that_time_is_up_is_told_once() -> None:
    teller = Teller("a")
    for kind in (EventKind.EXPIRED, EventKind.CLOSED):
        await Temporal().attempt(notice(kind, state={"verdict": Verdict.EXPIRED}), teller)
    assert [told.kind for told in teller.told] == [EventKind.EXPIRED]


async def test_without_channels_nothing_is_done() -> None:
    temporal = Temporal()
    assert await temporal.attempt(notice()) == Noted()
    assert temporal.details == ()


async def test_a_channel_that_fails_keeps_no_other_and_is_tried_again_alone() -> None:
    temporal, other = Temporal(), Teller("other")
    failing = Teller("failing", [NoticeFailed("the webhook answered HTTP 500"), None])
    with pytest.raises(NoticeFailed, match=r"^the webhook answered HTTP 500$"):
        await temporal.attempt(notice(), failing, other)
    assert len(other.told) == 1
    await temporal.attempt(notice(), failing, other)
    assert (len(failing.told), len(other.told)) == (1, 1)
    assert failing.told[0].id == other.told[0].id


async def test_a_refusal_waits_until_all_others_are_told() -> None:
    temporal = Temporal()
    refusing = Teller("refusing", [NoticeRefused("the webhook answered HTTP 404")])
    failing = Teller("failing", [NoticeFailed("down"), None])
    with pytest.raises(NoticeFailed, match=r"^down$"):
        await temporal.attempt(notice(), refusing, failing)
    refusing.errors = [None]
    with pytest.raises(NoticeRefused, match=r"^the webhook answered HTTP 404$"):
        await temporal.attempt(notice(), refusing, failing)
    assert (len(refusing.told), len(failing.told)) == (0, 1)


async def test_deliveries_are_counted_once_and_failures_each_time() -> None:
    temporal = Temporal()
    channels = (
        Teller("mail"),
        Teller("webhook", [NoticeRefused("the webhook answered HTTP 404")]),
        Teller("slack", [NoticeFailed("down"), NoticeFailed("down"), None]),
    )
    with counted() as grown:
        for _ in range(2):
            with pytest.raises(NoticeFailed):
                await temporal.attempt(notice(), *channels)
        with pytest.raises(NoticeRefused):
            await temporal.attempt(notice(), *channels)
    assert grown == {
        f"engross_notices_total{{channel={channel},outcome={outcome}}}": count
        for channel, outcome, count in (
            ("mail", "delivered", 1), ("webhook", "refused", 1), ("slack", "failed", 2), ("slack", "delivered", 1),
        )
    }  # fmt: skip


async def test_trouble_of_the_stores_is_tried_again() -> None:
    with pytest.raises(NoticeFailed, match=r"^the database is away$"):
        await Temporal().attempt(notice(), Teller("a", [ServiceUnavailable("the database is away")]))


async def test_a_bug_keeps_no_channel_and_is_not_hidden() -> None:
    other = Teller("other")
    with pytest.raises(ZeroDivisionError):
        await Temporal().attempt(notice(), Teller("a", [ZeroDivisionError()]), other, Teller("b", [NoticeFailed("x")]))
    assert len(other.told) == 1


@dataclass
class Slow:
    """Fails after a heartbeat without details, as the worker's own are, has replaced the record."""

    temporal: Temporal
    name: str = "slow"

    async def send(self, told: Told, record: Record) -> None:
        await asyncio.sleep(0.01)
        self.temporal._beat()
        raise NoticeFailed("slow")


async def test_a_heartbeat_of_the_worker_does_not_lose_the_record() -> None:
    temporal, teller = Temporal(), Teller("a")
    for _ in range(2):
        with pytest.raises(NoticeFailed, match="slow"):
            await temporal.attempt(notice(), teller, Slow(temporal))
    assert len(teller.told) == 1


@dataclass
class Hanging:
    """Hangs after such a heartbeat."""

    temporal: Temporal
    name: str = "slack"
    began: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, told: Told, record: Record) -> None:
        await asyncio.sleep(0.01)
        self.temporal._beat()
        self.began.set()
        await asyncio.Event().wait()


async def test_a_worker_that_is_stopped_hands_the_record_on() -> None:
    temporal, teller = Temporal(), Teller("a")
    hanging = Hanging(temporal)
    attempt = asyncio.create_task(temporal.attempt(notice(), teller, hanging))
    await hanging.began.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    await temporal.attempt(notice(), teller)
    assert len(teller.told) == 1


@pytest.mark.parametrize("details", [(), (None,), ("x",), ([1],)])
async def test_details_of_others_are_no_record(details: Sequence[Any]) -> None:
    teller = Teller("a")
    await Temporal(details).attempt(notice(), teller)
    assert len(teller.told) == 1


def test_what_is_not_set_up_is_not_there() -> None:
    def names(**settings: str) -> list[str]:
        given: dict[str, Any] = {"notify_webhook": None, "notify_slack": None, "smtp_url": None, **settings}
        made = channels_of(**given, mail_from="engross@localhost", secret=SECRET, addresses=People(), answers=Answers())
        return [type(channel).__name__ for channel in made]

    assert names() == []
    assert names(notify_webhook="") == []
    assert names(notify_slack="https://hooks.example.com/x") == ["Slack"]
    everything = {"notify_webhook": "https://a", "notify_slack": "https://b", "smtp_url": "smtp://c"}
    assert names(**everything) == ["Webhook", "Slack", "Mail"]
