"""The webhook: what it says, how it is signed, and what becomes of receivers that misbehave."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from activities.notices.channel import Channel
from activities.notices.slack import Slack
from activities.notices.webhook import Webhook, signature, webhook_secret
from engross.contracts import EventKind
from engross.errors import ConfigurationError, NoticeFailed
from tests.activities.notices.makers import CANARY, CONSOLE, SECRET, empty_record, told
from tests.activities.notices.receivers import Posted, hook

BOTH: list[Callable[..., Channel]] = [
    lambda url, **options: Webhook(url, secret=SECRET, **options),
    Slack,
]
both = pytest.mark.parametrize("channel", BOTH, ids=["webhook", "slack"])


def is_ours(posted: Posted, secret: str) -> bool:
    """The check that the docs give to receivers."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{posted.headers['webhook-id']}.{posted.headers['webhook-timestamp']}.".encode() + posted.body
    expected = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    given = [part.removeprefix("v1,") for part in posted.headers["webhook-signature"].split() if part.startswith("v1,")]
    return any(hmac.compare_digest(expected, each) for each in given)


async def test_it_says_what_happened_and_where_to_look() -> None:
    async with hook() as receiver:
        await Webhook(receiver.url, secret=SECRET).send(told(EventKind.CLOSED), empty_record())
    body = json.loads(receiver.posts[0].body)
    assert body.pop("sent_at").endswith("+00:00")
    assert body == {
        "id": told(EventKind.CLOSED).id,
        "kind": "closed",
        "approval_id": "invoice-acme-1-approval",
        "job": "invoice",
        "tenant": "acme",
        "risk": "high",
        "reasons": ["large amount"],
        "round": 2,
        "document_name": None,
        "due_at": "2026-01-05T03:04:00+00:00",
        "verdict": "approved",
        "decided_by": ["ann", "bob"],
        "url": f"{CONSOLE}/approvals/invoice-acme-1-approval",
    }
    assert receiver.posts[0].headers["engross-notice-id"] == told(EventKind.CLOSED).id
    assert receiver.posts[0].headers["content-type"] == "application/json"


async def test_the_name_of_the_document_needs_leave() -> None:
    async with hook() as receiver:
        await Webhook(receiver.url, secret=SECRET).send(told(), empty_record())
        await Webhook(receiver.url, secret=SECRET).send(told(tells_values=True), empty_record())
    first, second = receiver.posts
    assert CANARY not in f"{first.headers}{first.body!r}"
    assert json.loads(second.body)["document_name"] == f"{CANARY}.pdf"


async def test_a_receiver_can_check_who_sent_it() -> None:
    async with hook() as receiver:
        await Webhook(receiver.url, secret=SECRET).send(told(), empty_record())
    posted = receiver.posts[0]
    assert posted.headers["webhook-id"] == told().id
    assert abs(time.time() - int(posted.headers["webhook-timestamp"])) < 300
    assert is_ours(posted, webhook_secret(SECRET))
    assert not is_ours(posted, webhook_secret(SECRET + b"x"))
    assert not is_ours(Posted(posted.headers, posted.body + b" "), webhook_secret(SECRET))
    assert not is_ours(Posted({**posted.headers, "webhook-id": "x"}, posted.body), webhook_secret(SECRET))
    assert not is_ours(Posted({**posted.headers, "webhook-timestamp": "1"}, posted.body), webhook_secret(SECRET))


def test_signatures_are_those_of_the_standard() -> None:
    # The example of the Standard Webhooks specification and its libraries' tests.
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    made = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_installations_secret_is_not_given_away() -> None:
    assert SECRET not in base64.b64decode(webhook_secret(SECRET).removeprefix("whsec_"))


async def test_slack_takes_the_words() -> None:
    async with hook() as receiver:
        await Slack(receiver.url).send(told(), empty_record())
    assert list(json.loads(receiver.posts[0].body)) == ["text"]
    assert "Decision wanted" in json.loads(receiver.posts[0].body)["text"]
    assert receiver.posts[0].headers["engross-notice-id"] == told().id
    assert CANARY not in f"{receiver.posts[0].headers}{receiver.posts[0].body!r}"


@both
@pytest.mark.parametrize("status", [500, 503, 429, 408])
async def test_what_may_pass_is_tried_again(channel: Callable[..., Channel], status: int) -> None:
    async with hook(status) as receiver:
        record = empty_record()
        with pytest.raises(NoticeFailed, match=f"HTTP {status}") as caught:
            await channel(receiver.url).send(told(), record)
        assert "127.0.0.1" not in str(caught.value)
        receiver.status = 204
        await channel(receiver.url).send(told(), record)
        await channel(receiver.url).send(told(), record)
    assert len(receiver.posts) == 2
    assert record.refusals == []


@both
@pytest.mark.parametrize("status", [400, 401, 404, 410, 301, 302, 307])
async def test_a_refusal_is_kept_and_not_tried_again(channel: Callable[..., Channel], status: int) -> None:
    async with hook(status) as receiver:
        record = empty_record()
        for _ in range(2):
            await channel(receiver.url).send(told(), record)
    assert receiver.visits == ["/hook"]  # nor is a redirect followed
    assert [f"HTTP {status}" in refusal for refusal in record.refusals] == [True]
    assert "127.0.0.1" not in record.refusals[0]


@both
async def test_a_receiver_that_hangs_is_given_up(channel: Callable[..., Channel]) -> None:
    async with hook(behaviour="hang") as receiver:
        with pytest.raises(NoticeFailed, match=r"did not answer within 0\.2 seconds"):
            await channel(receiver.url, seconds=0.2).send(told(), empty_record())


@both
async def test_what_a_receiver_answers_is_not_read(channel: Callable[..., Channel]) -> None:
    async with hook(behaviour="endless") as receiver:
        await channel(receiver.url, seconds=10).send(told(), empty_record())
    assert len(receiver.posts) == 1


@both
async def test_nobody_there_may_pass(channel: Callable[..., Channel]) -> None:
    async with hook() as receiver:
        url = receiver.url
    with pytest.raises(NoticeFailed, match="cannot be reached") as caught:
        await channel(url).send(told(), empty_record())
    assert "127.0.0.1" not in str(caught.value)


@both
@pytest.mark.parametrize("address", ["https://", "ftp://host/secret", "https://host:port/secret", "https://[/secret"])
def test_an_impossible_address_is_named_by_its_setting(channel: Callable[..., Any], address: str) -> None:
    with pytest.raises(ConfigurationError, match="ENGROSS_NOTIFY_") as caught:
        channel(address)
    assert "secret" not in str(caught.value)
